import {describe, expect, test} from 'vitest'
import {createCluster} from '../../src/lib/engine/create-cluster.ts'
import {joinNodes} from '../../src/lib/engine/join-nodes.ts'
import {removeNodes} from '../../src/lib/engine/remove-nodes.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {CancelledError} from '../../src/lib/errors.ts'
import {planCreate} from '../../src/lib/plan/create.ts'
import {planJoin} from '../../src/lib/plan/join.ts'
import {planRemoval} from '../../src/lib/plan/removal.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

const deadlineMs = 5000
const LOADING_MS = 300

/** As Redis 7 does: a replica answers nothing but LOADING while it reads its first copy. */
function loadAfterReplicate(cluster: FakeCluster): void {
  const until = new Map<string, number>()
  cluster.script.failWhen(({kind, at}) => {
    if (performance.now() < (until.get(at) ?? 0)) return {when: 'before', failure: 'loading'}
    if (kind === 'replicate') until.set(at, performance.now() + LOADING_MS)
    return undefined
  })
}

const seedsOf = (cluster: FakeCluster) => cluster.servers.map(({address}) => address)

describe('a replica that loads its first copy', () => {
  test('is waited for when it joins', async () => {
    const cluster = new FakeCluster({strangers: 1})
    loadAfterReplicate(cluster)
    const session = await openSession(cluster, seedsOf(cluster))
    const port = await cluster.connect(cluster.server(3).address)
    const plan = planJoin(session.topology, {newcomers: [{id: port.id, address: port.address}], role: 'replica'})
    await joinNodes(session, plan, [port], {deadlineMs})
    cluster.settle()
    expect(cluster.server(0).peers.get(port.id)?.primaryId).toBe(plan.newcomers[0]?.primaryId)
  })

  test('is told to forget its former primary, too', async () => {
    const cluster = new FakeCluster({slotless: 1, replicas: 1})
    cluster.server(4).replicate(cluster.server(3).id)
    cluster.settle()
    loadAfterReplicate(cluster)
    const session = await openSession(cluster, seedsOf(cluster))
    const victim = cluster.server(3).id
    const plan = planRemoval(session.topology, {victims: [victim]})
    expect(plan.rehomed.map(({id}) => id)).toContain(cluster.server(4).id)
    expect(await removeNodes(session, plan, {deadlineMs})).toEqual({notReset: [], notTold: []})
    expect(cluster.server(4).peers.has(victim)).toBe(false)
  })
})

test('a create that is stopped after the nodes have met says what they are now', async () => {
  const cluster = new FakeCluster({primaries: 0, strangers: 4})
  const ports = await Promise.all(seedsOf(cluster).map((address) => cluster.connect(address)))
  const plan = planCreate({nodes: ports.map(({id, address}) => ({id, address})), replicas: 1})
  const stop = new AbortController()
  cluster.script.failWhen(({kind}) => {
    if (kind === 'replicate') stop.abort(new CancelledError('Stopped by SIGINT'))
    return undefined
  })
  cluster.gossip = 'manual'
  const creating = createCluster(plan, ports, {deadlineMs, signal: stop.signal, listener: () => {}})
  const settling = setInterval(() => !stop.signal.aborted && cluster.settle(), 20)
  const error = await creating.catch((thrown: unknown) => thrown)
  clearInterval(settling)
  expect(error).toBeInstanceOf(CancelledError)
  expect(error).toMatchObject({
    message: 'Stopped by SIGINT; the nodes are a cluster now, but were not seen to serve',
    suggestions: ['rcluster check 10.0.0.1:7000'],
  })
})
