/**
 * How do nodes leave? Replicas are re-homed, all others forget the victims at once, well inside the 60 s for which a
 * forgotten ID is banned, and victims that answer are reset at the end: until then they redirect clients whose slot
 * table is old, after that they have nothing to say but CLUSTERDOWN. A node that was forgotten cannot come back by
 * itself: pings of strangers are not heeded.
 */
import {InterruptedError, NodeError, RefusedError} from '../errors.ts'
import type {RemovalPlan} from '../plan/plan.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import {countKeys} from '../topology/queries.ts'
import type {NodePort} from './cluster-port.ts'
import {forgetNodes} from './forget-nodes.ts'
import {isReplicaEverywhere, replicate} from './membership.ts'
import type {ClusterSession} from './session.ts'
import {viewsOf} from './settle.ts'
import {type StageOptions, Stages} from './stages.ts'
import {mapBounded, pollUntil} from './waiting.ts'

export interface RemovalOutcome {
  /** Victims that did not answer and so were not reset: when they come back, they still believe to be members. */
  readonly notReset: readonly string[]
  /** Members that did not answer and so still know the victims. */
  readonly notTold: readonly string[]
}

export interface RemovalOptions extends StageOptions {
  /** How long at most victims go on redirecting clients that are connected to them before they are reset; default 0. */
  readonly redirectMs?: number
}

/**
 * @throws RefusedError when a victim that is a primary without slots still holds keys (they would be lost);
 *   InterruptedError when some member still knows a victim at the deadline.
 */
export async function removeNodes(
  session: ClusterSession,
  plan: RemovalPlan,
  options: RemovalOptions,
): Promise<RemovalOutcome> {
  const stages = new Stages(options)
  const victimIds = new Set(plan.victims.map(({id}) => id))
  requireNoStrayKeys(session, victimIds)

  if (plan.rehomed.length > 0) {
    stages.begin('Giving replicas a new primary')
    await mapBounded(plan.rehomed, 64, ({id, primaryId}) =>
      replicate(session.node(id), primaryId, stages.leftMs, stages.signal),
    )
    const isSeen = await pollUntil(
      async () => {
        const views = viewsOf(await session.refresh()).filter(({id}) => !victimIds.has(id))
        // One that still loads its first copy is not to be asked, and could not be told to forget either.
        const hasAnswered = (id: NodeId): boolean => views.some((view) => view.id === id)
        return plan.rehomed.every(({id, primaryId}) => hasAnswered(id) && isReplicaEverywhere(views, id, primaryId))
          ? true
          : undefined
      },
      {deadlineMs: stages.leftMs, signal: stages.signal},
    )
    if (!isSeen)
      throw new InterruptedError(
        'not all nodes know the new primaries of the re-homed replicas yet; nothing was removed',
        {suggestions: ['Run the command again when the replicas have loaded their data']},
      )
  }

  stages.begin('Removing')
  const notTold = await forgetNodes(session, {ids: victimIds}, stages)
  if (options.redirectMs) {
    stages.begin('Redirecting clients that are still connected to the removed nodes')
    const victims = session.reachedPorts().filter(({id}) => victimIds.has(id))
    await waitUntilClientsLeft(victims, options.redirectMs, stages.signal)
  }
  const notReset: string[] = []
  await mapBounded(plan.victims, 64, async ({id, address}) => {
    try {
      await session.node(id).reset()
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      notReset.push(address)
    }
  })
  for (const id of victimIds) session.drop(id)
  return {notReset, notTold}
}

function requireNoStrayKeys(session: ClusterSession, victimIds: ReadonlySet<NodeId>): void {
  for (const id of victimIds) {
    const node = session.topology.nodesById.get(id)
    if (node?.role !== 'primary' || node.reach.kind !== 'reached') continue
    const keys = countKeys(node.reach.view)
    if (keys === 0) continue
    const address = formatAddress(node.address)
    throw new RefusedError(
      'node-not-empty',
      `${address} owns no slot but still holds ${keys === 1 ? '1 key' : `${keys} keys`}, which would be lost`,
      {
        suggestions: [
          `Look at them first; if nothing of it is needed, FLUSHALL on ${address} and run the command again`,
        ],
      },
    )
  }
}

/**
 * A cluster client that has learned of the new owners hangs up on a node without slots. One that has not would meet
 * CLUSTERDOWN instead of a redirection from a node that has been reset (seen on all servers).
 */
async function waitUntilClientsLeft(
  victims: readonly NodePort[],
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await pollUntil(
    async () => {
      const counts = await mapBounded(victims, 64, (port) =>
        port.countOtherClients().catch((error: unknown) => {
          if (error instanceof NodeError) return 0
          throw error
        }),
      )
      return counts.every((count) => count === 0) ? true : undefined
    },
    {deadlineMs, maxIntervalMs: 500, signal},
  )
}
