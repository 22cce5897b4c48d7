import {describe, expect, it} from 'vitest'
import {Patience} from '../../src/lib/engine/retrying.ts'
import {Way} from '../../src/lib/engine/way.ts'
import {NodeError} from '../../src/lib/errors.ts'

describe('patience', () => {
  it('waits longer from try to try, never more than a second, and ends with the time that it has', () => {
    let now = 1000
    const patience = new Patience(3000, () => now)
    const pauses: number[] = []
    for (;;) {
      const pauseMs = patience.nextPauseMs()
      if (pauseMs === undefined) break
      pauses.push(pauseMs)
      now += pauseMs
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1000, 500])
  })

  it('counts from the first failure, not from the beginning of the work', () => {
    let now = 0
    const patience = new Patience(1000, () => now)
    now = 3_600_000
    expect(patience.nextPauseMs()).toBe(100)
  })

  it('begins anew when something got on', () => {
    let now = 0
    const patience = new Patience(1000, () => now)
    patience.nextPauseMs()
    now = 900
    patience.noteProgress()
    now = 1800
    expect([patience.nextPauseMs(), patience.attempts]).toEqual([100, 1])
  })

  it('of nothing still allows no second try', () => {
    expect(new Patience(0, () => 0).nextPauseMs()).toBeUndefined()
  })
})

describe('a way that a MIGRATE found shut', () => {
  const error = new NodeError('io', '10.0.0.1:7000', 'IOERR')

  it('is tried seldom, and briefly, until one gets through', () => {
    let now = 0
    const way = new Way(() => now)
    const tries: number[] = []
    for (; now < 30_000; now += 50) {
      try {
        way.requireTry()
      } catch (thrown) {
        expect(thrown).toBe(error)
        continue
      }
      tries.push(now)
      way.noteShut(error)
      expect(way.timeoutFor(1000)).toBe(1000)
    }
    expect(tries).toEqual([0, 100, 300, 700, 1500, 3100, 6300, 11_300, 16_300, 21_300, 26_300])
    way.noteOpen()
    way.requireTry()
    expect(way.timeoutFor(1000)).toBeUndefined()
  })

  it('gives large batches their time all the same', () => {
    const way = new Way(() => 0)
    way.noteShut(error)
    expect(way.timeoutFor(64 * 2 ** 20)).toBeUndefined()
  })
})
