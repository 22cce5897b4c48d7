/**
 * How fast may keys leave their sources? Batches are sized by what they hold, toward a pause that clients may feel; the
 * times observed are only a guard, a bandwidth may be set on top, and a node whose clients suffer is given air.
 */
import type {NodeId} from '../topology/model.ts'
import {AirGauge} from './air.ts'
import type {BatchLimits} from './batches.ts'
import type {NodePort} from './cluster-port.ts'
import {pause} from './waiting.ts'

/**
 * 100 small keys hold the source for 0.3 ms on servers with a core of their own, 13 keys of 10 KB that do not compress for
 * 0.65 ms, as MEMORY USAGE counts them; more gains little, fewer keys of 10 KB make it slower than redis-cli's ten.
 */
export const DEFAULT_MAX_PAUSE_MS = 1
const KEYS_PER_MS = 100
const BYTES_PER_MS = 160 * 1024
/** Smaller batches cost more in round trips than they spare the clients. */
const LEAST_KEYS = 10

/** A batch that holds its source for about `maxPauseMs`, 0.1 or more. */
export function limitsForPause(maxPauseMs: number): BatchLimits {
  return {
    maxKeys: Math.max(LEAST_KEYS, Math.round(maxPauseMs * KEYS_PER_MS)),
    maxBytes: Math.round(maxPauseMs * BYTES_PER_MS),
  }
}

/** `maxKeys` in one batch, and no more bytes than as many small keys are given time for. */
export function limitsForKeys(maxKeys: number, leastPauseMs: number): BatchLimits {
  return {...limitsForPause(Math.max(leastPauseMs, maxKeys / KEYS_PER_MS)), maxKeys}
}

/** Observations of which even the quickest must be slow before they are believed: a loud machine makes them lie. */
const OBSERVATIONS = 16
const TOO_SLOW = 4
const QUICK_AGAIN = 1.5

/** Sizes the batches of each source: by content, and smaller where even the quickest of many took far too long. */
export class BatchSizer {
  readonly #maxPauseMs: number
  readonly #sources = new Map<NodeId, {scale: number; times: number[]}>()

  constructor(maxPauseMs: number) {
    this.#maxPauseMs = maxPauseMs
  }

  limitsAt(source: NodeId): BatchLimits {
    return limitsForPause(this.#maxPauseMs * this.#stateOf(source).scale)
  }

  /** Told how long the source took for a batch of `keys` and `bytes`. Small ones prove nothing. */
  observe(source: NodeId, {keys, bytes}: {readonly keys: number; readonly bytes: number}, elapsedMs: number): void {
    const {maxKeys, maxBytes} = this.limitsAt(source)
    const isFull = keys >= maxKeys / 2 || (bytes >= maxBytes / 2 && bytes <= maxBytes)
    if (!isFull) return
    const state = this.#stateOf(source)
    state.times.push(elapsedMs)
    if (state.times.length < OBSERVATIONS) return
    const quickest = Math.min(...state.times)
    state.times = []
    const isLeast = maxKeys <= LEAST_KEYS
    if (quickest > TOO_SLOW * this.#maxPauseMs && !isLeast) state.scale /= 2
    else if (quickest < QUICK_AGAIN * this.#maxPauseMs) state.scale = Math.min(1, state.scale * 2)
  }

  #stateOf(source: NodeId): {scale: number; times: number[]} {
    let state = this.#sources.get(source)
    if (!state) {
      state = {scale: 1, times: []}
      this.#sources.set(source, state)
    }
    return state
  }
}

/** Lets so many bytes pass in a second, over all that use it: who has sent too much waits before the next. */
export class Throttle {
  readonly #bytesPerMs: number
  #freeAtMs = 0

  /** `bytesPerSecond`: above 0. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  charge(bytes: number): void {
    this.#freeAtMs = Math.max(performance.now(), this.#freeAtMs) + bytes / this.#bytesPerMs
  }

  /** Resolves when what was charged has had its time, or the signal aborts. */
  async wait(abort?: AbortSignal): Promise<void> {
    const waitMs = this.#freeAtMs - performance.now()
    if (waitMs > 0) await pause(waitMs, abort)
  }
}

export interface PaceOptions {
  /** How long one MIGRATE should hold its source, in milliseconds. */
  readonly maxPauseMs: number
  /** Over all nodes together; undefined: as fast as they can. */
  readonly maxBytesPerSecond: number | undefined
  readonly abort: AbortSignal | undefined
}

/** A node in distress is left alone for at most this long between two batches. */
const MOST_AIR_MS = 100

/** All of it for one run: sizes batches, and says when the next may leave. */
export class Pace {
  readonly #sizer: BatchSizer
  readonly #throttle: Throttle | undefined
  readonly #air: AirGauge
  readonly #abort: AbortSignal | undefined
  readonly #lastMs = new Map<NodeId, number>()

  constructor({maxPauseMs, maxBytesPerSecond, abort}: PaceOptions) {
    this.#sizer = new BatchSizer(maxPauseMs)
    this.#throttle = maxBytesPerSecond === undefined ? undefined : new Throttle(maxBytesPerSecond)
    this.#air = new AirGauge(maxPauseMs)
    this.#abort = abort
  }

  /** From now on until `close` these nodes are asked how they are. */
  watch(nodes: readonly NodePort[]): void {
    this.#air.watch(nodes)
  }

  close(): void {
    this.#air.close()
  }

  limitsAt(source: NodeId): BatchLimits {
    return this.#sizer.limitsAt(source)
  }

  /** Before a batch leaves `source` for `target`. */
  async ready(source: NodeId, target: NodeId): Promise<void> {
    await this.#throttle?.wait(this.#abort)
    if (!this.#air.isSuffering(source) && !this.#air.isSuffering(target)) return
    // As long as the last batch took: the node has half of its time for others.
    await pause(Math.min(MOST_AIR_MS, this.#lastMs.get(source) ?? 0), this.#abort)
  }

  /** After a batch. */
  note(source: NodeId, batch: {readonly keys: number; readonly bytes: number}, elapsedMs: number): void {
    this.#throttle?.charge(batch.bytes)
    this.#sizer.observe(source, batch, elapsedMs)
    this.#lastMs.set(source, elapsedMs)
  }
}
