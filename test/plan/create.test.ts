import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {type CreateOptions, planCreate} from '../../src/lib/plan/create.ts'
import type {PlaceableNode} from '../../src/lib/plan/placement.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {countSlots, formatRanges, parseRanges, rangesFromSlots, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'

/** "h1 h1 h2/z1": a node each, on host h1, h1 and on h2 in zone z1; ports 7000, 7001 … */
function nodesOn(words: string): PlaceableNode[] {
  return words.split(' ').map((word, index) => {
    const [host = '', zone] = word.split('/')
    return {id: `${index}`.padStart(40, '0'), address: {host, port: 7000 + index}, ...(zone ? {zone} : {})}
  })
}

/** "h1:7000 0-5460 <- h2:7003" */
function shardsOf(options: CreateOptions): string[] {
  return planCreate(options).primaries.map(({address, slots, replicas}) =>
    [`${address} ${slots}`, ...replicas.map((replica) => replica.address)].join(' <- '),
  )
}

const many = (count: number, hosts: number): string => Array.from({length: count}, (_, n) => `h${n % hosts}`).join(' ')

describe('slots', () => {
  test.each([
    {name: '1 primary', count: 1, slots: ['0-16383']},
    {name: '2 primaries', count: 2, slots: ['0-8191', '8192-16383']},
    {name: '3 primaries', count: 3, slots: ['0-5460', '5461-10922', '10923-16383']},
    {name: '4 primaries', count: 4, slots: ['0-4095', '4096-8191', '8192-12287', '12288-16383']},
    {
      name: '7 primaries',
      count: 7,
      slots: ['0-2340', '2341-4680', '4681-7021', '7022-9361', '9362-11702', '11703-14042', '14043-16383'],
    },
  ])('$name get what redis-cli gives them', ({count, slots}) => {
    expect(planCreate({nodes: nodesOn(many(count, count))}).primaries.map((primary) => primary.slots)).toEqual(slots)
  })

  test('every count up to 60 covers every slot once, with shares that differ by one at most', () => {
    for (let count = 1; count <= 60; count++) {
      const shares = planCreate({nodes: nodesOn(many(count, 1))}).primaries.map(({slots}) => parseRanges(slots))
      expect(formatRanges(rangesFromSlots(shares.flatMap(slotsInRanges)))).toBe(`0-${SLOT_COUNT - 1}`)
      const sizes = shares.map(countSlots)
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(SLOT_COUNT)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
    }
  })
})

describe('roles', () => {
  test.each([
    {
      name: 'without a word of replicas all lead',
      nodes: 'h1 h2 h3',
      gives: ['h1:7000 0-5460', 'h2:7001 5461-10922', 'h3:7002 10923-16383'],
    },
    {
      name: 'nodes beyond that become extra replicas',
      nodes: 'h1 h2 h3',
      replicas: 1,
      gives: ['h1:7000 0-16383 <- h2:7001 <- h3:7002'],
    },
    {
      name: 'a given number of primaries leaves the others to follow',
      nodes: 'h1 h2 h3 h4',
      primaries: 3,
      gives: ['h1:7000 0-5460 <- h4:7003', 'h2:7001 5461-10922', 'h3:7002 10923-16383'],
    },
    {name: 'one node alone', nodes: 'h1', gives: ['h1:7000 0-16383']},
  ])('$name', ({nodes, gives, name: _, ...rest}) => {
    expect(shardsOf({nodes: nodesOn(nodes), ...rest})).toEqual(gives)
  })

  test('three hosts with a primary and a replica each are kept apart', () => {
    const plan = planCreate({nodes: nodesOn('h1 h1 h2 h2 h3 h3'), replicas: 1})
    expect(plan.primaries.map(({address}) => address)).toEqual(['h1:7000', 'h2:7002', 'h3:7004'])
    for (const {address, replicas} of plan.primaries) {
      expect(replicas).toHaveLength(1)
      expect(replicas[0]?.address.split(':')[0]).not.toBe(address.split(':')[0])
    }
    expect(plan.warnings).toEqual([])
  })

  test('config epochs are 1, 2, 3 … over primaries, then replicas', () => {
    const {primaries} = planCreate({nodes: nodesOn(many(7, 3)), replicas: 1})
    const epochs = [...primaries, ...primaries.flatMap(({replicas}) => replicas)].map(({configEpoch}) => configEpoch)
    expect(epochs).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  test('every node has one role, whatever the hosts', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5), {minLength: 1, maxLength: 24}), fc.nat(3), (hosts, replicas) => {
        fc.pre(hosts.length > replicas)
        const nodes = nodesOn(hosts.map((host) => `h${host}`).join(' '))
        const {primaries} = planCreate({nodes, replicas})
        const placed = primaries.flatMap((primary) => [primary, ...primary.replicas]).map(({id}) => id)
        expect(placed.toSorted()).toEqual(nodes.map(({id}) => id))
        for (const primary of primaries) expect(primary.replicas.length).toBeGreaterThanOrEqual(replicas)
      }),
    )
  })
})

