import {describe, expect, test} from 'vitest'
import type {PlaceableNode} from '../../../src/lib/plan/placement.ts'
import {planCreateAsRedisCli} from '../../../src/lib/plan/redis-cli/create.ts'

/** "h1 h1 h2": a node each, on these hosts; ports 7000, 7001 … */
function nodesOn(hosts: string): PlaceableNode[] {
  return hosts
    .split(' ')
    .map((host, index) => ({id: `${index}`.padStart(40, '0'), address: {host, port: 7000 + index}}))
}

/** "h1:7000 0-5460 <- h2:7003" */
function shardsOf(hosts: string, replicas: number): string[] {
  return planCreateAsRedisCli(nodesOn(hosts), replicas).plan.primaries.map(({address, slots, replicas: own}) =>
    [`${address} ${slots}`, ...own.map((replica) => replica.address)].join(' <- '),
  )
}

describe('roles and slots', () => {
  test.each([
    {
      name: 'go by the position of the addresses',
      hosts: 'h h h',
      replicas: 0,
      gives: ['h:7000 0-5460', 'h:7001 5461-10922', 'h:7002 10923-16383'],
    },
    {
      name: 'on one host the second node of the pool goes first',
      hosts: 'h h h h h h',
      replicas: 1,
      gives: ['h:7000 0-5460 <- h:7004', 'h:7001 5461-10922 <- h:7005', 'h:7002 10923-16383 <- h:7003'],
    },
    {
      name: 'hosts take turns',
      hosts: 'a a b b c c',
      replicas: 1,
      gives: ['a:7000 0-5460 <- b:7003', 'b:7002 5461-10922 <- c:7005', 'c:7004 10923-16383 <- a:7001'],
    },
    {
      name: 'what is left over goes one by one from the first on',
      hosts: 'h h h h h h h h',
      replicas: 1,
      gives: [
        'h:7000 0-4095 <- h:7005',
        'h:7001 4096-8191 <- h:7006',
        'h:7002 8192-12287 <- h:7007',
        'h:7003 12288-16383 <- h:7004',
      ],
    },
    {
      name: 'five nodes with one replica each make two primaries and an extra replica',
      hosts: 'h h h h h',
      replicas: 1,
      gives: ['h:7000 0-8191 <- h:7003 <- h:7002', 'h:7001 8192-16383 <- h:7004'],
    },
    {name: 'one node is a cluster', hosts: 'h', replicas: 0, gives: ['h:7000 0-16383']},
    {
      name: 'two hosts cross over',
      hosts: 'a b a b',
      replicas: 1,
      gives: ['a:7000 0-8191 <- b:7003', 'b:7001 8192-16383 <- a:7002'],
    },
  ])('$name', ({hosts, replicas, gives}) => {
    expect(shardsOf(hosts, replicas)).toEqual(gives)
  })

  test('too few for one primary are refused', () => {
    expect(() => planCreateAsRedisCli(nodesOn('h'), 1)).toThrow('1 node does not suffice for a primary with 1 replicas')
  })
})

test('epochs are 1, 2, 3 … in the order of the addresses, replicas too', () => {
  const {plan} = planCreateAsRedisCli(nodesOn('a a b b c c'), 1)
  const epochs = plan.primaries.flatMap(({address, configEpoch, replicas}) => [
    {address, configEpoch},
    ...replicas.map((replica) => ({address: replica.address, configEpoch: replica.configEpoch})),
  ])
  for (const {address, configEpoch} of epochs) expect(address).toMatch(new RegExp(`:${6999 + configEpoch}$`))
  expect(epochs).toHaveLength(6)
})

describe('what the first distribution puts on one host', () => {
  // Two nodes on a, so that redis-cli's first distribution leaves the last primary with a replica beside it.
  const crowded = 'a a a b c c'

  test('is told, and put apart where that can be had', () => {
    const {isOptimised, shared, plan} = planCreateAsRedisCli(nodesOn('a b a b a b b a'), 1)
    expect({isOptimised, shared}).toMatchObject({shared: 'none'})
    for (const {address, replicas} of plan.primaries) {
      for (const replica of replicas) expect(replica.address[0]).not.toBe(address[0])
    }
  })

  test('is the same at every run', () => {
    expect(shardsOf(crowded, 1)).toEqual(shardsOf(crowded, 1))
  })

  test.each([
    {hosts: 'h h h h h h', replicas: 1, isOptimised: true, shared: 'primary'},
    {hosts: 'a b a b a b', replicas: 2, isOptimised: true, shared: 'replicas'},
    {hosts: 'a a b b c c', replicas: 1, isOptimised: false, shared: 'none'},
    {hosts: 'h h h', replicas: 0, isOptimised: false, shared: 'none'},
    {hosts: 'a b b', replicas: 2, isOptimised: true, shared: 'replicas'},
  ] as const)('$hosts with $replicas: $shared', ({hosts, replicas, isOptimised, shared}) => {
    expect(planCreateAsRedisCli(nodesOn(hosts), replicas)).toMatchObject({isOptimised, shared})
  })
})
