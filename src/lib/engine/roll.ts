/**
 * How is a cluster restarted without a slot unserved? One node at a time, and nothing is begun before the cluster is in order
 * again: whatever is in doubt ends it, with what is true then.
 */
import {InterruptedError, RefusedError} from '../errors.ts'
import {type FailoverPlan, planFailover} from '../plan/failover.ts'
import {
  failoverNode,
  olderPeers,
  type RollAct,
  type RollPlan,
  type RollStep,
  serverOf,
  shiftOf,
  troublesOf,
} from '../plan/roll.ts'
import type {ClusterNode, NodeId, Topology} from '../topology/model.ts'
import {countKeys, labelId, listNodes} from '../topology/queries.ts'
import type {EngineListener} from './events.ts'
import {failOver} from './fail-over.ts'
import {POLL_MS, type RollRunOptions, restartNode, tellingNews} from './restart-node.ts'
import type {ClusterSession} from './session.ts'
import {pollUntil} from './waiting.ts'

/** The servers give a coordinated failover 5 s. */
const FAILOVER_MS = 30_000

export async function runRoll(session: ClusterSession, plan: RollPlan, options: RollRunOptions): Promise<void> {
  for (const step of plan.steps) {
    const topology = await requireWell(session, step, options)
    await options.ready()
    options.stop.throwIfAborted()
    const shift = shiftOf(topology, step)
    if (shift) throw new InterruptedError(`${step.node.address} is not what it was when the plan was made: ${shift}`)
    const act = await (step.kind === 'restart' ? restartNode : handOver)(session, step, options)
    if (act) options.onAct(act)
  }
  await requireWell(session, undefined, options)
}

/** Looks again until nothing is wrong or the time is over. @returns what is wrong then. */
export async function waitUntilWell(
  session: ClusterSession,
  restarting: NodeId | undefined,
  {
    deadlineMs,
    signal,
    listener,
  }: {readonly deadlineMs: number; readonly signal: AbortSignal; readonly listener: EngineListener},
): Promise<ReturnType<typeof troublesOf>> {
  let troubles: ReturnType<typeof troublesOf> = []
  const tell = tellingNews(listener)
  await pollUntil(
    async () => {
      troubles = troublesOf(await session.observe(), restarting)
      tell(troubles[0]?.message)
      return troubles.length === 0 ? true : undefined
    },
    {deadlineMs, firstIntervalMs: 100, maxIntervalMs: POLL_MS, signal},
  )
  signal.throwIfAborted()
  return troubles
}

async function requireWell(
  session: ClusterSession,
  step: RollStep | undefined,
  {backMs, stop, listener}: RollRunOptions,
): Promise<Topology> {
  const restarting = step?.kind === 'restart' && !step.isUnserved ? step.node.id : undefined
  const [trouble] = await waitUntilWell(session, restarting, {deadlineMs: backMs, signal: stop, listener})
  if (!trouble) return session.topology
  const before = step ? `before ${step.node.address} is touched` : 'at the end'
  throw new InterruptedError(`the cluster is not in order ${before}: ${trouble.message}`, {
    suggestions: trouble.suggestions,
  })
}

async function handOver(
  session: ClusterSession,
  step: RollStep,
  options: RollRunOptions,
): Promise<RollAct | undefined> {
  const startedAt = performance.now()
  const isBack = step.kind === 'hand-back'
  const older = isBack ? olderPeers(session.topology, step.node.id) : []
  if (older.length > 0) {
    const text = `${step.node.address} is not made the primary again: ${listNodes(older)} would follow a newer server`
    options.listener({kind: 'note', text})
    return undefined
  }
  const plan = await planWhenCaughtUp(session, step, options)
  options.onFailover()
  await failOver(session, plan, 'coordinated', {
    deadlineMs: FAILOVER_MS,
    signal: options.abort,
    listener: options.listener,
  })
  const heir = session.topology.nodesById.get(plan.replica.id) as ClusterNode
  return {
    kind: isBack ? 'handed-back' : 'handed-over',
    node: {id: heir.id, address: plan.replica.address, role: 'replica', server: serverOf(heir)},
    from: plan.primary.address,
    elapsedMs: performance.now() - startedAt,
  }
}

/** Of a replica that is too far behind, or not linked yet, the failover is refused until it is not. */
async function planWhenCaughtUp(
  session: ClusterSession,
  {kind, node}: RollStep,
  {backMs, abort}: RollRunOptions,
): Promise<FailoverPlan> {
  let refusal: RefusedError | undefined
  const plan = await pollUntil(
    async () => {
      try {
        const {topology} = session
        return planFailover(topology, {
          nodeId: kind === 'hand-back' ? node.id : failoverNode(topology, node.id),
          way: 'coordinated',
        })
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error
        refusal = error
        await session.observe()
        return undefined
      }
    },
    {deadlineMs: backMs, firstIntervalMs: 100, maxIntervalMs: POLL_MS, signal: abort},
  )
  if (plan) return plan
  abort.throwIfAborted()
  throw refusal ?? new InterruptedError(`${node.address} could not be handed over`)
}

/**
 * A primary without a replica has its keys from its files alone.
 * @throws RefusedError for one that has keys and writes none.
 */
export async function requireFiles(session: ClusterSession, {steps}: RollPlan): Promise<void> {
  for (const {node, isUnserved} of steps) {
    const now = session.topology.nodesById.get(node.id)
    if (!isUnserved || now?.reach.kind !== 'reached' || countKeys(now.reach.view) === 0) continue
    const port = session.node(node.id)
    const [log, snapshots] = [await port.readConfig('appendonly'), await port.readConfig('save')]
    if (log === 'yes' || (snapshots ?? '') !== '') continue
    throw new RefusedError(
      'target-unfit',
      `primary ${labelId(session.topology, node.id)} writes its keys to no file, and has no replica: it would come back empty`,
      {
        details: {node: node.id},
        suggestions: [
          'Give it a replica with add-node --replica, or make it write: CONFIG SET save "3600 1", CONFIG SET appendonly yes',
        ],
      },
    )
  }
}
