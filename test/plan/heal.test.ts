import {describe, expect, it, test} from 'vitest'
import {healingPart, judgeLoss, usableSpares} from '../../src/lib/plan/heal.ts'
import {planRepairs} from '../../src/lib/plan/repair.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const {a, b, c, a1, b1} = HEALTHY
const GONE = {unreachable: 'connection refused', flags: 'fail', link: 'disconnected'} as const
/** Its replica answers, of a and b; c is bare. */
const BARE: ClusterSpec = {a, b, c, a1, b1}
const LOST: ClusterSpec = {...BARE, c: {...c, ...GONE}}
const NO_KEYS = {keysBySlot: new Map(), hiddenKeys: new Map()}

function verdict(spec: ClusterSpec): {lost: string; doubts: readonly string[]} {
  const {lost, doubts} = judgeLoss(topologyOf(spec))
  return {lost: lost.map(({id, slots}) => `${id[0]} ${slots}`).join(), doubts}
}

describe('a shard', () => {
  test.each<{name: string; spec: ClusterSpec; lost: string}>([
    {name: 'is not lost while all answer', spec: HEALTHY, lost: ''},
    {name: 'is lost when its primary has failed for all and has no replica', spec: LOST, lost: 'c 10923-16383'},
    {
      name: 'is lost when its replicas have failed, too',
      spec: {...LOST, c1: {replicaOf: 'c', epoch: 3, ...GONE}},
      lost: 'c 10923-16383',
    },
    {
      name: 'is lost beside another one, where five are left of seven',
      spec: {
        a: {slots: '0-1', epoch: 1},
        b: {slots: '2-3', epoch: 2},
        d: {slots: '4-5', epoch: 4},
        e: {slots: '6-7', epoch: 5},
        f: {slots: '8-9', epoch: 6},
        '1': {slots: '10-11', epoch: 7, ...GONE},
        '2': {slots: '12-16383', epoch: 8, ...GONE},
      },
      lost: '1 10-11,2 12-16383',
    },
  ])('$name', ({spec, lost}) => {
    expect(verdict(spec)).toEqual({lost, doubts: []})
  })

  test.each<{name: string; spec: ClusterSpec; doubt: RegExp}>([
    {
      name: 'we see a minority only',
      spec: {a, b: {...b, ...GONE}, c: {...c, ...GONE}},
      doubt: /^only 1 of 3 primaries with slots can say that .* has failed$/,
    },
    {
      name: 'half of the primaries are gone',
      spec: {a: {slots: '0-8191', epoch: 1}, b: {slots: '8192-16383', epoch: 2, ...GONE}},
      doubt: /^only 1 of 2/,
    },
    {
      name: 'it is only suspected',
      spec: {...BARE, c: {...c, ...GONE, flags: 'fail?'}},
      doubt: /^127\.0\.0\.1:7002 .* does not answer us, and has not failed for /,
    },
    {
      name: 'only we do not reach it',
      spec: {...BARE, c: {...c, unreachable: 'timed out'}},
      doubt: /does not answer us, and has not failed for/,
    },
    {
      name: 'one node still sees it',
      spec: {...LOST, b: {...b, sees: {c: {flags: '', link: undefined as never}}}},
      doubt: /has not failed for 127\.0\.0\.1:7001/,
    },
    {
      name: 'another node is out of our reach alone',
      spec: {...LOST, a1: {...a1, unreachable: 'timed out'}},
      doubt: /^127\.0\.0\.1:7003 .* does not answer us/,
    },
    {
      name: 'a replica of it answers',
      spec: {...LOST, c1: HEALTHY.c1},
      doubt: /^a replica of 127\.0\.0\.1:7002 .* answers: the servers let it take over$/,
    },
    {
      name: 'the others disagree on slots',
      spec: {...LOST, a1: {...a1, sees: {b: {slots: '5461-10000'}}}},
      doubt: /disagree on who owns which slots/,
    },
  ])('is left alone when $name', ({spec, doubt}) => {
    expect(verdict(spec).doubts.join('\n')).toMatch(new RegExp(doubt.source, 'm'))
  })
})

describe('what heals it', () => {
  const owners = (spec: ClusterSpec, heirs?: readonly string[]): string[] => {
    const topology = topologyOf(spec)
    const plan = planRepairs(topology, NO_KEYS, heirs ? {heirs: heirs.map(idOf)} : {})
    return healingPart(plan, judgeLoss(topology).lost).repairs.map(({act, slots}) => {
      return `${act.kind} ${act.kind === 'assign' ? act.owner[0] : ''} ${slots}`
    })
  }

  it('gives the slots to the others, or to a spare node', () => {
    expect(owners(LOST)).toEqual(['assign b 10923-13652', 'assign a 13653-16383'])
    expect(owners({...LOST, d: {epoch: 4}}, ['d'])).toEqual(['assign d 10923-16383'])
  })

  it('leaves everything else to fix', () => {
    const open = {...LOST, a: {...a, migrating: {5: 'b'}}}
    expect(owners(open)).toEqual(owners(LOST))
    const other = {...LOST, b1: {...b1, replicaOf: 'c'}}
    expect(owners(other)).toEqual([])
  })

  it('takes spares that answer, lead and are empty', () => {
    const spec = {...LOST, d: {epoch: 4}, e: {epoch: 5, ...GONE}, f: {replicaOf: 'a', epoch: 1}}
    expect(usableSpares(topologyOf(spec), ['e', 'f', 'a', 'd'].map(idOf))).toEqual([idOf('d')])
  })
})
