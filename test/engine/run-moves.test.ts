import {describe, expect, it} from 'vitest'
import type {Call} from '../support/fake/faults.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryOut, expectWhole, fill, keyIn, leftOf, movesOf, openSlotsOf} from '../support/moving.ts'

describe('moving slots', () => {
  it('moves every key of every database with its value', async () => {
    const cluster = new FakeCluster({databases: 3})
    fill(cluster, '0-5', 4)
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0-9', 0, 1)
    const outcome = await carryOut(cluster, moves)
    expect(outcome).toMatchObject({kind: 'done', slotsMoved: 10, keysMoved: 6 * 3 * 4, left: []})
    expectWhole(cluster, moves, contents)
  })

  it('carries out a plan that is already done without changing anything', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-2', 2)
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0-4', 0, 2)
    await carryOut(cluster, moves)
    const changes = cluster.script.changes.length
    expect(await carryOut(cluster, moves)).toMatchObject({kind: 'done', slotsMoved: 5})
    expect(cluster.script.changes.slice(changes)).toEqual([])
    expectWhole(cluster, moves, contents)
  })

  it('keeps every key of a slot that goes to and fro while gossip lags behind', async () => {
    const cluster = new FakeCluster()
    cluster.gossip = 7
    fill(cluster, '0', 5)
    const contents = cluster.contents()
    for (let round = 0; round < 10; round++) {
      const [from, to] = round % 2 === 0 ? [0, 1] : [1, 0]
      await carryOut(cluster, movesOf(cluster, '0', from as number, to as number))
    }
    expectWhole(cluster, movesOf(cluster, '0', 1, 0), contents)
  })

  it('keeps the time that keys have left to live', async () => {
    const cluster = new FakeCluster()
    cluster.set(keyIn(0, 0), 'soon gone', 0, 60_000)
    await carryOut(cluster, movesOf(cluster, '0', 0, 1))
    const value = cluster.server(1).keyspace.get(keyIn(0, 0), 0)
    expect(value?.expiresAtMs).toBeGreaterThan(Date.now())
  })
})

/** Calls about one slot; MIGRATE names no slot and stands for itself. */
function callsOf(cluster: FakeCluster, slot: number): readonly Call[] {
  return cluster.script.log.filter((call) => call.slot === slot && call.outcome === 'ok')
}

describe('the order of commands', () => {
  async function logOfRun(): Promise<{cluster: FakeCluster; source: string; target: string}> {
    const cluster = new FakeCluster({databases: 2})
    cluster.latencyOf = (id) => (id.endsWith('1') ? 3 : 1)
    fill(cluster, '0,3,7,40', 3)
    await carryOut(cluster, movesOf(cluster, '0-50', 0, 1))
    return {cluster, source: cluster.server(0).id, target: cluster.server(1).id}
  }
  const at = (calls: readonly Call[], fits: (call: Call) => boolean): number => {
    const index = calls.findIndex(fits)
    expect(index, 'was called').toBeGreaterThanOrEqual(0)
    return index
  }

  it('marks IMPORTING at the target before MIGRATING at the source', async () => {
    const {cluster} = await logOfRun()
    for (let slot = 0; slot <= 50; slot++) {
      const calls = callsOf(cluster, slot)
      expect(at(calls, ({kind}) => kind === 'setImporting')).toBeLessThan(
        at(calls, ({kind}) => kind === 'setMigrating'),
      )
    }
  })

  it('gives the slot to the target before the source is told', async () => {
    const {cluster, source, target} = await logOfRun()
    for (let slot = 0; slot <= 50; slot++) {
      const calls = callsOf(cluster, slot)
      expect(at(calls, (call) => call.kind === 'assignSlot' && call.at === target)).toBeLessThan(
        at(calls, (call) => call.kind === 'assignSlot' && call.at === source),
      )
    }
  })

  it('gives no slot to the target before the source counted zero in every database while MIGRATING', async () => {
    const {cluster, source, target} = await logOfRun()
    for (let slot = 0; slot <= 50; slot++) {
      const calls = callsOf(cluster, slot)
      const marked = at(calls, ({kind}) => kind === 'setMigrating')
      const given = at(calls, (call) => call.kind === 'assignSlot' && call.at === target)
      for (const database of [0, 1]) {
        const counts = calls
          .slice(marked, given)
          .filter((call) => call.kind === 'countKeys' && call.at === source && call.database === database)
        expect(counts.at(-1)?.count, `slot ${slot} database ${database}`).toBe(0)
      }
    }
  })

  it('overwrites nothing at the target when nothing went wrong', async () => {
    const {cluster} = await logOfRun()
    const migrates = cluster.script.log.filter(({kind}) => kind === 'migrateKeys')
    expect(migrates.length).toBeGreaterThan(0)
    expect(migrates.filter(({isReplacing}) => isReplacing)).toEqual([])
  })
})

