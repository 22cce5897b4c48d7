import {describe, expect, it} from 'vitest'
import {replaceNode} from '../../src/lib/engine/replace-node.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {ClusterError} from '../../src/lib/errors.ts'
import type {MemberAct} from '../../src/lib/plan/acts.ts'
import type {FakeServer} from '../support/fake/fake-server.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

/** Three primaries with a replica each, and a stranger. */
const SIX = {replicas: 1, strangers: 1}
const [OLD, REPLICA, NEW] = [0, 3, 6]

/** As the command finds the cluster: by the old node as long as that knows the others. */
async function replace(cluster: FakeCluster, old: FakeServer, keepsOld = false): Promise<readonly MemberAct[]> {
  const seed = old.peers.size > 1 ? old : cluster.server(1)
  const session = await openSession(cluster, [seed.address])
  if (!session.topology.nodesById.has(old.id)) return []
  const newcomer = await cluster.connect(cluster.server(NEW).address)
  const {done} = await replaceNode(session, {oldId: old.id, newcomer, keepsOld}, {again: 'Run it again'})
  return done
}

function expectReplaced(cluster: FakeCluster, oldId: string): void {
  const heir = cluster.server(NEW)
  const members = cluster.servers.filter(({peers}) => peers.size > 1)
  expect(members).toHaveLength(6)
  for (const {owners, peers} of members) {
    expect(owners[0]).toBe(heir.id)
    expect(peers.has(oldId)).toBe(false)
    expect(peers.get(cluster.server(REPLICA).id)?.primaryId).toBe(heir.id)
  }
}

describe('replacing a primary', () => {
  it('has the new node lead its slots and its replicas, and the old one alone and empty', async () => {
    const cluster = new FakeCluster(SIX)
    const old = cluster.server(OLD)
    const oldId = old.id
    const done = await replace(cluster, old)
    expect(done.map(({kind}) => kind)).toEqual(['join', 'replicate', 'fail-over', 'remove'])
    expectReplaced(cluster, oldId)
    expect(old.peers.size).toBe(1)
  })

  it('leaves the old one as a replica where it is to stay', async () => {
    const cluster = new FakeCluster(SIX)
    const old = cluster.server(OLD)
    await replace(cluster, old, true)
    expect(old.me.primaryId).toBe(cluster.server(NEW).id)
    expect(await replace(cluster, old, true)).toEqual([])
  })

  it('is gone on with by the same command, whatever it was killed at', async () => {
    const whole = new FakeCluster(SIX)
    await replace(whole, whole.server(OLD))
    const steps = whole.script.changes.length
    expect(steps).toBeGreaterThan(10)
    for (let number = 1; number <= steps; number++) {
      const cluster = new FakeCluster(SIX)
      const old = cluster.server(OLD)
      const oldId = old.id
      const crashed = cluster.script.crashAt(number)
      expect(await Promise.race([replace(cluster, old), crashed])).toBe('crashed')
      cluster.revive()
      await replace(cluster, old)
      expectReplaced(cluster, oldId)
    }
  })

  it('is gone on with by the same command, whatever answer got lost', async () => {
    for (let number = 1; number <= 16; number++) {
      const cluster = new FakeCluster(SIX)
      const old = cluster.server(OLD)
      const oldId = old.id
      cluster.script.failAt(number, 'after', 'closed')
      for (let turn = 0; turn < 2; turn++) {
        await replace(cluster, old).catch((error: unknown) => {
          if (!(error instanceof ClusterError)) throw error
          expect(error.suggestions.join()).toMatch(/Run it again/)
        })
      }
      expectReplaced(cluster, oldId)
    }
  })
})

describe('replacing a replica', () => {
  it('has the new node follow its primary', async () => {
    const cluster = new FakeCluster(SIX)
    const replica = cluster.server(REPLICA)
    const done = await replace(cluster, replica)
    expect(done.map(({kind}) => kind)).toEqual(['join', 'replicate', 'remove'])
    expect(cluster.server(NEW).me.primaryId).toBe(cluster.server(OLD).id)
    expect(replica.peers.size).toBe(1)
  })
})
