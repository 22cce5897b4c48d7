/** What do the stages of one undertaking share? One deadline, one signal to stop, one listener. */
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