describe('stopping', () => {
  it('finishes the groups in flight and tells exactly what is left', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-199', 1)
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0-199', 0, 1)
    const stop = new AbortController()
    const outcome = await carryOut(cluster, moves, {
      stop: stop.signal,
      listener: (event) => {
        if (event.kind === 'keys-moved') stop.abort()
      },
    })
    expect(outcome.kind).toBe('stopped')
    expect(outcome.slotsMoved).toBeGreaterThan(0)
    expect(outcome.left.length).toBeGreaterThan(0)
    expect(outcome.left).toEqual(await leftOf(cluster, moves))
    const isLeft = new Set(outcome.left.map(({slot}) => slot))
    expectWhole(
      cluster,
      moves.filter(({slot}) => !isLeft.has(slot)),
      contents,
    )
    await carryOut(cluster, outcome.left)
    expectWhole(cluster, moves, contents)
  })

  it('begins nothing when it was stopped before', async () => {
    const cluster = new FakeCluster()
    const moves = movesOf(cluster, '0-9', 0, 1)
    const outcome = await carryOut(cluster, moves, {stop: AbortSignal.abort()})
    expect(outcome).toMatchObject({kind: 'stopped', slotsMoved: 0, left: moves})
    expect(cluster.script.changes).toEqual([])
  })

  it('stops at once when it is aborted, and the next run goes on', async () => {
    const cluster = new FakeCluster({databases: 2})
    fill(cluster, '0-99', 3)
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0-99', 0, 1)
    const abort = new AbortController()
    const run = carryOut(cluster, moves, {
      abort: abort.signal,
      limits: {maxKeys: 2, maxBytes: 1000},
      listener: (event) => {
        if (event.kind === 'keys-moved') abort.abort(new Error('Ctrl-C twice'))
      },
    })
    await expect(run).rejects.toMatchObject({code: 'E_INCOMPLETE'})
    const error = await run.catch((reason: unknown) => reason)
    const told = (error as {details: {openSlots: number[]}}).details.openSlots
    expect(told).toEqual(expect.arrayContaining(openSlotsOf(cluster)))
    await carryOut(cluster, await leftOf(cluster, moves))
    expectWhole(cluster, moves, contents)
  })
})

describe('keys that both ends hold', () => {
  function withStray(strayValue: string): FakeCluster {
    const cluster = new FakeCluster()
    fill(cluster, '0', 3)
    const value = {payload: Buffer.from(strayValue), expiresAtMs: undefined}
    cluster.server(1).keyspace.set(keyIn(0, 1), value, 0)
    return cluster
  }
  const label = `0/${keyIn(0, 1).toString('latin1')}`

  it('are one key when they are equal', async () => {
    const cluster = withStray('value 0 0 1')
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0', 0, 1)
    await carryOut(cluster, moves)
    expectWhole(cluster, moves, contents)
  })

  it('stop the run when they differ and nobody decided; both values stay', async () => {
    const cluster = withStray('another value')
    const run = carryOut(cluster, movesOf(cluster, '0', 0, 1))
    await expect(run).rejects.toMatchObject({code: 'E_INCOMPLETE', details: {slot: 0, openSlots: [0]}})
    expect(cluster.server(0).keyspace.get(keyIn(0, 1), 0)?.payload.toString()).toBe('value 0 0 1')
    expect(cluster.server(1).keyspace.get(keyIn(0, 1), 0)?.payload.toString()).toBe('another value')
  })

  it.each([
    {conflicts: 'source', value: 'value 0 0 1'},
    {conflicts: 'target', value: 'another value'},
  ] as const)('take the value of the $conflicts where that was asked for', async ({conflicts, value}) => {
    const cluster = withStray('another value')
    const contents = new Map(cluster.contents()).set(label, value)
    const moves = movesOf(cluster, '0', 0, 1)
    await carryOut(cluster, moves, {conflicts})
    expectWhole(cluster, moves, contents)
  })

  it('are not decided by running the same command again', async () => {
    const cluster = withStray('another value')
    const moves = movesOf(cluster, '0', 0, 1)
    await expect(carryOut(cluster, moves)).rejects.toMatchObject({code: 'E_INCOMPLETE'})
    await expect(carryOut(cluster, moves)).rejects.toMatchObject({code: 'E_INCOMPLETE', details: {openSlots: [0]}})
    expect(cluster.server(1).keyspace.get(keyIn(0, 1), 0)?.payload.toString()).toBe('another value')
  })

  it('can be decided by a second run', async () => {
    const cluster = withStray('another value')
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0', 0, 1)
    await expect(carryOut(cluster, moves)).rejects.toMatchObject({code: 'E_INCOMPLETE'})
    await carryOut(cluster, moves, {conflicts: 'source'})
    expectWhole(cluster, moves, contents)
  })
})

it('moves no faster than a bandwidth that is given', async () => {
  const cluster = new FakeCluster()
  fill(cluster, '0-3', 10)
  const contents = cluster.contents()
  const moves = movesOf(cluster, '0-3', 0, 1)
  let bytes = 0
  const outcome = await carryOut(cluster, moves, {
    maxBytesPerSecond: 10_000,
    listener: (event) => {
      if (event.kind === 'keys-moved') bytes += event.bytes
    },
  })
  expect(bytes).toBeGreaterThan(2000)
  // What left last is charged to nobody.
  expect(outcome.elapsedMs).toBeGreaterThan((bytes / 10_000) * 1000 * 0.7)
  expectWhole(cluster, moves, contents)
})
