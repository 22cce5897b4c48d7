import {describe, expect, test} from 'vitest'
import {planRebalance} from '../../src/lib/plan/rebalance.ts'
import {
  buildTopology,
  type ClusterWords,
  describeMoves,
  nodeId,
  nodeName,
  startedIn,
} from '../support/topology-builder.ts'

const THREE = {primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}, replicas: {R: 'A'}} as const

interface Wish {
  readonly weights?: Readonly<Record<string, number>>
  readonly threshold?: number
  readonly useEmpty?: boolean
}

function plan(words: ClusterWords, {weights = {}, threshold = 2, useEmpty = false}: Wish = {}) {
  const topology = buildTopology(words)
  return planRebalance(topology, {
    weights: new Map(Object.entries(weights).map(([name, weight]) => [nodeId(name), weight])),
    thresholdPercent: threshold,
    useEmpty,
    started: startedIn(topology),
  })
}

/** "A 5461 B 5462": who has how many afterwards. */
const after = (words: ClusterWords, wish: Wish): string =>
  plan(words, wish)
    .primaries.map(({id, slotsAfter}) => `${nodeName(id)} ${slotsAfter}`)
    .join(' ')

test.each<{name: string; words: ClusterWords; wish: Wish; gives: string; moves: number}>([
  {name: 'an even cluster stays as it is', words: THREE, wish: {threshold: 0}, gives: 'A 5461 B 5462 C 5461', moves: 0},
  {
    name: 'a primary without slots takes no part',
    words: {primaries: {...THREE.primaries, D: ''}},
    wish: {threshold: 0},
    gives: 'A 5461 B 5462 C 5461 D 0',
    moves: 0,
  },
  {
    name: 'unless asked for',
    words: {primaries: {...THREE.primaries, D: ''}},
    wish: {useEmpty: true},
    gives: 'A 4096 B 4096 C 4096 D 4096',
    moves: 4096,
  },
  {
    name: 'or given a weight',
    words: {primaries: {...THREE.primaries, D: '', E: ''}},
    wish: {weights: {D: 1}},
    gives: 'A 4096 B 4096 C 4096 D 4096 E 0',
    moves: 4096,
  },
  {
    name: 'weight 0 keeps an empty one empty',
    words: {primaries: {...THREE.primaries, D: ''}},
    wish: {weights: {D: 0}, useEmpty: true, threshold: 0},
    gives: 'A 5461 B 5462 C 5461 D 0',
    moves: 0,
  },
  {name: 'weight 0 empties', words: THREE, wish: {weights: {B: 0}}, gives: 'A 8192 B 0 C 8192', moves: 5462},
  {name: 'weights are proportions', words: THREE, wish: {weights: {A: 2}}, gives: 'A 8192 B 4096 C 4096', moves: 2731},
  {
    name: 'weights below 1',
    words: THREE,
    wish: {weights: {A: 0.5, B: 0.25, C: 0.25}},
    gives: 'A 8192 B 4096 C 4096',
    moves: 2731,
  },
  {
    name: 'weights as large as numbers go',
    words: THREE,
    wish: {weights: {A: 1e308, B: 1e308, C: 0}},
    gives: 'A 8192 B 8192 C 0',
    moves: 5461,
  },
  {
    name: 'the odd slot stays with whoever has it',
    words: {primaries: {A: '0-5460', B: '5461-10921', C: '10922-16383'}},
    wish: {threshold: 0},
    gives: 'A 5461 B 5461 C 5462',
    moves: 0,
  },
  {
    name: 'three primaries become six',
    words: {primaries: {...THREE.primaries, D: '', E: '', F: ''}},
    wish: {useEmpty: true},
    gives: 'A 2731 B 2731 C 2731 D 2731 E 2730 F 2730',
    moves: 8191,
  },
  {name: 'one primary', words: {primaries: {A: '0-16383'}}, wish: {threshold: 0}, gives: 'A 16384', moves: 0},
])('$name', ({words, wish, gives, moves}) => {
  expect(after(words, wish)).toBe(gives)
  expect(plan(words, wish).moves).toHaveLength(moves)
})

