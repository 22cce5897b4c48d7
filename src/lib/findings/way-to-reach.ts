/** What is there to do about a node that the others reach, and we do not? */
import {hiddenNodes} from '../topology/hidden-nodes.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelNode, seedAddress} from '../topology/queries.ts'

/** Sentences by the nodes' IDs; none for nodes that may well be dead. */
export function waysToReach(topology: Topology): ReadonlyMap<NodeId, string> {
  const seed = seedAddress(topology)
  return new Map(
    [...hiddenNodes(topology)].map(([id, friend]) => {
      const announced = formatAddress((topology.nodesById.get(id) ?? friend).announced)
      return [
        id,
        `It runs: ${labelNode(friend)} is linked to it. Name the address at which this machine reaches it: --seed ${seed} --seed HOST:PORT, or --address-map ${announced}=HOST:PORT`,
      ]
    }),
  )
}
