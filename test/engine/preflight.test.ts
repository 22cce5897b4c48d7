import {describe, expect, it, test} from 'vitest'
import {chooseMovers} from '../../src/lib/engine/choose-movers.ts'
import {lookBeforeMoves} from '../../src/lib/engine/preflight.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {joinVerdicts, refuseObstacles, type Verdict} from '../../src/lib/engine/verdict.ts'
import {RefusedError} from '../../src/lib/errors.ts'
import {buildMovePlan} from '../../src/lib/plan/move-plan.ts'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import type {ServerInfo} from '../../src/lib/topology/model.ts'
import {FakeCluster, type FakeOptions} from '../support/fake-cluster.ts'
import {carryOut, fill, movesOf} from '../support/moving.ts'

const MB = 2 ** 20

async function look(cluster: FakeCluster, moves: readonly SlotMove[], isAtomicOnly = false): Promise<Verdict> {
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  const plan = buildMovePlan(session.topology, 'reshard', moves, [])
  const movers = await chooseMovers(session, moves, 'auto')
  return lookBeforeMoves(session, {...plan, movers}, {isAtomicOnly})
}

interface Row {
  readonly name: string
  readonly options?: FakeOptions
  /** "0-9" by default, which hold keys. */
  readonly slots?: string
  /** What is done to source (server 0), target (1) and whoever else. */
  readonly arrange: (cluster: FakeCluster) => void
  readonly obstacles?: readonly RegExp[]
  readonly warnings?: readonly RegExp[]
}

function says(cluster: FakeCluster, index: number, info: Partial<ServerInfo>): void {
  cluster.server(index).infoOverrides = info
}

const attached = (cluster: FakeCluster, index: number, lagSeconds: number) => [
  {address: cluster.server(index).address, isOnline: true, lagSeconds},
]

