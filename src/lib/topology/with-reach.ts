/** What does the picture look like when nodes were heard of again, or not, and nothing else was asked? Pure. */
import type {ClusterNode, Reach, Topology} from './model.ts'

/** As `topology`, whose slots and roles stay as they were. */
export function withReach(topology: Topology, reachOf: (node: ClusterNode) => Reach): Topology {
  const nodes = topology.nodes.map((node) => ({...node, reach: reachOf(node)}))
  const nodesById = new Map(nodes.map((node) => [node.id, node]))
  const now = (node: ClusterNode): ClusterNode => nodesById.get(node.id) ?? node
  const shards = topology.shards.map(({primary, replicas}) => ({primary: now(primary), replicas: replicas.map(now)}))
  return {...topology, nodes, nodesById, shards}
}
