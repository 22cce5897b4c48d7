/** How does a replica take over, and when do all nodes know? */
import {InterruptedError, NodeError} from '../errors.ts'
import type {FailoverPlan} from '../plan/failover.ts'
import {formatRanges} from '../slots/slot-ranges.ts'
import type {NodeView, Topology} from '../topology/model.ts'
import {slotsOf} from '../topology/queries.ts'
import type {FailoverWay} from './cluster-port.ts'
import {waitUntilLinked} from './membership.ts'
import type {ClusterSession} from './session.ts'
import {isSettled, viewsOf} from './settle.ts'
import {type StageOptions, Stages, tellingHowFar} from './stages.ts'
import {pollUntil} from './waiting.ts'

export interface FailoverOutcome {
  readonly epochBefore: number
  readonly epochAfter: number
  /** Does the old primary replicate the new one? false: not yet, or it does not answer. */
  readonly isFollowed: boolean
}

/** A coordinated failover that did not come about within the 5 s of the servers is given up by them: then once more. */
const AGAIN_MS = 6000

/** The first copy may take long where the old primary has to load all anew: that is told, not waited for. */
const LINK_MS = 5000

/** @throws InterruptedError when not every node that answers knows of it at the deadline. */
export async function failOver(
  session: ClusterSession,
  plan: FailoverPlan,
  way: FailoverWay,
  options: StageOptions,
): Promise<FailoverOutcome> {
  const stages = new Stages(options)
  const {replica, primary} = plan
  const epochBefore = session.topology.nodesById.get(primary.id)?.configEpoch ?? 0
  stages.begin(`Asking ${replica.address} to take over`)
  await session.node(replica.id).failOver(way)
  let askedAt = performance.now()
  return tellingHowFar(
    'the failover was asked for, and may still take place',
    `rcluster check ${replica.address}`,
    async () => {
      const after = await pollUntil(
        async () => {
          const topology = await session.refresh()
          if (hasTakenOver(topology, plan, epochBefore) && isSettled(topology)) return topology
          if (topology.nodesById.get(replica.id)?.role === 'replica' && performance.now() - askedAt > AGAIN_MS) {
            askedAt = performance.now()
            await session.node(replica.id).failOver(way).catch(unlessSaidNo)
          }
          return undefined
        },
        {deadlineMs: stages.leftMs, signal: stages.signal},
      )
      if (!after) {
        stages.signal?.throwIfAborted()
        throw new InterruptedError(
          `${replica.address} has not taken over from ${primary.address} in time, by the word of all`,
        )
      }
      return {
        epochBefore,
        epochAfter: after.nodesById.get(replica.id)?.configEpoch ?? 0,
        isFollowed: await isFollowed(session, plan, stages),
      }
    },
  )
}

/** By the word of every node that answers: the slots, the roles, and an epoch that wins. */
function hasTakenOver(topology: Topology, {replica, primary, slots}: FailoverPlan, epochBefore: number): boolean {
  const isOldOneThere = topology.nodesById.get(primary.id)?.reach.kind === 'reached'
  const isShownBy = ({entries}: NodeView): boolean => {
    const heir = entries.find(({id}) => id === replica.id)
    const old = entries.find(({id}) => id === primary.id)
    const hasStepped = !isOldOneThere || (old?.role === 'replica' && old.primaryId === replica.id)
    return heir?.role === 'primary' && heir.configEpoch > epochBefore && hasStepped && !old?.ranges.length
  }
  const all = formatRanges(slotsOf(topology, replica.id))
  return viewsOf(topology).every(isShownBy) && all === formatRanges(slots)
}

async function isFollowed(session: ClusterSession, {primary}: FailoverPlan, stages: Stages): Promise<boolean> {
  const old = session.reachedPorts().find(({id}) => id === primary.id)
  if (!old) return false
  try {
    await waitUntilLinked([old], Math.min(LINK_MS, stages.leftMs), stages.signal)
    return true
  } catch (error) {
    if (error instanceof InterruptedError || error instanceof NodeError) return false
    throw error
  }
}

/** It may have taken over between the look and the question. */
function unlessSaidNo(error: unknown): void {
  if (!(error instanceof NodeError)) throw error
}
