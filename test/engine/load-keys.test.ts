import {describe, expect, it} from 'vitest'
import type {EngineEvent} from '../../src/lib/engine/events.ts'
import {KeyLoader, type LoadOptions, loadKeys} from '../../src/lib/engine/load-keys.ts'
import type {LoadableKey, LoadOutcome, SettledKey} from '../../src/lib/engine/load-outcome.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {CancelledError, InterruptedError, type NodeFailure, RefusedError} from '../../src/lib/errors.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {keyIn} from '../support/moving.ts'

const body = (text: string): Buffer => Buffer.from(`${text}\u0000\u0000versionCRC`)

function keysIn(count: number, more: Partial<LoadableKey> = {}): LoadableKey[] {
  return Array.from({length: count}, (_, n) => ({
    key: keyIn((n * 611) % 16384, n),
    database: 0,
    payload: body(`value ${n}`),
    expiresAtMs: undefined,
    ...more,
  }))
}

async function load(
  cluster: FakeCluster,
  keys: readonly LoadableKey[],
  options: Partial<LoadOptions> = {},
): Promise<LoadOutcome> {
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  return loadKeys(session, keys, {conflicts: 'fail', ...options})
}

function expectThere(cluster: FakeCluster, keys: readonly LoadableKey[]): void {
  const contents = cluster.contents()
  for (const {key, database, payload} of keys) {
    expect(contents.get(`${database}/${key.toString('latin1')}`)).toBe(payload.toString('latin1'))
    expect(cluster.copies(key, database)).toHaveLength(1)
  }
}

describe('keys from outside', () => {
  it('go to the owners of their slots, with every byte of their names, database and life', async () => {
    const cluster = new FakeCluster({databases: 2})
    const endMs = Date.now() + 60_000
    const keys = [...keysIn(500), ...keysIn(300, {database: 1, expiresAtMs: endMs})]
    expect(await load(cluster, keys)).toMatchObject({copied: 800, identical: 0, expired: 0, skipped: 0, failed: 0})
    expectThere(cluster, keys)
    const [, , , dying] = keys.slice(500)
    const held = cluster.servers.map(({keyspace}) => keyspace.get(dying!.key, 1)).find((value) => value)
    expect(held?.expiresAtMs).toBe(endMs)
  })

  it('are not written when their time has passed, and counted', async () => {
    const cluster = new FakeCluster()
    const keys = [...keysIn(3), {...keysIn(4)[3]!, expiresAtMs: Date.now() - 1}]
    expect(await load(cluster, keys)).toMatchObject({copied: 3, expired: 1})
    expect(cluster.contents().size).toBe(3)
  })

  it('are loaded again without a conflict when they are there, the same', async () => {
    const cluster = new FakeCluster()
    await load(cluster, keysIn(50))
    expect(await load(cluster, keysIn(80))).toMatchObject({copied: 30, identical: 50, failed: 0})
    expectThere(cluster, keysIn(80))
  })

  it('are the same whatever version of the format wrote them', async () => {
    const cluster = new FakeCluster()
    const [key] = keysIn(1) as [LoadableKey]
    await load(cluster, [key])
    const newer = Buffer.concat([key.payload.subarray(0, -10), Buffer.from('0123456789')])
    expect(await load(cluster, [{...key, payload: newer}])).toMatchObject({identical: 1})
    expect(await load(cluster, [{...key, expiresAtMs: Date.now() + 60_000}])).toMatchObject({identical: 0, failed: 1})
  })

  const policies = [
    {conflicts: 'fail', counts: {copied: 8, failed: 2, skipped: 0}, wins: 'theirs'},
    {conflicts: 'skip', counts: {copied: 8, failed: 0, skipped: 2}, wins: 'theirs'},
    {conflicts: 'replace', counts: {copied: 10, failed: 0, skipped: 0}, wins: 'ours'},
  ] as const
  it.each(policies)('that are there with another value: $conflicts', async ({conflicts, counts, wins}) => {
    const cluster = new FakeCluster()
    const keys = keysIn(10)
    for (const {key} of keys.slice(0, 2)) cluster.set(key, 'theirs')
    const settled: SettledKey[] = []
    const outcome = await load(cluster, keys, {conflicts, onSettled: (some) => void settled.push(...some)})
    expect(outcome).toMatchObject(counts)
    expectThere(cluster, keys.slice(2))
    const name = `0/${keys[0]!.key.toString('latin1')}`
    expect(cluster.contents().get(name)).toBe(wins === 'theirs' ? 'theirs' : keys[0]!.payload.toString('latin1'))
    expect(settled.map(({key}) => key).sort(byName)).toEqual([...keys].sort(byName))
    const named = outcome.failures.map(({key}) => key.toString('latin1')).sort()
    const failing = keys.slice(0, counts.failed).map(({key}) => key.toString('latin1'))
    expect(named).toEqual(failing.sort())
  })

  it('are asked for as there is room, and not all at once', async () => {
    const cluster = new FakeCluster()
    cluster.latencyOf = () => 3
    const session = await openSession(cluster, [cluster.server(0).address])
    let [begun, settled, most] = [0, 0, 0]
    const big = Buffer.alloc(4 * 2 ** 20, 'x')
    function* keys(): Generator<LoadableKey> {
      for (const key of keysIn(40)) {
        begun++
        most = Math.max(most, begun - settled)
        yield {...key, payload: big}
      }
    }
    const count = (some: readonly SettledKey[]): void => {
      settled += some.length
    }
    await loadKeys(session, keys(), {conflicts: 'fail', onSettled: count})
    expect(settled).toBe(40)
    expect(most).toBeLessThan(12)
  })
})

