/**
 * How is a primary kept where it is while it gives up its last slot? With `cluster-allow-replica-migration yes`, the
 * default, it would turn into a replica of whoever took that slot, and its replicas with it: live clients then meet
 * CLUSTERDOWN or LOADING (measured on Valkey 9.1 and Redis 8.6). Servers before Redis 7 do not wander and have no such
 * setting.
 */
import {NodeError} from '../errors.ts'
import type {NodeId} from '../topology/model.ts'
import {replicasOf} from '../topology/queries.ts'
import type {EngineListener} from './events.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

const SETTING = 'cluster-allow-replica-migration'

/**
 * Runs `work` while the shards of `primaries` stay put; the setting is restored whatever happens.
 * A node that forbids CONFIG is only noted: it may wander off, and nothing is lost by that.
 */
export async function holdReplicaMigration<T>(
  session: ClusterSession,
  primaries: readonly NodeId[],
  listener: EngineListener,
  work: () => Promise<T>,
): Promise<T> {
  const shardIds = primaries.flatMap((id) => [id, ...replicasOf(session.topology, id).map((replica) => replica.id)])
  const reached = shardIds.filter((id) => session.topology.nodesById.get(id)?.reach.kind === 'reached')
  const held: NodeId[] = []
  try {
    await mapBounded(reached, 64, async (id) => {
      const node = session.node(id)
      try {
        if ((await node.readConfig(SETTING)) !== 'yes') return
        await node.writeConfig(SETTING, 'no')
        held.push(id)
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        listener({kind: 'note', text: `${SETTING} could not be held on ${error.address}: ${error.message}`})
      }
    })
    return await work()
  } finally {
    await mapBounded(held, 64, async (id) => {
      try {
        await session.node(id).writeConfig(SETTING, 'yes')
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        listener({kind: 'note', text: `set ${SETTING} back to "yes" on ${error.address}: ${error.message}`})
      }
    })
  }
}
