import {expect, test} from 'vitest'
import {movesToQuotas} from '../../src/lib/plan/even-out.ts'
import {parseRanges, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'
import {describeMoves, nodeId} from '../support/topology-builder.ts'

test.each<{name: string; own: Record<string, string>; quotas: Record<string, number>; gives: string[]}>([
  {
    name: 'a surplus that is just a deficit makes one pair instead of two',
    own: {A: '0-105', B: '200-304', C: '', D: '', E: ''},
    quotas: {A: 100, B: 100, C: 5, D: 3, E: 3},
    gives: ['A>D 100-102', 'A>E 103-105', 'B>C 300-304'],
  },
  {
    name: 'otherwise the largest surplus goes to the largest deficit first',
    own: {A: '0-9', B: '10-29', C: '', D: ''},
    quotas: {A: 4, B: 5, C: 8, D: 13},
    gives: ['A>C 4-9', 'B>D 15-27', 'B>C 28-29'],
  },
  {
    name: 'equal ones in the order of their IDs',
    own: {B: '0-3', A: '4-7', D: '', C: ''},
    quotas: {B: 2, A: 2, D: 2, C: 2},
    gives: ['B>D 2-3', 'A>C 6-7'],
  },
  {
    name: 'a quota that is met moves nothing',
    own: {A: '0-9'},
    quotas: {A: 10},
    gives: [],
  },
])('$name', ({own, quotas, gives}) => {
  const slots = new Map(Object.entries(own).map(([name, text]) => [nodeId(name), slotsInRanges(parseRanges(text))]))
  const wanted = new Map(Object.entries(quotas).map(([name, quota]) => [nodeId(name), quota]))
  const moves = movesToQuotas(slots, wanted, slots)
  expect(describeMoves(moves.toSorted((a, b) => a.slot - b.slot))).toEqual(gives)
})
