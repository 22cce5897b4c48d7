import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {costOf, interleave, type PlaceableNode, type PlacedShard, placeShards} from '../../src/lib/plan/placement.ts'

function nodesOn(hosts: readonly number[], zones = 0): PlaceableNode[] {
  return hosts.map((host, index) => ({
    id: `${index}`.padStart(3, '0'),
    address: {host: `h${host}`, port: 7000 + index},
    ...(zones > 0 ? {zone: `z${host % zones}`} : {}),
  }))
}

const costOfAll = (shards: readonly PlacedShard[]): number =>
  shards.reduce((sum, {primary, replicas}) => sum + costOf(primary, replicas), 0)

/** The least cost at which the same replicas can follow the same primaries, found by trying everything. */
function leastCost(shards: readonly PlacedShard[]): number {
  const pool = shards.flatMap(({replicas}) => replicas)
  const seated = shards.map((): PlaceableNode[] => [])
  let least = Number.POSITIVE_INFINITY
  const seat = (turn: number, cost: number): void => {
    if (cost >= least) return
    if (turn === pool.length) {
      least = cost
      return
    }
    for (const [index, {primary, replicas}] of shards.entries()) {
      const own = seated[index]!
      if (own.length === replicas.length) continue
      const before = costOf(primary, own)
      own.push(pool[turn]!)
      seat(turn + 1, cost - before + costOf(primary, own))
      own.pop()
    }
  }
  seat(0, 0)
  return least
}

test('hosts take turns in the order in which they were named', () => {
  const order = interleave(nodesOn([1, 1, 2, 3, 3]))
  expect(order.map(({address}) => `${address.host}:${address.port}`)).toEqual([
    'h1:7000',
    'h2:7002',
    'h3:7003',
    'h1:7001',
    'h3:7004',
  ])
})

test('zones take turns before hosts do', () => {
  const order = interleave(nodesOn([0, 2, 1, 3], 2))
  expect(order.map(({zone}) => zone)).toEqual(['z0', 'z1', 'z0', 'z1'])
})

test('no zone has most of the primaries where three zones share them', () => {
  const shards = placeShards(nodesOn([0, 3, 6, 1, 4, 7, 2, 5, 8], 3), 3)
  expect(new Set(shards.map(({primary}) => primary.zone)).size).toBe(3)
  expect(costOfAll(shards)).toBe(0)
})

test('a place that exchanging two replicas does not reach is found', () => {
  const shards = placeShards(nodesOn([1, 0, 0, 2, 0, 1, 3, 3, 1, 0, 2, 1, 2]), 4)
  expect(costOfAll(shards)).toBe(0)
})

describe('for any hosts and zones', () => {
  const layouts = fc.record({
    hosts: fc.array(fc.nat(4), {minLength: 2, maxLength: 9}),
    zones: fc.constantFrom(0, 2, 3),
    primaries: fc.integer({min: 1, max: 4}),
  })

  test('nothing better can be had with these primaries', () => {
    fc.assert(
      fc.property(layouts, ({hosts, zones, primaries}) => {
        fc.pre(hosts.length >= primaries)
        const shards = placeShards(nodesOn(hosts, zones), primaries)
        expect(costOfAll(shards)).toBe(leastCost(shards))
      }),
      {numRuns: 200},
    )
  })

  test('no shard is twice on a host where no host has more nodes than there are shards', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), {minLength: 2, maxLength: 12}),
        fc.integer({min: 1, max: 5}),
        (hosts, primaries) => {
          const each = hosts.length / primaries
          fc.pre(Number.isInteger(each))
          const perHost = new Map<number, number>()
          for (const host of hosts) perHost.set(host, (perHost.get(host) ?? 0) + 1)
          fc.pre(Math.max(...perHost.values()) <= primaries)
          expect(costOfAll(placeShards(nodesOn(hosts), primaries))).toBe(0)
        },
      ),
      {numRuns: 300},
    )
  })
})
