import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import {planLoadRebalance} from '../../src/lib/plan/rebalance-load.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {parseRanges, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {NodeId, Topology} from '../../src/lib/topology/model.ts'
import {slotsOf} from '../../src/lib/topology/queries.ts'
import {type LoadKind, plainLoads, type SlotLoads} from '../../src/lib/topology/slot-heat.ts'
import {randomNumbers} from '../support/live-load.ts'
import {
  afterMoves,
  buildTopology,
  type ClusterWords,
  describeMoves,
  nodeId,
  nodeName,
  startedIn,
} from '../support/topology-builder.ts'
import {countsOf, rangeCount, reversed, scenes} from './arbitrary-cluster.ts'

const THREE = {primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}} as const

interface Wish {
  readonly weights?: Readonly<Record<string, number>>
  readonly threshold?: number
  readonly useEmpty?: boolean
  readonly maxMoves?: number
  readonly maxBytes?: number
  readonly defragment?: boolean
}

/** "0-99" to the load of each of these slots; others bear nothing. */
function loadsOf(words: Readonly<Record<string, number>>, by: LoadKind = 'memory'): SlotLoads {
  const values = new Array<number>(SLOT_COUNT).fill(0)
  for (const [ranges, load] of Object.entries(words)) {
    for (const slot of slotsInRanges(parseRanges(ranges))) values[slot] = load
  }
  return {by, values, sources: ['measured'], bytes: by === 'memory' ? values : undefined, gaps: []}
}

function planFor(
  topology: Topology,
  loads: SlotLoads,
  wish: Wish = {},
  started: readonly SlotMove[] = startedIn(topology),
) {
  return planLoadRebalance(topology, {
    weights: new Map(Object.entries(wish.weights ?? {}).map(([name, weight]) => [nodeId(name), weight])),
    thresholdPercent: wish.threshold ?? 2,
    useEmpty: wish.useEmpty ?? false,
    started,
    loads,
    maxMoves: wish.maxMoves,
    maxBytes: wish.maxBytes,
    isDefragmenting: wish.defragment ?? false,
  })
}

const plan = (words: ClusterWords, loads: SlotLoads, wish?: Wish) => planFor(buildTopology(words), loads, wish)

