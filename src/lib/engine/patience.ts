/**
 * Who answers in time? For looks that go on and on: nobody is waited for longer than that, and who was silent the last time
 * hardly at all. What is asked goes on behind, once for each node, and a late answer serves the next look.
 */
import {NodeError} from '../errors.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'
import {pause} from './waiting.ts'

/** For nodes that were silent before: enough for one that is back, and no look is slow because of one that is not. */
const GRACE_MS = 100

interface Waiting {
  readonly answer: Promise<unknown>
  readonly askedAtMs: number
}

/** No answer so far; it may still come. */
export class NotYet extends NodeError {}

export class Patience {
  readonly #limitMs: number
  readonly #waiting = new Map<string, Waiting>()
  readonly #silent = new Set<string>()

  /** `limitMs`: how long who is asked may take. Not the whole look: in large clusters some are asked after others. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /**
   * What `work` brings. It is not begun while one of the same key is under way, whose answer is taken instead.
   * @throws NotYet when the time is over; what `work` throws.
   */
  async within<T>(key: string, address: NodeAddress, work: () => Promise<T>): Promise<T> {
    const one = this.#waiting.get(key) ?? this.#begin(key, work)
    const limitMs = this.#silent.has(key) ? Math.min(GRACE_MS, this.#limitMs) : this.#limitMs
    const done = new AbortController()
    // What arrived while we were busy ourselves is in time.
    const late = pause(limitMs, done.signal).then(() => new Promise<'late'>((resolve) => setImmediate(resolve, 'late')))
    const isLate = (await Promise.race([settled(one.answer), late])) === 'late'
    done.abort()
    if (isLate) {
      this.#silent.add(key)
      const seconds = ((performance.now() - one.askedAtMs) / 1000).toFixed(1)
      throw new NotYet(
        'timeout',
        formatAddress(address),
        `${formatAddress(address)} did not answer within ${seconds} s`,
      )
    }
    this.#waiting.delete(key)
    this.#silent.add(key)
    const answer = (await one.answer) as T
    this.#silent.delete(key)
    return answer
  }

  #begin(key: string, work: () => Promise<unknown>): Waiting {
    const one = {answer: work(), askedAtMs: performance.now()}
    // Its failure may have nobody to hear of it for a while.
    one.answer.catch(() => undefined)
    this.#waiting.set(key, one)
    return one
  }
}

async function settled(answer: Promise<unknown>): Promise<'settled'> {
  await answer.catch(() => undefined)
  return 'settled'
}
