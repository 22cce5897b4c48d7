/** The dangers that the engine has to avoid are there in the fake: what is forgotten in it cannot be tested with it. */
import {describe, expect, it} from 'vitest'
import {FakeCluster} from '../support/fake-cluster.ts'
import {fill, keyIn} from '../support/moving.ts'

describe('the fake loses keys where real servers do', () => {
  it('a source deletes what it still holds when its target takes the slot', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0', 4)
    const [source, target] = [cluster.server(0), cluster.server(1)]
    target.setImporting(0, source.id)
    source.setMigrating(0, target.id)
    target.assignSlot(0, target.id)
    cluster.settle()
    expect([source.keyspace.countInAll(0), cluster.contents().size]).toEqual([0, 0])
  })

  it('a target with a stale picture of its source takes the slot at too low an epoch, and loses it with its keys', () => {
    const cluster = new FakeCluster()
    const [source, target] = [cluster.server(0), cluster.server(2)]
    fill(cluster, '0', 4)
    cluster.gossip = 'manual'
    // The source took a slot a moment ago; nobody has heard of it.
    source.bumpEpoch()
    expect(source.me.configEpoch).toBeGreaterThan(target.me.configEpoch)
    target.setImporting(0, source.id)
    source.setMigrating(0, target.id)
    for (const key of source.keyspace.keysIn(0, 0)) {
      target.keyspace.set(key, {payload: Buffer.from('moved'), expiresAtMs: undefined}, 0)
      source.keyspace.delete(key, 0)
    }
    cluster.holdPacketsOf(source)
    target.assignSlot(0, target.id)
    source.assignSlot(0, target.id)
    cluster.deliverHeld()
    expect(target.keyspace.countInAll(0)).toBe(0)
    expect(cluster.copies(keyIn(0, 0))).toEqual([])
  })

  it('a source that loses its last slot follows who took it, unless that is forbidden', () => {
    for (const setting of ['yes', 'no']) {
      const cluster = new FakeCluster({shares: ['0', '1-100', '101-16383']})
      const [source, target] = [cluster.server(0), cluster.server(1)]
      source.settings.set('cluster-allow-replica-migration', setting)
      target.setImporting(0, source.id)
      source.setMigrating(0, target.id)
      target.assignSlot(0, target.id)
      cluster.settle()
      expect(source.me.primaryId).toBe(setting === 'yes' ? target.id : undefined)
    }
  })

  it('a client reads nothing of a half-moved slot that was closed on both sides', () => {
    const cluster = new FakeCluster()
    fill(cluster, '0', 1)
    const [source, target] = [cluster.server(0), cluster.server(1)]
    target.keyspace.set(keyIn(0, 0), {payload: Buffer.from('moved'), expiresAtMs: undefined}, 0)
    source.keyspace.delete(keyIn(0, 0), 0)
    expect(cluster.contents().size).toBe(0)
    target.setImporting(0, source.id)
    source.setMigrating(0, target.id)
    expect(cluster.contents().size).toBe(1)
  })
})
