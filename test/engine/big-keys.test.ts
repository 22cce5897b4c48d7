import {describe, expect, test} from 'vitest'
import {findBigKeys} from '../../src/lib/engine/big-keys.ts'
import type {MigrateRequest, NodePort} from '../../src/lib/engine/cluster-port.ts'
import {type DrainOptions, drainListed, listSlot} from '../../src/lib/engine/drain.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {fill, keyIn, movesOf} from '../support/moving.ts'

const MB = 2 ** 20

function openOn(cluster: FakeCluster) {
  return openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
}

/** A value of `bytes`, and a server that says so. */
function put(cluster: FakeCluster, key: Buffer, bytes: number, database = 0): void {
  cluster.set(key, 'v'.repeat(bytes), database)
  cluster.server(0).maxMemory.used += bytes
}

const asked = (cluster: FakeCluster, kind: string): number =>
  cluster.script.log.filter((call) => call.kind === kind).reduce((sum, {keys = 1}) => sum + keys, 0)

describe('looking for big keys', () => {
  test('all of few keys are looked at, and the big ones come with slot, size and stall', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-9', 3)
    put(cluster, keyIn(4, 100), 6 * MB)
    put(cluster, keyIn(7, 100), 9 * MB)
    const moves = movesOf(cluster, '0-9', 0, 1)
    const survey = await findBigKeys(await openOn(cluster), moves)
    expect(survey.keys.map(({slot, from, to}) => ({slot, from, to}))).toEqual([moves[7], moves[4]])
    expect(survey.keys[0]?.keyHex).toBe(keyIn(7, 100).toString('hex'))
    expect(survey.keys[0]?.bytes).toBeGreaterThanOrEqual(9 * MB)
    expect(survey.keys.map(({type}) => type)).toEqual(['string', 'string'])
    expect(survey.keys[0]?.stallMs).toBeGreaterThan(survey.keys[1]?.stallMs ?? 0)
    expect(survey).toMatchObject({isComplete: true, mayHideOthers: false, keysLookedAt: 32, keysThere: 32})
    expect(cluster.script.changes).toEqual([])
  })

  test('a node that holds less than one big key is not asked, nor is one without keys', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-9', 3)
    const survey = await findBigKeys(await openOn(cluster), [
      ...movesOf(cluster, '0-9', 0, 1),
      ...movesOf(cluster, '6000-6009', 1, 2),
    ])
    expect(survey).toMatchObject({keys: [], isComplete: true, mayHideOthers: false})
    expect([asked(cluster, 'listKeys'), asked(cluster, 'measureKeys')]).toEqual([0, 0])
  })

  test('where the memory in use is explained by a sample, no more is looked at', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-399', 20)
    cluster.server(0).maxMemory.used = 1 * MB + 8000 * 150 + 3 * MB + MB / 2
    const survey = await findBigKeys(await openOn(cluster), movesOf(cluster, '0-399', 0, 1))
    expect(survey).toMatchObject({
      keys: [],
      keysLookedAt: 512,
      keysThere: 8000,
      isComplete: false,
      mayHideOthers: false,
    })
  })

  test('where it is not, the search goes on until it is', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-399', 20)
    // Behind the others of its slot, and in no slot of the sample.
    put(cluster, keyIn(2, 999), 20 * MB)
    const survey = await findBigKeys(await openOn(cluster), movesOf(cluster, '0-399', 0, 1))
    expect(survey.keys.map(({slot}) => slot)).toEqual([2])
    expect(survey.keysLookedAt).toBeGreaterThan(512)
    expect(survey.mayHideOthers).toBe(false)
  })

  test('keys that cannot be listed within bounds leave a doubt, and it is said', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0', 1500)
    put(cluster, keyIn(0, 9999), 20 * MB)
    const session = await openOn(cluster)
    const moves = movesOf(cluster, '0', 0, 1)
    expect(await findBigKeys(session, moves)).toMatchObject({keys: [], isComplete: false, mayHideOthers: true})
    const thorough = await findBigKeys(session, moves, {isThorough: true})
    expect(thorough).toMatchObject({
      keysLookedAt: cluster.server(0).keyspace.countIn(0, 0),
      isComplete: true,
      mayHideOthers: false,
    })
    expect(thorough.keys).toHaveLength(1)
  })

  test('with a threshold of one’s own, in all databases', async () => {
    const cluster = new FakeCluster({databases: 3})
    fill(cluster, '0-3', 3)
    put(cluster, keyIn(3, 100), 3000, 2)
    cluster.server(0).maxMemory.used = 2 * MB
    const options = {thresholdBytes: 2000, isThorough: true}
    const survey = await findBigKeys(await openOn(cluster), movesOf(cluster, '0-3', 0, 1), options)
    expect(survey.keys.map(({slot, database}) => ({slot, database}))).toEqual([{slot: 3, database: 2}])
    expect(survey.keysLookedAt).toBe(37)
  })

  test('the shortest cluster-node-timeout of source and target is told', async () => {
    const cluster = new FakeCluster()
    put(cluster, keyIn(0, 1), 6 * MB)
    cluster.server(0).settings.set('cluster-node-timeout', '15000')
    cluster.server(1).settings.set('cluster-node-timeout', '2000')
    const survey = await findBigKeys(await openOn(cluster), movesOf(cluster, '0', 0, 1))
    expect(survey.nodeTimeoutMs).toBe(2000)
  })

  test('a user who may not ask for sizes gets no answer, but for --skip-big an error', async () => {
    const cluster = new FakeCluster()
    put(cluster, keyIn(0, 1), 6 * MB)
    cluster.script.failWhen((call) =>
      call.kind === 'measureKeys' ? {when: 'before', failure: 'permission'} : undefined,
    )
    const session = await openOn(cluster)
    const moves = movesOf(cluster, '0', 0, 1)
    expect(await findBigKeys(session, moves)).toMatchObject({keys: [], isComplete: false, mayHideOthers: true})
    await expect(findBigKeys(session, moves, {isThorough: true})).rejects.toThrow(NodeError)
  })
})

