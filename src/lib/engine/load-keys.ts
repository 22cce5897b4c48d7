/**
 * How do serialised keys get into a cluster? Each goes to the owner of its slot by RESTORE, pipelined to all nodes at
 * once; owners that change meanwhile are followed, what passes by itself is tried again, and of every key it is known in
 * the end what became of it. Safe to run again: a key that is there with the same value is no conflict.
 */
import {InterruptedError, NodeError, RefusedError} from '../errors.ts'
import {keySlot} from '../slots/key-slot.ts'
import type {NodeId} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import type {BusyKeyPolicy, FailedKey, LoadableKey, LoadOutcome, SettledKey} from './load-outcome.ts'
import {Throttle} from './pace.ts'
import {backoffMs, isTransient} from './retrying.ts'
import {type Comparison, comparePayloads} from './same-dump.ts'
import type {ClusterSession} from './session.ts'
import {pause} from './waiting.ts'

export interface LoadOptions<K extends LoadableKey = LoadableKey> {
  readonly conflicts: BusyKeyPolicy
  /** Ends it early: what is under way is finished, the rest is left. */
  readonly signal?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
  /** RESTORE batches under way to each node. Default 4. */
  readonly concurrency?: number | undefined
  /** Over all nodes together; undefined: as fast as they can. */
  readonly maxBytesPerSecond?: number | undefined
  /** How long a node may fail in ways that pass by themselves. Default a minute: longer than a failover takes. */
  readonly patienceMs?: number | undefined
  /**
   * Are the keys that `node` holds, all of one database, the same as ours? The default compares the payloads, which
   * differ for large hashes and sets of equal content, since servers keep them in orders of their own.
   */
  readonly compare?: ((keys: readonly K[], node: NodePort) => Promise<readonly Comparison[]>) | undefined
  /** Told of every key once, in portions; keys count as under way until it resolves. */
  readonly onSettled?: ((settled: readonly SettledKey<K>[]) => Promise<void> | void) | undefined
}

const CONFLICTS = {
  different: 'the cluster has it with another value',
  unknown: 'the cluster has it, and values of its type cannot be compared',
}

const BATCH_KEYS = 256
/** A key that is larger travels alone. */
const BATCH_BYTES = 1024 * 1024
/** What may be added and not settled: enough to keep the nodes of a large cluster busy. */
const UNSETTLED_KEYS = 20_000
const UNSETTLED_BYTES = 32 * 1024 * 1024
const FAILURES_NAMED = 20
const DEFAULT_CONCURRENCY = 4
const DEFAULT_PATIENCE_MS = 60_000

interface Entry<K> {
  readonly key: K
  readonly slot: number
  attempts: number
  /** As performance.now() tells time. */
  failedSinceMs: number | undefined
  /** An answer got lost: it may be there, by us. */
  isUncertain: boolean
  /** Its owner answered ASK the last time: the slot is on its way, and takes new keys where it goes. */
  isSentOn: boolean
}

/** What waits for one database of one node. */
interface Lane<K> {
  readonly node: NodeId
  readonly database: number
  readonly isAsking: boolean
  readonly waiting: Entry<K>[]
  batches: number
}

export class KeyLoader<K extends LoadableKey = LoadableKey> {
  readonly #session: ClusterSession
  readonly #options: LoadOptions<K>
  readonly #throttle: Throttle | undefined
  readonly #clocksAhead = new Map<NodeId, Promise<number | undefined>>()
  readonly #lanes = new Map<NodeId, Lane<K>[]>()
  readonly #counts = {copied: 0, identical: 0, expired: 0, skipped: 0, failed: 0, bytes: 0}
  readonly #failures: FailedKey[] = []
  #unsettledKeys = 0
  #unsettledBytes = 0
  /** Whoever waits for room, or for the end. */
  #wake: (() => void)[] = []
  #looking: Promise<void> | undefined
  #failure: unknown
  /** The same, where a node refused a key. */
  #refusal: NodeError | undefined

  /** The session must have observed the cluster. */
  constructor(session: ClusterSession, options: LoadOptions<K>) {
    this.#session = session
    this.#options = options
    this.#throttle = options.maxBytesPerSecond === undefined ? undefined : new Throttle(options.maxBytesPerSecond)
  }

