import {expect, test} from 'vitest'
import type {ClusterPort, NodePort} from '../../src/lib/engine/cluster-port.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {formatAddress, type NodeAddress, type NodeEntry} from '../../src/lib/topology/model.ts'
import {FakeCluster} from '../support/fake-cluster.ts'

const NOWHERE: NodeAddress = {host: '10.9.9.9', port: 7000}
const NAME = 'third.lab'

/** The third node as the others tell of it; it answers at `place` only. `dialled`: each time that it was asked for. */
function tellingOfThird(
  cluster: FakeCluster,
  place: 'at its address' | 'by its name',
  tell: (teller: 'first' | 'second', entry: NodeEntry) => NodeEntry,
): {port: ClusterPort; dialled: string[]} {
  const [first, third] = [cluster.server(0), cluster.server(2)]
  const dialled: string[] = []
  const told = (node: NodePort): NodePort => {
    const readView = node.readView.bind(node)
    node.readView = async () => {
      const view = await readView()
      const teller = node.id === first.id ? 'first' : 'second'
      return {...view, entries: view.entries.map((entry) => (entry.id === third.id ? tell(teller, entry) : entry))}
    }
    return node
  }
  const connect: ClusterPort['connect'] = async (address, id, hostname) => {
    if (id !== third.id) return told(await cluster.connect(address, id))
    dialled.push([formatAddress(address), hostname].join(' ').trim())
    const isThere =
      place === 'by its name' ? hostname === NAME : formatAddress(address) === formatAddress(third.address)
    if (!isThere) throw new NodeError('timeout', formatAddress(address), 'nobody there')
    return cluster.connect(third.address, id)
  }
  return {port: {connect, close: () => {}}, dialled}
}

const seedsOf = (cluster: FakeCluster) => [cluster.server(0).address]

test('a node is asked by the name that only a later node tells', async () => {
  const cluster = new FakeCluster()
  const {port} = tellingOfThird(cluster, 'by its name', (teller, entry) =>
    teller === 'first' ? entry : {...entry, hostname: NAME},
  )
  const {topology} = await openSession(port, seedsOf(cluster))
  expect(topology.nodes.map(({reach}) => reach.kind)).toEqual(['reached', 'reached', 'reached'])
})

test('a node is asked at the address that only a later node tells', async () => {
  const cluster = new FakeCluster()
  const {port} = tellingOfThird(cluster, 'at its address', (teller, entry) =>
    teller === 'first' ? {...entry, announced: NOWHERE} : entry,
  )
  const {topology} = await openSession(port, seedsOf(cluster))
  expect(topology.nodes.map(({reach}) => reach.kind)).toEqual(['reached', 'reached', 'reached'])
})

test('a node that answers nowhere is asked once by each name, and in loops not again', async () => {
  const cluster = new FakeCluster()
  const {port, dialled} = tellingOfThird(cluster, 'by its name', (teller, entry) =>
    teller === 'first' ? entry : {...entry, announced: NOWHERE},
  )
  const session = await openSession(port, seedsOf(cluster))
  const address = formatAddress(cluster.server(2).address)
  expect(session.topology.nodesById.get(cluster.server(2).id)?.reach).toMatchObject({kind: 'unreachable'})
  expect(dialled).toEqual([address, formatAddress(NOWHERE)])
  await session.refresh()
  expect(dialled).toHaveLength(2)
})
