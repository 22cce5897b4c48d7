import {describe, expect, it} from 'vitest'
import type {NodePort} from '../../src/lib/engine/cluster-port.ts'
import {createCluster} from '../../src/lib/engine/create-cluster.ts'
import {joinNodes} from '../../src/lib/engine/join-nodes.ts'
import {meetNewcomer, requireEmpty} from '../../src/lib/engine/newcomers.ts'
import {removeNodes} from '../../src/lib/engine/remove-nodes.ts'
import {type ClusterSession, openSession} from '../../src/lib/engine/session.ts'
import {ClusterError, InterruptedError, RefusedError} from '../../src/lib/errors.ts'
import {planCreate} from '../../src/lib/plan/create.ts'
import {planJoin} from '../../src/lib/plan/join.ts'
import type {CreatePlan} from '../../src/lib/plan/plan.ts'
import {planRemoval} from '../../src/lib/plan/removal.ts'
import {formatSlots} from '../../src/lib/slots/slot-ranges.ts'
import {formatAddress} from '../../src/lib/topology/model.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {fill} from '../support/moving.ts'

const deadlineMs = 3000

async function portsOf(cluster: FakeCluster, indexes: readonly number[]): Promise<NodePort[]> {
  return Promise.all(indexes.map((index) => cluster.connect(cluster.server(index).address)))
}

async function planned(cluster: FakeCluster, replicas: number): Promise<{plan: CreatePlan; ports: NodePort[]}> {
  const ports = await portsOf(cluster, [...cluster.servers.keys()])
  const nodes = ports.map(({id, address}) => ({id, address, zone: undefined}))
  return {plan: planCreate({nodes, replicas}), ports}
}

async function sessionOn(cluster: FakeCluster): Promise<ClusterSession> {
  return openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
}

function known(cluster: FakeCluster, index: number): string[] {
  return [...cluster.server(index).peers.keys()].sort()
}

describe('creating a cluster', () => {
  it('makes every node know every other in its role, with its slots', async () => {
    const cluster = new FakeCluster({primaries: 0, strangers: 6})
    const {plan, ports} = await planned(cluster, 1)
    await createCluster(plan, ports, {deadlineMs})
    const everybody = cluster.servers.map(({id}) => id).sort()
    for (const index of cluster.servers.keys()) expect(known(cluster, index)).toEqual(everybody)
    for (const {id, slots, replicas} of plan.primaries) {
      for (const server of cluster.servers) {
        const owned = [...server.owners.entries()].filter(([, owner]) => owner === id).map(([slot]) => slot)
        expect(formatSlots(owned)).toBe(slots)
        for (const replica of replicas) expect(server.peers.get(replica.id)?.primaryId).toBe(id)
      }
    }
    expect(new Set(plan.primaries.map(({id}) => cluster.serverById(id).me.configEpoch)).size).toBe(3)
    expect(cluster.servers.every(({isUp}) => isUp)).toBe(true)
  })

  it('lets one of each two nodes speak first, and speaks to everybody', async () => {
    const cluster = new FakeCluster({primaries: 0, strangers: 7})
    const {plan, ports} = await planned(cluster, 0)
    await createCluster(plan, ports, {deadlineMs})
    const {changes} = cluster.script
    const before = changes.slice(
      0,
      changes.findIndex(({kind}) => kind === 'setImporting'),
    )
    const meetings = before.filter(({kind}) => kind === 'meet').slice(0, (7 * 6) / 2)
    const addressOf = (id: string): string => formatAddress(cluster.serverById(id).address)
    const pairs = meetings.map(({at, text}) => [addressOf(at), text].sort().join(' '))
    expect(new Set(pairs).size).toBe((7 * 6) / 2)
    expect(new Set(meetings.map(({text}) => text)).size).toBe(7)
  })

  it.each([1, 2, 3])('of %i nodes leaves no slot open or unassigned', async (strangers) => {
    const cluster = new FakeCluster({primaries: 0, strangers})
    const ports = await portsOf(cluster, [...cluster.servers.keys()])
    const primaries = ports.map(({id, address}, index) => ({
      id,
      address: formatAddress(address),
      slots: index === 0 ? `0-${16_384 - strangers}` : String(16_384 - strangers + index),
      configEpoch: index + 1,
      replicas: [],
    }))
    await createCluster({version: 1, kind: 'create', primaries, warnings: []}, ports, {deadlineMs})
    for (const server of cluster.servers) {
      expect(server.importing.size + server.migrating.size).toBe(0)
      expect([...server.owners].filter((owner) => owner === undefined)).toEqual([])
    }
    const epochs = cluster.servers.map(({me}) => me.configEpoch)
    expect(new Set(epochs).size).toBe(strangers)
  })

  it('puts the setting back that it changes for the first synchronisation', async () => {
    const cluster = new FakeCluster({primaries: 0, strangers: 6})
    const {plan, ports} = await planned(cluster, 1)
    await createCluster(plan, ports, {deadlineMs})
    expect(cluster.servers.map(({settings}) => settings.get('repl-diskless-sync-delay'))).toEqual(
      cluster.servers.map(() => '5'),
    )
  })

  it('gets there when gossip lags', async () => {
    const cluster = new FakeCluster({primaries: 0, strangers: 6})
    cluster.gossip = 9
    const {plan, ports} = await planned(cluster, 1)
    await createCluster(plan, ports, {deadlineMs: 10_000})
    cluster.settle()
    expect(cluster.servers.every(({isUp, peers}) => isUp && peers.size === 6)).toBe(true)
  })

  it('leaves the nodes empty and apart when one of them fails on the way', async () => {
    const whole = new FakeCluster({primaries: 0, strangers: 3})
    const {plan: model, ports: modelPorts} = await planned(whole, 0)
    await createCluster(model, modelPorts, {deadlineMs})
    const steps = whole.script.changes.length
    for (let number = 1; number <= steps; number++) {
      const cluster = new FakeCluster({primaries: 0, strangers: 3})
      const {plan, ports} = await planned(cluster, 0)
      cluster.script.failAt(number, 'before', 'rejected')
      const outcome = await createCluster(plan, ports, {deadlineMs}).catch((error: unknown) => error)
      if (!(outcome instanceof ClusterError)) {
        expect(
          cluster.servers.every(({isUp, peers}) => isUp && peers.size === 3),
          `step ${number}`,
        ).toBe(true)
        continue
      }
      const isEmpty = cluster.servers.map(({ownSlots, peers}) => ownSlots.length === 0 && peers.size === 1)
      expect(isEmpty, `after a failure at step ${number}`).toEqual([true, true, true])
    }
  })

  it('is refused for nodes that are not empty', async () => {
    const cluster = new FakeCluster({primaries: 1, strangers: 2})
    cluster.server(1).keyspace.set(Buffer.from('a'), {payload: Buffer.from('x'), expiresAtMs: undefined}, 0)
    const newcomers = await Promise.all(cluster.servers.map(({address}) => meetNewcomer(cluster, address)))
    expect(() => requireEmpty(newcomers)).toThrow(
      '10.0.0.1:7000 is not empty: it has 16384 slots; 10.0.0.1:7001 is not empty: it has 1 key',
    )
    expect(() => requireEmpty(newcomers.slice(2))).not.toThrow()
  })
})

