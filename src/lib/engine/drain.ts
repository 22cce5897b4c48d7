/**
 * How do the keys of one open slot get to its target? Writes: moves keys. Safe to run again: it lists what the source
 * still holds. Whether the source holds nothing any more is for the caller to see: a list is cut off at its limit.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {BIG_KEY_BYTES} from '../plan/big-keys.ts'
import {compareValues} from '../rdb/compare-values.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'
import {areAlike, type Batch, type BatchLimits, planBatches, sampleIndexes} from './batches.ts'
import type {MigrateRequest, NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import {pollUntil} from './waiting.ts'
import type {Way} from './way.ts'

/** What to do with a key that source and target hold with different values, where neither is known to be the owner's. */
export type ConflictPolicy = 'fail' | 'source' | 'target'

/** Two nodes between which slots travel. */
export interface Pair {
  readonly source: NodePort
  readonly target: NodePort
  /** The target as the source reaches it. */
  readonly targetAddress: NodeAddress
  readonly databaseCount: number
}

export interface DrainOptions {
  /** Asked anew for each listing. */
  readonly limits: () => BatchLimits
  readonly conflicts: ConflictPolicy
  /** Runs the work when both ends have room for it. */
  readonly pass: <T>(work: () => Promise<T>) => Promise<T>
  readonly listener: EngineListener
  /** Slots in which a big key was seen: all their keys are measured, so that it travels alone. */
  readonly slotsWithBigKeys?: ReadonlySet<number> | undefined
  /** What a source may wait for its target at most, keys of no size: less than MIGRATE_TIMEOUT_MS where it would be missed. */
  readonly longestWaitMs?: number | undefined
  /** Of a MIGRATE, instead of one that fits the batch. */
  readonly timeoutMs?: number | undefined
  /** What is known of the network between the two. */
  readonly way?: Way | undefined
  /** No further batch is begun once it aborts. */
  readonly abort?: AbortSignal | undefined
}

/** Keys listed at once: a millisecond of the source's time. */
export const LIST_LIMIT = 1000
/**
 * Per socket operation, and under the default cluster-node-timeout (15 s): a source that waits longer for a silent
 * target would be voted down by the others.
 */
const MIGRATE_TIMEOUT_MS = 5000
/** Seven times what a target was seen to need for its part of a hash, the slowest type: 13 ms. */
const MIGRATE_TIMEOUT_MS_PER_MB = 100
/** After a timeout: what was seen to be too short is not tried again. */
const MORE_PATIENCE = 4
/** PTTL answers are taken a moment apart; expiry times nearer than this are the same. */
const TTL_TOLERANCE_MS = 2000

/** Keys of one slot in one database of the source, with their sizes in bytes. */
export interface Listing {
  readonly database: number
  readonly keys: readonly Buffer[]
  readonly bytesOf: readonly number[]
}

/**
 * At most LIST_LIMIT keys of each database.
 * @param isMeasuringAll whether each key's size is asked for, and not only that of a few.
 */
export async function listSlot(
  {source, databaseCount}: Pair,
  slot: number,
  isMeasuringAll: boolean = false,
): Promise<Listing[]> {
  return Promise.all(
    Array.from({length: databaseCount}, async (_, database) => {
      const keys = await source.listKeys(slot, LIST_LIMIT, database)
      return {database, keys, bytesOf: keys.length === 0 ? [] : await measure(source, keys, database, isMeasuringAll)}
    }),
  )
}

/**
 * Moves the listed keys of one slot, those of one database after the other.
 * @param isSourceAuthority whether the source's copy of a key is known to be the owner's (the target has only ever been
 *   IMPORTING the slot from it), so that a copy left at the target by a broken MIGRATE may be overwritten. Asked when
 *   there is such a copy.
 * @throws InterruptedError on a key conflict that the policy does not decide; NodeError as the servers answer.
 */
