import fc from 'fast-check'
import {expect, test} from 'vitest'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {slotBars} from '../../src/lib/render/slot-bars.ts'

const change = (slotsBefore: number, slotsAfter: number) => ({id: 'x', address: 'x:1', slotsBefore, slotsAfter})

test('what stays, what comes and what goes, to one scale', () => {
  expect(slotBars([change(8000, 4000), change(4000, 8000), change(384, 384), change(0, 0)], 20, PLAIN_STYLE)).toEqual([
    '##########----------',
    '##########++++++++++',
    '#',
    '',
  ])
  expect(slotBars([change(8, 4)], 4, {...PLAIN_STYLE, isUnicode: true})).toEqual(['██░░'])
})

test('a bar keeps to its width, and whatever is not nothing is seen', () => {
  const slots = fc.integer({min: 0, max: 16_384})
  fc.assert(
    fc.property(
      fc.array(fc.tuple(slots, slots), {minLength: 1, maxLength: 9}),
      fc.integer({min: 8, max: 24}),
      (all, width) => {
        const bars = slotBars(
          all.map(([before, after]) => change(before, after)),
          width,
          PLAIN_STYLE,
        )
        for (const [index, [before, after]] of all.entries()) {
          const bar = bars[index] ?? ''
          expect(bar.length).toBeLessThanOrEqual(Math.max(width, 2))
          expect(bar.includes('#')).toBe(Math.min(before, after) > 0)
          expect(bar.includes('+')).toBe(after > before)
          expect(bar.includes('-')).toBe(after < before)
        }
      },
    ),
  )
})
