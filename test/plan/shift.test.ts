import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {fingerprintOf, sketchCluster} from '../../src/lib/plan/cluster-sketch.ts'
import {imagineJoined, imagineMoved} from '../../src/lib/plan/imagine.ts'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import {planRebalance} from '../../src/lib/plan/rebalance.ts'
import {compareGround} from '../../src/lib/plan/shift.ts'
import type {NodeId, Topology} from '../../src/lib/topology/model.ts'
import {primaries} from '../../src/lib/topology/queries.ts'
import {afterMoves, buildTopology, type ClusterWords, nodeId} from '../support/topology-builder.ts'
import {reversed, scenes} from './arbitrary-cluster.ts'

const WORDS: ClusterWords = {
  primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'},
  replicas: {R1: 'A', R2: 'B', R3: 'C'},
}
const THEN = buildTopology(WORDS)
const BEFORE = sketchCluster(THEN)
const [A, B, C] = [nodeId('A'), nodeId('B'), nodeId('C')]
const MOVES: SlotMove[] = [0, 1, 2, 3].map((slot) => ({slot, from: A, to: B}))

function shiftsNow(words: Partial<ClusterWords>, changes = {moves: MOVES}): readonly string[] {
  return compareGround(BEFORE, buildTopology({...WORDS, ...words}), changes).shifts
}

describe('what has shifted is named', () => {
  test.each<{name: string; now: Partial<ClusterWords>; says: string[]}>([
    {
      name: 'a slot that the plan does not move',
      now: {primaries: {A: '0-5459', B: '5461-10922', C: '5460,10923-16383'}},
      says: ['slot 5460 went from 10.0.0.1:7000 (41000000) to 10.0.0.1:7002 (43000000)'],
    },
    {
      name: 'slots that the plan moves elsewhere',
      now: {primaries: {A: '2-5460', B: '5461-10922', C: '0-1,10923-16383'}},
      says: [
        'slots 0-1 went from 10.0.0.1:7000 (41000000) to 10.0.0.1:7002 (43000000), and were to go to 10.0.0.1:7001 (42000000)',
      ],
    },
    {
      name: 'a slot that nobody owns any more',
      now: {primaries: {A: '0-5460', B: '5462-10922', C: '10923-16383'}},
      says: ['slot 5461 of 10.0.0.1:7001 (42000000) has no owner'],
    },
    {
      name: 'a primary that came',
      now: {primaries: {...WORDS.primaries, D: ''}},
      says: ['10.0.0.1:7003 (44000000) has joined as a primary'],
    },
    {
      name: 'a primary that left',
      now: {primaries: {A: '0-5460', B: '5461-16383'}, replicas: {R1: 'A', R2: 'B'}},
      says: [
        '10.0.0.1:7002 (43000000), a primary then, is no member any more',
        'slots 10923-16383 went from 10.0.0.1:7002 (43000000) to 10.0.0.1:7001 (42000000)',
      ],
    },
    {
      name: 'a replica that leads a shard of its own',
      now: {primaries: {...WORDS.primaries, R3: ''}, replicas: {R1: 'A', R2: 'B'}},
      says: ['10.0.0.1:7003 (52330000), a replica of 10.0.0.1:7002 (43000000) then, is a primary'],
    },
  ])('$name', ({now, says}) => {
    expect(shiftsNow(now)).toEqual(says)
  })
})

describe('no shift is', () => {
  test.each<{name: string; now: Partial<ClusterWords>}>([
    {name: 'the cluster as it was', now: {}},
    {name: 'a new replica', now: {replicas: {...WORDS.replicas, R4: 'A'}}},
    {name: 'a replica that left', now: {replicas: {R1: 'A', R2: 'B'}}},
    {name: 'a replica that follows another', now: {replicas: {R1: 'B', R2: 'B', R3: 'C'}}},
    {name: 'an address that changed', now: {hosts: {A: '10.0.0.9', R2: '10.0.0.8'}}},
    {name: 'a node that does not answer', now: {unreachable: ['R1']}},
  ])('$name', ({now}) => {
    expect(shiftsNow(now)).toEqual([])
  })
})

describe('a failover is followed', () => {
  const over = buildTopology({
    primaries: {R1: '0-5460', B: '5461-10922', C: '10923-16383'},
    replicas: {A: 'R1', R2: 'B', R3: 'C'},
  })

  test('the new primary of the shard stands in for the old one', () => {
    const ground = compareGround(BEFORE, over, {moves: MOVES})
    expect(ground.shifts).toEqual([])
    expect([...ground.standIns]).toEqual([[A, nodeId('R1')]])
    expect(ground.left).toEqual(MOVES.map(({slot}) => ({slot, from: nodeId('R1'), to: B})))
  })

  test('also when the old primary died and owns nothing', () => {
    const dead = buildTopology({
      primaries: {R1: '0-5460', B: '5461-10922', C: '10923-16383', A: ''},
      replicas: {R2: 'B', R3: 'C'},
      unreachable: ['A'],
    })
    expect(compareGround(BEFORE, dead, {moves: MOVES})).toMatchObject({shifts: []})
  })

  test('but not when the old primary is to leave and the new one not', () => {
    const {shifts} = compareGround(BEFORE, over, {leaves: [A]})
    expect(shifts[0]).toMatch(/has taken over from .*, which is to leave/)
    expect(compareGround(BEFORE, over, {leaves: [A, nodeId('R1')]}).shifts).toEqual([])
  })
})

