/** How is a plan of any kind carried out, whoever made it? Under the lock, and never on a cluster that it does not fit. */
import {lockOwner} from '../lib/cli/lock-owner.ts'
import {chooseMovers, type MoverChoice} from '../lib/engine/choose-movers.ts'
import {type ClusterLock, takeLock} from '../lib/engine/cluster-lock.ts'
import type {NodePort} from '../lib/engine/cluster-port.ts'
import type {ConflictPolicy} from '../lib/engine/drain.ts'
import type {EngineListener} from '../lib/engine/events.ts'
import {type FailoverOutcome, failOver} from '../lib/engine/fail-over.ts'
import {followPrimary} from '../lib/engine/follow-primary.ts'
import {restoreHeld} from '../lib/engine/hold-setting.ts'
import {joinNodes} from '../lib/engine/join-nodes.ts'
import {meetNewcomer, requireEmpty, waitUntilFitForJoins} from '../lib/engine/newcomers.ts'
import {lookBeforeMoves} from '../lib/engine/preflight.ts'
import {type RemovalOutcome, removeNodes} from '../lib/engine/remove-nodes.ts'
import {type MoveOutcome, runMoves} from '../lib/engine/run-moves.ts'
import {type RepairOutcome, runRepairs} from '../lib/engine/run-repairs.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {refuseObstacles} from '../lib/engine/verdict.ts'
import {type ClusterError, RefusedError} from '../lib/errors.ts'
import {requireFitForMoves} from '../lib/findings/require.ts'
import {sketchCluster} from '../lib/plan/cluster-sketch.ts'
import {type FailoverPlan, planFailover} from '../lib/plan/failover.ts'
import {imagineMoved} from '../lib/plan/imagine.ts'
import type {JoinPlan, MovePlan, RemovalPlan, SlotMove} from '../lib/plan/plan.ts'
import {planRemoval} from '../lib/plan/removal.ts'
import type {RepairPlan, RepairRisk} from '../lib/plan/repair-plan.ts'
import {planReplicate, type ReplicatePlan} from '../lib/plan/replicate.ts'
import {beginRun, endRun, noteHeld, type RunRecord, readRuns} from '../lib/state/run-journal.ts'
import {formatAddress, type Topology} from '../lib/topology/model.ts'
import {findNode, seedAddress} from '../lib/topology/queries.ts'
import {accessTo} from './connection.ts'

/** Plans that a cluster can be given. */
export type ClusterPlan = MovePlan | JoinPlan | RemovalPlan | ReplicatePlan | FailoverPlan | RepairPlan

/** What comes of a plan, by its kind. */
export interface Outcomes {
  readonly reshard: MoveOutcome
  readonly rebalance: MoveOutcome
  readonly evacuate: MoveOutcome
  /** The plan as it was carried out: nodes that have been members somewhere have new IDs. */
  readonly 'add-node': JoinPlan
  readonly 'del-node': RemovalOutcome
  readonly replicate: ReplicatePlan
  readonly failover: FailoverOutcome
  readonly fix: RepairOutcome
}

export interface RunOptions {
  /** What others are told to be at work, in a few words; never a secret. Default: "a program that uses rcluster". */
  readonly name?: string
  /** Finish what is in flight, begin nothing new. */
  readonly signal?: AbortSignal
  /** Stop at once: slots in flight stay open. */
  readonly abort?: AbortSignal
  /** For plans that move no slots: default 60 s. Moves take as long as they get on. */
  readonly timeoutMs?: number
  /** Called with each event; what it throws ends the run. */
  readonly onEvent?: EngineListener
  /** 'auto': by the servers themselves where both ends can. */
  readonly mover?: MoverChoice
  /** Whose copy wins when both ends hold a key with different values; default 'fail'. */
  readonly onConflict?: ConflictPolicy
  /** How long one MIGRATE should hold its source; default 1. */
  readonly maxPauseMs?: number
  readonly maxBytesPerSecond?: number
  /** MIGRATEs that a node takes part in at once; default 1. */
  readonly concurrency?: number
  /** How long slots that do not get on are tried again; default 60 s. */
  readonly patienceMs?: number
  /** Repairs of these kinds may be done; default: safe ones. */
  readonly risks?: readonly RepairRisk[]
}

