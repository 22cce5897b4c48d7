import {describe, expect, it} from 'vitest'
import {Import, type ImportOptions} from '../../src/lib/engine/import-keys.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {InterruptedError, NodeError, type NodeFailure} from '../../src/lib/errors.ts'
import {formatAddress} from '../../src/lib/topology/model.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {FakeSource} from '../support/fake-source.ts'
import {keyIn} from '../support/moving.ts'

const COUNT = 100
const keyOf = (n: number): Buffer => keyIn((n * 611) % 16384, n)

function filled(): FakeSource {
  const source = new FakeSource()
  for (let n = 0; n < COUNT; n++) put(source, n, `value ${n}`)
  return source
}

function put(source: FakeSource, n: number, text: string, expiresAtMs?: number): void {
  source.keyspace.set(keyOf(n), {payload: Buffer.from(`${text}versionCRC`), expiresAtMs}, 0)
}

async function prepare(
  cluster: FakeCluster,
  source: FakeSource,
  options: Partial<ImportOptions> = {},
): Promise<Import> {
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  return new Import(session, [{port: source, facts: await source.readFacts()}], {
    routes: [{from: 0, to: 0}],
    pattern: undefined,
    conflicts: 'fail',
    isMoving: false,
    isVerifying: false,
    concurrency: 2,
    clockShiftMs: 0,
    openReader: (address) => new FakeSource(cluster.serverAt(address)?.keyspace),
    ...options,
  })
}

const failing = (failure: NodeFailure, {address} = new FakeSource()): NodeError =>
  new NodeError(failure, formatAddress(address), `${failure}, as the test wants it`)

describe('an import', () => {
  it('takes every key once, however often it is listed', async () => {
    const cluster = new FakeCluster()
    const source = filled()
    source.listedTimes = 2
    const work = await prepare(cluster, source)
    expect(await work.run()).toMatchObject({copied: COUNT, identical: 0, failed: 0, expired: 0, deleted: 0})
    expect(cluster.contents().size).toBe(COUNT)
    expect(await work.verify()).toMatchObject({differing: 0})
    expect(source.keyspace.keys()).toHaveLength(COUNT)
  })

  it('counts keys that are gone when their turn comes', async () => {
    const cluster = new FakeCluster()
    const source = filled()
    let pages = 0
    source.before = (call) => {
      if (call === 'dump' && pages++ === 0) for (let n = 0; n < COUNT; n++) source.keyspace.delete(keyOf(n), 0)
    }
    const {copied, expired} = await (await prepare(cluster, source)).run()
    expect(copied).toBe(0)
    expect(expired).toBeGreaterThan(5)
  })

  it('lets keys live as long as they would have, whatever the clocks say', async () => {
    const cluster = new FakeCluster()
    const hourMs = 3_600_000
    for (const server of cluster.servers) server.clockSkewMs = -hourMs
    const source = new FakeSource()
    const endMs = Date.now() + 60_000
    put(source, 0, 'mortal', endMs)
    const work = await prepare(cluster, source, {clockShiftMs: -hourMs})
    // By our own clock it would have expired.
    expect(await work.run()).toMatchObject({copied: 1, expired: 0})
  })

  it.each<NodeFailure>(['closed', 'timeout', 'loading'])(
    'outlasts a source that fails for a while: %s',
    async (failure) => {
      const cluster = new FakeCluster()
      const source = filled()
      let left = 3
      source.before = (call) => {
        if (call === 'dump' && left-- > 0) throw failing(failure)
      }
      expect(await (await prepare(cluster, source)).run()).toMatchObject({copied: COUNT, failed: 0})
    },
  )

  it('does not go on with a source that was started anew, whether a call failed or not', async () => {
    for (const isNoticed of [true, false]) {
      const cluster = new FakeCluster()
      const source = filled()
      let calls = 0
      source.before = (call) => {
        if (call !== 'scan' || ++calls !== 4) return
        source.runId = 'second'
        if (isNoticed) throw failing('closed')
      }
      const work = await prepare(cluster, source)
      await expect(work.run()).rejects.toThrow(/10\.0\.0\.9:6379 was started anew/)
      expect(work.outcome.copied).toBe(cluster.contents().size)
    }
  })

  it.each<NodeFailure>(['moved', 'ask'])('stops when slots of its source move: %s', async (failure) => {
    const source = filled()
    let calls = 0
    source.before = (call) => {
      if (call === 'dump' && ++calls === 4) throw failing(failure)
    }
    const work = await prepare(new FakeCluster(), source)
    await expect(work.run()).rejects.toThrow(InterruptedError)
  })
})

describe('an import that moves', () => {
  it('leaves and names what was changed at the source after it was copied', async () => {
    const cluster = new FakeCluster()
    const source = filled()
    let isFirst = true
    source.before = (call) => {
      if (call !== 'delete' || !isFirst) return
      isFirst = false
      for (let n = 0; n < COUNT; n++) if (source.keyspace.get(keyOf(n), 0)) put(source, n, 'newer')
    }
    const {copied, deleted, changed, failures} = await (await prepare(cluster, source, {isMoving: true})).run()
    expect(copied).toBe(COUNT)
    expect(changed).toBeGreaterThan(0)
    expect(deleted + changed).toBe(COUNT)
    expect(source.keyspace.keys()).toHaveLength(changed)
    expect(failures[0]).toMatchObject({database: 0, reason: 'it was changed at the source after it was copied'})
  })

  it('leaves what the cluster did not take', async () => {
    const cluster = new FakeCluster()
    const source = filled()
    for (const n of [1, 2, 3]) cluster.set(keyOf(n), 'theirs')
    const work = await prepare(cluster, source, {isMoving: true, isVerifying: true})
    expect(await work.run()).toMatchObject({copied: COUNT - 3, failed: 3, deleted: COUNT - 3})
    expect(work.verification).toMatchObject({compared: COUNT - 3, differing: 0})
    expect(source.keyspace.keys().map(({key}) => key)).toEqual(expect.arrayContaining([1, 2, 3].map(keyOf)))
    expect(source.keyspace.keys()).toHaveLength(3)
  })

  it('deletes nothing of which the cluster has another value, where it is to compare', async () => {
    const cluster = new FakeCluster()
    const source = filled()
    const work = await prepare(cluster, source, {
      isMoving: true,
      isVerifying: true,
      openReader: () => new FakeSource(),
    })
    expect(await work.run()).toMatchObject({copied: COUNT, deleted: 0})
    expect(work.verification).toMatchObject({compared: COUNT, same: 0, differing: COUNT})
    expect(source.keyspace.keys()).toHaveLength(COUNT)
  })
})
