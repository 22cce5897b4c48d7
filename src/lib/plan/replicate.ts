/** May this node become a replica of that one? Pure. */
import {RefusedError, UsageError} from '../errors.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {countKeys, labelNode, listNodes, replicasOf, requireNode, slotsOf} from '../topology/queries.ts'
import {requireNothingOnTheWay} from './on-the-way.ts'

export interface ReplicatePlan {
  readonly version: 1
  readonly kind: 'replicate'
  readonly replica: {readonly id: NodeId; readonly address: string}
  readonly primary: {readonly id: NodeId; readonly address: string}
  /** undefined: it is a primary now. */
  readonly primaryBefore: NodeId | undefined
  readonly warnings: readonly string[]
}

/**
 * @throws UsageError for a node that is to follow itself or a replica, or is no member; RefusedError when it owns slots, holds keys that
 *   would be lost, has replicas itself, or when one of the two does not answer.
 */
export function planReplicate(
  topology: Topology,
  {replicaId, primaryId}: {readonly replicaId: NodeId; readonly primaryId: NodeId},
): ReplicatePlan {
  const replica = requireNode(topology, replicaId)
  const primary = requireNode(topology, primaryId)
  if (replica === primary) throw new UsageError(`${labelNode(replica)} cannot follow itself`)
  if (primary.role === 'replica') {
    const its = topology.nodesById.get(primary.primaryId ?? '')
    throw new UsageError(`${labelNode(primary)} is a replica itself`, {
      suggestions: [its ? `Its primary is ${labelNode(its)}` : 'Name a primary'],
    })
  }
  for (const node of [replica, primary]) requireReached(node)
  if (replica.role === 'primary') requireNothingToLose(topology, replica)
  return {
    version: 1,
    kind: 'replicate',
    replica: {id: replica.id, address: formatAddress(replica.address)},
    primary: {id: primary.id, address: formatAddress(primary.address)},
    primaryBefore: replica.primaryId,
    warnings: warningsOn(topology, replica, primary),
  }
}

function requireReached(node: ClusterNode): void {
  if (node.reach.kind === 'reached') return
  throw new RefusedError('unreachable-nodes', `${labelNode(node)} cannot be reached: ${node.reach.message}`)
}

function requireNothingToLose(topology: Topology, node: ClusterNode): void {
  const address = formatAddress(node.address)
  const slots = countSlots(slotsOf(topology, node.id)) || countSlots(node.ranges)
  if (slots > 0) {
    throw new RefusedError('node-has-slots', `${labelNode(node)} owns ${slots === 1 ? '1 slot' : `${slots} slots`}`, {
      details: {nodes: [node.id]},
      suggestions: [
        `Let a replica take over, after which it follows that one: rcluster failover ${address}`,
        `Or move its slots away: rcluster rebalance ${address} --weight ${node.id}=0`,
      ],
    })
  }
  requireNothingOnTheWay(topology, new Set([node.id]))
  const keys = node.reach.kind === 'reached' ? countKeys(node.reach.view) : 0
  if (keys > 0) {
    throw new RefusedError(
      'node-not-empty',
      `${labelNode(node)} owns no slot but still holds ${keys === 1 ? '1 key' : `${keys} keys`}, which would be lost`,
      {suggestions: [`Look at them first; if nothing of it is needed, FLUSHALL on ${address}`]},
    )
  }
  const followers = replicasOf(topology, node.id)
  if (followers.length === 0) return
  throw new RefusedError('target-unfit', `${labelNode(node)} has replicas of its own: ${listNodes(followers)}`, {
    suggestions: followers.map(({address: follower}) => `rcluster replicate ${formatAddress(follower)} PRIMARY`),
  })
}

function warningsOn(topology: Topology, replica: ClusterNode, primary: ClusterNode): string[] {
  const before = topology.nodesById.get(replica.primaryId ?? '')
  if (!before || before === primary || slotsOf(topology, before.id).length === 0) return []
  if (replicasOf(topology, before.id).length > 1) return []
  return [`${labelNode(before)} has no other replica: without this one nobody takes over when it fails.`]
}