describe('by load', () => {
  test.each<{name: string; words?: ClusterWords; loads: SlotLoads; wish?: Wish; moves: string[]}>([
    {
      name: 'an even load stays, whatever the slots',
      loads: loadsOf({'0-9': 1, '5461-5470': 1, '16374-16383': 1}),
      moves: [],
    },
    {name: 'what is within the threshold stays', loads: loadsOf({'0': 102, '6000': 99, '12000': 99}), moves: []},
    {
      name: 'a range beside the taker goes whole to it, and slots without load stay',
      loads: loadsOf({'5371-5460': 1, '5461-5490': 1, '16324-16383': 1}),
      moves: ['A>B 5431-5460'],
    },
    {
      name: 'the slots that fit are found, where no range does',
      loads: loadsOf({'0': 50, '9': 20, '100': 30, '6000': 50, '12000': 50, '13000': 25, '14000': 25, '15000': 50}),
      wish: {weights: {A: 2, B: 1, C: 3}},
      moves: [],
    },
    {
      name: 'a hot slot has its primary for itself',
      loads: loadsOf({'7': 1000, '100-109': 10, '5461-5470': 10, '16374-16383': 10}),
      moves: ['A>C 100-104', 'A>B 105-109'],
    },
    {
      name: 'two hot slots part',
      loads: loadsOf({'7': 1000, '8': 900, '5461-5470': 10, '16374-16383': 12}),
      moves: ['A>B 8', 'B>C 5461-5470'],
    },
    {
      name: 'weight 0 gives all, slots without load too',
      words: {primaries: {A: '0-9', B: '10-8191', C: '8192-16383'}},
      loads: loadsOf({'0-1': 10, '100': 100, '9000': 100}),
      wish: {weights: {A: 0}},
      moves: ['A>C 0,6-9', 'A>B 1-5'],
    },
    {
      name: 'a primary without slots takes part when asked',
      words: {primaries: {A: '0-8191', B: '8192-16383', D: ''}},
      loads: loadsOf({'0-29': 1, '8192-8221': 1}),
      wish: {useEmpty: true},
      moves: ['A>D 20-29', 'B>D 8212-8221'],
    },
    {
      name: '--max-moves takes the hottest that help',
      loads: loadsOf({'0-99': 1, '300': 40, '5461-5490': 1, '16354-16383': 1}),
      wish: {maxMoves: 1},
      moves: ['A>B 300'],
    },
    {name: '--max-bytes holds', loads: loadsOf({'0-99': 10}), wish: {maxBytes: 45}, moves: ['A>C 96-97', 'A>B 98-99']},
    {
      name: '--max-moves 1 of many small slots moves one',
      loads: loadsOf({'0-999': 10, '5-5': 12}),
      wish: {maxMoves: 1},
      moves: ['A>B 5'],
    },
    {name: 'there may be no load at all', loads: loadsOf({}), moves: []},
  ])('$name', ({words = THREE, loads, wish, moves}) => {
    expect(describeMoves(plan(words, loads, wish).moves)).toEqual(moves)
  })

  test('the plan tells the load of each before and after, what moves, and how near that is to the best', () => {
    const {load} = plan(THREE, {...loadsOf({'0-99': 10, '5461-5480': 10}), keys: new Array(SLOT_COUNT).fill(2)})
    expect(load).toMatchObject({
      by: 'memory',
      unit: 'bytes',
      total: 1200,
      primaries: [
        {id: nodeId('A'), share: 400, before: 1000, after: 400},
        {id: nodeId('B'), share: 400, before: 200, after: 400},
        {id: nodeId('C'), share: 400, before: 0, after: 400},
      ],
      imbalancePercent: {before: 150, after: 0, least: 0},
      cost: {unit: 'bytes', moved: 600, least: 600},
      hotSlots: [],
    })
    expect(load?.slots).toHaveLength(60)
    expect(load?.slots[0]).toEqual({slot: 40, load: 10, keys: 2, bytes: 10})
  })

  test('a slot that is hotter than a share is named, with the bound that it sets', () => {
    const {load} = plan(THREE, loadsOf({'866': 60, '5461': 20, '16383': 20}))
    expect(load?.hotSlots).toEqual([{slot: 866, owner: nodeId('A'), load: 60, percent: 60}])
    expect(load?.imbalancePercent).toEqual({before: 80, after: 80, least: 80})
  })

  test('what is computed is evened out by the slots that hold least', () => {
    const cpu = loadsOf({'0-1': 100, '2-3': 100}, 'cpu')
    const bytes = loadsOf({'0': 5, '1': 900, '2': 900, '3': 5}).values
    const {moves, load} = plan({primaries: {A: '0-8191', B: '8192-16383'}}, {...cpu, bytes})
    expect(describeMoves(moves)).toEqual(['A>B 0,3'])
    expect(load?.cost).toEqual({unit: 'bytes', moved: 10, least: 10})
  })

  test('slots of which nothing is known stay, and count as others of their owner do', () => {
    const loads = loadsOf({'0-99': 10})
    const values = loads.values.map((value, slot) => (slot < 50 ? undefined : value))
    const gap = {node: nodeId('A'), slots: parseRanges('0-49'), reason: 'late' as const, message: 'no time'}
    const {moves, warnings} = plan(THREE, {...loads, values, gaps: [gap]})
    expect(moves.filter(({slot}) => slot < 50)).toEqual([])
    expect(moves.length).toBeGreaterThan(0)
    expect(warnings).toEqual([expect.stringContaining('the load of 50 slots of 10.0.0.1:7000 (41000000) is not known')])
  })

  test('--max-bytes is refused where nobody tells bytes', () => {
    expect(() => plan(THREE, loadsOf({'0': 1}, 'keys'), {maxBytes: 10})).toThrow('--max-bytes cannot be kept')
  })
})

describe('--defragment', () => {
  test('brings fragments to a neighbour, and gives back at a border what that brought', () => {
    const words = {primaries: {A: '0-99,8000-8191', B: '100-7999', C: '8192-16383'}}
    const {moves, load} = plan(words, plainLoads(buildTopology(words)), {defragment: true, threshold: 50})
    expect(describeMoves(moves).length).toBeGreaterThan(0)
    expect(load?.ranges.after).toBe(3)
  })

  test('confetti becomes eight ranges each at most, as even as before', () => {
    const random = randomNumbers(3)
    const slots: number[][] = [[], [], []]
    for (let slot = 0; slot < SLOT_COUNT; slot++) slots[Math.floor(random() * 3)]!.push(slot)
    const topology = buildTopology({
      primaries: Object.fromEntries(slots.map((own, index) => ['ABC'[index]!, own.join(',')])),
    })
    const {moves, load} = planFor(topology, plainLoads(topology), {defragment: true})
    expect(load?.ranges.before).toBeGreaterThan(10_000)
    const after = afterMoves(topology, moves)
    for (const name of ['A', 'B', 'C']) expect(slotsOf(after, nodeId(name)).length).toBeLessThanOrEqual(8)
    expect(load?.imbalancePercent.after).toBeLessThanOrEqual(2)
    expect(planFor(after, plainLoads(after), {defragment: true}).moves).toEqual([])
  })

  test('heeds the limit, and each run goes on', () => {
    const words = {
      primaries: {A: '0-4999,10000-10009,12000-12004', B: '5000-9999,14000', C: '10010-11999,12005-13999,14001-16383'},
    }
    const topology = buildTopology(words)
    const first = planFor(topology, plainLoads(topology), {defragment: true, threshold: 20, maxMoves: 6})
    expect(describeMoves(first.moves)).toEqual(['A>C 12000-12004', 'B>C 14000'])
    expect(first.load?.limitedBy).toBe('max-moves')
    const after = afterMoves(topology, first.moves)
    expect(describeMoves(planFor(after, plainLoads(after), {defragment: true, threshold: 20}).moves)).toHaveLength(1)
  })
})

