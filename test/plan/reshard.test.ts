import {describe, expect, test} from 'vitest'
import {planReshard, type ReshardOptions} from '../../src/lib/plan/reshard.ts'
import {parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import {buildTopology, type ClusterWords, describeMoves, nodeId, startedIn} from '../support/topology-builder.ts'

const THREE = {primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}, replicas: {R: 'A'}} as const

interface Wish {
  readonly from: readonly string[] | 'all'
  readonly to: string
  readonly count?: number
  readonly slots?: string
}

function optionsOf({from, to, count, slots}: Wish): ReshardOptions {
  const ends = {from: from === 'all' ? from : from.map(nodeId), to: nodeId(to)}
  return slots === undefined ? {...ends, count: count ?? Number.NaN} : {...ends, slots: parseRanges(slots)}
}

function plan(words: ClusterWords, wish: Wish) {
  const topology = buildTopology(words)
  return planReshard(topology, optionsOf(wish), startedIn(topology))
}

const moves = (words: ClusterWords, wish: Wish): string[] => describeMoves(plan(words, wish).moves)

describe('a number of slots', () => {
  test.each<{name: string; words: ClusterWords; wish: Wish; gives: string[]}>([
    {name: 'from the upper end', words: THREE, wish: {from: ['A'], to: 'C', count: 1000}, gives: ['A>C 4461-5460']},
    {
      name: 'beside what the target has',
      words: THREE,
      wish: {from: ['B'], to: 'A', count: 100},
      gives: ['B>A 5461-5560'],
    },
    {
      name: 'every source gives in proportion to what it has',
      words: {primaries: {A: '0-99', B: '100-399', C: '400-16383'}},
      wish: {from: ['A', 'B'], to: 'C', count: 40},
      gives: ['A>C 90-99', 'B>C 370-399'],
    },
    {
      name: 'all: every other primary that has slots',
      words: {primaries: {A: '0-8191', B: '8192-16383', C: '', D: ''}},
      wish: {from: 'all', to: 'D', count: 3},
      gives: ['A>D 8190-8191', 'B>D 16383'],
    },
    {
      name: 'small ranges go whole',
      words: {primaries: {A: '0-999,2000-2003', B: '1000-1999,2004-16383'}},
      wish: {from: ['A'], to: 'B', count: 4},
      gives: ['A>B 2000-2003'],
    },
    {name: 'everything', words: THREE, wish: {from: ['A'], to: 'B', count: 5461}, gives: ['A>B 0-5460']},
    {
      name: 'a source named twice is one source',
      words: THREE,
      wish: {from: ['A', 'A'], to: 'C', count: 2},
      gives: ['A>C 5459-5460'],
    },
    {
      name: 'a source without slots gives none',
      words: {primaries: {A: '0-16383', B: '', C: ''}},
      wish: {from: ['A', 'B'], to: 'C', count: 2},
      gives: ['A>C 16382-16383'],
    },
  ])('$name', ({words, wish, gives}) => {
    expect(moves(words, wish)).toEqual(gives)
  })

  test('the plan tells every primary before and after, sorted by address', () => {
    const {primaries, kind, version} = plan(THREE, {from: ['A'], to: 'C', count: 1000})
    expect({kind, version}).toEqual({kind: 'reshard', version: 1})
    expect(primaries).toEqual([
      {id: nodeId('A'), address: '10.0.0.1:7000', slotsBefore: 5461, slotsAfter: 4461},
      {id: nodeId('B'), address: '10.0.0.1:7001', slotsBefore: 5462, slotsAfter: 5462},
      {id: nodeId('C'), address: '10.0.0.1:7002', slotsBefore: 5461, slotsAfter: 6461},
    ])
  })
})

describe('given slots', () => {
  test.each([
    {
      name: 'exactly those',
      wish: {from: ['A', 'B'], to: 'C', slots: '0-2,5460-5461'},
      gives: ['A>C 0-2,5460', 'B>C 5461'],
    },
    {
      name: 'those that the target has are passed over',
      wish: {from: ['B'], to: 'C', slots: '10920-10930'},
      gives: ['B>C 10920-10922'],
    },
    {name: 'again, when all is done: nothing', wish: {from: ['B'], to: 'C', slots: '10923-10930'}, gives: []},
    {name: 'from all', wish: {from: 'all', to: 'C', slots: '5460-5461'} as const, gives: ['A>C 5460', 'B>C 5461']},
  ])('$name', ({wish, gives}) => {
    expect(moves(THREE, wish)).toEqual(gives)
  })
})

