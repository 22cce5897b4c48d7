/**
 * Is the way from a source to its target open? A MIGRATE that finds it shut holds its source, and all clients of it, for as
 * long as it waits: so once one has timed out, the next are tried seldom, and wait briefly, until one gets through. Shared
 * by all that moves between the two.
 */
import type {NodeError} from '../errors.ts'
import {BIG_KEY_BYTES} from '../plan/big-keys.ts'

/** What a trial may hold its source for: a fifth of the time at most. */
const TRIAL_TIMEOUT_MS = 1000
const FIRST_TRIAL_AFTER_MS = 100
const TRIAL_EVERY_MS = 5000

export class Way {
  #shut: {readonly error: NodeError; readonly waitMs: number; readonly nextTrialAtMs: number} | undefined
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** @throws the error of the last try while it is too early for the next. */
  requireTry(): void {
    if (this.#shut && this.#now() < this.#shut.nextTrialAtMs) throw this.#shut.error
  }

  /** How long a MIGRATE of so many bytes may wait; undefined: as long as fits it. */
  timeoutFor(bytes: number): number | undefined {
    return this.#shut && bytes < BIG_KEY_BYTES ? TRIAL_TIMEOUT_MS : undefined
  }

  noteOpen(): void {
    this.#shut = undefined
  }

  noteShut(error: NodeError): void {
    const waitMs = this.#shut ? Math.min(2 * this.#shut.waitMs, TRIAL_EVERY_MS) : FIRST_TRIAL_AFTER_MS
    this.#shut = {error, waitMs, nextTrialAtMs: this.#now() + waitMs}
  }
}
