import {describe, expect, it} from 'vitest'
import {BatchSizer, limitsForKeys, limitsForPause, Pace, Throttle} from '../../src/lib/engine/pace.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {eventually} from '../support/servers.ts'

describe('the size of a batch', () => {
  it.each([
    {maxPauseMs: 1, maxKeys: 100, maxBytes: 163_840},
    {maxPauseMs: 5, maxKeys: 500, maxBytes: 819_200},
    {maxPauseMs: 0.01, maxKeys: 10, maxBytes: 1638},
  ])('goes by the pause: $maxPauseMs ms', ({maxPauseMs, ...limits}) => {
    expect(limitsForPause(maxPauseMs)).toEqual(limits)
  })

  it('goes by a number of keys, and its bytes by what as many small keys would have', () => {
    expect(limitsForKeys(10, 1)).toEqual({maxKeys: 10, maxBytes: 163_840})
    expect(limitsForKeys(1, 1)).toEqual({maxKeys: 1, maxBytes: 163_840})
    expect(limitsForKeys(1000, 1)).toEqual({maxKeys: 1000, maxBytes: 1_638_400})
  })

  const full = {keys: 100, bytes: 10_000}
  const observe = (sizer: BatchSizer, times: readonly number[]): void => {
    for (const ms of times) sizer.observe('a', {...full, keys: sizer.limitsAt('a').maxKeys}, ms)
  }

  it('is not changed by slow answers as long as one is quick', () => {
    const sizer = new BatchSizer(1)
    observe(sizer, [...Array<number>(15).fill(50), 1])
    expect(sizer.limitsAt('a').maxKeys).toBe(100)
  })

  it('shrinks where even the quickest is far too slow, never below ten keys, and grows again', () => {
    const sizer = new BatchSizer(1)
    observe(sizer, Array<number>(16).fill(5))
    expect(sizer.limitsAt('a').maxKeys).toBe(50)
    expect(sizer.limitsAt('b').maxKeys).toBe(100)
    observe(sizer, Array<number>(160).fill(5))
    expect(sizer.limitsAt('a').maxKeys).toBeGreaterThanOrEqual(10)
    observe(sizer, Array<number>(160).fill(0.5))
    expect(sizer.limitsAt('a').maxKeys).toBe(100)
  })

  it('learns nothing from small batches, nor from a key that is larger than a batch', () => {
    const sizer = new BatchSizer(1)
    for (let n = 0; n < 64; n++) sizer.observe('a', {keys: 3, bytes: 300}, 50)
    for (let n = 0; n < 64; n++) sizer.observe('a', {keys: 1, bytes: 10_000_000}, 50)
    expect(sizer.limitsAt('a').maxKeys).toBe(100)
  })
})

it('a bandwidth lets what was sent have its time', async () => {
  const throttle = new Throttle(1_000_000)
  const startedAt = performance.now()
  await throttle.wait()
  expect(performance.now() - startedAt).toBeLessThan(20)
  for (let n = 0; n < 5; n++) throttle.charge(20_000)
  await throttle.wait()
  expect(performance.now() - startedAt).toBeGreaterThan(95)
})

it('a wait for bandwidth ends when the run is aborted', async () => {
  const throttle = new Throttle(1)
  throttle.charge(1_000_000)
  const abort = new AbortController()
  setTimeout(() => abort.abort(), 10)
  await throttle.wait(abort.signal)
})

it('a node whose clients suffer is given as much time as it was taken', async () => {
  const cluster = new FakeCluster()
  const [a, b] = [cluster.server(0), cluster.server(1)]
  const pace = new Pace({maxPauseMs: 1, maxBytesPerSecond: undefined, abort: undefined})
  const waitMs = async (): Promise<number> => {
    const startedAt = performance.now()
    await pace.ready(a.id, b.id)
    return performance.now() - startedAt
  }
  pace.watch([await cluster.connect(a.address), await cluster.connect(b.address)])
  pace.note(a.id, {keys: 100, bytes: 1000}, 50)
  try {
    expect(await waitMs()).toBeLessThan(20)
    b.latencyMs = 30
    await eventually('it is noticed', async () => (await waitMs()) > 45, 3000)
    b.latencyMs = 1
    await eventually('it is over', async () => (await waitMs()) < 20, 3000)
  } finally {
    pace.close()
  }
})
