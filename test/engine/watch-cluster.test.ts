import {describe, expect, it} from 'vitest'
import {glance} from '../../src/lib/engine/glance.ts'
import {Patience} from '../../src/lib/engine/patience.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {ClusterWatcher} from '../../src/lib/engine/watch-cluster.ts'
import type {Round} from '../../src/lib/watch/round.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

const seedsOf = (cluster: FakeCluster) => cluster.servers.map(({address}) => address)
const reachedIn = ({topology}: Pick<Round, 'topology'>): number =>
  topology.nodes.filter(({reach}) => reach.kind === 'reached').length

describe('a watcher', () => {
  it('goes on through other nodes when its seed dies, and through any when all were away', async () => {
    const cluster = new FakeCluster()
    const count = cluster.servers.length
    const [seed] = seedsOf(cluster)
    const watcher = await ClusterWatcher.open(cluster, [seed!], 500)
    expect(reachedIn(await watcher.look())).toBe(count)
    cluster.stop(0)
    expect(reachedIn(await watcher.look())).toBe(count - 1)
    for (let index = 1; index < count; index++) cluster.stop(index)
    const lost = await watcher.look()
    expect(lost.lost).toBeDefined()
    expect(lost.topology.nodes).toHaveLength(count)
    expect(reachedIn(lost)).toBe(0)
    expect((await watcher.look()).lost).toBeDefined()
    cluster.start(1)
    const back = await watcher.look()
    expect(back.lost).toBeUndefined()
    expect(reachedIn(back)).toBe(1)
    for (let index = 0; index < count; index++) if (index !== 1) cluster.start(index)
    expect(reachedIn(await watcher.look())).toBe(count)
  })

  it('asks each node three things, and counts it', async () => {
    const cluster = new FakeCluster()
    const watcher = await ClusterWatcher.open(cluster, seedsOf(cluster), 500)
    await watcher.look()
    const {commands, leastIntervalMs} = await watcher.look()
    expect(commands).toBe(3 * cluster.servers.length)
    expect(leastIntervalMs).toBeLessThan(100)
  })

  it('does without what its user may not ask', async () => {
    const cluster = new FakeCluster()
    cluster.script.failWhen(({kind}) =>
      ['readAtomicFamily', 'listSlotMigrations', 'listNamedClients', 'countKeys'].includes(kind)
        ? {when: 'before', failure: 'permission'}
        : undefined,
    )
    const watcher = await ClusterWatcher.open(cluster, seedsOf(cluster), 500)
    await watcher.look()
    expect(await watcher.look()).toMatchObject({atomicMoves: [], worker: undefined, lost: undefined})
  })
})

describe('a glance', () => {
  it('brings how the nodes are, and says when it does not suffice', async () => {
    const cluster = new FakeCluster()
    const patience = new Patience(500)
    const session = await openSession(cluster, seedsOf(cluster), patience)
    const calm = await glance(session, patience)
    expect(calm.isOutdated).toBe(false)
    expect(calm.topology).toEqual(session.topology)

    await (await cluster.connect(seedsOf(cluster)[0]!)).bumpEpoch()
    cluster.stop(1)
    const {topology, isOutdated} = await glance(session, patience)
    expect(isOutdated).toBe(true)
    expect(reachedIn({topology})).toBe(cluster.servers.length - 1)
    expect(topology.shards.flatMap(({primary}) => (primary.reach.kind === 'reached' ? [] : [primary.id]))).toEqual([
      cluster.servers[1]?.id,
    ])
  })
})
