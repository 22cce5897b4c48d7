/** How does a node become a replica of another primary, and when do all nodes know? Safe to run again. */
import {InterruptedError, NodeError} from '../errors.ts'
import type {ReplicatePlan} from '../plan/replicate.ts'
import type {NodeId} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import {isReplicaEverywhere, replicate, waitUntilLinked} from './membership.ts'
import type {ClusterSession} from './session.ts'
import {viewsOf} from './settle.ts'
import {type StageOptions, Stages, tellingHowFar} from './stages.ts'
import {pollUntil} from './waiting.ts'

/** @throws InterruptedError when not every node that answers knows of it, or the link is not up, at the deadline. */
export async function followPrimary(
  session: ClusterSession,
  {replica, primary}: ReplicatePlan,
  options: StageOptions,
): Promise<void> {
  const stages = new Stages(options)
  stages.begin(`Making ${replica.address} a replica of ${primary.address}`)
  const port = session.node(replica.id)
  await replicate(port, primary.id, stages.leftMs, stages.signal)
  await tellingHowFar('the node was told to follow', 'Run the command again: it is safe to repeat', async () => {
    stages.begin('Waiting until every node knows')
    const isKnown = await pollUntil(
      async () => {
        const topology = await session.refresh()
        // One that loads its first copy answers nothing: the others' word counts until the link is up.
        return isReplicaEverywhere(viewsOf(topology), replica.id, primary.id) ? true : undefined
      },
      {deadlineMs: stages.leftMs, signal: stages.signal},
    )
    if (!isKnown) {
      stages.signal?.throwIfAborted()
      throw new InterruptedError(`not all nodes know yet that ${replica.address} follows ${primary.address}`)
    }
    await awaitCopy(port, stages)
  })
}

/** Until one that follows already has its first copy. */
export async function awaitFollower(session: ClusterSession, id: NodeId, options: StageOptions): Promise<void> {
  const stages = new Stages(options)
  await awaitCopy(await portOf(session, id, stages), stages)
}

async function awaitCopy(port: NodePort, stages: Stages): Promise<void> {
  stages.begin('Waiting for the first synchronisation')
  await waitUntilLinked([port], stages.leftMs, stages.signal, stages.listener)
}

/** One that loads its first copy does not answer looks. */
async function portOf(session: ClusterSession, id: NodeId, {leftMs, signal}: Stages): Promise<NodePort> {
  const port = await pollUntil(
    async () => {
      try {
        return session.node(id)
      } catch (error) {
        if (!(error instanceof NodeError) || error.failure !== 'loading') throw error
        await session.refresh()
        return undefined
      }
    },
    {deadlineMs: leftMs, signal},
  )
  if (port) return port
  signal?.throwIfAborted()
  return session.node(id)
}
