/**
 * How is one act on a member carried out, and when is it done? By the word of every node that answers. Acts look first:
 * one that is done, or half done by a run that was cut off, is only finished.
 */
import {InterruptedError, RefusedError} from '../errors.ts'
import type {MemberAct} from '../plan/acts.ts'
import {type FailoverPlan, planFailover} from '../plan/failover.ts'
import {planRemoval} from '../plan/removal.ts'
import {planReplicate} from '../plan/replicate.ts'
import type {NodeId} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import {failOver} from './fail-over.ts'
import {awaitFollower, followPrimary} from './follow-primary.ts'
import {joinNodes} from './join-nodes.ts'
import {waitUntilLinked} from './membership.ts'
import {type RemovalOutcome, removeNodes} from './remove-nodes.ts'
import type {ClusterSession} from './session.ts'
import type {StageOptions} from './stages.ts'
import {pollUntil} from './waiting.ts'

const JOIN_MS = 60_000
/** All keys of a shard may have to come. */
const COPY_MS = 3_600_000
/** For a replica that is behind to catch up, and for replicas that follow another primary to be in step again. */
const STEP_MS = 120_000
const FAILOVER_MS = 30_000
/** Half of the 60 s for which the servers ban a forgotten node. */
const REMOVAL_MS = 30_000
/** A client that is at work comes by a replaced node within this time, is redirected, and asks for the new slot table. */
const REDIRECT_MS = 8000

export type ActOptions = Omit<StageOptions, 'deadlineMs'> & {
  /** The node that joins. */
  readonly newcomer?: NodePort | undefined
  /** A node that is removed in the end: it is not waited for to be in step. */
  readonly leavingId?: NodeId | undefined
}

/** @returns what a removal could not do. */
export async function carryOut(
  session: ClusterSession,
  act: MemberAct,
  {newcomer, ...options}: ActOptions,
): Promise<RemovalOutcome | undefined> {
  switch (act.kind) {
    case 'join':
      await join(session, newcomer as NodePort, options)
      return undefined
    case 'replicate':
      await replicate(session, act.node.id, act.primary.id, options)
      return undefined
    case 'fail-over':
      await takeOver(session, act.replica.id, options)
      return undefined
    case 'remove':
      return removeNodes(session, planRemoval(session.topology, {victims: [act.node.id]}), {
        ...options,
        deadlineMs: REMOVAL_MS,
        redirectMs: REDIRECT_MS,
      })
  }
}

async function join(session: ClusterSession, port: NodePort, options: ActOptions): Promise<void> {
  const plan = {
    version: 1,
    kind: 'add-node',
    newcomers: [{id: port.id, address: '', role: 'primary', primaryId: undefined}],
    warnings: [],
  } as const
  await joinNodes(session, plan, [port], {...options, deadlineMs: JOIN_MS})
}

async function replicate(session: ClusterSession, id: NodeId, primaryId: NodeId, options: ActOptions): Promise<void> {
  const deadline = {...options, deadlineMs: COPY_MS}
  // Told again, a server may begin its first copy anew.
  if (session.topology.nodesById.get(id)?.primaryId === primaryId) await awaitFollower(session, id, deadline)
  else await followPrimary(session, planReplicate(session.topology, {replicaId: id, primaryId}), deadline)
}

async function takeOver(session: ClusterSession, id: NodeId, options: ActOptions): Promise<void> {
  const {listener, signal, leavingId} = options
  const plan = await planWhenInStep(session, id, signal)
  await failOver(session, plan, 'coordinated', {...options, deadlineMs: FAILOVER_MS})
  listener?.({kind: 'phase', text: 'Waiting until the other replicas are in step with it'})
  const inShard = await pollUntil(
    async () => {
      const {nodes} = await session.refresh()
      const isLeft = nodes.some(({primaryId, reach}) => primaryId === plan.primary.id && reach.kind === 'reached')
      return isLeft ? undefined : nodes.filter(({primaryId, reach}) => primaryId === id && reach.kind === 'reached')
    },
    {deadlineMs: STEP_MS, signal},
  )
  if (!inShard) {
    signal?.throwIfAborted()
    throw new InterruptedError(`not all replicas of ${plan.primary.address} follow ${plan.replica.address} yet`)
  }
  const staying = inShard.filter((node) => node.id !== leavingId)
  await waitUntilLinked(
    staying.map((node) => session.node(node.id)),
    STEP_MS,
    signal,
    listener,
  )
}

/** @throws RefusedError when the replica is not in step in time. */
async function planWhenInStep(
  session: ClusterSession,
  nodeId: NodeId,
  signal: AbortSignal | undefined,
): Promise<FailoverPlan> {
  let refusal: unknown
  const plan = await pollUntil(
    async () => {
      try {
        return planFailover(session.topology, {nodeId, way: 'coordinated'})
      } catch (error) {
        if (!(error instanceof RefusedError && error.reason === 'unhealthy')) throw error
        refusal = error
        await session.refresh()
        return undefined
      }
    },
    {deadlineMs: STEP_MS, signal},
  )
  if (plan) return plan
  signal?.throwIfAborted()
  throw refusal
}
