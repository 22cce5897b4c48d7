/** What is known of each slot that may need a repair? Topology and counted keys, put side by side. Pure. */
import {slotsInRanges} from '../slots/slot-ranges.ts'
import type {ClusterNode, NodeId, Topology} from '../topology/model.ts'
import {primaries, shardOf, slotsOf} from '../topology/queries.ts'

/** What was counted on the primaries that answer. */
export interface KeyEvidence {
  /** Keys of each counted slot over all databases; nodes without any are left out. */
  readonly keysBySlot: ReadonlyMap<number, ReadonlyMap<NodeId, number>>
  /** Keys that a node has in slots that it does not show: Redis 8.6 hides those that are not its own. */
  readonly hiddenKeys: ReadonlyMap<NodeId, number>
}

export interface SlotFacts {
  readonly slot: number
  /** Who settledly owns it: the highest epoch among those that claim it. */
  readonly owner: ClusterNode | undefined
  /** Reached primaries that claim it for themselves. */
  readonly claimants: readonly NodeId[]
  /** Reached primaries that believe in another owner than `owner`. */
  readonly dissenters: readonly NodeId[]
  /** Whom others take for the owner, though it does not say so itself. */
  readonly hearsay: readonly NodeId[]
  /** Marks of reached primaries; a peer that has become a replica stands for its primary. */
  readonly migrating: readonly {readonly node: NodeId; readonly to: NodeId}[]
  readonly importing: readonly {
    readonly node: NodeId
    readonly from: NodeId
    /** Set only to keep stray keys in sight: no move is meant. */
    readonly isStray: boolean
  }[]
  readonly keys: ReadonlyMap<NodeId, number>
}

/** Slots with a mark, without an owner that answers, or with several opinions; ascending. */
export function slotsInQuestion(topology: Topology): number[] {
  const slots = new Set<number>(slotsInRanges(topology.uncovered))
  for (const {slot} of topology.openSlots) slots.add(slot)
  for (const {ranges} of topology.disagreements) for (const slot of slotsInRanges(ranges)) slots.add(slot)
  return [...slots].sort((a, b) => a - b)
}

const NO_KEYS: ReadonlyMap<NodeId, number> = new Map()

export type StrayMarks = ReadonlyMap<NodeId, ReadonlySet<number>>

/** Of the slots in question and of those with keys that were counted. */
export function collectFacts(
  topology: Topology,
  {keysBySlot}: KeyEvidence,
  strayMarks: StrayMarks = new Map(),
): SlotFacts[] {
  const slots = [...new Set([...slotsInQuestion(topology), ...keysBySlot.keys()])].sort((a, b) => a - b)
  const isReachedPrimary = (id: NodeId): boolean => isReached(topology.nodesById.get(id), 'primary')
  const claimants = new Map<number, NodeId[]>(slots.map((slot) => [slot, []]))
  for (const {id, ranges} of reachedPrimaries(topology)) {
    for (const slot of slotsInRanges(ranges)) claimants.get(slot)?.push(id)
  }
  const opinions = new Map(
    topology.disagreements.flatMap((one) => slotsInRanges(one.ranges).map((slot) => [slot, one.opinions] as const)),
  )
  const marks = new Map(topology.openSlots.map((open) => [open.slot, open]))
  const leader = (id: NodeId): NodeId => shardOf(topology, id)?.primary.id ?? id
  return slots.map((slot) => {
    const ownerId = topology.owners[slot]
    const said = opinions.get(slot) ?? []
    const claims = claimants.get(slot) ?? []
    const open = marks.get(slot)
    return {
      slot,
      owner: ownerId === undefined ? undefined : topology.nodesById.get(ownerId),
      claimants: claims,
      dissenters: said
        .filter(({owner}) => owner !== ownerId)
        .flatMap(({saidBy}) => saidBy)
        .filter(isReachedPrimary)
        .sort(),
      hearsay: said.flatMap(({owner}) => (owner !== undefined && !claims.includes(owner) ? [owner] : [])),
      migrating: (open?.migrating ?? [])
        .filter(({node}) => isReachedPrimary(node))
        .map(({node, to}) => ({node, to: leader(to)})),
      importing: (open?.importing ?? [])
        .filter(({node}) => isReachedPrimary(node))
        .map(({node, from}) => ({node, from: leader(from), isStray: strayMarks.get(node)?.has(slot) ?? false})),
      keys: keysBySlot.get(slot) ?? NO_KEYS,
    }
  })
}

export function isReached(node: ClusterNode | undefined, role: ClusterNode['role']): boolean {
  return node?.role === role && node.reach.kind === 'reached'
}

export function reachedPrimaries(topology: Topology): readonly ClusterNode[] {
  return primaries(topology).filter((node) => isReached(node, 'primary'))
}

/** We cannot reach it, but all that know it are linked to it and do not suspect it: the fault may be ours. */
export function isHeldAlive(topology: Topology, {id, reach}: ClusterNode): boolean {
  if (reach.kind === 'reached') return false
  const said = topology.nodes.flatMap((node) =>
    node.reach.kind === 'reached' ? node.reach.view.entries.filter((entry) => entry.id === id) : [],
  )
  return (
    said.length > 0 && said.every(({isLinked, flags}) => isLinked && !flags.has('suspected') && !flags.has('failed'))
  )
}

/** Primaries out of reach that others take for the owners of slots. */
export function absentOwners(topology: Topology): readonly ClusterNode[] {
  return absentPrimaries(topology).filter(({id}) => slotsOf(topology, id).length > 0)
}

/** Primaries out of reach, but for those that the cluster itself has buried: failed, and without slots. */
export function absentPrimaries(topology: Topology): readonly ClusterNode[] {
  return primaries(topology).filter(
    (node) =>
      node.reach.kind === 'unreachable' &&
      (slotsOf(topology, node.id).length > 0 || !(node.flags.has('failed') || node.flags.has('noaddr'))),
  )
}
