/** What do the stages of one undertaking share? One deadline, one signal to stop, one listener. */
import {CancelledError, ClusterError, InterruptedError} from '../errors.ts'
import type {EngineListener} from './events.ts'

export interface StageOptions {
  /** For all stages together. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
}

export class Stages {
  readonly signal: AbortSignal | undefined
  readonly listener: EngineListener | undefined
  readonly #endsAt: number

  constructor({deadlineMs, signal, listener}: StageOptions) {
    this.#endsAt = performance.now() + deadlineMs
    this.signal = signal
    this.listener = listener
  }

  /** Until the deadline, at least 1: a stage that begins late still looks once. */
  get leftMs(): number {
    return Math.max(this.#endsAt - performance.now(), 1)
  }

  /** A new stage begins, in words like "Assigning slots". */
  begin(text: string): void {
    this.listener?.({kind: 'phase', text})
  }
}

/** Runs `work`, behind whose beginning nothing can be undone: whatever ends it early tells what is true of the nodes now. */
export async function tellingHowFar<T>(outcome: string, suggestion: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error
    const {message, details, suggestions} = error
    const facts = {details, suggestions: [...suggestions, suggestion], cause: error}
    if (error.code === 'E_CANCELLED') throw new CancelledError(`${message}; ${outcome}`, facts)
    throw new InterruptedError(`${message}; ${outcome}`, facts)
  }
}