describe('draining a slot with a big key', () => {
  /** What the source was asked to MIGRATE. */
  async function openPair(cluster: FakeCluster) {
    const session = await openOn(cluster)
    const [from, to] = [session.node(cluster.server(0).id), session.node(cluster.server(1).id)]
    await to.setImporting(0, from.id)
    await from.setMigrating(0, to.id)
    const requests: MigrateRequest[] = []
    const source: NodePort = new Proxy(from, {
      get(port, name) {
        if (name === 'migrateKeys') {
          return (request: MigrateRequest) => {
            requests.push(request)
            return port.migrateKeys(request)
          }
        }
        const value: unknown = Reflect.get(port, name, port)
        return typeof value === 'function' ? value.bind(port) : value
      },
    })
    return {pair: {source, target: to, targetAddress: to.address, databaseCount: 1}, requests}
  }

  const options: DrainOptions = {
    limits: () => ({maxKeys: 100, maxBytes: 64 * 1024}),
    conflicts: 'fail',
    pass: (work) => work(),
    listener: () => {},
  }
  const isBig = (cluster: FakeCluster, keys: readonly Buffer[]): boolean =>
    keys.some((key) => (cluster.server(0).keyspace.get(key, 0)?.payload.length ?? 0) > MB)

  /** Not among the ten keys that are measured of a hundred. */
  function hideBigKey(cluster: FakeCluster): Buffer {
    fill(cluster, '0', 5)
    const big = keyIn(0, 5000)
    put(cluster, big, 6 * MB)
    for (let n = 5; n < 99; n++) cluster.set(keyIn(0, n), 'v', 0)
    return big
  }

  test('measuring all of its keys lets it travel alone, with a timeout that fits', async () => {
    const cluster = new FakeCluster()
    const big = hideBigKey(cluster)
    const {pair, requests} = await openPair(cluster)
    await drainListed(pair, 0, await listSlot(pair, 0, true), async () => true, options)
    const [alone] = requests.filter(({keys}) => keys.length === 1)
    expect(alone?.keys).toEqual([big])
    const others = requests.filter(({keys}) => keys.length > 1)
    expect(Math.max(...others.map(({timeoutMs}) => timeoutMs))).toBeLessThan(alone?.timeoutMs ?? 0)
    expect(cluster.server(0).keyspace.countIn(0, 0)).toBe(0)
  })

  test.each(['before', 'after'] as const)(
    'after a timeout (%s the target had it) the key that was missed goes alone, with more patience',
    async (when) => {
      const cluster = new FakeCluster()
      const big = hideBigKey(cluster)
      const {pair, requests} = await openPair(cluster)
      let wasTimedOut = false
      cluster.script.failWhen((call) => {
        if (call.kind !== 'migrateKeys' || wasTimedOut) return undefined
        wasTimedOut = true
        return {when: 'before', failure: 'io'}
      })
      const value = cluster.server(0).keyspace.get(big, 0)
      if (when === 'after' && value) cluster.server(1).keyspace.set(big, value, 0)
      const listings = await listSlot(pair, 0)
      expect(Math.max(...(listings[0]?.bytesOf ?? [])), 'the sample misses it').toBeLessThan(MB)
      await drainListed(pair, 0, listings, async () => true, options)
      const [missed, ...later] = requests
      expect(missed?.keys.length).toBeGreaterThan(1)
      const alone = later.filter(({keys}) => keys.some((key) => key.equals(big)))
      expect(alone.map(({keys}) => keys.length)).toEqual(when === 'after' ? [1, 1] : [1])
      for (const {timeoutMs} of alone) expect(timeoutMs).toBeGreaterThanOrEqual(4 * (missed?.timeoutMs ?? 0))
      expect(cluster.server(0).keyspace.countIn(0, 0)).toBe(0)
      expect(cluster.server(1).keyspace.countIn(0, 0)).toBe(100)
    },
  )

  test('a timeout that no key explains is the caller’s', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0', 50)
    const {pair, requests} = await openPair(cluster)
    cluster.script.failWhen((call) => (call.kind === 'migrateKeys' ? {when: 'before', failure: 'io'} : undefined))
    await expect(drainListed(pair, 0, await listSlot(pair, 0), async () => true, options)).rejects.toThrow(
      /io, as the test/,
    )
    expect(requests).toHaveLength(1)
  })

  test('no source is sent with a long timeout to a target that is gone', async () => {
    const cluster = new FakeCluster()
    put(cluster, keyIn(0, 1), 60 * MB)
    const {pair, requests} = await openPair(cluster)
    const listings = await listSlot(pair, 0)
    cluster.stop(1, 'refused')
    await expect(drainListed(pair, 0, listings, async () => true, options)).rejects.toThrow(NodeError)
    expect(requests).toEqual([])
    expect(isBig(cluster, [keyIn(0, 1)])).toBe(true)
  })
})