describe('what changes while keys are loaded', () => {
  it('is followed: slots that have gone to another owner', async () => {
    const cluster = new FakeCluster()
    cluster.gossip = 'manual'
    const keys = keysIn(400)
    const session = await openSession(cluster, [cluster.server(0).address])
    const [from, to] = [cluster.server(0), cluster.server(1)]
    for (let slot = 0; slot < 1000; slot++) {
      to.setImporting(slot, from.id)
      from.setMigrating(slot, to.id)
      to.assignSlot(slot, to.id)
      from.assignSlot(slot, to.id)
    }
    cluster.settle()
    cluster.gossip = 'at-once'
    expect(await loadKeys(session, keys, {conflicts: 'fail'})).toMatchObject({copied: 400, failed: 0})
    expectThere(cluster, keys)
  })

  it('is followed: slots on their way', async () => {
    const cluster = new FakeCluster()
    const [from, to] = [cluster.server(0), cluster.server(1)]
    for (let slot = 0; slot < 2000; slot++) {
      to.setImporting(slot, from.id)
      from.setMigrating(slot, to.id)
    }
    const keys = keysIn(100)
    expect(await load(cluster, keys)).toMatchObject({copied: 100, failed: 0})
    const moving = keys.filter(({key}) => to.keyspace.get(key, 0) && !from.keyspace.get(key, 0))
    expect(moving.length).toBeGreaterThan(10)
    expect(from.keyspace.keys().filter(({key}) => moving.some((one) => one.key.equals(key)))).toEqual([])
  })

  const passing: readonly NodeFailure[] = ['closed', 'timeout', 'try-again', 'loading', 'cluster-down', 'moved', 'ask']
  it.each(passing)('passes, told before or after it took effect: %s', async (failure) => {
    for (const when of ['before', 'after'] as const) {
      const cluster = new FakeCluster()
      let left = 25
      cluster.script.failWhen(({kind, number}) =>
        kind === 'restoreKey' && number % 3 === 0 && left-- > 0 ? {when, failure} : undefined,
      )
      const keys = keysIn(120)
      const events: EngineEvent[] = []
      const outcome = await load(cluster, keys, {listener: (event) => events.push(event)})
      expect(outcome).toMatchObject({failed: 0, skipped: 0, expired: 0})
      expect(outcome.copied + outcome.identical).toBe(120)
      if (failure === 'closed' || failure === 'timeout') expect(outcome.copied).toBe(120)
      expectThere(cluster, keys)
      const told = events.reduce((sum, event) => sum + (event.kind === 'keys-loaded' ? event.keys : 0), 0)
      expect(told).toBe(120)
    }
  })

  it('is a failover: the new primary takes the keys', async () => {
    const cluster = new FakeCluster({replicas: 1})
    let hasFailed = false
    cluster.script.failWhen(({kind, number, at}) => {
      if (kind === 'restoreKey' && number > 40 && !hasFailed && at === cluster.server(0).id) {
        hasFailed = true
        cluster.failOver(0)
        return {when: 'before', failure: 'closed'}
      }
      return undefined
    })
    const keys = keysIn(300)
    expect(await load(cluster, keys)).toMatchObject({copied: 300, failed: 0})
    expect(hasFailed).toBe(true)
    expectThere(cluster, keys)
  })

  it('does not last for ever', async () => {
    const cluster = new FakeCluster()
    cluster.script.failWhen(({kind, at}) =>
      kind === 'restoreKey' && at === cluster.server(0).id ? {when: 'before', failure: 'loading'} : undefined,
    )
    const error = await load(cluster, keysIn(30), {patienceMs: 300}).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(InterruptedError)
    expect((error as Error).message).toMatch(/loading, as the test wants it; \d+ keys were written before that/)
  })
})

describe('what cannot be helped', () => {
  const fatal: readonly NodeFailure[] = ['out-of-memory', 'permission', 'rejected', 'auth']
  it.each(fatal)('stops it and tells how far it came: %s', async (failure) => {
    const cluster = new FakeCluster()
    cluster.script.failWhen(({kind, number}) =>
      kind === 'restoreKey' && number > 60 ? {when: 'before', failure} : undefined,
    )
    const error = await load(cluster, keysIn(5000)).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(InterruptedError)
    const {copied} = (error as InterruptedError).details as {copied: number}
    expect(copied).toBe(cluster.contents().size)
    expect(cluster.script.changes.length).toBeLessThan(5000)
  })

  it('is a refusal while nothing was written', async () => {
    const cluster = new FakeCluster()
    cluster.script.failWhen(({kind}) =>
      kind === 'restoreKey' ? {when: 'before', failure: 'out-of-memory'} : undefined,
    )
    await expect(load(cluster, keysIn(10))).rejects.toThrow(RefusedError)
    expect(cluster.contents().size).toBe(0)
  })
})

it('stops at a signal, with what was under way finished', async () => {
  const cluster = new FakeCluster()
  cluster.latencyOf = () => 1
  const stop = new AbortController()
  const session = await openSession(cluster, [cluster.server(0).address])
  const reason = new CancelledError('Stopped by SIGINT')
  const loader = new KeyLoader(session, {
    conflicts: 'fail',
    signal: stop.signal,
    onSettled: () => stop.abort(reason),
  })
  await loader.add(keysIn(5000))
  await expect(loader.finish()).rejects.toBe(reason)
  expect(loader.outcome.copied).toBe(cluster.contents().size)
  expect(loader.outcome.copied).toBeLessThan(5000)
})

function byName(a: LoadableKey, b: LoadableKey): number {
  return Buffer.compare(a.key, b.key)
}
