import {describe, expect, it} from 'vitest'
import {announce} from '../../src/lib/engine/announce.ts'
import type {NodePort} from '../../src/lib/engine/cluster-port.ts'
import {Stages} from '../../src/lib/engine/stages.ts'
import {InterruptedError, NodeError} from '../../src/lib/errors.ts'
import type {Announcement} from '../../src/lib/plan/plan.ts'
import {formatAddress} from '../../src/lib/topology/model.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

const SETTING = 'cluster-announce-client-ipv4'
const HERE = '10.0.0.1'

async function scene(): Promise<{cluster: FakeCluster; ports: NodePort[]; plan: Announcement}> {
  const cluster = new FakeCluster({primaries: 3, replicas: 1})
  for (const {settings} of cluster.servers) settings.set(SETTING, '')
  const ports = await Promise.all(cluster.servers.map(({address}) => cluster.connect(address)))
  const nodes = ports.map(({address}) => ({
    address: formatAddress(address),
    settings: [{name: SETTING, value: HERE}],
  }))
  return {cluster, ports, plan: {way: 'clients', nodes, warnings: []}}
}

const settingsOf = ({servers}: FakeCluster): (string | undefined)[] =>
  servers.map(({settings}) => settings.get(SETTING))

describe('announcing', () => {
  it('is done when all nodes tell it, and names those that cannot keep it', async () => {
    const {cluster, ports, plan} = await scene()
    cluster.server(0).hasConfigFile = true
    const announced = await announce(plan, ports, new Stages({deadlineMs: 2000}))
    expect(settingsOf(cluster)).toEqual(Array(6).fill(HERE))
    expect(announced.map(({isLostBecause}) => isLostBecause === undefined)).toEqual([
      true,
      ...Array<boolean>(5).fill(false),
    ])
  })

  it('puts everything back where a node does not come to tell it', async () => {
    const {cluster, ports, plan} = await scene()
    const other = cluster.server(1).peers.get(cluster.server(0).id)!
    other.address = {host: '172.17.0.2', port: 6379}
    const attempt = announce(plan, ports, new Stages({deadlineMs: 200}))
    await expect(attempt).rejects.toThrow(InterruptedError)
    await expect(attempt).rejects.toThrow('10.0.0.1:7001 did not tell clients the announced addresses in time')
    expect(settingsOf(cluster)).toEqual(Array(6).fill(''))
  })

  it('puts everything back where a node does not take it', async () => {
    const {cluster, ports, plan} = await scene()
    cluster.server(5).settings.delete(SETTING)
    await expect(announce(plan, ports, new Stages({deadlineMs: 2000}))).rejects.toThrow(NodeError)
    expect(settingsOf(cluster)).toEqual([...Array<string>(5).fill(''), undefined])
  })
})