export async function drainListed(
  pair: Pair,
  slot: number,
  listings: readonly Listing[],
  isSourceAuthority: () => Promise<boolean>,
  options: DrainOptions,
): Promise<void> {
  for (const {database, keys, bytesOf} of listings) {
    for (const batch of planBatches(keys, bytesOf, options.limits())) {
      options.abort?.throwIfAborted()
      const {id: from} = pair.source
      const {id: to} = pair.target
      const pauseMs = await options.pass(() => {
        options.way?.requireTry()
        return moveBatch(pair, slot, batch, database, isSourceAuthority, options)
      })
      options.listener({kind: 'keys-moved', slot, keys: batch.keys.length, bytes: batch.bytes, pauseMs, from, to})
    }
  }
}

async function measure(
  source: NodePort,
  keys: readonly Buffer[],
  database: number,
  isMeasuringAll: boolean,
): Promise<number[]> {
  const picks = isMeasuringAll ? [...keys.keys()] : sampleIndexes(keys.length)
  const sampled = await source.measureKeys(
    picks.map((index) => keys[index] as Buffer),
    database,
  )
  const known = sampled.filter((size) => size !== undefined)
  if (picks.length === keys.length || !areAlike(known)) {
    const all = picks.length === keys.length ? sampled : await source.measureKeys(keys, database)
    return all.map((size) => size ?? 0)
  }
  const mean = known.reduce((sum, size) => sum + size, 0) / Math.max(known.length, 1)
  return new Array<number>(keys.length).fill(mean)
}

/** @returns how long it took, in milliseconds. */
async function moveBatch(
  pair: Pair,
  slot: number,
  batch: Batch,
  database: number,
  isSourceAuthority: () => Promise<boolean>,
  options: DrainOptions,
): Promise<number> {
  const migrate = (keys: readonly Buffer[], timeoutMs: number): Promise<void> =>
    migrateOrSettle(pair, slot, {keys, database, timeoutMs}, isSourceAuthority, options.conflicts)
  const startedAt = performance.now()
  const {way, longestWaitMs} = options
  const timeoutMs = options.timeoutMs ?? way?.timeoutFor(batch.bytes) ?? fittingTimeoutMs(batch.bytes, longestWaitMs)
  try {
    await migrate(batch.keys, timeoutMs)
    way?.noteOpen()
  } catch (error) {
    if (!(error instanceof NodeError && error.failure === 'io')) throw error
    way?.noteShut(error)
    for (const {keys, bytes} of await regroupAfterTimeout(pair, batch, database, error, options)) {
      options.abort?.throwIfAborted()
      await migrate(keys, Math.max(MORE_PATIENCE * timeoutMs, fittingTimeoutMs(bytes)))
    }
    way?.noteOpen()
  }
  return performance.now() - startedAt
}

function fittingTimeoutMs(bytes: number, longestWaitMs = MIGRATE_TIMEOUT_MS): number {
  const waitMs = Math.min(longestWaitMs, MIGRATE_TIMEOUT_MS)
  return Math.round(waitMs + Math.ceil(bytes / 2 ** 20) * MIGRATE_TIMEOUT_MS_PER_MB)
}

/**
 * A target may have been silent because it was busy with a key that nobody knew to be big: then that key, alone and with
 * more patience, gets through where the same batch would fail for ever.
 * @returns what is left of the batch, once the target answers again.
 * @throws the given error where no key of the batch explains it, or the target stays silent.
 */
async function regroupAfterTimeout(
  {source, target}: Pair,
  batch: Batch,
  database: number,
  error: NodeError,
  {limits, abort}: DrainOptions,
): Promise<Batch[]> {
  const sizes = await source.measureKeys(batch.keys, database)
  const left = batch.keys.flatMap((key, index) => {
    const bytes = sizes[index]
    return bytes === undefined ? [] : [{key, bytes}]
  })
  const largest = left.reduce((most, {bytes}) => Math.max(most, bytes), 0)
  if (largest < BIG_KEY_BYTES) throw error
  const isAwake = await pollUntil(() => answers(target), {deadlineMs: fittingTimeoutMs(largest), signal: abort})
  if (!isAwake) throw error
  return planBatches(
    left.map(({key}) => key),
    left.map(({bytes}) => bytes),
    limits(),
  )
}

