import {describe, expect, it} from 'vitest'
import type {ClusterPort} from '../../src/lib/engine/cluster-port.ts'
import {type ClusterSession, openSession} from '../../src/lib/engine/session.ts'
import {NodeError, type NodeFailure} from '../../src/lib/errors.ts'
import {formatAddress, type NodeAddress} from '../../src/lib/topology/model.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryOut, expectWhole, fill, movesOf} from '../support/moving.ts'

const OUTER: NodeAddress = {host: '203.0.113.1', port: 7001}
const LOCAL: NodeAddress = {host: '127.0.0.1', port: 7001}

/** Of a node that we reach at `seenAt`; who dials it where its peers know it fails so, once the cluster was found. */
async function open(seenAt: NodeAddress, failure?: NodeFailure): Promise<{session: ClusterSession; id: string}> {
  const cluster = new FakeCluster()
  const {id, address: known} = cluster.server(1)
  cluster.server(1).seenAt = seenAt
  let isFound = false
  const port: ClusterPort = {
    connect: async (address, expectedId) => {
      const name = formatAddress(address)
      if (isFound && failure && name === formatAddress(known)) throw new NodeError(failure, name, `${name}: ${failure}`)
      return cluster.connect(address, expectedId)
    },
    close: () => cluster.close(),
  }
  const session = await openSession(port, [cluster.server(0).address])
  isFound = true
  return {session, id}
}

const waysOf = async ({session, id}: {session: ClusterSession; id: string}): Promise<string[]> =>
  (await session.waysTo(id)).map(formatAddress)

describe('the ways of servers to a node', () => {
  it('begin where its peers are linked to it', async () => {
    expect(await waysOf(await open(OUTER))).toEqual(['10.0.0.1:7001', '203.0.113.1:7001'])
    expect(await waysOf(await open(LOCAL))).toEqual(['10.0.0.1:7001'])
  })

  it('begin there, too, when we do not reach it so', async () => {
    expect(await waysOf(await open(OUTER, 'timeout'))).toEqual(['10.0.0.1:7001', '203.0.113.1:7001'])
    expect(await waysOf(await open(LOCAL, 'no-route'))).toEqual(['10.0.0.1:7001'])
  })

  it('do not lead to where another node answers by now', async () => {
    expect(await waysOf(await open(OUTER, 'wrong-node'))).toEqual(['203.0.113.1:7001'])
    await expect(waysOf(await open(LOCAL, 'wrong-node'))).rejects.toMatchObject({failure: 'wrong-node'})
  })

  it('are known to a run that moves keys there', async () => {
    const cluster = new FakeCluster()
    cluster.server(1).seenAt = OUTER
    fill(cluster, '0-9', 3)
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0-9', 0, 1)
    expect(await carryOut(cluster, moves)).toMatchObject({kind: 'done', slotsMoved: 10, keysMoved: 30})
    expectWhole(cluster, moves, contents)
  })
})
