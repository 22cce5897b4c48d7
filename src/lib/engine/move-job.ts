/**
 * How is one job of slots brought to its target by atomic slot migration, whatever happens on the way? Looks, starts,
 * and looks again after whatever passes by itself. Safe to run again.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {type AtomicPair, migrateSlots} from './atomic-mover.ts'
import type {EngineListener} from './events.ts'
import type {Job} from './jobs.ts'
import {backoffMs, isTransient, MAX_ATTEMPTS} from './retrying.ts'
import type {ClusterSession} from './session.ts'
import {readOwnWords, type ShardsAtStart} from './shards-at-start.ts'
import {pause, pollUntil} from './waiting.ts'

export interface JobContext {
  readonly session: ClusterSession
  readonly shards: ShardsAtStart
  readonly listener: EngineListener
  readonly abort?: AbortSignal | undefined
}

export type JobOutcome =
  | {readonly kind: 'moved'; readonly writePauseMs: number | undefined}
  /** The servers cannot do it; nothing of these slots is under way, and none is open. */
  | {readonly kind: 'failed'; readonly reason: string}

/** Failures that the servers tell: a fork that failed or a buffer that ran over may pass, a missing right will not. */
const MAX_FAILURES = 3
/** Slower than any migration seen by an order of magnitude. */
const DEADLINE_MS = 60_000
const DEADLINE_MS_PER_KEY = 1
const AGREEMENT_DEADLINE_MS = 10_000

/** @throws NodeError when an end stays away; InterruptedError when a slot went astray; the signal's reason. */
export async function moveJob(context: JobContext, job: Job): Promise<JobOutcome> {
  let {from, to} = job
  let failures = 0
  for (let attempt = 1; ; attempt++) {
    let reason: string
    try {
      if (attempt > 1) ({from, to} = await followFailovers(context, from, to))
      const pair = await pairOf(context.session, from, to)
      if (!pair) return {kind: 'failed', reason: 'the shard is led by a node without it now'}
      const left = attempt === 1 ? job.slots : await slotsLeft(context, pair, job.slots)
      if (left.length === 0) return {kind: 'moved', writePauseMs: undefined}
      const deadlineMs = DEADLINE_MS + job.keys * DEADLINE_MS_PER_KEY
      const end = await migrateSlots(pair, left, {deadlineMs, abort: context.abort})
      if (end.kind === 'done') {
        await requireMoved(context, pair, job.slots)
        if (end.mayLack) throw new InterruptedError(...lossOf(pair, left))
        return {kind: 'moved', writePauseMs: end.writePauseMs}
      }
      failures++
      if (end.isLasting || failures >= MAX_FAILURES) return end
      reason = end.reason
    } catch (error) {
      if (!isTransient(error) || attempt >= MAX_ATTEMPTS || context.abort?.aborted) throw error
      reason = error.message
    }
    context.listener({kind: 'retry', slots: job.slots, attempt, reason})
    await pause(backoffMs(attempt), context.abort)
    context.abort?.throwIfAborted()
  }
}

function lossOf({target}: AtomicPair, slots: readonly number[]): ConstructorParameters<typeof InterruptedError> {
  const name = formatAddress(target.address)
  const which = formatSlots(slots)
  return [
    `${name} took slots ${which} and refused writes meanwhile (NOREPLICAS): keys of these slots may be lost, since Redis's atomic slot migration goes on without what its target refuses`,
    {
      details: {mayLack: which},
      suggestions: [
        `Compare the keys of these slots with your last backup`,
        `Before you go on, bring the replicas of ${name} back, or use --mover migrate`,
      ],
    },
  ]
}

async function followFailovers(
  {session, shards}: JobContext,
  from: NodeId,
  to: NodeId,
): Promise<{from: NodeId; to: NodeId}> {
  const topology: Topology = await session.observe()
  return {from: shards.leaderOf(topology, from), to: shards.leaderOf(topology, to)}
}

async function pairOf(session: ClusterSession, from: NodeId, to: NodeId): Promise<AtomicPair | undefined> {
  const [source, target] = [session.node(from), session.node(to)]
  const [family, other] = await Promise.all([source.readAtomicFamily(), target.readAtomicFamily()])
  return family !== undefined && family === other ? {source, target, family} : undefined
}

async function slotsLeft({shards}: JobContext, pair: AtomicPair, slots: readonly number[]): Promise<number[]> {
  const [source, target] = await readOwnWords(pair)
  return shards.outlooks(source, target, slots).map(({slot}) => slot)
}

/** The source learns of it from the target, a moment later. */
async function requireMoved(context: JobContext, pair: AtomicPair, slots: readonly number[]): Promise<void> {
  const moved = await pollUntil(async () => ((await slotsLeft(context, pair, slots)).length === 0 ? true : undefined), {
    deadlineMs: AGREEMENT_DEADLINE_MS,
    signal: context.abort,
  })
  if (moved) return
  context.abort?.throwIfAborted()
  throw new NodeError('try-again', pair.target.id, 'the slots were handed over, but source and target do not agree yet')
}
