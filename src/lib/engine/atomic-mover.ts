/**
 * How do slots travel between two nodes that move them by themselves (CLUSTER MIGRATESLOTS of Valkey 9, CLUSTER MIGRATION
 * of Redis 8.4)? A migration is started, watched until it has ended, and cancelled on every way out before that. The
 * servers hand all of its slots over at once, or none.
 */
import {NodeError} from '../errors.ts'
import {formatRanges, rangesFromSlots} from '../slots/slot-ranges.ts'
import type {AtomicFamily, NodePort, SlotMigration} from './cluster-port.ts'
import {pollUntil} from './waiting.ts'

export interface AtomicPair {
  readonly source: NodePort
  readonly target: NodePort
  readonly family: AtomicFamily
}

export type MigrationEnd =
  /** `mayLack`: the target refused writes meanwhile, and what it refuses is left out (seen on Redis 8.6.3). */
  | {readonly kind: 'done'; readonly writePauseMs: number | undefined; readonly mayLack?: boolean}
  /** `isLasting`: another try would end the same. */
  | {readonly kind: 'failed'; readonly reason: string; readonly isLasting?: boolean}

export interface WatchOptions {
  /** After this time a migration is given up and cancelled. */
  readonly deadlineMs: number
  readonly abort?: AbortSignal | undefined
}

/** Redis tries again by itself, once a second and without end. */
const SERVER_RETRIES_MS = 5000
/** A cancelled migration has ended within a turn of the server's cron. */
const CANCEL_DEADLINE_MS = 3000
const FIRST_LOOK_MS = 5
const LOOK_EVERY_MS = 40

/**
 * Moves `slots`, all of which the source owns and none of which is open. One that is under way already with just these
 * slots is watched, not begun again.
 * @throws NodeError when an end does not answer, the signal's reason when it aborts; nothing is under way then, as far as
 *   the nodes could be told.
 */
export async function migrateSlots(
  pair: AtomicPair,
  slots: readonly number[],
  options: WatchOptions,
): Promise<MigrationEnd> {
  const refusedBefore = await countRefused(pair)
  const isRefusing = async (): Promise<boolean> => (await countRefused(pair)) > refusedBefore
  const id = await begin(pair, slots)
  if (typeof id !== 'string') return id
  let end: MigrationEnd | undefined
  try {
    end = await watch(pair, id, isRefusing, options)
  } finally {
    end ??= await cancel(pair, id)
  }
  if (end.kind === 'failed') options.abort?.throwIfAborted()
  else if (await isRefusing()) return {...end, mayLack: true}
  return end
}

/** Only Redis goes on when its target refuses writes. */
async function countRefused({target, family}: AtomicPair): Promise<number> {
  return family === 'pull' ? target.countRefusedWrites() : 0
}

/** The end that is asked for it. */
function starterOf({source, target, family}: AtomicPair): NodePort {
  return family === 'push' ? source : target
}

async function findUnderWay(pair: AtomicPair, slots: readonly number[]): Promise<string | undefined> {
  const wanted = formatRanges(rangesFromSlots(slots))
  const all = await starterOf(pair).listSlotMigrations()
  return all.find(
    ({source, target, ranges, ...one}) =>
      isUnderWay(one) && source === pair.source.id && target === pair.target.id && formatRanges(ranges) === wanted,
  )?.id
}

export function isUnderWay({status}: Pick<SlotMigration, 'status'>): boolean {
  return status === 'running' || status === 'retrying'
}

/** Begun now, or under way with just these slots already. */
async function begin(pair: AtomicPair, slots: readonly number[]): Promise<string | MigrationEnd> {
  try {
    const underWay = await findUnderWay(pair, slots)
    return underWay ?? (await starterOf(pair).startSlotMigration(rangesFromSlots(slots), pair.target.id))
  } catch (error) {
    if (error instanceof NodeError && ['rejected', 'permission', 'unknown-command'].includes(error.failure)) {
      return {kind: 'failed', reason: error.message, isLasting: error.failure !== 'rejected'}
    }
    throw error
  }
}

/** undefined when it goes on and on, or the signal aborts. */
async function watch(
  pair: AtomicPair,
  id: string,
  isRefusing: () => Promise<boolean>,
  options: WatchOptions,
): Promise<MigrationEnd | undefined> {
  const starter = starterOf(pair)
  let failingSince: number | undefined
  let stage = ''
  const end = await pollUntil<MigrationEnd>(
    async () => {
      const migration = await starter.readSlotMigration(id)
      if (!migration) return {kind: 'failed', reason: 'the node does not know it any more'}
      stage = migration.stage
      if (migration.status !== 'retrying') failingSince = undefined
      else failingSince ??= performance.now()
      if (isUnderWay(migration) && (await isRefusing())) {
        const late = await cancel(pair, id)
        const reason = 'the target refuses writes for want of replicas (min-replicas-to-write)'
        return late.kind === 'done' ? late : {kind: 'failed', reason, isLasting: true}
      }
      const isGivenUp = failingSince !== undefined && performance.now() - failingSince > SERVER_RETRIES_MS
      if (isGivenUp) {
        const late = await cancel(pair, id)
        const reason = migration.reason || 'it failed again and again'
        return late.kind === 'done' ? late : {kind: 'failed', reason, isLasting: true}
      }
      return endOf(pair, migration)
    },
    {
      deadlineMs: options.deadlineMs,
      firstIntervalMs: FIRST_LOOK_MS,
      maxIntervalMs: LOOK_EVERY_MS,
      signal: options.abort,
    },
  )
  if (end || options.abort?.aborted) return end
  const late = await cancel(pair, id)
  const seconds = Math.round(options.deadlineMs / 1000)
  const reason = `it was not done within ${seconds} s (${stage})`
  return late.kind === 'done' ? late : {kind: 'failed', reason, isLasting: true}
}

async function endOf(pair: AtomicPair, migration: SlotMigration): Promise<MigrationEnd | undefined> {
  const {id, status, reason, stage} = migration
  if (isUnderWay(migration)) return undefined
  if (status !== 'done') return {kind: 'failed', reason: reason || stage}
  const {writePauseMs} = pair.family === 'pull' ? ((await pair.source.readSlotMigration(id)) ?? migration) : migration
  return {kind: 'done', writePauseMs}
}

/** Both ends are told; one that does not answer finds the other gone. */
async function cancel(pair: AtomicPair, id: string): Promise<MigrationEnd> {
  const ends = pair.family === 'push' ? [pair.source] : [pair.target, pair.source]
  for (const end of ends) await end.cancelSlotMigration(id).catch(() => undefined)
  const gone = {kind: 'failed', reason: 'it was cancelled'} as const
  const ended = await pollUntil(
    async () => {
      try {
        const migration = await starterOf(pair).readSlotMigration(id)
        return migration ? await endOf(pair, migration) : gone
      } catch (error) {
        if (error instanceof NodeError) return gone
        throw error
      }
    },
    {deadlineMs: CANCEL_DEADLINE_MS, maxIntervalMs: 100},
  )
  return ended ?? gone
}
