import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {areAlike, planBatches, sampleIndexes} from '../../src/lib/engine/batches.ts'

const limits = {maxKeys: 100, maxBytes: 64 * 1024}

describe('batches of keys', () => {
  it('keep every key once and in order, and stay within the limits', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({min: 0, max: 200_000}), {maxLength: 500}), (sizes) => {
        const keys = sizes.map((_, index) => Buffer.from(`k${index}`))
        const batches = planBatches(keys, sizes, limits)
        expect(batches.flatMap((batch) => batch.keys)).toEqual(keys)
        for (const batch of batches) {
          expect(batch.keys.length).toBeGreaterThan(0)
          expect(batch.keys.length).toBeLessThanOrEqual(limits.maxKeys)
          expect(batch.bytes <= limits.maxBytes || batch.keys.length === 1).toBe(true)
        }
      }),
    )
  })

  it('let a big key travel alone', () => {
    const keys = ['a', 'big', 'b'].map((name) => Buffer.from(name))
    const batches = planBatches(keys, [10, 1_000_000, 10], limits)
    expect(batches.map((batch) => batch.keys.map(String))).toEqual([['a'], ['big'], ['b']])
  })
})

describe('measuring keys', () => {
  it('picks distinct keys spread over the whole list', () => {
    fc.assert(
      fc.property(fc.integer({min: 0, max: 5000}), (count) => {
        const picks = sampleIndexes(count)
        expect(new Set(picks).size).toBe(Math.min(count, 10))
        expect(picks.every((index) => index >= 0 && index < count)).toBe(true)
      }),
    )
  })

  it('trusts the mean of sizes that are alike, and no other', () => {
    expect(areAlike([])).toBe(true)
    expect(areAlike([100, 120, 90])).toBe(true)
    expect(areAlike([...new Array<number>(20).fill(100), 1_000_000])).toBe(false)
  })
})
