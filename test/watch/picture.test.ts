import {describe, expect, test} from 'vitest'
import type {Topology} from '../../src/lib/topology/model.ts'
import {cameNow, nextPicture, type Picture, wentNow} from '../../src/lib/watch/picture.ts'
import type {Round} from '../../src/lib/watch/round.ts'
import {buildTopology, type ClusterWords, nodeId} from '../support/topology-builder.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const WORKER = {user: 'ada', host: 'box', pid: 7, since: '2026-11-29T10:00:00.000Z', command: 'rcluster reshard'}

function roundAt(seconds: number, topology: Topology, more: Partial<Round> = {}): Round {
  const plain = {keysLeft: new Map(), atomicMoves: [], worker: undefined, commands: 0, leastIntervalMs: 0, slotsAtMs: 0}
  return {...plain, atMs: 1000 * seconds, topology, ...more}
}

type Moment = Topology | readonly [Topology, Partial<Round>]

/** One round after the other, two seconds apart. */
function watch(...rounds: readonly Moment[]): Picture {
  let picture: Picture | undefined
  for (const [index, one] of rounds.entries()) {
    const [topology, more] = 'nodes' in one ? [one, {}] : one
    picture = nextPicture(picture, roundAt(100 + 2 * index, topology, more))
  }
  return picture as Picture
}

const healthy = topologyOf(HEALTHY)
const withoutB: ClusterSpec = {...HEALTHY, b: {...HEALTHY.b, unreachable: 'nothing listens there'}}
const silentB = topologyOf(withoutB)
const slowB = topologyOf({...withoutB, b: {...HEALTHY.b, unreachable: 'no answer within 4 s'}})

describe('findings', () => {
  const idsOf = (list: readonly {finding: {id: string}}[]): string[] => list.map(({finding}) => finding.id)

  test('come with the round that shows them first', () => {
    const picture = watch(healthy, silentB)
    expect(idsOf(cameNow(picture))).toContain('unreachable-node')
    expect(cameNow(picture).every(({sinceMs}) => sinceMs === 102_000)).toBe(true)
  })

  test('stay the same when only their words change', () => {
    const picture = watch(healthy, silentB, slowB)
    expect(cameNow(picture)).toEqual([])
    expect(wentNow(picture)).toEqual([])
    expect(picture.findings.find(({finding}) => finding.id === 'unreachable-node')?.finding.message).toContain('4 s')
  })

  test('that go are remembered with when they came and went, and forgotten when they come back', () => {
    const gone = watch(healthy, silentB, silentB, healthy)
    const one = gone.gone.find(({finding}) => finding.id === 'unreachable-node')
    expect(one).toMatchObject({sinceMs: 102_000, goneMs: 106_000})
    expect(wentNow(gone).length).toBe(gone.gone.length)
    expect(gone.findings).toEqual([])
    const back = watch(healthy, silentB, silentB, healthy, silentB)
    expect(back.gone).toEqual([])
    expect(back.findings[0]?.sinceMs).toBe(108_000)
  })

  test('are kept as they were while no node answers', () => {
    const picture = watch(silentB, [silentB, {lost: 'closed'}])
    expect(idsOf(picture.findings)).toEqual(idsOf(watch(silentB).findings))
    expect(wentNow(picture)).toEqual([])
  })

  test('of somebody who is at work are expected', () => {
    const open = topologyOf({
      ...HEALTHY,
      a: {...HEALTHY.a, migrating: {5: 'b'}},
      b: {...HEALTHY.b, importing: {5: 'a'}},
    })
    const isExpected = (picture: Picture): boolean | undefined =>
      picture.findings.find(({finding}) => finding.id === 'open-slot')?.isExpected
    expect(isExpected(watch(open))).toBe(false)
    expect(isExpected(watch([open, {worker: WORKER}]))).toBe(true)
  })
})

describe('silent nodes', () => {
  test('are told since when, and when they were heard of last', () => {
    expect(watch(silentB).silent.get(idOf('b'))).toEqual({sinceMs: 100_000, heardMs: undefined})
    const picture = watch(healthy, silentB, slowB)
    expect(picture.silent.get(idOf('b'))).toEqual({sinceMs: 102_000, heardMs: 100_000})
    expect(watch(healthy, silentB, healthy).silent.size).toBe(0)
  })
})

