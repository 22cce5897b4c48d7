/**
 * How do the keys of one open slot get to its target? Writes: moves keys. Safe to run again: it lists what the source
 * still holds. Whether the source holds nothing any more is for the caller to see: a list is cut off at its limit.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'
import {areAlike, type Batch, type BatchLimits, planBatches, sampleIndexes} from './batches.ts'
import type {NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'

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
const MIGRATE_TIMEOUT_MS_PER_MB = 100
/** PTTL answers are taken a moment apart; expiry times nearer than this are the same. */
const TTL_TOLERANCE_MS = 2000

/** Keys of one slot in one database of the source, with their sizes in bytes. */
export interface Listing {
  readonly database: number
  readonly keys: readonly Buffer[]
  readonly bytesOf: readonly number[]
}

/** At most LIST_LIMIT keys of each database. */
export async function listSlot({source, databaseCount}: Pair, slot: number): Promise<Listing[]> {
  return Promise.all(
    Array.from({length: databaseCount}, async (_, database) => {
      const keys = await source.listKeys(slot, LIST_LIMIT, database)
      return {database, keys, bytesOf: keys.length === 0 ? [] : await measure(source, keys, database)}
    }),
  )
}

/**
 * Moves the listed keys of one slot, those of one database after the other.
 * @param isSourceAuthority whether the source's copy of a key is known to be the owner's (the target has only ever been
 *   IMPORTING the slot from it), so that a copy left at the target by a broken MIGRATE may be overwritten.
 * @throws InterruptedError on a key conflict that the policy does not decide; NodeError as the servers answer.
 */
export async function drainListed(
  pair: Pair,
  slot: number,
  listings: readonly Listing[],
  isSourceAuthority: boolean,
  options: DrainOptions,
): Promise<void> {
  for (const {database, keys, bytesOf} of listings) {
    for (const batch of planBatches(keys, bytesOf, options.limits())) {
      options.abort?.throwIfAborted()
      const {id: from} = pair.source
      const {id: to} = pair.target
      const pauseMs = await options.pass(() => moveBatch(pair, slot, batch, database, isSourceAuthority, options))
      options.listener({kind: 'keys-moved', keys: batch.keys.length, bytes: batch.bytes, pauseMs, from, to})
    }
  }
}

async function measure(source: NodePort, keys: readonly Buffer[], database: number): Promise<number[]> {
  const picks = sampleIndexes(keys.length)
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
  isSourceAuthority: boolean,
  options: DrainOptions,
): Promise<number> {
  const request = {
    target: pair.targetAddress,
    targetWantsLogin: pair.target.wantsLogin,
    keys: batch.keys,
    database,
    timeoutMs: MIGRATE_TIMEOUT_MS + Math.ceil(batch.bytes / 2 ** 20) * MIGRATE_TIMEOUT_MS_PER_MB,
    isReplacing: false,
  }
  const startedAt = performance.now()
  try {
    await pair.source.migrateKeys(request)
  } catch (error) {
    // The other keys of the batch have moved; those that the target already had are still at the source.
    if (!(error instanceof NodeError && error.failure === 'busy-key')) throw error
    if (isSourceAuthority) await pair.source.migrateKeys({...request, isReplacing: true})
    else for (const key of batch.keys) await settleTwin(pair, slot, key, request, options.conflicts)
  }
  return performance.now() - startedAt
}

/** One key that both ends may hold: equal copies are one key, different ones are for the policy to decide. */
async function settleTwin(
  pair: Pair,
  slot: number,
  key: Buffer,
  request: Parameters<NodePort['migrateKeys']>[0],
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

function areEqual(a: Dump, b: Dump): boolean {
  if (!a.payload.equals(b.payload)) return false
  if (a.ttlMs === undefined || b.ttlMs === undefined) return a.ttlMs === b.ttlMs
  return Math.abs(a.ttlMs - b.ttlMs) <= TTL_TOLERANCE_MS
}
