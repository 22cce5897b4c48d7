/** What redis-cli would choose. test/journeys/drop-in-moves-genuine.test.ts asks the genuine one. */
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {planRebalanceAsRedisCli} from '../../../src/lib/plan/redis-cli/rebalance.ts'
import {planReshardAsRedisCli} from '../../../src/lib/plan/redis-cli/reshard.ts'
import {SLOT_COUNT} from '../../../src/lib/slots/slot.ts'
import {formatSlots} from '../../../src/lib/slots/slot-ranges.ts'
import {primaries} from '../../../src/lib/topology/queries.ts'
import {afterMoves, buildTopology, type ClusterWords, nodeId, nodeName} from '../../support/topology-builder.ts'
import {countsOf, scenes} from '../arbitrary-cluster.ts'

const THREE: ClusterWords = {primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}, replicas: {R: 'A'}}
const FOUR: ClusterWords = {primaries: {A: '5-5460', B: '0-4,5461-10927', C: '10928-16383', D: ''}}
const SEVEN: ClusterWords = {
  primaries: {
    A: '0-2340',
    B: '2341-4680',
    C: '4681-7021',
    D: '7022-9361',
    E: '9362-11702',
    F: '11703-14042',
    G: '14043-16383',
    H: '',
  },
}

describe('reshard', () => {
  const plan = (words: ClusterWords, from: readonly string[], to: string, count: number) =>
    planReshardAsRedisCli(buildTopology(words), {from: from.map(nodeId), to: nodeId(to), count})
  const tell = (...wish: Parameters<typeof plan>): string[] =>
    plan(...wish).given.map(({from, slots}) => `${nodeName(from)} ${formatSlots(slots)}`)

  test.each<{name: string; wish: Parameters<typeof plan>; gives: string[]}>([
    {name: 'one slot is the lowest of its source', wish: [THREE, ['C'], 'A', 1], gives: ['C 10923']},
    {
      name: 'one slot of several sources comes from the one with most',
      wish: [FOUR, ['A', 'B'], 'C', 1],
      gives: ['B 0'],
    },
    {name: 'the lowest slots of one source', wish: [FOUR, ['B'], 'A', 7], gives: ['B 0-4,5461-5462']},
    {
      name: 'the source with most gives first, and its share is rounded up',
      wish: [{primaries: {A: '4-5460', B: '0-3,5461-10924', C: '10925-16383'}}, ['A', 'C'], 'B', 4],
      gives: ['C 10925-10927', 'A 4'],
    },
    {
      name: 'sources of one size give in the order named',
      wish: [THREE, ['C', 'A'], 'B', 3],
      gives: ['C 10923-10924', 'A 0'],
    },
    {name: 'a source named twice is one', wish: [THREE, ['A', 'A'], 'B', 2], gives: ['A 0-1']},
    {name: 'one without slots gives none', wish: [FOUR, ['D', 'B'], 'A', 2], gives: ['B 0-1']},
    {
      name: 'unlike there, where rounding down loses 2 of 10, all 10 are planned',
      wish: [SEVEN, ['A', 'B', 'C', 'D', 'E', 'F', 'G'], 'H', 10],
      gives: ['A 0-1', 'C 4681-4682', 'E 9362-9363', 'G 14043', 'B 2341', 'D 7022', 'F 11703'],
    },
    {name: 'all that there is, where more was asked for', wish: [FOUR, ['B'], 'A', 9000], gives: ['B 0-4,5461-10927']},
  ])('$name', ({wish, gives}) => {
    expect(tell(...wish)).toEqual(gives)
  })

  test('a shortfall is a warning', () => {
    expect(plan(FOUR, ['B'], 'A', 9000).plan.warnings).toEqual([
      '9000 slots were asked for, but the sources have only 5472.',
    ])
    expect(plan(FOUR, ['B'], 'A', 5472).plan.warnings).toEqual([])
  })

  test('sources without a slot are refused', () => {
    expect(() => plan(FOUR, ['D'], 'A', 1)).toThrow('10.0.0.1:7003 (44000000) has no slots to give')
  })

  test('exactly the number asked for, the lowest of each source, in proportion to what it has', () => {
    fc.assert(
      fc.property(scenes(), fc.integer({min: 1, max: SLOT_COUNT}), ({topology}, count) => {
        const [target, ...sources] = primaries(topology).map(({id}) => id)
        const before = countsOf(topology)
        const total = sources.reduce((sum, id) => sum + before.get(id)!, 0)
        fc.pre(total > 0)
        const {plan: made, given} = planReshardAsRedisCli(topology, {from: sources, to: target!, count})
        expect(made.moves).toHaveLength(Math.min(count, total))
        for (const {from, slots} of given) {
          const own = [...topology.owners.keys()].filter((slot) => topology.owners[slot] === from)
          expect(slots).toEqual(own.slice(0, slots.length))
          const share = (Math.min(count, total) * own.length) / total
          expect(Math.abs(slots.length - share)).toBeLessThan(sources.length)
        }
      }),
      {numRuns: 40},
    )
  })
})

