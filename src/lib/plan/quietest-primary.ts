/** Which primary gets the next replica? Pure. */
import type {ClusterNode, NodeId} from '../topology/model.ts'

/** The one with the fewest replicas; among equals one on another host than the replica's, then the smallest ID. */
export function quietestPrimary(
  primaries: readonly ClusterNode[],
  replicaCounts: ReadonlyMap<NodeId, number>,
  replicaHost: string,
): ClusterNode | undefined {
  const rank = (node: ClusterNode): number =>
    (replicaCounts.get(node.id) ?? 0) * 2 + (node.address.host === replicaHost ? 1 : 0)
  return [...primaries].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1))[0]
}
