/** Which slots go from some primaries to another one? Exactly as many as were asked for, or exactly those. Pure. */
import {RefusedError, UsageError} from '../errors.ts'
import {formatSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelId, labelNode, listNodes, primaries, seedAddress, slotsOf} from '../topology/queries.ts'
import {apportion} from './apportion.ts'
import {buildMovePlan, freeSlotsByOwner, ownersAfter} from './move-plan.ts'
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
 * @throws UsageError when source or target makes no sense or the sources have not enough; RefusedError 'open-slots' when
 *   one of `slots` is on its way to another node.
 */
export function planReshard(topology: Topology, options: ReshardOptions, started: readonly SlotMove[] = []): MovePlan {
  const target = requirePrimary(topology, options.to, 'take slots')
  const sources = sourcesOf(topology, options)
  if ('slots' in options) {
    const {moves, resumed} = namedMoves(topology, sources, target, options.slots, started)
    return buildMovePlan(topology, 'reshard', [...started, ...moves], besides(started.length - resumed))
  }
  const {count} = options
  if (!(Number.isInteger(count) && count > 0)) throw new UsageError(`${count} is not a number of slots`)
  const ours = started.filter(({from, to}) => to === target.id && sources.some(({id}) => id === from)).length
  const moves = countedMoves(topology, sources, target, count, ours, started)
  const warnings = besides(started.length - ours)
  if (ours > count) warnings.push(`${count} slots were asked for, but ${ours} are on their way already.`)
  return buildMovePlan(topology, 'reshard', [...started, ...moves], warnings)
}

function besides(others: number): string[] {
  if (others === 0) return []
  return [`Besides what was asked for, ${plural(others)} that an earlier run left open will be finished.`]
}

function plural(count: number): string {
  return count === 1 ? '1 slot' : `${count} slots`
}

/** @param ours how many of `started` are part of the `count` that was asked for. */
function countedMoves(
  topology: Topology,
  sources: readonly ClusterNode[],
  target: ClusterNode,
  count: number,
  ours: number,
  started: readonly SlotMove[],
): SlotMove[] {
  const free = freeSlotsByOwner(topology, started)
  const weights = new Map(sources.map(({id}): [NodeId, number] => [id, free.get(id)?.length ?? 0]))
  const available = [...weights.values()].reduce((sum, own) => sum + own, ours)
  if (count > available) {
    if (sources.length === 0) throw new UsageError(`no primary but ${labelNode(target)} owns slots`)
    const owners = sources.length === 1 ? 'owns' : 'own'
    const together = sources.length === 1 ? '' : ' together'
    throw new UsageError(
      `${listNodes(sources)} ${owners} ${plural(available)}${together} to give away, ${count} were asked for`,
      {
        details: {available, asked: count},
        suggestions: [available > 0 ? `ask for ${available} or fewer, or name more sources` : 'name other sources'],
      },
    )
  }
  if (count <= ours) return []
  const shares = apportion(count - ours, weights)
  const owners = ownersAfter(topology, started)
  return sources.flatMap(({id}) =>
    pickSlots(free.get(id) ?? [], shares.get(id) ?? 0, (slot) => owners[slot] === target.id).map((slot) => ({
      slot,
      from: id,
      to: target.id,
    })),
  )
}

function namedMoves(
  topology: Topology,
  sources: readonly ClusterNode[],
  target: ClusterNode,
  slots: SlotRanges,
  started: readonly SlotMove[],
): {readonly moves: SlotMove[]; readonly resumed: number} {
  const begun = new Map(started.map((move) => [move.slot, move]))
  const sourceIds = new Set(sources.map(({id}) => id))
  const foreign = new Map<NodeId | undefined, number[]>()
  const moves: SlotMove[] = []
  let resumed = 0
  for (const slot of slotsInRanges(slots)) {
    const owner = topology.owners[slot]
    const move = begun.get(slot)
    if (move && move.to !== target.id) throw elsewhere(topology, move)
    if (move) resumed++
    else if (owner !== undefined && sourceIds.has(owner)) moves.push({slot, from: owner, to: target.id})
    else if (owner !== target.id) {
      const theirs = foreign.get(owner)
      if (theirs) theirs.push(slot)
      else foreign.set(owner, [slot])
    }
  }
  const [first] = foreign
  if (first) {
    const [owner, theirs] = first
    const [subject, belong] = theirs.length === 1 ? ['slot', 'belongs'] : ['slots', 'belong']
    const who = owner === undefined ? 'no node' : `${labelId(topology, owner)}, which is not among the sources`
    throw new UsageError(`${subject} ${formatSlots(theirs)} ${belong} to ${who}`, {
      details: {slots: formatSlots(theirs), owner},
      suggestions: owner === undefined ? ['rcluster check tells why'] : ['add that node to --from, or use --from all'],
    })
  }
  return {moves, resumed}
}

function elsewhere(topology: Topology, {slot, from, to}: SlotMove): RefusedError {
  const [source, target] = [labelId(topology, from), labelId(topology, to)]
  const ends = [from, to].map((id) => formatAddress(topology.nodesById.get(id)?.address ?? {host: '', port: 0}))
  return new RefusedError('open-slots', `slot ${slot} is on its way from ${source} to ${target}`, {
    details: {slot, from, to},
    suggestions: [
      `finish that first: rcluster reshard ${seedAddress(topology)} --from ${ends[0]} --to ${ends[1]} --slots-list ${slot}`,
    ],
  })
}

function sourcesOf(topology: Topology, {from, to}: ReshardOptions): ClusterNode[] {
  if (from === 'all') {
    return primaries(topology).filter(({id}) => id !== to && slotsOf(topology, id).length > 0)
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
