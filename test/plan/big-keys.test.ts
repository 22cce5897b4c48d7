import {describe, expect, test} from 'vitest'
import {BIG_KEY_BYTES, byStall, expectedStallMs, withBigKeys} from '../../src/lib/plan/big-keys.ts'
import {buildMovePlan} from '../../src/lib/plan/move-plan.ts'
import type {BigKey, BigKeySurvey} from '../../src/lib/plan/plan.ts'
import {HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const topology = topologyOf(HEALTHY)
const [a, b, c] = [idOf('a'), idOf('b'), idOf('c')]
const moves = [
  {slot: 1, from: a, to: c},
  {slot: 2, from: a, to: c},
  {slot: 5461, from: b, to: c},
]
const planned = {
  ...buildMovePlan(topology, 'reshard', moves, ['said before']),
  movers: [
    {from: a, to: c, mover: 'migrate' as const},
    {from: b, to: c, mover: 'migrate' as const},
  ],
}

function big(slot: number, mebibytes: number, from = a): BigKey {
  const bytes = mebibytes * 2 ** 20
  return {slot, from, to: c, database: 0, keyHex: '6b', bytes, stallMs: expectedStallMs(bytes)}
}

function survey(keys: readonly BigKey[], more: Partial<BigKeySurvey> = {}): BigKeySurvey {
  return {
    thresholdBytes: BIG_KEY_BYTES,
    keys,
    left: [],
    keysLookedAt: 9,
    keysThere: 9,
    isComplete: true,
    mayHideOthers: false,
    ...more,
  }
}

describe('the stall of a key', () => {
  test('grows with its size, and depends on its type', () => {
    const size = 50 * 2 ** 20
    expect(expectedStallMs(size, 'string')).toBeLessThan(expectedStallMs(size, 'set'))
    expect(expectedStallMs(size, 'set')).toBeLessThan(expectedStallMs(size, 'hash'))
    expect(expectedStallMs(2 * size, 'list')).toBe(2 * expectedStallMs(size, 'list'))
  })

  test('is that of the slowest type where the type is not known', () => {
    const size = 10 * 2 ** 20
    for (const type of ['string', 'list', 'set', 'zset', 'hash', 'stream']) {
      expect(expectedStallMs(size)).toBeGreaterThanOrEqual(expectedStallMs(size, type))
    }
    expect(expectedStallMs(size, 'MBbloom--')).toBe(expectedStallMs(size))
  })

  test('the longest comes first, then by slot', () => {
    expect([big(3, 5), big(2, 9), big(1, 5)].sort(byStall).map(({slot}) => slot)).toEqual([2, 1, 3])
  })
})

describe('a plan and what a survey found', () => {
  test('all slots move unless they are to be skipped', () => {
    const plan = withBigKeys(topology, planned, survey([big(2, 8)]), {isSkipping: false})
    expect(plan.moves).toEqual(moves)
    expect(plan.bigKeys?.keys.map(({slot}) => slot)).toEqual([2])
    expect(plan.bigKeys?.left).toEqual([])
    expect(plan.warnings).toEqual(['said before'])
  })

  test('skipped slots stay, with what follows from that for the primaries and the pairs', () => {
    const plan = withBigKeys(topology, planned, survey([big(5461, 9, b), big(2, 8)]), {isSkipping: true})
    expect(plan.moves).toEqual([moves[0]])
    expect(plan.bigKeys?.keys).toEqual([])
    expect(plan.bigKeys?.left.map(({slot}) => slot)).toEqual([5461, 2])
    expect(plan.movers.map(({from}) => from)).toEqual([a])
    expect(plan.fingerprint).toBe(planned.fingerprint)
    const change = (id: string): number => {
      const primary = plan.primaries.find((one) => one.id === id)
      return (primary?.slotsAfter ?? 0) - (primary?.slotsBefore ?? 0)
    }
    expect([change(a), change(b), change(c)]).toEqual([-1, 0, 1])
  })

  test('two big keys of one slot: it stays once', () => {
    const plan = withBigKeys(topology, planned, survey([big(2, 9), big(2, 8)]), {isSkipping: true})
    expect(plan.moves.map(({slot}) => slot)).toEqual([1, 5461])
    expect(plan.bigKeys?.left).toHaveLength(2)
  })

  test('a slot that is open already goes on its way', () => {
    const open = topologyOf({...HEALTHY, a: {...HEALTHY['a'], migrating: {2: 'c'}}})
    expect(open.openSlots.map(({slot}) => slot)).toEqual([2])
    const plan = withBigKeys(open, planned, survey([big(2, 9), big(1, 8)]), {isSkipping: true})
    expect(plan.moves.map(({slot}) => slot)).toEqual([2, 5461])
    expect(plan.bigKeys?.keys.map(({slot}) => slot)).toEqual([2])
  })

  test.each([
    {name: 'just below half', nodeTimeoutMs: 1200, warns: false},
    {name: 'above half', nodeTimeoutMs: 700, warns: true},
    {name: 'not told', nodeTimeoutMs: undefined, warns: false},
  ])('a stall $name of cluster-node-timeout', ({nodeTimeoutMs, warns}) => {
    const keys = [big(2, 10)]
    expect(keys[0]?.stallMs).toBe(400)
    const {warnings} = withBigKeys(topology, planned, survey(keys, {nodeTimeoutMs}), {isSkipping: false})
    expect(warnings.filter((text) => text.includes('cluster-node-timeout'))).toHaveLength(warns ? 1 : 0)
    const skipped = withBigKeys(topology, planned, survey(keys, {nodeTimeoutMs}), {isSkipping: true})
    expect(skipped.warnings).toEqual(['said before'])
  })

  test('skipping says where it could not look', () => {
    const partly = survey([], {isComplete: false, mayHideOthers: true})
    expect(withBigKeys(topology, planned, partly, {isSkipping: true}).warnings.join()).toContain('not every key')
    expect(withBigKeys(topology, planned, partly, {isSkipping: false}).warnings).toEqual(['said before'])
  })
})