const ROWS: readonly Row[] = [
  {name: 'nothing in the way', arrange: () => {}},
  {
    name: 'a target without room under noeviction',
    arrange: (cluster) => {
      cluster.server(0).maxMemory.used = 400 * MB
      cluster.server(1).maxMemory = {used: 100 * MB, limit: 100 * MB + 1000}
    },
    obstacles: [/^10\.0\.0\.1:7001 has 0\.0 MB left under its maxmemory of 100\.0 MB, and about \d/],
  },
  {
    name: 'a target that is full',
    arrange: (cluster) => {
      cluster.server(1).maxMemory = {used: 101 * MB, limit: 100 * MB}
    },
    obstacles: [/7001 is at its maxmemory/],
  },
  {
    name: 'room for all that the source holds',
    arrange: (cluster) => {
      cluster.server(0).maxMemory.used = 40 * MB
      cluster.server(1).maxMemory = {used: 50 * MB, limit: 100 * MB}
    },
  },
  {
    name: 'room for the slots that move, though not for all that the source holds',
    arrange: (cluster) => {
      cluster.server(0).maxMemory.used = 4000 * MB
      cluster.server(1).maxMemory = {used: 50 * MB, limit: 100 * MB}
    },
  },
  {
    name: 'buffers for replicas do not count',
    arrange: (cluster) => {
      cluster.server(1).maxMemory = {used: 101 * MB, limit: 100 * MB}
      says(cluster, 1, {uncountedMemoryBytes: 30 * MB})
    },
  },
  {
    name: 'no room where keys are evicted',
    arrange: (cluster) => {
      cluster.server(1).maxMemory = {used: 101 * MB, limit: 100 * MB}
      says(cluster, 1, {maxMemoryPolicy: 'allkeys-lfu'})
    },
    warnings: [/7001 .*: keys will be evicted there \(allkeys-lfu\)/],
  },
  {
    name: 'no room at the replica of a target',
    options: {replicas: 1},
    arrange: (cluster) => {
      cluster.server(4).maxMemory = {used: 101 * MB, limit: 100 * MB}
    },
    warnings: [/the replica 10\.0\.0\.1:7004 is at its maxmemory.*after a failover/],
  },
  {
    name: 'rights that are missing at both ends, and one that is seldom needed',
    arrange: (cluster) => {
      cluster.server(0).forbidden.add('+migrate')
      cluster.server(1).forbidden.add('+cluster|setslot').add('+select').add('+dump')
    },
    obstacles: [
      /user default may not MIGRATE on 10\.0\.0\.1:7000/,
      /may not CLUSTER SETSLOT, SELECT on 10\.0\.0\.1:7001/,
    ],
    warnings: [/may not DUMP on 10\.0\.0\.1:7001/],
  },
  {
    name: 'a question that is not allowed',
    arrange: (cluster) => {
      cluster.script.failWhen(({kind, at}) =>
        kind === 'readDatabaseCount' && at === cluster.server(1).id
          ? {when: 'before', failure: 'permission'}
          : undefined,
      )
    },
    obstacles: [/10\.0\.0\.1:7001/],
  },
  {
    name: 'a question that is not allowed, where the rights tell more',
    arrange: (cluster) => {
      cluster.server(1).forbidden.add('+select')
      cluster.script.failWhen(({kind, at}) =>
        kind === 'readDatabaseCount' && at === cluster.server(1).id
          ? {when: 'before', failure: 'permission'}
          : undefined,
      )
    },
    obstacles: [/user default may not SELECT on 10\.0\.0\.1:7001/],
  },
  {
    name: 'rights that the other end needs',
    arrange: (cluster) => {
      cluster.server(1).forbidden.add('+migrate')
      cluster.server(2).forbidden.add('+migrate').add('+cluster|setslot')
    },
  },
  {
    name: 'a way that is closed, with keys in other slots only',
    slots: '20-29',
    arrange: (cluster) => {
      cluster.script.failWhen(({kind, isCopying}) =>
        kind === 'migrateKeys' && isCopying ? {when: 'before', failure: 'io'} : undefined,
      )
    },
    obstacles: [/10\.0\.0\.1:7000 cannot move keys to 10\.0\.0\.1:7001/],
  },
  {
    name: 'a source that holds nothing',
    arrange: (cluster) => {
      for (const {key, database} of [...cluster.server(0).keyspace.keys()]) {
        cluster.server(0).keyspace.delete(key, database)
      }
      cluster.script.failWhen(({kind}) => (kind === 'migrateKeys' ? {when: 'before', failure: 'io'} : undefined))
    },
  },
  {
    name: 'a later release at the source',
    arrange: (cluster) => {
      says(cluster, 0, {version: '8.6.3'})
    },
    // The fake's functions have no payload of a version.
    warnings: [/whether 10\.0\.0\.1:7001 \(redis 7\.0\.15\) understands the values of .*8\.6\.3/],
  },
  {
    name: 'another patch at the source',
    arrange: (cluster) => says(cluster, 0, {version: '7.0.11'}),
  },
  {
    name: 'a module that the target does not have, without values of it',
    arrange: (cluster) => says(cluster, 0, {modules: ['bf', 'lua']}),
    warnings: [/7001 .* does not have bf, which .*7000 .* has/],
  },
  {
    name: 'too few good replicas at the target',
    options: {replicas: 1},
    arrange: (cluster) => {
      says(cluster, 1, {goodReplicas: 1})
      cluster.server(1).settings.set('min-replicas-to-write', '2')
    },
    obstacles: [/7001 takes no writes: 1 of its replicas is up to date, and min-replicas-to-write asks for 2/],
  },
  {
    name: 'no good replica, and a setting that may not be read',
    options: {replicas: 1},
    arrange: (cluster) => says(cluster, 1, {goodReplicas: 0}),
    obstacles: [/7001 takes no writes: 0 of its replicas are up to date/],
  },
  {
    name: 'enough good replicas',
    options: {replicas: 1},
    arrange: (cluster) => says(cluster, 1, {goodReplicas: 1}),
  },
  {
    name: 'a replica that is silent, where SETSLOT waits for it',
    options: {replicas: 1},
    arrange: (cluster) => {
      says(cluster, 0, {flavour: 'valkey', version: '8.1.1'})
      says(cluster, 1, {flavour: 'valkey', version: '8.1.1', attachedReplicas: attached(cluster, 4, 1)})
      cluster.stop(4, 'timeout')
    },
    obstacles: [/the replica 10\.0\.0\.1:7004 of 10\.0\.0\.1:7001 does not answer but is still attached/],
    warnings: [/7004 does not follow 10\.0\.0\.1:7001 now/],
  },
  {
    name: 'a replica that lags far behind, where SETSLOT waits for it',
    options: {replicas: 1},
    arrange: (cluster) => {
      says(cluster, 0, {flavour: 'valkey', version: '8.1.1', attachedReplicas: attached(cluster, 3, 30)})
      says(cluster, 1, {flavour: 'valkey', version: '8.1.1', attachedReplicas: attached(cluster, 4, 2)})
    },
    obstacles: [/7003 of 10\.0\.0\.1:7000 has said nothing for 30 s/],
  },
  {
    name: 'a silent replica of a primary that takes no part, where SETSLOT waits for it',
    options: {replicas: 1},
    arrange: (cluster) => {
      says(cluster, 2, {flavour: 'valkey', version: '9.1.2', attachedReplicas: attached(cluster, 5, 1)})
      cluster.stop(5, 'timeout')
    },
    warnings: [/7005 of 10\.0\.0\.1:7002 does not answer .* slow$/],
  },
  {
    name: 'a replica that is silent on Redis',
    options: {replicas: 1},
    arrange: (cluster) => {
      says(cluster, 1, {attachedReplicas: attached(cluster, 4, 40)})
      cluster.stop(4, 'timeout')
    },
    warnings: [/7004 does not follow 10\.0\.0\.1:7001 now/],
  },
]