  get outcome(): LoadOutcome {
    return {...this.#counts, failures: [...this.#failures]}
  }

  /** A failure, or the signal: nothing more is taken. */
  get hasStopped(): boolean {
    return this.#failure !== undefined || this.#options.signal?.aborted === true
  }

  /**
   * Takes the keys when there is room for them. Several callers at once are welcome, each adds to what is in memory.
   * After a failure, or when the signal has aborted, they are not taken: `finish` tells why.
   */
  async add(keys: readonly K[]): Promise<void> {
    while (!this.hasStopped && (this.#unsettledKeys >= UNSETTLED_KEYS || this.#unsettledBytes >= UNSETTLED_BYTES)) {
      await this.#change()
    }
    if (this.hasStopped) return
    const entries = keys.map((key) => ({
      key,
      slot: keySlot(key.key),
      attempts: 0,
      failedSinceMs: undefined,
      isUncertain: false,
      isSentOn: false,
    }))
    this.#unsettledKeys += keys.length
    for (const {payload} of keys) this.#unsettledBytes += payload.length
    this.#enqueue(entries)
  }

  /** Resolves when all that was added is settled, or it has stopped and nothing is under way. */
  async settle(): Promise<void> {
    while (this.#isUnderWay() || (this.#unsettledKeys > 0 && !this.hasStopped)) await this.#change()
  }

  /**
   * Waits for all that was added.
   * @throws InterruptedError when a node refuses keys for good, RefusedError when not one could be written, with what was
   *   done till then; what `compare` and `onSettled` throw; the signal's reason when that ended it.
   */
  async finish(): Promise<LoadOutcome> {
    await this.settle()
    if (this.#refusal) throw this.#told(this.#refusal)
    if (this.#failure !== undefined) throw this.#failure as Error
    const {signal} = this.#options
    if (signal?.aborted) throw signal.reason as Error
    return this.outcome
  }

  #told(failure: NodeError): Error {
    const {message} = failure
    const {copied, identical, skipped, expired, failed} = this.#counts
    const facts = {
      details: {...failure.details, copied, identical, skipped, expired, failed},
      suggestions: adviceOnLoading(failure),
      cause: failure,
    }
    const isNothingDone = copied === 0 && !isTransient(failure)
    if (isNothingDone) return new RefusedError('target-unfit', `${message}; no key was written`, facts)
    return new InterruptedError(`${message}; ${copied} keys were written before that`, facts)
  }

  #isUnderWay(): boolean {
    return [...this.#lanes.values()].some((lanes) => lanes.some(({batches}) => batches > 0))
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const {signal} = this.#options
      const wake = (): void => {
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake.push(wake)
      if (!signal?.aborted) signal?.addEventListener('abort', wake, {once: true})
    })
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#changed()
  }

  #refuse(error: NodeError): void {
    this.#refusal ??= error
    this.#fail(error)
  }

  /** To the lanes of their owners, as the session sees them now. */
  #enqueue(entries: readonly Entry<K>[]): void {
    const {owners, openSlots} = this.#session.topology
    const touched = new Set<Lane<K>>()
    const ownerless: Entry<K>[] = []
    for (const entry of entries) {
      const next = entry.isSentOn ? openSlots.find(({slot}) => slot === entry.slot)?.migrating[0]?.to : undefined
      const node = next ?? owners[entry.slot]
      if (node === undefined) ownerless.push(entry)
      else touched.add(this.#lane(node, entry.key.database, next !== undefined, entry))
    }
    for (const lane of touched) this.#pump(lane)
    if (ownerless.length > 0) {
      const address = `slot ${ownerless[0]?.slot}`
      this.#tryAgain(ownerless, new NodeError('cluster-down', address, `${address} is served by no node`))
    }
  }

  #lane(node: NodeId, database: number, isAsking: boolean, entry: Entry<K>): Lane<K> {
    const own = this.#lanes.get(node) ?? []
    let lane = own.find((one) => one.database === database && one.isAsking === isAsking)
    if (!lane) {
      lane = {node, database, isAsking, waiting: [], batches: 0}
      this.#lanes.set(node, [...own, lane])
    }
    lane.waiting.push(entry)
    return lane
  }

  #pump(lane: Lane<K>): void {
    const {concurrency = DEFAULT_CONCURRENCY} = this.#options
    while (lane.batches < concurrency && lane.waiting.length > 0 && !this.hasStopped) {
      const batch = takeBatch(lane.waiting)
      lane.batches++
      void this.#send(lane, batch)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          lane.batches--
          this.#pump(lane)
          this.#changed()
        })
    }
  }

  async #send(lane: Lane<K>, batch: readonly Entry<K>[]): Promise<void> {
    await this.#throttle?.wait(this.#options.signal)
    const aheadMs = await this.#clockAheadOf(lane.node, batch)
    const nowMs = aheadMs === undefined ? 0 : Date.now() + aheadMs
    const alive = batch.filter(({key}) => key.expiresAtMs === undefined || key.expiresAtMs > nowMs)
    const settled: SettledKey<K>[] = []
    if (alive.length < batch.length) {
      const isAlive = new Set(alive)
      for (const entry of batch) if (!isAlive.has(entry)) settled.push({key: entry.key, fate: 'expired'})
    }
    const results = await this.#restore(lane, alive)
    const busy: Entry<K>[] = []
    const again: Entry<K>[] = []
    let passing: NodeError | undefined
    for (const [index, entry] of alive.entries()) {
      const error = results[index]
      if (error === undefined) {
        settled.push({key: entry.key, fate: 'copied'})
        continue
      }
      if (error.failure === 'busy-key') {
        busy.push(entry)
      } else if (isUnreadable(error)) {
        settled.push({key: entry.key, fate: 'failed', reason: error.message})
      } else if (isTransient(error)) {
        if (error.failure === 'closed' || error.failure === 'timeout') entry.isUncertain = true
        entry.isSentOn = error.failure === 'ask'
        again.push(entry)
        passing ??= error
      } else {
        this.#refuse(error)
      }
    }
    if (busy.length > 0) {
      const compared = await this.#compare(lane.node, busy)
      settled.push(...compared.settled)
      again.push(...compared.again)
      passing ??= compared.passing
    }
    await this.#tell(settled)
    if (passing) this.#tryAgain(again, passing)
    else if (again.length > 0) this.#enqueue(again)
  }

  /** Of the node's clock to ours; undefined where it does not tell: then it knows by itself what has expired. */
  #clockAheadOf(id: NodeId, batch: readonly Entry<K>[]): Promise<number | undefined> | undefined {
    if (batch.every(({key}) => key.expiresAtMs === undefined)) return undefined
    let ahead = this.#clocksAhead.get(id)
    if (!ahead) {
      const node = Promise.resolve().then(() => this.#session.node(id).readClock())
      ahead = node.then(
        (clockMs) => (clockMs === undefined ? undefined : clockMs - Date.now()),
        () => {
          this.#clocksAhead.delete(id)
          return undefined
        },
      )
      this.#clocksAhead.set(id, ahead)
    }
    return ahead
  }

  async #restore(lane: Lane<K>, entries: readonly Entry<K>[]): Promise<(NodeError | undefined)[]> {
    if (entries.length === 0) return []
    this.#throttle?.charge(entries.reduce((sum, {key}) => sum + key.payload.length, 0))
    try {
      return await this.#session.node(lane.node).restoreKeys(
        entries.map(({key}) => key),
        {
          database: lane.database,
          isReplacing: this.#options.conflicts === 'replace',
          isAsking: lane.isAsking,
        },
      )
    } catch (error) {
      // The last look did not reach it.
      if (error instanceof NodeError) return entries.map(() => error)
      throw error
    }
  }

  /** Keys that the cluster has already: the same ones are fine, of others the policy decides. */
  async #compare(
    id: NodeId,
    busy: readonly Entry<K>[],
  ): Promise<{settled: SettledKey<K>[]; again: Entry<K>[]; passing: NodeError | undefined}> {
    const {compare = comparePayloads, conflicts} = this.#options
    const settled: SettledKey<K>[] = []
    const again: Entry<K>[] = []
    try {
      const comparisons = await compare(
        busy.map(({key}) => key),
        this.#session.node(id),
      )
      for (const [index, entry] of busy.entries()) {
        const {key} = entry
        const comparison = comparisons[index]
        if (comparison === 'gone') again.push(entry)
        else if (comparison === 'same') settled.push({key, fate: entry.isUncertain ? 'copied' : 'identical'})
        else if (conflicts === 'skip') settled.push({key, fate: 'skipped'})
        else settled.push({key, fate: 'failed', reason: CONFLICTS[comparison ?? 'different']})
      }
      return {settled, again, passing: undefined}
    } catch (error) {
      if (!isTransient(error)) throw error
      return {settled: [], again: [...busy], passing: error}
    }
  }

  async #tell(settled: readonly SettledKey<K>[]): Promise<void> {
    if (settled.length === 0) return
    let [bytes, sent] = [0, 0]
    for (const {key, fate, reason} of settled) {
      this.#counts[fate]++
      bytes += key.payload.length
      if (fate === 'copied') sent += key.payload.length
      if (fate === 'failed' && this.#failures.length < FAILURES_NAMED) {
        // A copy: the key is a view of all that was received with it.
        this.#failures.push({key: Buffer.from(key.key), database: key.database, reason: reason ?? ''})
      }
    }
    this.#counts.bytes += sent
    await this.#options.onSettled?.(settled)
    this.#unsettledKeys -= settled.length
    this.#unsettledBytes -= bytes
    this.#options.listener?.({kind: 'keys-loaded', keys: settled.length, bytes: sent})
    this.#changed()
  }

  /** Looks at the cluster again, and sends them where they belong then. */
  #tryAgain(entries: readonly Entry<K>[], reason: NodeError): void {
    const {signal, listener, patienceMs = DEFAULT_PATIENCE_MS} = this.#options
    const nowMs = performance.now()
    let attempt = 0
    for (const entry of entries) {
      entry.failedSinceMs ??= nowMs
      entry.attempts++
      attempt = Math.max(attempt, entry.attempts)
      if (nowMs - entry.failedSinceMs > patienceMs) {
        this.#refuse(reason)
        return
      }
    }
    // Keys of a slot that moves are sent on as a matter of course.
    if (attempt > 1) {
      const slots = [...new Set(entries.map(({slot}) => slot))]
      listener?.({kind: 'retry', slots, attempt, reason: reason.message})
    }
    const waitMs = attempt === 1 ? 0 : backoffMs(attempt - 1)
    void pause(waitMs, signal)
      .then(() => this.#look())
      .then(() => {
        if (!this.hasStopped) this.#enqueue(entries)
        this.#changed()
      })
      .catch((error: unknown) => this.#fail(error))
  }

  /** All that fail at once share a look. A look that fails is no reason to stop: the entries' own patience is. */
  #look(): Promise<void> {
    this.#looking ??= this.#session
      .refresh()
      .then(
        () => undefined,
        (error: unknown) => {
          if (!isTransient(error)) throw error
        },
      )
      .finally(() => {
        this.#looking = undefined
      })
    return this.#looking
  }
}

