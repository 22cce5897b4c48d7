/**
 * When must a command end early? The first SIGINT, SIGTERM or SIGHUP, or the end of --timeout, asks it to stop at the next
 * safe point (`stopSignal`); a second signal to stop at once (`abortSignal`); a third ends the process.
 * The reason of `stopSignal` is a ClusterError that may be thrown as it is when nothing was changed yet.
 */
import {setMaxListeners} from 'node:events'
import {orAbort} from '../engine/waiting.ts'
import {CancelledError, ClusterError} from '../errors.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** After the second signal: time for what is cut off to say what is left open. */
const LAST_WORDS_MS = 3000

/** A command that stops within this time needs no word about it. */
const SILENT_STOP_MS = 250

export class Interruption {
  readonly #stop = new AbortController()
  readonly #abort = new AbortController()
  readonly #tell: (text: string) => void
  readonly #timers: NodeJS.Timeout[] = []
  readonly #onSignal = (signal: NodeJS.Signals): void => this.#receive(signal)

  /** `tell` shows a line to the operator. */
  constructor(tell: (text: string) => void) {
    this.#tell = tell
    // Everything that waits listens: more than ten are no leak.
    setMaxListeners(0, this.#stop.signal, this.#abort.signal)
  }

  get stopSignal(): AbortSignal {
    return this.#stop.signal
  }

  get abortSignal(): AbortSignal {
    return this.#abort.signal
  }

  /** Starts to listen; `timeoutMs` undefined: no deadline. */
  start(timeoutMs: number | undefined): void {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
    if (timeoutMs === undefined) return
    this.#timers.push(
      setTimeout(() => {
        this.#stop.abort(
          new ClusterError('E_NODE', 4, `the command was not done within ${formatTime(timeoutMs)} (--timeout)`, {
            details: {failure: 'timeout', timeoutMs},
            suggestions: ['Give it a longer --timeout, or see with rcluster check which node is slow'],
          }),
        )
      }, timeoutMs),
    )
  }

  end(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    for (const timer of this.#timers) clearTimeout(timer)
  }

  /**
   * The result of `work`, or the reason to stop as soon as there is one. For work that changes nothing:
   * it is abandoned, not ended.
   */
  race<T>(work: Promise<T>): Promise<T> {
    return orAbort(work, this.stopSignal)
  }

  /** As the first signal does, for a reason of our own. */
  stop(reason: ClusterError): void {
    this.#stop.abort(reason)
  }

  /** As the second does. */
  abort(reason: ClusterError): void {
    this.#stop.abort(reason)
    this.#abort.abort(reason)
  }

  #receive(signal: NodeJS.Signals): void {
    if (signal === 'SIGHUP' && isUnderNohup(process.env)) return
    if (this.#abort.signal.aborted) {
      process.exit(130)
    } else if (this.#stop.signal.aborted) {
      this.#abort.abort(new CancelledError(`Stopped at once (second ${signal})`))
      this.#timers.push(
        setTimeout(() => {
          this.#tell('Ended before the work in flight had; rcluster check shows whether slots are open.')
          process.exit(130)
        }, LAST_WORDS_MS),
      )
    } else {
      this.#stop.abort(new CancelledError(`Stopped by ${signal}`, {details: {signal}}))
      this.#timers.push(
        setTimeout(() => {
          this.#tell(`Stopping (${signal}): what has begun is being finished. Once more to stop at once.`)
        }, SILENT_STOP_MS),
      )
    }
  }
}

/** Node forgets at its start that the signal was to be ignored, so that the name of who started it has to tell. */
function isUnderNohup(env: NodeJS.ProcessEnv): boolean {
  return /(?:^|\/)nohup$/.test(env['_'] ?? '')
}

function formatTime(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`
}
