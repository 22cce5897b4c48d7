/** How does a node become a replica of another primary, and when do all nodes know? Safe to run again. */
import {InterruptedError} from '../errors.ts'
import type {ReplicatePlan} from '../plan/replicate.ts'
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
    stages.begin('Waiting until every node knows, and for the first synchronisation')
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
    await waitUntilLinked([port], stages.leftMs, stages.signal)
  })
}
