/** Which nodes hold keys of one slot, and how many? Reads only: one count each, all at once. */
import {NodeError} from '../errors.ts'
import type {ClusterNode} from '../topology/model.ts'
import {shardOf} from '../topology/queries.ts'
import type {SlotCount} from '../topology/slot-count.ts'
import {peopledDatabases} from './peopled-databases.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

/**
 * Of all primaries and of the owner's replicas, those that cannot be asked included; by node ID. A node that neither owns
 * nor imports the slot may hold keys that it does not show (Redis 8.4 and later).
 */
export async function countSlotEverywhere(session: ClusterSession, slot: number): Promise<readonly SlotCount[]> {
  const {topology} = session
  const owner = topology.owners[slot]
  const replicas = owner === undefined ? [] : (shardOf(topology, owner)?.replicas ?? [])
  const shard = new Set(replicas.map(({id}) => id))
  const asked = topology.nodes.filter(({id, role}) => role === 'primary' || shard.has(id))
  return mapBounded(asked, 128, (node) => countAt(session, node, slot))
}

async function countAt(session: ClusterSession, {id, reach}: ClusterNode, slot: number): Promise<SlotCount> {
  if (reach.kind === 'unreachable') return {node: id, keys: undefined, problem: reach.message}
  try {
    const port = session.node(id)
    const databases = await peopledDatabases(port, reach.view.serverInfo)
    const counts = await Promise.all(databases.map((database) => port.countKeys(slot, database)))
    return {node: id, keys: counts.reduce((sum, count) => sum + count, 0), problem: undefined}
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return {node: id, keys: undefined, problem: error.message}
  }
}
