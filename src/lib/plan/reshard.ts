/** Which slots go from some primaries to another one? Exactly as many as were asked for, or exactly those. Pure. */
import {UsageError} from '../errors.ts'
import {formatSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelId, labelNode, primaries} from '../topology/queries.ts'
import {apportion} from './apportion.ts'
import {buildMovePlan, ownersAfter, slotsByOwner} from './move-plan.ts'
import {pickSlots} from './pick-slots.ts'
import type {MovePlan, SlotMove} from './plan.ts'

export type ReshardOptions = {
  /** Node IDs of primaries; 'all': every other primary that has slots. */
  readonly from: readonly NodeId[] | 'all'
  readonly to: NodeId
} & ({readonly count: number} | {readonly slots: SlotRanges})

/**
 * `started`: moves that have begun already; they are part of the plan and count toward `count` where they go from one of
 * the sources to the target. With `count`, each source gives in proportion to what it has. With `slots`, those that the
 * target owns already are passed over.
 * @throws UsageError when source or target makes no sense or the sources have not enough.
 */
export function planReshard(topology: Topology, options: ReshardOptions, started: readonly SlotMove[]): MovePlan {
  const target = requirePrimary(topology, options.to, 'take slots')
  const sources = sourcesOf(topology, options)
  const isOurs = ({from, to}: SlotMove): boolean => to === target.id && sources.some(({id}) => id === from)
  const own = slotsByOwner(ownersAfter(topology, started))
  const moves =
    'slots' in options
      ? namedMoves(topology, sources, target, options.slots, started)
      : countedMoves(sources, target, options.count - started.filter(isOurs).length, options.count, own)
  return buildMovePlan(topology, 'reshard', [...started, ...moves], [])
}

function countedMoves(
  sources: readonly ClusterNode[],
  target: ClusterNode,
  count: number,
  asked: number,
  own: ReadonlyMap<NodeId, readonly number[]>,
): SlotMove[] {
  if (!(Number.isInteger(asked) && asked > 0)) throw new UsageError(`${asked} is not a number of slots`)
  const available = sources.reduce((sum, {id}) => sum + (own.get(id)?.length ?? 0), 0)
  if (count > available) {
    const [only] = sources
    const who = sources.length === 1 && only ? `${labelNode(only)} owns` : `the ${sources.length} sources own`
    throw new UsageError(`${who} ${available} slots, and ${asked} were asked for`, {
      details: {available, asked},
      suggestions: [`ask for ${available} slots or fewer, or name more sources`],
    })
  }
  if (count <= 0) return []
  const shares = apportion(count, new Map(sources.map(({id}) => [id, own.get(id)?.length ?? 0])))
  return sources.flatMap(({id}) =>
    pickSlots(own.get(id) ?? [], shares.get(id) ?? 0).map((slot) => ({slot, from: id, to: target.id})),
  )
}

function namedMoves(
  topology: Topology,
  sources: readonly ClusterNode[],
  target: ClusterNode,
  slots: SlotRanges,
  started: readonly SlotMove[],
): SlotMove[] {
  const begun = new Set(started.map(({slot}) => slot))
  const wanted = slotsInRanges(slots).filter((slot) => topology.owners[slot] !== target.id && !begun.has(slot))
  const foreign = new Map<string, number[]>()
  const moves: SlotMove[] = []
  for (const slot of wanted) {
    const owner = topology.owners[slot]
    if (owner !== undefined && sources.some(({id}) => id === owner)) moves.push({slot, from: owner, to: target.id})
    else foreign.set(owner ?? '', [...(foreign.get(owner ?? '') ?? []), slot])
  }
  const [first] = foreign
  if (first) {
    const [owner, theirs] = first
    const who = owner === '' ? 'no node' : labelId(topology, owner)
    throw new UsageError(`slots ${formatSlots(theirs)} belong to ${who}, which is not among the sources`, {
      suggestions: ['add that node to --from, or use --from all'],
    })
  }
  return moves
}

function sourcesOf(topology: Topology, {from, to}: ReshardOptions): ClusterNode[] {
  if (from === 'all') {
    return primaries(topology).filter(({id}) => id !== to && topology.owners.includes(id))
  }
  const ids = [...new Set(from)]
  if (ids.includes(to)) {
    throw new UsageError(`${labelId(topology, to)} is source and target`, {
      suggestions: ['name two different primaries'],
    })
  }
  if (ids.length === 0) throw new UsageError('no source was named')
  return ids.map((id) => requirePrimary(topology, id, 'give slots'))
}

/** @throws UsageError for a replica, naming its primary. */
export function requirePrimary(topology: Topology, id: NodeId, purpose: string): ClusterNode {
  const node = topology.nodesById.get(id)
  if (!node) throw new UsageError(`node ${id} is not part of the cluster`)
  if (node.role === 'primary') return node
  const primary = node.primaryId === undefined ? undefined : topology.nodesById.get(node.primaryId)
  throw new UsageError(`${labelNode(node)} is a replica and cannot ${purpose}`, {
    suggestions: primary ? [`name its primary, ${formatAddress(primary.address)}`] : [],
  })
}
