/**
 * What is left to do for one slot? Computed from what source and target say about it now, never from what we did
 * before: starting, going on after a crash and repairing are therefore the same code. Pure.
 */

import type {SlotMove} from '../plan/plan.ts'
import type {NodeId, NodeView, SlotMark} from '../topology/model.ts'

/** One end's own word on one slot. */
export interface SlotEnd {
  readonly hasClaim: boolean
  readonly migratingTo: NodeId | undefined
  readonly importingFrom: NodeId | undefined
}

export interface SlotSight {
  readonly source: SlotEnd
  readonly target: SlotEnd
}

export type Step =
  | {readonly kind: 'name-source'}
  | {readonly kind: 'set-importing'}
  | {readonly kind: 'set-migrating'}
  | {readonly kind: 'drain'}
  | {readonly kind: 'assign-target'}
  | {readonly kind: 'assign-source'}

export type SlotOutlook =
  | {readonly kind: 'steps'; readonly steps: readonly Step['kind'][]}
  | {readonly kind: 'done'}
  /** Somebody else has the slot, or it is open toward somebody else: not ours to touch. */
  | {readonly kind: 'astray'; readonly reason: string}

/** Fellow members of each end's shard: after a failover a mark may name the primary of before. */
export interface ShardMembers {
  readonly source: ReadonlySet<NodeId> | undefined
  readonly target: ReadonlySet<NodeId> | undefined
}

/** The order is the safety rule; see docs/decisions/0003-order-of-a-slot-move.md. */
export function outlookOf(move: SlotMove, sight: SlotSight, shards?: ShardMembers): SlotOutlook {
  const {source, target} = sight
  const isMigrating = source.migratingTo === move.to
  const isImporting = target.importingFrom === move.from
  if (source.migratingTo !== undefined && !isMigrating && !shards?.target?.has(source.migratingTo)) {
    return {kind: 'astray', reason: `its source marks it as migrating to ${source.migratingTo.slice(0, 8)}`}
  }
  if (target.importingFrom !== undefined && !isImporting && !shards?.source?.has(target.importingFrom)) {
    return {kind: 'astray', reason: `its target marks it as importing from ${target.importingFrom.slice(0, 8)}`}
  }
  if (target.hasClaim) {
    // The source is told last, so a run that was cut off leaves it with its claim or, on Redis up to 8.0, its mark.
    if (source.hasClaim || source.migratingTo !== undefined) {
      return {kind: 'steps', steps: ['assign-source']}
    }
    return {kind: 'done'}
  }
  if (!source.hasClaim) return {kind: 'astray', reason: 'neither its source nor its target claims it'}
  const steps: Step['kind'][] = []
  // Its mark keeps the target from learning who leads the source's shard now. Until it is told, the slot has no owner
  // there and it answers CLUSTERDOWN to every key (seen on Redis 7.0 to 8.6; Valkey's marks follow by themselves).
  if (target.importingFrom !== undefined && !isImporting) steps.push('name-source')
  // Importing first: the source must not send clients to a node that does not expect them.
  if (!isImporting) steps.push('set-importing')
  if (!isMigrating) steps.push('set-migrating')
  // Target first: a crash in between must not leave the slot without an owner (redis/redis#7116).
  steps.push('drain', 'assign-target', 'assign-source')
  return {kind: 'steps', steps}
}

/** What a node says about itself, prepared for asking about many slots. */
export class OwnWord {
  readonly id: NodeId
  /** New with every start of the server; undefined where it does not tell. */
  readonly runId: string | undefined
  readonly #claims = new Set<number>()
  readonly #migrating: ReadonlyMap<number, NodeId>
  readonly #importing: ReadonlyMap<number, NodeId>

  constructor(view: NodeView) {
    const self = view.entries.find((entry) => entry.isMyself)
    this.id = view.id
    this.runId = view.serverInfo.runId
    for (const {start, end} of self?.ranges ?? []) for (let slot = start; slot <= end; slot++) this.#claims.add(slot)
    this.#migrating = peersBySlot(self?.migrating ?? [])
    this.#importing = peersBySlot(self?.importing ?? [])
  }

  about(slot: number): SlotEnd {
    return {
      hasClaim: this.#claims.has(slot),
      migratingTo: this.#migrating.get(slot),
      importingFrom: this.#importing.get(slot),
    }
  }
}

function peersBySlot(marks: readonly SlotMark[]): ReadonlyMap<number, NodeId> {
  return new Map(marks.map(({slot, peer}) => [slot, peer]))
}