interface Undertaking extends RunOptions {
  readonly session: ClusterSession
  readonly lock: ClusterLock
}

/** @throws as `Cluster.run` */
export async function runPlan<P extends ClusterPlan>(
  session: ClusterSession,
  plan: P,
  options: RunOptions,
): Promise<Outcomes[P['kind']]> {
  await session.observe()
  const newcomers = plan.kind === 'add-node' ? await strangersOf(session, plan) : []
  const ports = [...new Set([...session.reachedPorts(), ...newcomers.map(({port}) => port)])]
  const stop = new AbortController()
  const abort = new AbortController()
  const lock = await takeLock(ports, {
    owner: lockOwner(options.name ?? 'a program that uses rcluster', process.env),
    isTaking: false,
    ...(options.signal ? {signal: options.signal} : {}),
    onNote: (text) => options.onEvent?.({kind: 'note', text}),
    onLost: (how, reason: ClusterError) => {
      stop.abort(reason)
      if (how === 'gone') abort.abort(reason)
    },
  })
  try {
    if (lock.hasMetOthers) await session.refresh()
    const both = (own: AbortController, given: AbortSignal | undefined): AbortSignal =>
      given ? AbortSignal.any([own.signal, given]) : own.signal
    const undertaking: Undertaking = {
      ...options,
      session,
      lock,
      signal: both(stop, options.signal),
      abort: both(abort, options.abort),
    }
    return (await carryOut(undertaking, plan, newcomers)) as Outcomes[P['kind']]
  } finally {
    await lock.release()
  }
}

async function carryOut(
  to: Undertaking,
  plan: ClusterPlan,
  newcomers: Awaited<ReturnType<typeof strangersOf>>,
): Promise<Outcomes[ClusterPlan['kind']]> {
  const {session, signal, timeoutMs: deadlineMs = 60_000, onEvent: listener} = to
  const stages = {deadlineMs, signal, listener}
  switch (plan.kind) {
    case 'reshard':
    case 'rebalance':
    case 'evacuate':
      return move(to, plan)
    case 'add-node':
      return join(to, plan, newcomers)
    case 'del-node': {
      const victims = plan.victims.map(({id}) => id).filter((id) => session.topology.nodesById.has(id))
      if (victims.length === 0) return {notReset: [], notTold: []}
      return removeNodes(session, planRemoval(session.topology, {victims}), stages)
    }
    case 'replicate': {
      const ends = {replicaId: plan.replica.id, primaryId: plan.primary.id}
      const fresh = planReplicate(session.topology, ends)
      await followPrimary(session, fresh, stages)
      return fresh
    }
    case 'failover': {
      const fresh = planFailover(session.topology, {nodeId: plan.replica.id, way: 'coordinated'})
      if (fresh.primary.id !== plan.primary.id) throw stalePlan(session.topology, 'the replica follows another primary')
      return failOver(session, fresh, 'coordinated', stages)
    }
    case 'fix':
      return runRepairs(session, plan, {
        isAllowed: ({risk}) => (to.risks ?? ['safe']).includes(risk),
        stop: signal,
        abort: to.abort,
        listener,
        conflicts: to.onConflict,
        maxPauseMs: to.maxPauseMs,
      })
  }
}

async function move(to: Undertaking, given: MovePlan): Promise<MoveOutcome> {
  const {session} = to
  const left = movesLeft(given, session.topology)
  requireFitForMoves(session.topology, {resumable: left})
  const isThrottled = to.maxBytesPerSecond !== undefined
  const mover = to.mover ?? 'auto'
  const plan = {...given, moves: left, movers: await chooseMovers(session, left, mover, {isThrottled})}
  const isAtomicOnly = mover === 'atomic'
  refuseObstacles(await lookBeforeMoves(session, plan, {isAtomicOnly}))
  const before = readRuns(process.env, session.topology)
  const record = recordOf(plan, to.onEvent)
  try {
    return await runMoves(session, plan, {
      stop: to.signal,
      abort: to.abort,
      ready: () => to.lock.ready(),
      listener: to.onEvent,
      conflicts: to.onConflict,
      concurrency: to.concurrency,
      maxPauseMs: to.maxPauseMs,
      maxBytesPerSecond: to.maxBytesPerSecond,
      patienceMs: to.patienceMs,
      isAtomicOnly,
      onHeld: (held) => record && noteHeld(record, held),
    })
  } finally {
    await restoreHeld(
      session,
      before.flatMap(({held = []}) => held),
      to.onEvent,
    )
    for (const one of [...before, ...(record ? [record] : [])]) endRun(one)
  }
}

