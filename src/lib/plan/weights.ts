/** Which weights do the primaries have by what they are given themselves? Pure. */
import {RefusedError} from '../errors.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {listNodes, primaries, seedAddress, slotsOf} from '../topology/queries.ts'

/**
 * By node ID, the maxmemory of each primary that has slots; with `useEmpty` of all.
 * @throws RefusedError 'not-measured' when one has no limit, or does not tell.
 */
export function weightsFromMaxMemory(topology: Topology, useEmpty: boolean): Map<NodeId, number> {
  const taking = primaries(topology).filter(
    ({id, reach}) => slotsOf(topology, id).length > 0 || (useEmpty && reach.kind === 'reached'),
  )
  const weights = new Map<NodeId, number>()
  for (const {id, reach} of taking) {
    const limit = reach.kind === 'reached' ? reach.view.serverInfo.maxMemoryBytes : undefined
    if (limit) weights.set(id, limit)
  }
  const without = taking.filter(({id}) => !weights.has(id))
  if (without.length > 0) {
    throw new RefusedError(
      'not-measured',
      `${listNodes(without, 3)} ${without.length === 1 ? 'has' : 'have'} no maxmemory`,
      {
        details: {setting: 'maxmemory', nodes: without.map(({id}) => id)},
        suggestions: [
          `Set it everywhere: rcluster call ${seedAddress(topology)} -- CONFIG SET maxmemory BYTES`,
          'Or say the weights: --weight NODE=W,…',
        ],
      },
    )
  }
  return weights
}
