/** In which order does redis-cli go through the nodes? The seed first, then as the seed lists the others. Pure. */
import type {ClusterNode, Topology} from '../../topology/model.ts'

/** Nodes that answered; those that the seed does not list come last, by ID. */
export function nodesInSeedOrder(topology: Topology): readonly ClusterNode[] {
  const seed = topology.nodesById.get(topology.seedId)
  const listed = seed?.reach.kind === 'reached' ? seed.reach.view.entries.map(({id}) => id) : []
  const ids = new Set([topology.seedId, ...listed, ...topology.nodes.map(({id}) => id)])
  return [...ids].flatMap((id) => {
    const node = topology.nodesById.get(id)
    return node?.reach.kind === 'reached' ? [node] : []
  })
}

/** As `nodesInSeedOrder`, those that say they are primaries. */
export function primariesInSeedOrder(topology: Topology): readonly ClusterNode[] {
  return nodesInSeedOrder(topology).filter(({role}) => role === 'primary')
}