/** So that a run that is killed is found by the next, here and in the program. Without a folder for that it goes on. */
function recordOf(plan: MovePlan, onEvent: EngineListener | undefined): RunRecord | undefined {
  try {
    return beginRun(process.env, JSON.stringify(['library', plan.fingerprint]), plan)
  } catch (error) {
    onEvent?.({kind: 'note', text: `This run is not recorded: ${(error as Error).message}`})
    return undefined
  }
}

/**
 * Those that are not done. With what is done taken back, the cluster must be what the plan was made for.
 * @throws RefusedError 'stale-plan'
 */
function movesLeft({moves, fingerprint}: MovePlan, topology: Topology): readonly SlotMove[] {
  const open = new Set(topology.openSlots.map(({slot}) => slot))
  const arrived = moves.filter(({slot, to}) => topology.owners[slot] === to)
  const before = imagineMoved(
    topology,
    arrived.map(({slot, from, to}) => ({slot, from: to, to: from})),
  )
  if (sketchCluster(before).fingerprint !== fingerprint) {
    throw stalePlan(topology, 'members, roles or slots are not what they were')
  }
  const done = new Set(arrived.map(({slot}) => slot).filter((slot) => !open.has(slot)))
  return moves.filter(({slot}) => !done.has(slot))
}

function stalePlan(topology: Topology, why: string): RefusedError {
  return new RefusedError('stale-plan', `the cluster is not what the plan was made for: ${why}`, {
    suggestions: ['Look again and make a new plan', `rcluster check ${seedAddress(topology)}`],
  })
}

/** Newcomers of the plan that are no members yet. */
async function strangersOf(session: ClusterSession, {newcomers}: JoinPlan) {
  const absent = newcomers.filter(({id, address}) => !session.topology.nodesById.has(id) && !at(session, address))
  return Promise.all(
    absent.map(({address}) => {
      const [place] = accessTo([address], {}).addresses
      return meetNewcomer(session.port, place as NonNullable<typeof place>)
    }),
  )
}

function at(session: ClusterSession, address: string) {
  return findNode(session.topology, address)
}

async function join(
  to: Undertaking,
  plan: JoinPlan,
  strangers: Awaited<ReturnType<typeof strangersOf>>,
): Promise<JoinPlan> {
  const {session, timeoutMs: deadlineMs = 60_000} = to
  const stages = {deadlineMs, signal: to.signal, listener: to.onEvent}
  await waitUntilFitForJoins(session, to.signal)
  requireEmpty(strangers)
  const ports: NodePort[] = strangers.map(({port}) => port)
  const idAt = new Map(strangers.map(({port}) => [formatAddress(port.address), port.id]))
  const absent = plan.newcomers.flatMap((one) => {
    const id = idAt.get(one.address)
    return id === undefined ? [] : [{...one, id}]
  })
  const joined =
    absent.length === 0 ? [] : (await joinNodes(session, {...plan, newcomers: absent}, ports, stages)).newcomers
  await session.observe()
  // Cut off between its introduction and its role.
  const members = plan.newcomers.filter((one) => !absent.some(({address}) => address === one.address))
  for (const {id, address, primaryId} of members) {
    const node = session.topology.nodesById.get(id) ?? at(session, address)
    if (!node || primaryId === undefined || node.primaryId === primaryId) continue
    await followPrimary(session, planReplicate(session.topology, {replicaId: node.id, primaryId}), stages)
  }
  return {...plan, newcomers: [...joined, ...members]}
}
