import {describe, expect, it} from 'vitest'
import {failOver} from '../../src/lib/engine/fail-over.ts'
import {followPrimary} from '../../src/lib/engine/follow-primary.ts'
import {type ClusterSession, openSession} from '../../src/lib/engine/session.ts'
import {InterruptedError, NodeError} from '../../src/lib/errors.ts'
import {planFailover} from '../../src/lib/plan/failover.ts'
import {planReplicate} from '../../src/lib/plan/replicate.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

const deadlineMs = 1500

async function sessionOn(cluster: FakeCluster): Promise<ClusterSession> {
  return openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
}

describe('a failover', () => {
  const planned = (session: ClusterSession, replica: string): ReturnType<typeof planFailover> =>
    planFailover(session.topology, {nodeId: replica, way: 'coordinated'})

  it('is told as done when every node has the new primary, at a higher epoch, and the old one follows', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const session = await sessionOn(cluster)
    const [before, heir] = [cluster.server(0), cluster.server(3)]
    const outcome = await failOver(session, planned(session, heir.id), 'coordinated', {deadlineMs})
    expect(outcome).toMatchObject({epochBefore: 1, isFollowed: true})
    expect(outcome.epochAfter).toBeGreaterThan(1)
    expect(before.me.primaryId).toBe(heir.id)
    expect(session.topology.owners[0]).toBe(heir.id)
  })

  it('that the servers gave up is not told as done: the message says that it may still take place', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const session = await sessionOn(cluster)
    const heir = cluster.server(3)
    // They answer OK, and the replica never gets the votes.
    cluster.swap = () => {}
    const failing = failOver(session, planned(session, heir.id), 'coordinated', {deadlineMs})
    await expect(failing).rejects.toThrow(InterruptedError)
    await expect(failing).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/has not taken over .* in time.*may still take place/),
      suggestions: expect.arrayContaining([expect.stringContaining('rcluster check')]),
    })
    expect(cluster.server(0).me.primaryId).toBeUndefined()
  })

  it('that one node has not heard of is waited for', async () => {
    const cluster = new FakeCluster({replicas: 1})
    cluster.gossip = 'manual'
    const session = await sessionOn(cluster)
    const heir = cluster.server(3)
    const settle = cluster.settle.bind(cluster)
    let isHeard = false
    cluster.settle = () => {}
    setTimeout(() => {
      isHeard = true
      settle()
    }, 200)
    await failOver(session, planned(session, heir.id), 'coordinated', {deadlineMs})
    expect(isHeard).toBe(true)
  })

  it('that the replica refuses changes nothing and says why', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const session = await sessionOn(cluster)
    cluster.script.failWhen(({kind}) => (kind === 'failOver' ? {when: 'before', failure: 'permission'} : undefined))
    const failing = failOver(session, planned(session, cluster.server(3).id), 'coordinated', {deadlineMs})
    await expect(failing).rejects.toThrow(NodeError)
    expect(cluster.server(0).me.primaryId).toBeUndefined()
  })

  it('ends with the reason of the signal', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const session = await sessionOn(cluster)
    cluster.swap = () => {}
    const stop = new AbortController()
    const failing = failOver(session, planned(session, cluster.server(3).id), 'coordinated', {
      deadlineMs: 60_000,
      signal: stop.signal,
    })
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(failing).rejects.toThrow(/enough/)
  })
})

describe('a node that is to follow another', () => {
  const planned = (cluster: FakeCluster, session: ClusterSession): ReturnType<typeof planReplicate> =>
    planReplicate(session.topology, {replicaId: cluster.server(3).id, primaryId: cluster.server(1).id})

  it('follows it by the word of every node', async () => {
    const cluster = new FakeCluster({slotless: 1})
    const session = await sessionOn(cluster)
    await followPrimary(session, planned(cluster, session), {deadlineMs})
    for (const server of cluster.servers.slice(0, 3)) {
      expect(server.peers.get(cluster.server(3).id)?.primaryId).toBe(cluster.server(1).id)
    }
  })

  it('is told once more when it did not know its primary yet', async () => {
    const cluster = new FakeCluster({slotless: 1})
    const session = await sessionOn(cluster)
    cluster.script.failAt(1, 'before', 'unknown-node')
    await followPrimary(session, planned(cluster, session), {deadlineMs})
    expect(cluster.server(3).me.primaryId).toBe(cluster.server(1).id)
  })

  it('of which not every node has heard in time is told as begun, not as done', async () => {
    const cluster = new FakeCluster({slotless: 1})
    cluster.gossip = 'manual'
    const session = await sessionOn(cluster)
    const failing = followPrimary(session, planned(cluster, session), {deadlineMs: 400})
    await expect(failing).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/not all nodes know yet.*the node was told to follow/s),
    })
  })
})
