import {describe, expect, test} from 'vitest'
import {opinionsOnNode, opinionsOnSlot} from '../../src/lib/topology/views-about.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from './cluster-views.ts'

/** B has taken slot 866 at a higher epoch; A1 has not heard of it, and C1 sees nobody there. B1 does not know C. */
const TORN: ClusterSpec = {
  ...HEALTHY,
  a: {slots: '0-865,867-5460', epoch: 1},
  b: {slots: '866,5461-10922', epoch: 9},
  a1: {replicaOf: 'a', epoch: 1, sees: {a: {slots: '0-5460'}, b: {slots: '5461-10922', epoch: 2}}},
  b1: {replicaOf: 'b', epoch: 9, sees: {c: {isAbsent: true}}},
  c1: {replicaOf: 'c', epoch: 3, sees: {b: {slots: '5461-10922', flags: 'fail?'}}},
}

describe('opinions on a slot', () => {
  test('are one where all agree', () => {
    expect(opinionsOnSlot(topologyOf(HEALTHY), 866)).toEqual([
      {owner: idOf('a'), configEpochs: [1], saidBy: ['a', 'a1', 'b', 'b1', 'c', 'c1'].map(idOf).sort()},
    ])
  })

  test('are told with who holds them, and at which epoch, the most frequent first', () => {
    expect(opinionsOnSlot(topologyOf(TORN), 866)).toEqual([
      {owner: idOf('b'), configEpochs: [9], saidBy: ['a', 'b', 'b1', 'c'].map(idOf).sort()},
      {owner: idOf('a'), configEpochs: [1], saidBy: [idOf('a1')]},
      {owner: undefined, configEpochs: [], saidBy: [idOf('c1')]},
    ])
  })

  test('name all epochs at which a claim is held', () => {
    const late = topologyOf({...HEALTHY, c1: {replicaOf: 'c', epoch: 3, sees: {a: {epoch: 7}}}})
    expect(opinionsOnSlot(late, 866)).toMatchObject([{configEpochs: [1, 7]}])
  })

  test('do not come from nodes that were not reached', () => {
    const dead = topologyOf({...HEALTHY, b: {...HEALTHY.b, unreachable: 'gone'}})
    expect(opinionsOnSlot(dead, 6000)).toMatchObject([{owner: idOf('b'), saidBy: {length: 5}}])
  })

  test('of hundreds of nodes take no time', () => {
    const spec = Object.fromEntries(
      Array.from({length: 300}, (_, index) => [
        index.toString(16).padStart(4, '0'),
        {slots: `${index * 54}-${index * 54 + 53}`, epoch: index + 1},
      ]),
    )
    const topology = topologyOf(spec)
    const startedAt = performance.now()
    expect(opinionsOnSlot(topology, 866)).toHaveLength(1)
    expect(opinionsOnNode(topology, topology.nodes[7]!.id)).toHaveLength(2)
    expect(performance.now() - startedAt).toBeLessThan(1000)
  })
})

describe('opinions on a node', () => {
  test('are its own and that of all others', () => {
    const opinions = opinionsOnNode(topologyOf(HEALTHY), idOf('a'))
    expect(opinions).toMatchObject([
      {isOwn: true, saidBy: [idOf('a')], seenAs: {role: 'primary', configEpoch: 1, isLinked: true}},
      {isOwn: false, saidBy: {length: 5}, seenAs: {role: 'primary', configEpoch: 1}},
    ])
  })

  test('differ by slots, epochs and flags', () => {
    expect(
      opinionsOnNode(topologyOf(TORN), idOf('b')).map(({saidBy, seenAs}) => [
        saidBy.length,
        seenAs?.configEpoch,
        seenAs?.flags,
      ]),
    ).toEqual([
      [1, 9, []],
      [3, 9, []],
      [1, 2, []],
      [1, 9, ['suspected']],
    ])
  })

  test('say who does not know it', () => {
    expect(opinionsOnNode(topologyOf(TORN), idOf('c')).filter(({seenAs}) => !seenAs)).toEqual([
      {isOwn: false, seenAs: undefined, saidBy: [idOf('b1')]},
    ])
  })
})
