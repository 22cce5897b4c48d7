import {expect, test} from 'vitest'
import {pickSlots} from '../../src/lib/plan/pick-slots.ts'
import {formatSlots, parseRanges, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'

const slotsIn = (text: string): number[] => slotsInRanges(parseRanges(text))

test.each([
  {name: 'one range is cut at its upper end', own: '0-99', count: 10, takers: '', gives: '90-99'},
  {name: 'a small range goes whole', own: '0-99,200-209', count: 10, takers: '', gives: '200-209'},
  {
    name: 'small ranges first, then the end of a large one',
    own: '0-99,200-204,300',
    count: 10,
    takers: '',
    gives: '96-99,200-204,300',
  },
  {
    name: 'no range that is too large is cut while a whole one fits',
    own: '0-9,20-24,40-59',
    count: 15,
    takers: '',
    gives: '0-9,20-24',
  },
  {
    name: 'the cut is on the side where the taker lies: below',
    own: '100-199',
    count: 5,
    takers: '0-99',
    gives: '100-104',
  },
  {
    name: 'the cut is on the side where the taker lies: above',
    own: '100-199',
    count: 5,
    takers: '200-299',
    gives: '195-199',
  },
  {
    name: 'a range beside the taker is cut rather than one apart',
    own: '0-49,100-199',
    count: 5,
    takers: '200',
    gives: '195-199',
  },
  {
    name: 'of equal ranges the one beside the taker goes',
    own: '0-4,50-54,90-94',
    count: 5,
    takers: '49',
    gives: '50-54',
  },
  {
    name: 'between two ranges of the taker, the upper end',
    own: '100-199',
    count: 5,
    takers: '99,200',
    gives: '195-199',
  },
  {name: 'the ends of the slot space have no neighbour', own: '0-16383', count: 1, takers: '', gives: '16383'},
  {name: 'all', own: '0-3,9', count: 5, takers: '', gives: '0-3,9'},
  {name: 'none', own: '0-3', count: 0, takers: '4', gives: ''},
])('$name', ({own, count, takers, gives}) => {
  const isTakers = new Set(slotsIn(takers))
  expect(formatSlots(pickSlots(slotsIn(own), count, (slot) => isTakers.has(slot)))).toBe(gives)
})
