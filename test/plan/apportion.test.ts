import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {apportion} from '../../src/lib/plan/apportion.ts'

const parts = (total: number, weights: Partial<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(apportion(total, new Map(Object.entries(weights as Record<string, number>))))

test.each([
  {name: 'equal weights', total: 9, weights: {a: 1, b: 1, c: 1}, gives: {a: 3, b: 3, c: 3}},
  {
    name: 'what is left over goes to the largest remainder',
    total: 10,
    weights: {a: 2, b: 3, c: 1},
    gives: {a: 3, b: 5, c: 2},
  },
  {
    name: 'equal remainders go to the smaller key',
    total: 16384,
    weights: {c: 1, b: 1, a: 1},
    gives: {a: 5462, b: 5461, c: 5461},
  },
  {name: 'weight 0 gets nothing', total: 5, weights: {a: 0, b: 1, c: 1}, gives: {a: 0, b: 3, c: 2}},
  {name: 'nothing to share', total: 0, weights: {a: 1, b: 2}, gives: {a: 0, b: 0}},
  {
    name: 'weights near the end of the range of numbers',
    total: 4,
    weights: {a: Number.MAX_VALUE, b: Number.MAX_VALUE},
    gives: {a: 2, b: 2},
  },
  {name: 'weights near zero', total: 4, weights: {a: 5e-324, b: 5e-324}, gives: {a: 2, b: 2}},
])('$name', ({total, weights, gives}) => {
  expect(parts(total, weights)).toEqual(gives)
})

test.each([
  {name: 'all weights 0', weights: {a: 0}},
  {name: 'no weights', weights: {}},
  {name: 'a negative weight', weights: {a: 1, b: -1}},
  {name: 'a weight that is no number', weights: {a: Number.NaN}},
  {name: 'an infinite weight', weights: {a: Number.POSITIVE_INFINITY}},
])('$name is an error', ({weights}) => {
  expect(() => parts(1, weights)).toThrow(RangeError)
})

describe('for any weights', () => {
  const weights = fc
    .dictionary(
      fc.string({minLength: 1, maxLength: 4}),
      fc.oneof(fc.nat(20_000), fc.constant(0), fc.double({min: 0, noNaN: true, noDefaultInfinity: true})),
      {minKeys: 1, maxKeys: 40},
    )
    .filter((record) => Object.values(record).some((weight) => weight > 0))
  const totals = fc.nat(16_384)

  test('the parts add up to the whole', () => {
    fc.assert(
      fc.property(totals, weights, (total, record) => {
        const sum = [...apportion(total, new Map(Object.entries(record))).values()].reduce((all, part) => all + part, 0)
        expect(sum).toBe(total)
      }),
    )
  })

  test('weight 0 gets 0, and no part is a whole one away from its exact share', () => {
    fc.assert(
      fc.property(totals, weights, (total, record) => {
        const largest = Math.max(...Object.values(record))
        const sum = Object.values(record).reduce((all, weight) => all + weight / largest, 0)
        for (const [key, part] of apportion(total, new Map(Object.entries(record)))) {
          const weight = record[key] ?? 0
          if (weight === 0) expect(part).toBe(0)
          expect(Number.isInteger(part)).toBe(true)
          expect(Math.abs(part - (total * (weight / largest)) / sum)).toBeLessThan(1 + 1e-6)
        }
      }),
    )
  })

  test('the order of the weights does not matter', () => {
    fc.assert(
      fc.property(
        totals,
        fc.dictionary(fc.string({minLength: 1}), fc.constantFrom(0.1, 0.2, 0.3, 0.7, 1, 3, 7, 1e17), {minKeys: 1}),
        (total, record) => {
          const entries = Object.entries(record)
          expect(apportion(total, new Map(entries))).toEqual(apportion(total, new Map(entries.toReversed())))
        },
      ),
    )
  })
})
