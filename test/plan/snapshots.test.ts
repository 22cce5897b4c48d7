import {describe, expect, test} from 'vitest'
import {RefusedError} from '../../src/lib/errors.ts'
import {compareSnapshots, snapshotOf} from '../../src/lib/plan/cluster-snapshot.ts'
import {planReshardLike} from '../../src/lib/plan/reshard-like.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import {afterMoves, buildTopology, describeMoves, nodeId, nodeName, startedIn} from '../support/topology-builder.ts'

const THEN = buildTopology({primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}, replicas: {R: 'A'}})

function back(now: Topology, isWherePossible = false, then = THEN): ReturnType<typeof planReshardLike> {
  return planReshardLike(now, snapshotOf(then), {isWherePossible}, startedIn(now))
}

describe('going back', () => {
  test('to what is so already is nothing', () => {
    expect(back(THEN).moves).toEqual([])
  })

  test('moves just what has moved, and then nothing is left', () => {
    const now = buildTopology({primaries: {A: '100-5460', B: '0-99,5461-10900', C: '10901-16383'}, replicas: {R: 'A'}})
    const plan = back(now)
    expect(describeMoves(plan.moves)).toEqual(['B>A 0-99', 'C>B 10901-10922'])
    const after = afterMoves(now, plan.moves)
    expect(back(after).moves).toEqual([])
    expect(compareSnapshots(snapshotOf(THEN), snapshotOf(after)).slots).toEqual([])
  })

  test('gives slots of nodes that came since to their owners of then', () => {
    const now = buildTopology({primaries: {A: '0-5000', B: '5461-10922', C: '10923-16383', D: '5001-5460'}})
    expect(describeMoves(back(now).moves)).toEqual(['D>A 5001-5460'])
  })

  test('follows a failover', () => {
    const now = buildTopology({primaries: {R: '0-5000', B: '5001-10922', C: '10923-16383'}, replicas: {A: 'R'}})
    expect(describeMoves(back(now).moves)).toEqual(['B>R 5001-5460'])
  })

  test('names owners that are gone, and moves the rest where that is asked for', () => {
    const now = buildTopology({primaries: {A: '0-5400', B: '5401-16383'}, replicas: {R: 'A'}})
    expect(() => back(now)).toThrow(RefusedError)
    expect(() => back(now)).toThrow(/43000000\), no member any more, who had 5461 slots 10923-16383/)
    const plan = back(now, true)
    expect(describeMoves(plan.moves)).toEqual(['B>A 5401-5460'])
    expect(plan.warnings.join()).toMatch(/Stay where they are: slots of 10\.0\.0\.1:7002/)
  })

  test('does not give slots to an owner of then that follows another shard', () => {
    const now = buildTopology({primaries: {A: '0-5460', B: '5461-16383'}, replicas: {R: 'A', C: 'B'}})
    expect(() => back(now)).toThrow(/a replica now, who had 5461 slots/)
  })

  test('finishes moves that have begun where they go, and says so', () => {
    const now = buildTopology({
      primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'},
      open: [{slots: '7', from: 'A', to: 'B'}],
    })
    const plan = back(now)
    expect(describeMoves(plan.moves)).toEqual(['A>B 7'])
    expect(plan.warnings.join()).toMatch(/1 slot .*elsewhere first/)
  })

  test('is refused in another cluster', () => {
    const other = buildTopology({primaries: {X: '0-16383'}})
    expect(() => back(other)).toThrow(/no node of the snapshot is a member/)
  })
})

describe('what has changed', () => {
  const changes = (now: Topology) => compareSnapshots(snapshotOf(THEN), snapshotOf(now))

  test('is nothing between equal moments, at whatever epochs', () => {
    const {nodes, ...more} = snapshotOf(THEN)
    const later = {...more, nodes: nodes.map((node) => ({...node, configEpoch: node.configEpoch + 7}))}
    expect(compareSnapshots(snapshotOf(THEN), later)).toMatchObject({isSame: true, areStrangers: false})
  })

  test('are slots, from whom and to whom', () => {
    const now = buildTopology({primaries: {A: '100-5460', B: '0-99,5461-10922', C: '10923-16000'}, replicas: {R: 'A'}})
    expect(changes(now)).toMatchObject({
      isSame: false,
      slots: [
        {slots: '0-99', count: 100, from: nodeId('A'), to: nodeId('B')},
        {slots: '16001-16383', count: 383, from: nodeId('C')},
      ],
    })
  })

  test('are nodes, roles and addresses', () => {
    const now = buildTopology({
      primaries: {R: '0-5460', B: '5461-10922', D: '10923-16383'},
      replicas: {A: 'R'},
      hosts: {B: '10.0.0.9'},
    })
    const {gone, joined, roles, addresses} = changes(now)
    expect([gone, joined].map((nodes) => nodes.map(({id}) => nodeName(id)))).toEqual([['C'], ['D']])
    expect(roles).toEqual([
      {id: nodeId('A'), before: 'primary', after: `replica of ${nodeId('R')}`},
      {id: nodeId('R'), before: `replica of ${nodeId('A')}`, after: 'primary'},
    ])
    expect(addresses).toContainEqual({id: nodeId('B'), before: '10.0.0.1:7001', after: '10.0.0.9:7001'})
  })

  test('between strangers is told as that', () => {
    expect(changes(buildTopology({primaries: {X: '0-16383'}})).areStrangers).toBe(true)
  })
})