describe('every plan by load', () => {
  const cases = fc.tuple(
    scenes(),
    fc.record({
      seed: fc.nat(),
      shape: fc.constantFrom('flat', 'noisy', 'skewed', 'sparse', 'hot'),
      weights: fc.array(fc.constantFrom(0, 0.5, 1, 1, 2), {minLength: 8, maxLength: 8}),
      threshold: fc.constantFrom(0, 2, 10),
      useEmpty: fc.boolean(),
      defragment: fc.boolean(),
      maxMoves: fc.option(fc.integer({min: 1, max: 3000}), {nil: undefined}),
      maxBytes: fc.option(fc.integer({min: 1, max: 2_000_000}), {nil: undefined}),
      by: fc.constantFrom<LoadKind>('memory', 'keys', 'cpu'),
    }),
  )
  type Words = typeof cases extends fc.Arbitrary<readonly [unknown, infer W]> ? W : never

  function planOf(topology: Topology, started: readonly SlotMove[], words: Words) {
    const random = randomNumbers(words.seed)
    const one = (): number => {
      if (words.shape === 'flat') return 100
      if (words.shape === 'sparse') return random() < 0.05 ? Math.floor(random() * 5000) : 0
      return words.shape === 'skewed' ? Math.floor(30 / (random() + 0.001)) : Math.floor(random() * 1000)
    }
    const values = Array.from({length: SLOT_COUNT}, one)
    if (words.shape === 'hot') values[866] = 8_000_000
    const bytes = words.by === 'memory' ? values : Array.from({length: SLOT_COUNT}, () => Math.floor(random() * 1000))
    const names = [...countsOf(topology).keys()].sort().map(nodeName)
    const weights: Record<string, number> = Object.fromEntries(
      names.map((name, index) => [name, words.weights[index]!]),
    )
    weights[names[0]!] = Math.max(1, weights[names[0]!]!)
    const loads: SlotLoads = {by: words.by, values, sources: ['measured'], bytes, gaps: []}
    return {...planFor(topology, loads, {...words, weights}, started), values, bytes, weights}
  }

  test('moves slots once, from their owners, within its limits, and not to weight 0; tells truly what comes of it', () => {
    fc.assert(
      fc.property(cases, ([{topology, started}, words]) => {
        const {moves, load, values, bytes, weights} = planOf(topology, started, words)
        const begun = new Set(started.map(({slot}) => slot))
        const fresh = moves.filter(({slot}) => !begun.has(slot))
        expect(moves.filter(({slot, from, to}) => topology.owners[slot] !== from || from === to)).toEqual([])
        expect(moves.filter(({slot}) => begun.has(slot))).toEqual(started)
        expect(fresh.filter(({to}) => weights[nodeName(to)] === 0)).toEqual([])
        expect(fresh.length).toBeLessThanOrEqual(words.maxMoves ?? SLOT_COUNT)
        expect(fresh.reduce((sum, {slot}) => sum + bytes[slot]!, 0)).toBeLessThanOrEqual(words.maxBytes ?? Infinity)
        const after = afterMoves(topology, moves)
        const held = new Map<NodeId, number>()
        for (const [slot, owner] of after.owners.entries()) held.set(owner!, (held.get(owner!) ?? 0) + values[slot]!)
        for (const {id, after: told} of load!.primaries) expect(told).toBe(held.get(id) ?? 0)
        expect(load!.ranges).toEqual({before: rangeCount(topology), after: rangeCount(after)})
        expect(load!.cost.moved).toBeGreaterThanOrEqual(Math.floor(load!.cost.least! * (1 - 1e-9)))
        if (words.maxMoves === undefined && words.maxBytes === undefined) {
          for (const [name, weight] of Object.entries(weights)) {
            if (weight === 0)
              expect(countsOf(after).get(nodeId(name))).toBe(started.filter(({to}) => to === nodeId(name)).length)
          }
        }
      }),
      {numRuns: 5},
    )
  })

  test('without limits and weights it ends within the threshold of the best, for little more than the least', () => {
    fc.assert(
      fc.property(cases, ([{topology}, words]) => {
        const even = {
          ...words,
          weights: new Array<0 | 1>(8).fill(1),
          maxMoves: undefined,
          maxBytes: undefined,
          defragment: false,
        }
        const {load} = planOf({...topology, openSlots: []}, [], even)
        const {before, after, least} = load!.imbalancePercent
        expect(after).toBeLessThanOrEqual(Math.max(Math.min(before, words.threshold), least + 2.5))
        // By cpu and network a slot may have much of the load and few bytes: the bound reckons with parts of it, and is weak.
        if (words.by === 'memory') {
          expect(load!.cost.moved).toBeLessThanOrEqual(1.2 * load!.cost.least! + 1)
        }
      }),
      {numRuns: 5},
    )
  })

  test('is the same in whatever order the nodes come', () => {
    fc.assert(
      fc.property(cases, ([{topology, started}, words]) => {
        const [one, other] = [planOf(topology, started, words), planOf(reversed(topology), started, words)]
        expect(other.moves).toEqual(one.moves)
        expect(other.load).toEqual(one.load)
      }),
      {numRuns: 3},
    )
  })
})