/** Loads all `keys`; as KeyLoader. They are asked for as there is room. */
export async function loadKeys<K extends LoadableKey>(
  session: ClusterSession,
  keys: AsyncIterable<K> | Iterable<K>,
  options: LoadOptions<K>,
): Promise<LoadOutcome> {
  const loader = new KeyLoader(session, options)
  let portion: K[] = []
  let bytes = 0
  for await (const key of keys) {
    portion.push(key)
    bytes += key.payload.length
    if (portion.length < BATCH_KEYS && bytes < BATCH_BYTES) continue
    await loader.add(portion)
    if (loader.hasStopped) break
    portion = []
    bytes = 0
  }
  if (!loader.hasStopped) await loader.add(portion)
  return loader.finish()
}

/** From the front, as many as travel together. */
function takeBatch<K extends LoadableKey>(waiting: Entry<K>[]): Entry<K>[] {
  let [count, bytes] = [0, 0]
  for (const {key} of waiting) {
    if (count > 0 && (count === BATCH_KEYS || bytes + key.payload.length > BATCH_BYTES)) break
    bytes += key.payload.length
    count++
  }
  return waiting.splice(0, count)
}

/** The checksum is right, but this server has no such type, or not these bytes of it: a matter of this one key. */
function isUnreadable(error: NodeError): boolean {
  return error.failure === 'rejected' && /Bad data format/i.test(error.message)
}

function adviceOnLoading({failure, message}: NodeError): string[] {
  if (failure === 'out-of-memory') return ['Raise maxmemory, or add nodes: rcluster add-node NEW SEED --rebalance']
  if (/DUMP payload version or checksum/i.test(message)) {
    return [
      'Keys of a newer server cannot be read by an older one: upgrade the cluster to at least the version that wrote them',
    ]
  }
  if (failure === 'permission')
    return ['The user needs +restore, +asking, +dump and +pttl, and write access to all keys']
  return []
}