/** undefined while it is silent. @throws NodeError when it is not there at all. */
async function answers(node: NodePort): Promise<true | undefined> {
  try {
    await node.readClusterInfo()
    return true
  } catch (error) {
    if (error instanceof NodeError && ['timeout', 'closed'].includes(error.failure)) return undefined
    throw error
  }
}

/** MIGRATE, and what is to be done about keys that the target holds already. */
async function migrateOrSettle(
  pair: Pair,
  slot: number,
  {keys, database, timeoutMs}: Pick<MigrateRequest, 'keys' | 'database' | 'timeoutMs'>,
  isSourceAuthority: () => Promise<boolean>,
  conflicts: ConflictPolicy,
): Promise<void> {
  const request = {
    target: pair.targetAddress,
    targetLogin: pair.target.peerLogin,
    keys,
    database,
    timeoutMs,
    isReplacing: false,
  }
  // A source waits that long for a target that has died, and is voted down meanwhile: so it has to be alive now.
  if (timeoutMs > 2 * MIGRATE_TIMEOUT_MS) await pair.target.readClusterInfo()
  try {
    await naming(pair, () => pair.source.migrateKeys(request))
  } catch (error) {
    // The other keys of the batch have moved; those that the target already had are still at the source.
    if (!(error instanceof NodeError && error.failure === 'busy-key')) throw error
    if (await isSourceAuthority()) await pair.source.migrateKeys({...request, isReplacing: true})
    else for (const key of keys) await settleTwin(pair, slot, key, request, conflicts)
  }
}

/** What a source says of its target does not name it. */
async function naming({target}: Pair, migrate: () => Promise<unknown>): Promise<void> {
  try {
    await migrate()
  } catch (error) {
    if (!(error instanceof NodeError && (error.isFromTarget || error.failure === 'io'))) throw error
    const {failure, address, message, isFromTarget, details, cause} = error
    const text = `keys on their way to ${formatAddress(target.address)}: ${message}`
    throw new NodeError(failure, address, text, {details, isFromTarget, cause})
  }
}

/** One key that both ends may hold: equal copies are one key, different ones are for the policy to decide. */
async function settleTwin(
  pair: Pair,
  slot: number,
  key: Buffer,
  request: MigrateRequest,
  conflicts: ConflictPolicy,
): Promise<void> {
  const [mine, theirs] = await Promise.all([
    dumpAtSource(pair.source, key, request.database),
    pair.target.dumpKey(key, request.database),
  ])
  if (!mine) return
  const one = {...request, keys: [key]}
  if (!theirs) {
    await pair.source.migrateKeys(one)
    return
  }
  if (areEqual(mine, theirs) || conflicts === 'source') {
    await pair.source.migrateKeys({...one, isReplacing: true})
    return
  }
  if (conflicts === 'target') {
    await pair.source.deleteKey(key, request.database)
    return
  }
  const source = formatAddress(pair.source.address)
  const target = formatAddress(pair.target.address)
  throw new InterruptedError(
    `slot ${slot}: the key ${JSON.stringify(key.toString('latin1'))} has different values on ${source} and ${target}`,
    {
      details: {slot, database: request.database, keyHex: key.toString('hex'), source, target},
      suggestions: ['Decide with --on-conflict source or --on-conflict target, and run the command again'],
    },
  )
}

/** A source that no longer has a key of a migrating slot sends us to the target instead of saying so. */
async function dumpAtSource(source: NodePort, key: Buffer, database: number): Promise<Dump | undefined> {
  try {
    return await source.dumpKey(key, database)
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'ask') return undefined
    throw error
  }
}

type Dump = NonNullable<Awaited<ReturnType<NodePort['dumpKey']>>>

/** Servers keep large hashes and sets in orders of their own: a replica's copy need not have its primary's bytes. */
function areEqual(a: Dump, b: Dump): boolean {
  if (compareValues(a.payload, b.payload) !== 'same') return false
  if (a.ttlMs === undefined || b.ttlMs === undefined) return a.ttlMs === b.ttlMs
  return Math.abs(a.ttlMs - b.ttlMs) <= TTL_TOLERANCE_MS
}
