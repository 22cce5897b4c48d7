/** Who says what about one slot, or about one node? Reads a Topology. Nodes that say the same are told together. */
import type {SlotRanges} from '../slots/slot-ranges.ts'
import {
  formatAddress,
  type NodeAddress,
  type NodeEntry,
  type NodeFlag,
  type NodeId,
  type NodeView,
  type Role,
  type Topology,
} from './model.ts'

/** One answer to "who owns this slot", and who gives it. */
export interface OwnerOpinion {
  /** undefined: nobody. */
  readonly owner: NodeId | undefined
  /** Config epochs at which these nodes hold the owner's claim, ascending: one, where they agree. */
  readonly configEpochs: readonly number[]
  /** Sorted. */
  readonly saidBy: readonly NodeId[]
}

/** The answer that most nodes give first. */
export function opinionsOnSlot(topology: Topology, slot: number): readonly OwnerOpinion[] {
  const holds = cached((entry) => entry.ranges.some(({start, end}) => start <= slot && slot <= end))
  const byOwner = new Map<NodeId | undefined, {epochs: Set<number>; saidBy: NodeId[]}>()
  for (const {id, entries} of viewsIn(topology)) {
    const entry = entries.find(holds)
    const opinion = byOwner.get(entry?.id) ?? {epochs: new Set(), saidBy: []}
    byOwner.set(entry?.id, opinion)
    opinion.saidBy.push(id)
    if (entry) opinion.epochs.add(entry.configEpoch)
  }
  return [...byOwner]
    .map(([owner, {epochs, saidBy}]) => ({
      owner,
      configEpochs: [...epochs].sort((a, b) => a - b),
      saidBy: saidBy.sort(),
    }))
    .sort((a, b) => b.saidBy.length - a.saidBy.length || ((a.owner ?? '~') < (b.owner ?? '~') ? -1 : 1))
}

/** How some nodes see one node. */
export interface NodeOpinion {
  /** undefined: they do not know it. */
  readonly seenAs:
    | {
        readonly role: Role
        readonly primaryId: NodeId | undefined
        readonly configEpoch: number
        readonly address: NodeAddress
        readonly hostname: string | undefined
        readonly flags: readonly NodeFlag[]
        readonly isLinked: boolean
        readonly ranges: SlotRanges
      }
    | undefined
  readonly saidBy: readonly NodeId[]
  /** The node's own word is among them. */
  readonly isOwn: boolean
}

/** The node's own word first, then the view that most others have. */
export function opinionsOnNode(topology: Topology, id: NodeId): readonly NodeOpinion[] {
  const keyOf = cached((entry) =>
    [
      ...[entry.role, entry.primaryId, entry.configEpoch, entry.hostname, entry.isMyself || entry.isLinked],
      ...[placeOf(entry), [...entry.flags].sort().join(' '), entry.ranges.map(({start, end}) => `${start}-${end}`)],
    ].join(' '),
  )
  const groups = new Map<string, {entry: NodeEntry | undefined; saidBy: NodeId[]}>()
  for (const view of viewsIn(topology)) {
    const entry = view.entries.find((one) => one.id === id)
    const key = view.id === id ? 'own' : entry ? keyOf(entry) : 'unknown'
    const group = groups.get(key) ?? {entry, saidBy: []}
    groups.set(key, group)
    group.saidBy.push(view.id)
  }
  return [...groups]
    .map(([key, {entry, saidBy}]) => ({isOwn: key === 'own', seenAs: entry && seenAs(entry), saidBy: saidBy.sort()}))
    .sort((a, b) => Number(b.isOwn) - Number(a.isOwn) || b.saidBy.length - a.saidBy.length)
}

function seenAs(entry: NodeEntry): NonNullable<NodeOpinion['seenAs']> {
  const {role, primaryId, configEpoch, announced, hostname, isMyself, isLinked, ranges} = entry
  return {
    ...{role, primaryId, configEpoch, address: announced, hostname, ranges},
    flags: [...entry.flags].sort(),
    isLinked: isMyself || isLinked,
  }
}

function placeOf({announced}: NodeEntry): string {
  return formatAddress(announced)
}

function viewsIn({nodes}: Topology): NodeView[] {
  return nodes.flatMap(({reach}) => (reach.kind === 'reached' ? [reach.view] : []))
}

/** Nodes share what they tell alike: of a million entries most are the same thousand. */
function cached<T>(read: (entry: NodeEntry) => T): (entry: NodeEntry) => T {
  const known = new Map<NodeEntry, T>()
  return (entry) => {
    const before = known.get(entry)
    if (before !== undefined) return before
    const value = read(entry)
    known.set(entry, value)
    return value
  }
}