describe('joining', () => {
  async function join(cluster: FakeCluster, indexes: number[], role: 'primary' | 'replica'): Promise<ClusterSession> {
    const session = await sessionOn(cluster)
    const ports = await portsOf(cluster, indexes)
    const newcomers = ports.map(({id, address}) => ({id, address}))
    await joinNodes(session, planJoin(session.topology, {newcomers, role}), ports, {deadlineMs})
    return session
  }

  it('makes every node know the newcomers, with distinct epochs', async () => {
    const cluster = new FakeCluster({replicas: 1, strangers: 2})
    const session = await join(cluster, [6, 7], 'primary')
    const everybody = cluster.servers.map(({id}) => id).sort()
    for (const index of cluster.servers.keys()) expect(known(cluster, index)).toEqual(everybody)
    const epochs = [0, 1, 2, 6, 7].map((index) => cluster.server(index).me.configEpoch)
    expect(new Set(epochs).size).toBe(5)
    expect((await session.observe()).nodes).toHaveLength(8)
  })

  it('gives a new ID to a node that was a member before, and tells it', async () => {
    const cluster = new FakeCluster({strangers: 2})
    const before = [3, 4].map((index) => cluster.server(index).id)
    cluster.server(4).currentEpoch = 7
    const session = await sessionOn(cluster)
    const ports = await portsOf(cluster, [3, 4])
    const newcomers = ports.map(({id, address}) => ({id, address}))
    const plan = planJoin(session.topology, {newcomers, role: 'replica'})
    const joined = await joinNodes(session, plan, ports, {deadlineMs})
    expect(joined.newcomers.map(({id}) => id)).toEqual([3, 4].map((index) => cluster.server(index).id))
    expect(cluster.server(3).id).toBe(before[0])
    expect(cluster.server(4).id).not.toBe(before[1])
    const everybody = cluster.servers.map(({id}) => id).sort()
    for (const index of cluster.servers.keys()) expect(known(cluster, index)).toEqual(everybody)
  })

  it('gives a replica to the primary that has none', async () => {
    const cluster = new FakeCluster({strangers: 3})
    fill(cluster, '0', 2)
    await join(cluster, [3, 4, 5], 'replica')
    const homes = [3, 4, 5].map((index) => cluster.server(index).me.primaryId)
    expect(new Set(homes)).toEqual(new Set([0, 1, 2].map((index) => cluster.server(index).id)))
    for (const server of cluster.servers) expect(server.settings.get('repl-diskless-sync-delay')).toBe('5')
  })

  it('copies functions to new primaries', async () => {
    const cluster = new FakeCluster({strangers: 1})
    for (const index of [0, 1, 2]) cluster.server(index).functions.set('lib', 'code')
    await join(cluster, [3], 'primary')
    expect([...cluster.server(3).functions]).toEqual([['lib', 'code']])
  })

  it('does without functions where the servers have none', async () => {
    const cluster = new FakeCluster({strangers: 1, hasFunctions: false})
    await join(cluster, [3], 'primary')
    expect(cluster.server(0).peers.has(cluster.server(3).id)).toBe(true)
  })

  it('is refused for a node with functions of its own, before anything is changed', async () => {
    const cluster = new FakeCluster({strangers: 1})
    cluster.server(3).functions.set('foreign', 'code')
    await expect(join(cluster, [3], 'primary')).rejects.toMatchObject({reason: 'node-not-empty'})
    expect(cluster.script.changes).toEqual([])
  })

  it('names who does not know whom when it takes too long', async () => {
    const cluster = new FakeCluster({strangers: 1})
    cluster.gossip = 'manual'
    const session = await sessionOn(cluster)
    const ports = await portsOf(cluster, [3])
    const newcomers = ports.map(({id, address}) => ({id, address}))
    const plan = planJoin(session.topology, {newcomers, role: 'primary'})
    const joining = joinNodes(session, plan, ports, {deadlineMs: 200})
    await expect(joining).rejects.toThrow(InterruptedError)
    await expect(joining).rejects.toThrow('10.0.0.1:7000 does not know 10.0.0.1:7003 (bus port 17003)')
  })
})

