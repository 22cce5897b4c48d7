import {expect, test} from 'vitest'
import {outlookOf} from '../../src/lib/plan/outlook.ts'
import type {BigKey, MovePlan, PlannedLoad} from '../../src/lib/plan/plan.ts'
import {idOf} from '../topology/cluster-views.ts'

const [A, B, C] = [idOf('a'), idOf('b'), idOf('c')]
const NOTHING = {estimate: undefined, lossReason: undefined, started: new Set<number>()}

function planOf(kind: MovePlan['kind'], more: Partial<MovePlan> = {}): MovePlan {
  return {
    version: 1,
    kind,
    fingerprint: 'f',
    moves: [
      {slot: 1, from: A, to: B},
      {slot: 2, from: A, to: B},
      {slot: 9, from: C, to: B},
    ],
    primaries: [
      {id: A, address: 'a:1', slotsBefore: 6, slotsAfter: 4},
      {id: B, address: 'b:1', slotsBefore: 1, slotsAfter: 4},
      {id: C, address: 'c:1', slotsBefore: 1, slotsAfter: 0},
      {id: idOf('d'), address: 'd:1', slotsBefore: 0, slotsAfter: 0},
    ],
    movers: [],
    warnings: [],
    ...more,
  }
}

const bigKey = (stallMs: number): BigKey => ({
  slot: 1,
  from: A,
  to: B,
  database: 0,
  keyHex: '61',
  bytes: 1e9,
  stallMs,
})
const withBigKey = (stallMs: number): Partial<MovePlan> => ({
  bigKeys: {
    thresholdBytes: 1e6,
    keys: [bigKey(stallMs)],
    left: [],
    keysLookedAt: 1,
    keysThere: 1,
    isComplete: true,
    mayHideOthers: false,
  },
})

test('a move is safe, unless a big key holds a node up or a target evicts', () => {
  expect(outlookOf(planOf('reshard'), NOTHING).risk.class).toBe('safe')
  expect(outlookOf(planOf('reshard', withBigKey(499)), NOTHING).risk.class).toBe('safe')
  expect(outlookOf(planOf('reshard', withBigKey(500)), NOTHING).risk.class).toBe('disruptive')
  expect(outlookOf(planOf('reshard', withBigKey(500)), {...NOTHING, lossReason: 'b:1 will evict keys'}).risk).toEqual({
    class: 'data-loss',
    why: 'b:1 will evict keys',
  })
})

test('what is not done: emptied primaries stay, empty ones are passed over by rebalance', () => {
  expect(outlookOf(planOf('rebalance'), NOTHING).notDone).toEqual([
    'c:1 stays a member without slots: del-node removes it.',
    'd:1 gets no slots: --use-empty or a weight gives it some.',
  ])
  expect(outlookOf(planOf('reshard'), NOTHING).notDone).toEqual([
    'c:1 stays a member without slots: del-node removes it.',
  ])
  // It is removed by the same command.
  expect(outlookOf(planOf('evacuate'), NOTHING).notDone).toEqual([])
})

test('by load, each end is told in parts of its share', () => {
  const primary = (id: string, before: number, after: number, share = 40) => ({id, share, before, after})
  const load: PlannedLoad = {
    by: 'memory',
    unit: 'bytes',
    sources: ['measured'],
    total: 80,
    primaries: [primary(A, 60, 40), primary(B, 10, 40), primary(C, 10, 0, 0)],
    slots: [],
    imbalancePercent: {before: 75, after: 0, least: 0},
    cost: {unit: 'bytes', moved: 30, least: 30},
    ranges: {before: 4, after: 3},
    hotSlots: [],
  }
  expect(outlookOf(planOf('rebalance', {load}), NOTHING).reasons.map(({why}) => why)).toEqual([
    'a:1 bears 150 % of its share, b:1 bears 25 % of its share',
    'c:1 is to bear nothing, b:1 bears 25 % of its share',
  ])
  const tidy = {...load, primaries: [primary(A, 40, 40), primary(B, 40, 40), primary(C, 0, 0, 0)]}
  expect(outlookOf(planOf('rebalance', {load: tidy}), NOTHING).reasons[0]?.why).toContain('lie together')
})

test('every pair has its reason', () => {
  expect(outlookOf(planOf('rebalance'), NOTHING).reasons).toEqual([
    {from: A, to: B, slots: 2, why: 'a:1 has 6, its share is 4; b:1 has 1, its share is 4'},
    {from: C, to: B, slots: 1, why: 'c:1 has 1, its share is 0; b:1 has 1, its share is 4'},
  ])
  expect(outlookOf(planOf('reshard'), NOTHING).reasons.map(({why}) => why)).toEqual(['asked for', 'asked for'])
  const begun = {...NOTHING, started: new Set([2, 9])}
  expect(outlookOf(planOf('reshard'), begun).reasons.map(({why}) => why)).toEqual([
    'asked for; 1 of them: an earlier run has begun with them',
    'an earlier run has begun with them',
  ])
})
