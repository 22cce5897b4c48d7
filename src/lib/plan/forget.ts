/** Which nodes may be forgotten as they are, without a reset and without a new home for their replicas? Pure. */
import {RefusedError} from '../errors.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelNode, listNodes, replicasOf, seedAddress, slotsOf} from '../topology/queries.ts'

/** @throws RefusedError for a node with slots, one that answers as a member or may be alive, or one that is followed. */
export function requireForgettable(topology: Topology, ids: readonly NodeId[]): void {
  for (const id of ids) {
    const node = topology.nodesById.get(id)
    if (!node) continue
    requireSlotless(topology, node)
    requireGone(topology, node)
    const followers = replicasOf(topology, id).filter(
      (replica) => replica.reach.kind === 'reached' && !ids.includes(replica.id),
    )
    if (followers.length > 0) {
      throw new RefusedError('target-unfit', `${listNodes(followers)} still follow ${labelNode(node)}`, {
        suggestions: [`Give them another primary on the way: rcluster del-node ${seedAddress(topology)} ${id}`],
      })
    }
  }
}

function requireSlotless(topology: Topology, node: ClusterNode): void {
  const slots = countSlots(slotsOf(topology, node.id))
  if (slots === 0) return
  const heir = replicasOf(topology, node.id).find(({reach}) => reach.kind === 'reached')
  throw new RefusedError(
    'node-has-slots',
    `${labelNode(node)} owns ${slots === 1 ? '1 slot' : `${slots} slots`}, which nobody would serve`,
    {
      details: {nodes: [node.id]},
      suggestions:
        node.reach.kind === 'reached'
          ? [`rcluster del-node ${seedAddress(topology)} ${node.id} --drain`]
          : [
              ...(heir ? [`Let its replica take over: rcluster failover ${formatAddress(heir.address)} --force`] : []),
              `Start ${labelNode(node)} again, and see with rcluster check ${seedAddress(topology)}`,
            ],
    },
  )
}

/** A node that is alive goes on believing itself a member, and serves old data to whoever asks. */
function requireGone(topology: Topology, node: ClusterNode): void {
  const deletion = `rcluster del-node ${seedAddress(topology)} ${node.id}`
  if (node.reach.kind === 'reached') {
    const isLonely = !node.reach.view.entries.some(({id}) => id !== node.id && topology.nodesById.has(id))
    if (isLonely) return
    throw new RefusedError('target-unfit', `${labelNode(node)} answers, and believes itself a member`, {
      suggestions: [`Remove it, and have it reset: ${deletion}`],
    })
  }
  const isGivenUp = (['suspected', 'failed', 'noaddr'] as const).some((flag) => node.flags.has(flag))
  if (isGivenUp || !isLinkedToAny(topology, node.id)) return
  throw new RefusedError(
    'unreachable-nodes',
    `${labelNode(node)} does not answer us (${node.reach.message}), but the other nodes still hold it for alive`,
    {suggestions: ['Run the command again when they have given it up, after cluster-node-timeout', deletion]},
  )
}

function isLinkedToAny(topology: Topology, id: NodeId): boolean {
  return topology.nodes.some(
    ({reach}) => reach.kind === 'reached' && reach.view.entries.some((entry) => entry.id === id && entry.isLinked),
  )
}