describe('threshold', () => {
  // 8192 each; A has 8300, so its share is 1.3 % less than what it has.
  const words = {primaries: {A: '0-8299', B: '8300-16383'}}
  test.each([
    {name: 'nothing moves while all are within it', threshold: 2, moves: 0},
    {name: 'the bound itself is within', threshold: 100 * (1 - 8192 / 8300) + 0.05, moves: 0},
    {name: 'one outside, and all are evened out exactly', threshold: 1, moves: 108},
    {name: '0 means exact', threshold: 0, moves: 108},
  ])('$name', ({threshold, moves}) => {
    expect(plan(words, {threshold}).moves).toHaveLength(moves)
  })

  test('an empty primary that takes part is never within it', () => {
    expect(plan({primaries: {A: '0-16383', B: ''}}, {threshold: 100, useEmpty: true}).moves).toHaveLength(8192)
  })

  test('weight 0 is emptied whatever the threshold', () => {
    expect(plan({primaries: {A: '0-16382', B: '16383'}}, {threshold: 100, weights: {B: 0}}).moves).toHaveLength(1)
  })
})

test('a surplus that is just a deficit makes one pair, and whole runs travel', () => {
  const {moves} = plan({primaries: {...THREE.primaries, D: '', E: '', F: ''}}, {useEmpty: true})
  expect(describeMoves(moves)).toEqual(['A>E 2731-5460', 'B>D 8192-10922', 'C>F 13654-16383'])
})

describe('slots that an earlier run left open', () => {
  const open = [{slots: '100', from: 'A', to: 'B'}]

  test('are finished, whatever the threshold says', () => {
    expect(describeMoves(plan({...THREE, open}, {threshold: 50}).moves)).toEqual(['A>B 100'])
  })

  test('are counted where they go', () => {
    const words = {primaries: {A: '0-8192', B: '8193-16383'}, open}
    expect(describeMoves(plan(words, {threshold: 0}).moves)).toEqual(['A>B 100'])
  })

  test('make a primary without slots take part', () => {
    const words = {primaries: {A: '0-16383', B: ''}, open}
    expect(after(words, {})).toBe('A 8192 B 8192')
  })

  test('reach a primary that is to be emptied, which is said; the second run empties it', () => {
    const {moves, primaries, warnings} = plan({...THREE, open}, {weights: {B: 0}})
    expect(moves.filter(({slot}) => slot === 100)).toEqual([{slot: 100, from: nodeId('A'), to: nodeId('B')}])
    expect(primaries.map(({slotsAfter}) => slotsAfter)).toEqual([8192, 1, 8191])
    expect(warnings).toEqual([
      'Slots that are on their way already are finished first: run this again to bring every primary to its share.',
    ])
  })
})

test.each<{name: string; weights: Record<string, number>; says: string}>([
  {
    name: 'all weights 0',
    weights: {A: 0, B: 0, C: 0},
    says: 'all weights are 0: no primary would be left to take the slots',
  },
  {name: 'a negative weight', weights: {A: -1}, says: '-1 is no weight for 10.0.0.1:7000 (41000000): 0 or more'},
  {
    name: 'an infinite weight',
    weights: {A: Number.POSITIVE_INFINITY},
    says: 'Infinity is no weight for 10.0.0.1:7000 (41000000): 0 or more',
  },
  {name: 'no number', weights: {A: Number.NaN}, says: 'NaN is no weight for 10.0.0.1:7000 (41000000): 0 or more'},
  {name: 'a replica', weights: {R: 1}, says: '10.0.0.1:7003 (52000000) is a replica and cannot have a weight'},
])('$name is a usage error', ({weights, says}) => {
  expect(() => plan(THREE, {weights})).toThrow(expect.objectContaining({code: 'E_USAGE', message: says}))
})
