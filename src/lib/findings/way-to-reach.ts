/** What is there to do about a node that runs, and that we do not get to speak to? */
import {hiddenNodes} from '../topology/hidden-nodes.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelNode, seedAddress} from '../topology/queries.ts'

/** Sentences by the nodes' IDs; none for nodes that may well be dead. */
export function waysToReach(topology: Topology): ReadonlyMap<NodeId, string> {
  const seed = seedAddress(topology)
  const ways = new Map<NodeId, string>()
  for (const node of topology.nodes) {
    const way = wayIn(node)
    if (way !== undefined) ways.set(node.id, way)
  }
  for (const [id, friend] of hiddenNodes(topology)) {
    const announced = formatAddress((topology.nodesById.get(id) ?? friend).announced)
    ways.set(
      id,
      `It runs: ${labelNode(friend)} is linked to it. Name the address at which this machine reaches it: --seed ${seed} --seed HOST:PORT, or --address-map ${announced}=HOST:PORT`,
    )
  }
  return ways
}

/** Of one that answers, and turns us away. */
function wayIn({reach, address}: ClusterNode): string | undefined {
  if (reach.kind === 'reached') return undefined
  const place = formatAddress(address)
  switch (reach.failure) {
    case 'auth':
      return `A server runs there and does not take this login: if it has another one, a line in a file for --credentials tells it: ${place} USER PASSWORD`
    case 'permission':
      return 'A server runs there and this user may not ask it: rcluster acl check prints the rights that are needed'
    case 'protected':
      return 'A server runs there in protected mode: set a password on it, or run rcluster on that machine'
    case 'tls':
      return ['A server runs there', ...(reach.advice ?? [])].join('. ')
    default:
      return undefined
  }
}
