/**
 * How fast may keys leave their sources? Batches are sized by what they hold, toward a pause that clients may feel; the
 * times observed are only a guard, and a bandwidth may be set on top.
 */
import type {NodeId} from '../topology/model.ts'
import type {BatchLimits} from './batches.ts'
import {pause} from './waiting.ts'

/** The pause that 100 keys or 64 KB cost on servers with a core of their own, with room for slower ones. */
export const DEFAULT_MAX_PAUSE_MS = 1
const KEYS_PER_MS = 100
const BYTES_PER_MS = 64 * 1024
/** Smaller batches cost more in round trips than they spare the clients. */
const LEAST_KEYS = 10

/** A batch that holds its source for about `maxPauseMs`, 0.1 or more. */
export function limitsForPause(maxPauseMs: number): BatchLimits {
  return {
    maxKeys: Math.max(LEAST_KEYS, Math.round(maxPauseMs * KEYS_PER_MS)),
    maxBytes: Math.round(maxPauseMs * BYTES_PER_MS),
  }
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

/** Lets so many bytes pass in a second, over all that use it. */
export class Throttle {
  readonly #bytesPerMs: number
  #freeAtMs = 0

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  /** Resolves when `bytes` more may leave, or the signal aborts. */
  async pass(bytes: number, abort?: AbortSignal): Promise<void> {
    const nowMs = performance.now()
    const startMs = Math.max(nowMs, this.#freeAtMs)
    this.#freeAtMs = startMs + bytes / this.#bytesPerMs
    if (startMs > nowMs) await pause(startMs - nowMs, abort)
  }
}
