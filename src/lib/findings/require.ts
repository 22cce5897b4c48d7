/** May slots be moved, or nodes join, in this cluster as it stands? Throws a refusal that tells why not, and what next. */
import {type RefusalReason, RefusedError} from '../errors.ts'
import {formatSlots, slotsInRanges} from '../slots/slot-ranges.ts'
import type {ClusterNode, NodeId, Topology} from '../topology/model.ts'
import {listNodes, seedAddress, slotsOf} from '../topology/queries.ts'
import type {Finding} from './finding.ts'
import {membershipGaps, unreachableNodes} from './node-rules.ts'
import {clusterDown, disagreements, moveOf, openSlotFindings, uncoveredSlots} from './slot-rules.ts'
import {waysToReach} from './way-to-reach.ts'

export interface FitnessOptions {
  /** Moves that are about to be carried out: a slot that is open for just such a move is no obstacle. */
  readonly resumable: readonly {readonly slot: number; readonly from: NodeId; readonly to: NodeId}[]
  /** Primaries that may be out of reach. Their slots, if any, are uncovered and refused all the same. */
  readonly tolerateUnreachable?: ReadonlySet<NodeId>
}

/**
 * Asks in this order: uncovered slots, disagreements, open slots, unreachable primaries, cluster_state. Dead replicas do
 * not forbid moves, and neither does a slotless primary that the cluster itself holds for failed.
 * @throws RefusedError
 */
export function requireFitForMoves(topology: Topology, options: FitnessOptions): void {
  refuse(topology, 'uncovered-slots', uncoveredSlots(topology))
  refuse(topology, 'disagreement', disagreements(topology))
  refuse(topology, 'open-slots', openSlotFindings(topology, obstructiveSlots(topology, options.resumable)))
  const absent = unreachableNodes(topology).filter(({nodes: [id = '']}) => {
    const node = topology.nodesById.get(id)
    return node?.role === 'primary' && !options.tolerateUnreachable?.has(id) && !isBuried(node, topology)
  })
  refuse(topology, 'unreachable-nodes', absent)
  refuse(topology, 'unhealthy', clusterDown(topology))
}

/**
 * A join needs all reached nodes to agree, on the slots and on who is a member. Dead nodes and uncovered or open slots do
 * not forbid it: a new node is often the cure for them.
 * @throws RefusedError 'disagreement'
 */
export function requireFitForJoins(topology: Topology): void {
  refuse(topology, 'disagreement', disagreements(topology))
  const isReached = (id: NodeId) => topology.nodesById.get(id)?.reach.kind === 'reached'
  refuse(
    topology,
    'disagreement',
    membershipGaps(topology).filter(({nodes}) => nodes.every(isReached)),
  )
}

/**
 * Who is to be forgotten must be told so, and so must all who know it: one of them that is alive, and out of our reach only,
 * makes the others know the node again.
 * @throws RefusedError 'unreachable-nodes' naming the addresses that lead nowhere from here.
 */
export function requireNoneHidden(topology: Topology): void {
  const ways = waysToReach(topology)
  if (ways.size === 0) return
  const nodes = topology.nodes.filter(({id}) => ways.has(id))
  const reasons = nodes.flatMap(({reach}) => (reach.kind === 'unreachable' ? [reach.message] : []))
  throw new RefusedError(
    'unreachable-nodes',
    `${listNodes(nodes)} cannot be reached from this machine, and ${nodes.length === 1 ? 'runs' : 'run'}: ${reasons[0] ?? ''}`,
    {
      details: {nodes: nodes.map(({id}) => id)},
      suggestions: [...[...ways.values()].slice(0, 4), `rcluster check ${seedAddress(topology)}`],
    },
  )
}

/**
 * A backup needs every slot at a node that can be asked, and none on its way. `isPartialAllowed`: slots may be uncovered and
 * primaries out of reach, but where keys are must be clear all the same.
 * @throws RefusedError
 */
export function requireFitForBackup(topology: Topology, isPartialAllowed: boolean): void {
  if (!isPartialAllowed) {
    requireFitForMoves(topology, {resumable: []})
    return
  }
  refuse(topology, 'disagreement', disagreements(topology))
  refuse(topology, 'open-slots', openSlotFindings(topology, topology.openSlots))
}

/**
 * Keys can be written as long as every slot is served: nodes may disagree a while, and slots may be on their way.
 * @throws RefusedError
 */
export function requireServing(topology: Topology): void {
  refuse(topology, 'uncovered-slots', uncoveredSlots(topology))
  refuse(topology, 'unhealthy', clusterDown(topology))
}

function obstructiveSlots(topology: Topology, resumable: FitnessOptions['resumable']): Topology['openSlots'] {
  const moveBySlot = new Map(resumable.map((move) => [move.slot, move]))
  return topology.openSlots.filter((open) => {
    const [planned, marked] = [moveBySlot.get(open.slot), moveOf(open)]
    return planned?.from !== marked?.from || planned?.to !== marked?.to || marked === undefined
  })
}

/** What a failover leaves behind: it owns nothing by anyone's word, and comes back, if ever, as a replica. */
function isBuried(node: ClusterNode, topology: Topology): boolean {
  return node.flags.has('failed') && slotsOf(topology, node.id).length === 0
}

function refuse(topology: Topology, reason: RefusalReason, grounds: readonly Finding[]): void {
  const [first] = grounds
  if (!first) return
  const more = grounds.length === 1 ? '' : ` (and ${grounds.length - 1} more like this)`
  throw new RefusedError(reason, `${first.message}${more}`, {
    details: {
      slots: formatSlots(grounds.flatMap(({slots}) => slotsInRanges(slots))),
      nodes: [...new Set(grounds.flatMap(({nodes}) => nodes))].sort(),
    },
    suggestions: [
      ...new Set([
        ...grounds.flatMap(({suggestions}) => suggestions).slice(0, 4),
        `rcluster check ${seedAddress(topology)}`,
      ]),
    ],
  })
}