describe('refusals', () => {
  test.each([
    {
      name: 'fewer nodes than one shard takes',
      options: {nodes: nodesOn('h1 h2'), replicas: 2},
      says: '2 nodes do not suffice for 1 primary with 2 replicas each: that takes 3',
    },
    {
      name: 'more primaries than nodes',
      options: {nodes: nodesOn('h1 h2'), primaries: 3},
      says: '2 nodes do not suffice for 3 primaries with 0 replicas each: that takes 3',
    },
    {
      name: 'primaries and replicas that do not fit',
      options: {nodes: nodesOn(many(5, 5)), primaries: 3, replicas: 1},
      says: '5 nodes do not suffice for 3 primaries with 1 replica each: that takes 6',
    },
    {
      name: 'no node',
      options: {nodes: []},
      says: '0 nodes do not suffice for 1 primary with 0 replicas each: that takes 1',
    },
    {
      name: 'an address twice',
      options: {nodes: [...nodesOn('h1 h2'), {id: 'f'.repeat(40), address: {host: 'h2', port: 7001}}]},
      says: 'h2:7001 is named twice',
    },
  ])('$name', ({options, says}) => {
    expect(() => planCreate(options)).toThrow(expect.objectContaining({code: 'E_USAGE', message: says}))
  })
})

describe('warnings', () => {
  const NO_REPLICAS = 'Without replicas, the slots of a lost node are lost with it.'
  test.each([
    {name: 'nothing to warn of', nodes: 'h1 h2 h3 h2 h3 h1', replicas: 1, gives: []},
    {name: 'no replicas', nodes: 'h1 h2 h3', gives: [NO_REPLICAS]},
    {
      name: 'one primary',
      nodes: 'h1 h2',
      replicas: 1,
      gives: [
        'With 1 primary there is no majority to vote: no replica will take over by itself when a primary is lost.',
      ],
    },
    {
      name: 'two primaries',
      nodes: 'h1 h2 h3 h4',
      replicas: 1,
      gives: [
        'With 2 primaries there is no majority to vote: no replica will take over by itself when a primary is lost.',
      ],
    },
    {
      name: 'one host for all is said once',
      nodes: many(12, 1),
      replicas: 1,
      gives: ['All nodes are on one host, h0: with it the whole cluster is lost.'],
    },
    {
      name: 'one host in one zone is said once',
      nodes: 'h1/z1 h1/z1 h1/z1 h1/z1 h1/z1 h1/z1',
      replicas: 1,
      gives: ['All nodes are on one host, h1: with it the whole cluster is lost.'],
    },
    {
      name: 'one zone for all is said once',
      nodes: 'h1/z1 h2/z1 h3/z1 h4/z1 h5/z1 h6/z1',
      replicas: 1,
      gives: ['All nodes are in one zone, z1: with it the whole cluster is lost.'],
    },
    {
      name: 'a zone with most primaries',
      nodes: 'h1/z1 h2/z1 h3/z1 h4/z2 h5/z2',
      gives: [NO_REPLICAS, 'The zone z1 has 3 of 5 primaries: without it no majority is left.'],
    },
    {
      name: 'half of the primaries are as many as most: the other half is no majority',
      nodes: 'h1 h2 h1 h2',
      gives: [
        NO_REPLICAS,
        'The host h1 has 2 of 4 primaries: without it no majority is left.',
        'The host h2 has 2 of 4 primaries: without it no majority is left.',
      ],
    },
    {
      name: 'replicas that had to share a host',
      nodes: 'h1 h1 h1 h1 h1 h2',
      primaries: 3,
      gives: [
        '2 of 3 shards have a replica on the host of its primary: h1:7000, h1:7001.',
        'The host h1 has 2 of 3 primaries: without it no majority is left.',
      ],
    },
    {
      name: 'two replicas of a shard that had to share a host',
      nodes: 'h1 h2 h3 h1 h2 h3 h1 h1 h2',
      replicas: 2,
      gives: ['1 of 3 shards has two replicas on one host: h2:7001.'],
    },
  ])('$name', ({nodes, gives, name: _, ...rest}) => {
    expect(planCreate({nodes: nodesOn(nodes), ...rest}).warnings).toEqual(gives)
  })
})