describe('removing', () => {
  async function remove(cluster: FakeCluster, indexes: number[]): Promise<Awaited<ReturnType<typeof removeNodes>>> {
    const session = await sessionOn(cluster)
    const victims = indexes.map((index) => cluster.server(index).id)
    return removeNodes(session, planRemoval(session.topology, {victims}), {deadlineMs})
  }
  function expectGone(cluster: FakeCluster, indexes: readonly number[]): void {
    cluster.settle()
    const gone = indexes.map((index) => cluster.server(index).id)
    for (const [index, server] of cluster.servers.entries()) {
      if (!indexes.includes(index) && !server.down) {
        expect([...server.peers.keys()].filter((id) => gone.includes(id))).toEqual([])
      }
    }
  }

  it('leaves nobody who knows the nodes, and the nodes alone', async () => {
    const cluster = new FakeCluster({slotless: 1, replicas: 1})
    expect(await remove(cluster, [3, 6])).toEqual({notReset: [], notTold: []})
    expectGone(cluster, [3, 6])
    expect([known(cluster, 3), known(cluster, 6)]).toEqual([[cluster.server(3).id], [cluster.server(6).id]])
  })

  it('works on nodes that do not answer, and says that they were not reset', async () => {
    const cluster = new FakeCluster({slotless: 1})
    cluster.stop(3, 'timeout')
    expect(await remove(cluster, [3])).toEqual({notReset: ['10.0.0.1:7003'], notTold: []})
    expectGone(cluster, [3])
    // It still believes to be a member, and nobody listens.
    cluster.start(3)
    expectGone(cluster, [3])
  })

  it('names the members that it could not tell', async () => {
    const cluster = new FakeCluster({slotless: 1})
    cluster.stop(2)
    expect(await remove(cluster, [3])).toEqual({notReset: [], notTold: ['10.0.0.1:7002']})
    expectGone(cluster, [3])
  })

  it('gives the replicas of a victim a new home first', async () => {
    const cluster = new FakeCluster({slotless: 1, replicas: 1})
    cluster.server(4).replicate(cluster.server(3).id)
    cluster.settle()
    await remove(cluster, [3])
    expectGone(cluster, [3])
    const home = cluster.server(4).me.primaryId
    expect([0, 1, 2].map((index) => cluster.server(index).id)).toContain(home)
    const order = cluster.script.changes.map(({kind}) => kind)
    expect(order.indexOf('replicate')).toBeLessThan(order.indexOf('reset'))
  })

  it('is refused for a primary that holds keys without owning a slot', async () => {
    const cluster = new FakeCluster({slotless: 1})
    cluster.server(3).keyspace.set(Buffer.from('a'), {payload: Buffer.from('x'), expiresAtMs: undefined}, 0)
    await expect(remove(cluster, [3])).rejects.toThrow(RefusedError)
    expect(cluster.script.changes).toEqual([])
  })

  it('can be run again after it was killed at any command', async () => {
    const model = new FakeCluster({slotless: 1, replicas: 1})
    await remove(model, [3, 6])
    for (let number = 1; number <= model.script.changes.length; number++) {
      const cluster = new FakeCluster({slotless: 1, replicas: 1})
      const crashed = cluster.script.crashAt(number)
      const first = remove(cluster, [3, 6])
      first.catch(() => undefined)
      await Promise.race([first, crashed])
      cluster.revive()
      const {topology} = await sessionOn(cluster)
      const left = [3, 6].filter((index) => topology.nodesById.has(cluster.server(index).id))
      if (left.length > 0) await remove(cluster, left)
      expectGone(cluster, [3, 6])
    }
  })
})
