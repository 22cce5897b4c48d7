import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {keySlot, tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {
  countSlots,
  formatRanges,
  formatSlots,
  parseRanges,
  rangesFromSlots,
  slotsInRanges,
} from '../../src/lib/slots/slot-ranges.ts'

const slots = fc.uniqueArray(fc.integer({min: 0, max: 16383}), {maxLength: 300})

describe('sets of slots', () => {
  it('survive being written and read', () => {
    fc.assert(
      fc.property(slots, (set) => {
        const ranges = rangesFromSlots(set)
        expect(slotsInRanges(ranges)).toEqual([...set].sort((a, b) => a - b))
        expect(parseRanges(formatRanges(ranges))).toEqual(ranges)
        expect(countSlots(ranges)).toBe(set.length)
      }),
    )
  })

  it('join what is adjacent', () => {
    expect(formatSlots([3, 1, 2, 7, 5, 2])).toBe('1-3,5,7')
    expect(formatSlots([])).toBe('')
  })

  it.each(['16384', '5-3', '-1', 'abc', '1-2-3', '0-16384', '1.5'])('refuse %s, naming it', (text) => {
    expect(() => parseRanges(`0,${text}`)).toThrow(`"${text}"`)
  })
})

describe('the slot of a key', () => {
  it('follows the specification', () => {
    expect(keySlot('123456789')).toBe(0x31c3)
    expect(keySlot('{user1000}.following')).toBe(keySlot('{user1000}.followers'))
    expect(keySlot('foo{}{bar}')).toBe(keySlot(Buffer.from('foo{}{bar}')))
  })

  it('has a tag for every slot', () => {
    for (const slot of [0, 1, 866, 8191, 16383]) expect(keySlot(`{${tagForSlot(slot)}}x`)).toBe(slot)
  })
})