describe('what is found before the first mark is set', () => {
  test.each(ROWS)('$name', async ({options = {}, slots = '0-9', arrange, obstacles = [], warnings = []}) => {
    const cluster = new FakeCluster(options)
    fill(cluster, '0-9,100', 3)
    arrange(cluster)
    const contents = cluster.contents()
    const verdict = await look(cluster, movesOf(cluster, slots, 0, 1))
    const told = (texts: readonly string[], patterns: readonly RegExp[]): void => {
      expect(texts).toHaveLength(patterns.length)
      for (const [index, pattern] of patterns.entries()) expect(texts[index]).toMatch(pattern)
    }
    told(
      verdict.obstacles.map(({message}) => message),
      obstacles,
    )
    told(verdict.warnings, warnings)
    expect(cluster.contents()).toEqual(contents)
    for (const {suggestions} of verdict.obstacles) expect(suggestions.length).toBeGreaterThan(0)
  })

  it('several sources add up at one target', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-9', 100)
    fill(cluster, '16000-16009', 100)
    for (const index of [0, 2]) cluster.server(index).maxMemory.used = 1000 * MB
    // Each of the two brings about 0.14 MB.
    cluster.server(1).maxMemory = {used: 10 * MB, limit: 10.2 * MB}
    const [one, other] = [movesOf(cluster, '0-9', 0, 1), movesOf(cluster, '16000-16009', 2, 1)]
    expect((await look(cluster, one)).obstacles).toEqual([])
    expect((await look(cluster, [...one, ...other])).obstacles.map(({about}) => about)).toEqual(['memory'])
  })

  it('what only atomic moves need is a warning, unless there is no other way', async () => {
    const cluster = new FakeCluster({atomicFamily: 'push'})
    fill(cluster, '0-9', 3)
    cluster.server(0).forbidden.add('+cluster|migrateslots')
    const moves = movesOf(cluster, '0-9', 0, 1)
    const verdict = await look(cluster, moves)
    expect(verdict.obstacles).toEqual([])
    expect(verdict.warnings).toHaveLength(1)
    expect(verdict.warnings[0]).toMatch(/CLUSTER MIGRATESLOTS on 10\.0\.0\.1:7000: these slots go key by key/)
    expect((await look(cluster, moves, true)).obstacles.map(({about}) => about)).toEqual(['rights'])
  })

  it("asks what the servers' own user may do at the target of a push", async () => {
    const cluster = new FakeCluster({atomicFamily: 'push'})
    cluster.server(0).settings.set('masteruser', 'repl')
    cluster.server(1).forbidden.add('+cluster|syncslots')
    const verdict = await look(cluster, movesOf(cluster, '0-9', 0, 1))
    expect(verdict.warnings[0]).toMatch(/user repl may not CLUSTER SYNCSLOTS on 10\.0\.0\.1:7001/)
  })

  it('stops the engine, too, with nothing changed', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-9', 3)
    cluster.server(1).forbidden.add('+cluster|setslot')
    const contents = cluster.contents()
    const refusal = carryOut(cluster, movesOf(cluster, '0-9', 0, 1))
    await expect(refusal).rejects.toMatchObject({
      reason: 'target-unfit',
      details: {obstacles: [{about: 'rights', missing: ['+cluster|setslot']}]},
    })
    expect(cluster.contents()).toEqual(contents)
    expect(cluster.script.changes.filter(({isCopying}) => !isCopying)).toEqual([])
  })
})

describe('obstacles', () => {
  const of = (count: number): Verdict => ({
    obstacles: Array.from({length: count}, (_, n) => ({about: 'memory', message: `no ${n}`, suggestions: ['mend it']})),
    warnings: ['w'],
  })

  it('are one line, however many there are', () => {
    const refusalOf = (count: number): RefusedError => {
      try {
        refuseObstacles(of(count))
      } catch (error) {
        if (error instanceof RefusedError) return error
      }
      throw new Error('not refused')
    }
    expect(refusalOf(1)).toMatchObject({message: 'no 0', suggestions: ['mend it']})
    expect(refusalOf(2).message).toBe('2 things stand in the way: no 0; no 1')
    expect(refusalOf(9).message).toMatch(/^9 things .*no 5; and 3 more$/)
    expect(refusalOf(9).details['obstacles']).toHaveLength(9)
    expect(() => refuseObstacles(of(0))).not.toThrow()
  })

  it('that are told twice are told once', () => {
    expect(joinVerdicts([of(2), of(3)])).toEqual({obstacles: of(3).obstacles, warnings: ['w']})
  })
})