describe('news', () => {
  const kinds = (picture: Picture): string[] => picture.news.map(({kind}) => kind).sort()
  const tookOver = topologyOf({
    ...HEALTHY,
    b: {replicaOf: 'b1', epoch: 9},
    b1: {slots: '5461-10922', epoch: 9},
  })
  const {c1: _, ...five} = HEALTHY
  const rows: {name: string; rounds: readonly Moment[]; expected: string[]}[] = [
    {name: 'nothing at first', rounds: [healthy], expected: []},
    {name: 'a failover', rounds: [healthy, tookOver], expected: ['role', 'took-over']},
    {name: 'a node that joins', rounds: [topologyOf(five), healthy], expected: ['joined']},
    {name: 'a node that leaves', rounds: [healthy, topologyOf(five)], expected: ['left']},
    {name: 'somebody begins', rounds: [healthy, [healthy, {worker: WORKER}]], expected: ['work-began']},
    {
      name: 'the same is at work',
      rounds: [
        [healthy, {worker: WORKER}],
        [healthy, {worker: {...WORKER}}],
      ],
      expected: [],
    },
    {
      name: 'another follows',
      rounds: [
        [healthy, {worker: WORKER}],
        [healthy, {worker: {...WORKER, pid: 8}}],
      ],
      expected: ['work-began', 'work-ended'],
    },
    {name: 'all are lost', rounds: [healthy, [silentB, {lost: 'closed'}]], expected: ['lost']},
    {
      name: 'they are still lost',
      rounds: [
        [healthy, {lost: 'a'}],
        [healthy, {lost: 'b'}],
      ],
      expected: [],
    },
    {name: 'they are back', rounds: [[healthy, {lost: 'a'}], healthy], expected: ['back']},
  ]
  test.each(rows)('$name', ({rounds, expected}) => {
    expect(kinds(watch(...rounds))).toEqual(expected)
  })
})

describe('flows', () => {
  const [A, B] = [nodeId('A'), nodeId('B')]
  const cluster = (slotsOfA: string, slotsOfB: string, open?: ClusterWords['open']): Topology =>
    buildTopology({primaries: {A: slotsOfA, B: slotsOfB}, ...(open ? {open} : {})})
  const opened = cluster('0-99', '100-16383', [{slots: '0-1', from: 'A', to: 'B'}])
  const left = (first: number, second: number): Partial<Round> => ({
    keysLeft: new Map([
      [0, first],
      [1, second],
    ]),
  })

  test('tell what is open and left, and from the second round on how fast and how long', () => {
    expect(watch([opened, left(500, 300)]).flows).toMatchObject([
      {from: A, to: B, openSlots: 2, keysLeft: 800, keysPerSecond: 0, etaMs: undefined},
    ])
    expect(watch([opened, left(500, 300)], [opened, left(100, 300)]).flows).toMatchObject([
      {keysLeft: 400, keysPerSecond: 200, etaMs: 2000, slotsMoved: 0},
    ])
  })

  test('count slots that changed hands, those with keys that were counted before too', () => {
    const moved = cluster('2-99', '0-1,100-16383')
    expect(watch([opened, left(500, 300)], moved).flows).toMatchObject([
      {openSlots: 0, slotsMoved: 2, slotsPerSecond: 1, keysPerSecond: 400, keysLeft: undefined},
    ])
  })

  test('are over some time after the last slot', () => {
    const moved = cluster('2-99', '0-1,100-16383')
    const rounds = (count: number): Topology[] => Array.from({length: count}, () => moved)
    expect(watch(opened, ...rounds(5)).flows).toHaveLength(1)
    expect(watch(opened, ...rounds(12)).flows).toEqual([])
  })

  test('are not what a failover hands over', () => {
    const before = topologyOf(HEALTHY)
    const after = topologyOf({...HEALTHY, b: {replicaOf: 'b1', epoch: 9}, b1: {slots: '5461-10922', epoch: 9}})
    expect(watch(before, after).flows).toEqual([])
  })

  test('have what the servers move by themselves', () => {
    const move = {id: 'x', ranges: [{start: 0, end: 9}], from: A, to: B, stage: 'snapshotting'}
    expect(watch([cluster('0-99', '100-16383'), {atomicMoves: [move]}]).flows).toMatchObject([
      {from: A, to: B, openSlots: 0, atomicSlots: 10, stage: 'snapshotting'},
    ])
  })
})