describe('slots that an earlier run left open', () => {
  const open = [{slots: '3,7', from: 'A', to: 'C'}]

  test.each([
    {
      name: 'count toward what is asked for',
      wish: {from: ['A'], to: 'C', count: 4},
      gives: ['A>C 3,5-7'],
      warns: 0,
    },
    {name: 'suffice', wish: {from: ['A'], to: 'C', count: 2}, gives: ['A>C 3,7'], warns: 0},
    {name: 'are more than asked for: said so', wish: {from: ['A'], to: 'C', count: 1}, gives: ['A>C 3,7'], warns: 1},
    {
      name: 'go another way: besides what is asked for',
      wish: {from: ['B'], to: 'A', count: 2},
      gives: ['A>C 3,7', 'B>A 5461-5462'],
      warns: 1,
    },
    {
      name: 'are not sent on from their target',
      wish: {from: ['C'], to: 'B', count: 5461},
      gives: ['A>C 3,7', 'C>B 10923-16383'],
      warns: 1,
    },
    {
      name: 'are among the slots that were named',
      wish: {from: ['A'], to: 'C', slots: '3-5'},
      gives: ['A>C 3-5,7'],
      warns: 1,
    },
    {
      name: 'are all of the slots that were named',
      wish: {from: ['A'], to: 'C', slots: '3,7'},
      gives: ['A>C 3,7'],
      warns: 0,
    },
  ])('$name', ({wish, gives, warns}) => {
    const {moves: planned, warnings} = plan({...THREE, open}, wish)
    expect(describeMoves(planned)).toEqual(gives)
    expect(warnings).toHaveLength(warns)
  })

  test('a small range that is half on its way is not taken for a whole one', () => {
    const words = {primaries: {A: '0-9', B: '10-16383', C: ''}, open: [{slots: '3', from: 'A', to: 'B'}]}
    expect(moves(words, {from: ['A', 'B'], to: 'C', count: 16_383})).toEqual(['A>C 0-2,4-9', 'A>B 3', 'B>C 10-16383'])
  })

  test('a slot that was named but is on its way elsewhere is refused, with the way to finish it', () => {
    const act = (): unknown => plan({...THREE, open}, {from: ['A'], to: 'B', slots: '7'})
    expect(act).toThrow(
      expect.objectContaining({
        code: 'E_REFUSED',
        reason: 'open-slots',
        message: 'slot 7 is on its way from 10.0.0.1:7000 (41000000) to 10.0.0.1:7002 (43000000)',
        suggestions: [
          'finish that first: rcluster reshard 10.0.0.1:7000 --from 10.0.0.1:7000 --to 10.0.0.1:7002 --slots-list 7',
        ],
      }),
    )
  })
})

describe('usage errors', () => {
  const SMALL = {primaries: {A: '0-7', B: '8-11', C: '12-16383', D: ''}} as const
  test.each([
    {
      name: 'more than one source has',
      words: SMALL,
      wish: {from: ['A'], to: 'C', count: 9},
      says: '10.0.0.1:7000 (41000000) owns 8 slots to give away, 9 were asked for',
    },
    {
      name: 'more than the sources have',
      words: SMALL,
      wish: {from: ['A', 'B'], to: 'C', count: 1000},
      says: '10.0.0.1:7000 (41000000) and 10.0.0.1:7001 (42000000) own 12 slots together to give away, 1000 were asked for',
    },
    {
      name: 'nobody else has slots',
      words: {primaries: {A: '0-16383', B: ''}},
      wish: {from: 'all', to: 'A', count: 1} as const,
      says: 'no primary but 10.0.0.1:7000 (41000000) owns slots',
    },
    {name: 'zero slots', words: SMALL, wish: {from: ['A'], to: 'C', count: 0}, says: '0 is not a number of slots'},
    {
      name: 'a negative number',
      words: SMALL,
      wish: {from: ['A'], to: 'C', count: -1},
      says: '-1 is not a number of slots',
    },
    {name: 'half a slot', words: SMALL, wish: {from: ['A'], to: 'C', count: 1.5}, says: '1.5 is not a number of slots'},
    {
      name: 'no number',
      words: SMALL,
      wish: {from: ['A'], to: 'C', count: Number.NaN},
      says: 'NaN is not a number of slots',
    },
    {
      name: 'source and target are one',
      words: SMALL,
      wish: {from: ['A', 'C'], to: 'C', count: 1},
      says: '10.0.0.1:7002 (43000000) is source and target',
    },
    {name: 'no source', words: SMALL, wish: {from: [], to: 'C', count: 1}, says: 'no source was named'},
    {
      name: 'a replica as target',
      words: THREE,
      wish: {from: ['A'], to: 'R', count: 1},
      says: '10.0.0.1:7003 (52000000) is a replica and cannot take slots',
    },
    {
      name: 'a replica as source',
      words: THREE,
      wish: {from: ['R'], to: 'C', count: 1},
      says: '10.0.0.1:7003 (52000000) is a replica and cannot give slots',
    },
    {
      name: 'a slot of somebody else',
      words: SMALL,
      wish: {from: ['A'], to: 'C', slots: '7-9'},
      says: 'slots 8-9 belong to 10.0.0.1:7001 (42000000), which is not among the sources',
    },
    {
      name: 'a slot of nobody',
      words: {primaries: {A: '0-9', B: '11-16383'}},
      wish: {from: ['A'], to: 'B', slots: '10'},
      says: 'slot 10 belongs to no node',
    },
  ])('$name', ({words, wish, says}) => {
    expect(() => plan(words, wish)).toThrow(expect.objectContaining({code: 'E_USAGE', message: says}))
  })

  test('a replica as target comes with its primary as the way out', () => {
    expect(() => plan(THREE, {from: ['B'], to: 'R', count: 1})).toThrow(
      expect.objectContaining({suggestions: ['name its primary, 10.0.0.1:7000']}),
    )
  })
})