describe('joins and removals of the plan itself', () => {
  const joins = [{id: nodeId('D'), address: '10.0.0.1:7003', role: 'primary'}] as const
  const withD = {...WORDS.primaries, D: ''}

  test('are no shift', () => {
    const now = buildTopology({...WORDS, primaries: withD})
    expect(compareGround(BEFORE, now, {joins}).shifts).toEqual([])
    expect(compareGround(sketchCluster(now), THEN, {leaves: [nodeId('D')]}).shifts).toEqual([])
  })

  test('a newcomer that got a new ID is known by its address', () => {
    const now = buildTopology({...WORDS, primaries: {...WORDS.primaries, X: ''}})
    const moves = [{slot: 0, from: A, to: nodeId('D')}]
    const ground = compareGround(BEFORE, now, {joins, moves})
    expect(ground).toMatchObject({shifts: [], left: [{slot: 0, from: A, to: nodeId('X')}]})
  })

  test('a newcomer in another role is', () => {
    const now = buildTopology({...WORDS, replicas: {...WORDS.replicas, D: 'A'}})
    const at = now.nodes.find(({id}) => id === nodeId('D'))?.address.port
    const {shifts} = compareGround(BEFORE, now, {joins: [{...joins[0], address: `10.0.0.1:${at}`}]})
    expect(shifts).toEqual([expect.stringContaining('has joined as a replica of 10.0.0.1:7000 (41000000), and was to')])
  })
})

/** Every primary's slots to the next one, for `count` of them from `offset` on. */
function movesIn(topology: Topology, offset: number, count: number): SlotMove[] {
  const ids = primaries(topology).map(({id}) => id)
  const next = (id: NodeId): NodeId => ids[(ids.indexOf(id) + 1) % ids.length] as NodeId
  return Array.from({length: count}, (_, index) => (offset + index * 7) % 16_384).flatMap((slot) => {
    const from = topology.owners[slot]
    return from === undefined ? [] : [{slot, from, to: next(from)}]
  })
}

describe('for any cluster', () => {
  const grounds = fc.record({
    scene: scenes(),
    offset: fc.nat(16_383),
    count: fc.integer({min: 1, max: 200}),
    picks: fc.array(fc.boolean(), {minLength: 200, maxLength: 200}),
  })

  test('any part of the moves of a plan may be done, and the rest is left', () => {
    fc.assert(
      fc.property(grounds, ({scene, offset, count, picks}) => {
        const topology = afterMoves(scene.topology, scene.started)
        const moves = movesIn(topology, offset, count)
        const done = moves.filter((_, index) => picks[index])
        const ground = compareGround(sketchCluster(topology), afterMoves(topology, done), {moves})
        expect(ground.shifts).toEqual([])
        expect(ground.left).toEqual(moves.filter((_, index) => !picks[index]))
      }),
      {numRuns: 60},
    )
  })

  test('any slot that went another way is named', () => {
    fc.assert(
      fc.property(grounds, fc.nat(16_383), ({scene, offset, count}, stray) => {
        const topology = afterMoves(scene.topology, scene.started)
        const moves = movesIn(topology, offset, count)
        const from = topology.owners[stray] as NodeId
        const planned = moves.find(({slot}) => slot === stray)
        const to = primaries(topology).find(({id}) => id !== from && id !== planned?.to)?.id
        fc.pre(to !== undefined)
        const now = afterMoves(topology, [...moves, {slot: stray, from, to: to as NodeId}])
        const {shifts} = compareGround(sketchCluster(topology), now, {moves})
        expect(shifts).toHaveLength(1)
        expect(shifts[0]).toContain(`slot ${stray} went from`)
      }),
      {numRuns: 60},
    )
  })

  test('the fingerprint goes by members, roles and slots, in any order', () => {
    fc.assert(
      fc.property(scenes(), ({topology}) => {
        const {fingerprint, nodes} = sketchCluster(topology)
        expect(sketchCluster(reversed(topology)).fingerprint).toBe(fingerprint)
        const [first, ...others] = nodes
        expect(fingerprintOf([{...first!, address: 'elsewhere:1'}, ...others])).toBe(fingerprint)
        expect(fingerprintOf(others)).not.toBe(fingerprint)
        expect(fingerprintOf([{...first!, slots: '7'}, ...others])).not.toBe(fingerprint)
        expect(fingerprintOf([{...first!, role: 'replica', primaryId: C}, ...others])).not.toBe(fingerprint)
      }),
      {numRuns: 30},
    )
  })
})

describe('the next step is planned for the cluster as it will be', () => {
  test('with newcomers, which get their share', () => {
    const view = buildTopology({primaries: {D: ''}}).nodes[0]!.reach
    const after = imagineJoined(THEN, view.kind === 'reached' ? [view.view] : [])
    const {moves} = planRebalance(after, {weights: new Map(), thresholdPercent: 0, useEmpty: true, started: []})
    expect(moves).toHaveLength(4096)
    expect(new Set(moves.map(({to}) => to))).toEqual(new Set([nodeId('D')]))
  })

  test('with slots moved', () => {
    const after = imagineMoved(THEN, MOVES)
    expect(sketchCluster(after).fingerprint).toBe(sketchCluster(afterMoves(THEN, MOVES)).fingerprint)
  })
})
