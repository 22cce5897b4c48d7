/** What does a round do? One seed decides it all: what is drawn in the same order is the same in every run. */
import {randomNumbers} from '../support/live-load.ts'

export class Random {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = randomNumbers(seed)
  }

  /** `least` up to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1))
  }

  isHit(probability: number): boolean {
    return this.#next() < probability
  }

  /** @throws RangeError when there is nothing to pick from. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('nothing to pick from')
    return items[this.whole(0, items.length - 1)] as T
  }
}