describe('rebalance', () => {
  interface Wish {
    readonly weights?: Readonly<Record<string, number>>
    readonly threshold?: number
    readonly useEmpty?: boolean
  }
  const plan = (words: ClusterWords, {weights = {}, threshold = 2, useEmpty = false}: Wish = {}) =>
    planRebalanceAsRedisCli(buildTopology(words), {
      weights: new Map(Object.entries(weights).map(([name, weight]) => [nodeId(name), weight])),
      thresholdPercent: threshold,
      useEmpty,
    })
  const tell = (...wish: Parameters<typeof plan>): string[] => {
    const {isNeeded, transfers} = plan(...wish)
    if (!isNeeded) return ['not needed']
    return transfers.map(({from, to, slots}) => `${slots.length} ${nodeName(from)}>${nodeName(to)}`)
  }

  test.each<{name: string; words: ClusterWords; wish?: Wish; gives: string[]}>([
    {name: 'nothing, within the threshold', words: FOUR, gives: ['not needed']},
    {name: 'a threshold of 0 means never', words: FOUR, wish: {threshold: 0, useEmpty: true}, gives: ['not needed']},
    {
      name: 'an empty primary takes part when asked, the greatest surplus first, then the last of equals',
      words: FOUR,
      wish: {useEmpty: true},
      gives: ['1376 B>D', '1360 C>D', '1360 A>D'],
    },
    {
      name: 'weight 0 gives all it has',
      words: FOUR,
      wish: {weights: {C: 0, D: 2}, useEmpty: true},
      gives: ['5456 C>D', '1376 B>D', '1360 A>D'],
    },
    {
      name: 'equal deficits are served in the order of the nodes, the seed first',
      words: {primaries: {A: '0-3999', B: '4000-7999', C: '8000-16383'}},
      gives: ['1462 C>A', '1461 C>B'],
    },
    {
      name: 'weights',
      words: {primaries: {A: '0-5461', C: '10925-16383', B: '5462-10924'}},
      wish: {weights: {A: 1.1, B: 0.9}},
      gives: ['546 B>A', '2 B>C'],
    },
    {name: 'the weight of a replica has no effect', words: THREE, wish: {weights: {R: 7}}, gives: ['not needed']},
    {
      name: 'unlike there, weight 0 never gains',
      words: {primaries: {Z: '', A: '0-9999', B: '10000-16383', C: ''}},
      wish: {weights: {Z: 0}, useEmpty: true},
      gives: ['4539 A>C', '923 B>C'],
    },
  ])('$name', ({words, wish, gives}) => {
    expect(tell(words, wish)).toEqual(gives)
  })

  test('a giver parts with its lowest slots first', () => {
    const {transfers} = plan({primaries: {A: '0-3999', B: '4000-7999', C: '8000-16383'}})
    expect(transfers.map(({slots}) => formatSlots(slots))).toEqual(['8000-9461', '9462-10922'])
  })

  test('all weights 0 are refused', () => {
    expect(() => plan(THREE, {weights: {A: 0, B: 0, C: 0}})).toThrow('all weights are 0')
  })

  test('ends with every primary within one round of its share, no slot moved twice, and is then content', () => {
    const weightChoice = fc.array(fc.constantFrom(0, 0.5, 1, 1, 3), {minLength: 8, maxLength: 8})
    fc.assert(
      fc.property(scenes(), weightChoice, fc.boolean(), ({topology}, picks, useEmpty) => {
        const before = countsOf(topology)
        const part = [...before].filter(([, slots]) => useEmpty || slots > 0).map(([id]) => id)
        const weights = new Map(part.map((id, index) => [id, picks[index]!]))
        const total = [...weights.values()].reduce<number>((sum, weight) => sum + weight, 0)
        fc.pre(total > 0)
        const options = {weights, thresholdPercent: 2, useEmpty}
        const {isNeeded, plan: made, transfers} = planRebalanceAsRedisCli(topology, options)
        expect(isNeeded || made.moves.length === 0).toBe(true)
        const moved = transfers.flatMap(({slots}) => slots)
        expect(new Set(moved).size).toBe(moved.length)
        for (const {from, to, slots} of transfers) {
          expect(weights.get(to)).toBeGreaterThan(0)
          expect(slots.every((slot) => topology.owners[slot] === from)).toBe(true)
        }
        const after = countsOf(afterMoves(topology, made.moves))
        if (isNeeded) {
          for (const [id, weight] of weights) {
            expect(Math.abs(after.get(id)! - (SLOT_COUNT * weight) / total)).toBeLessThanOrEqual(part.length)
          }
        }
      }),
      {numRuns: 40},
    )
  })
})
