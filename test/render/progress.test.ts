import {describe, expect, test} from 'vitest'
import type {EngineEvent} from '../../src/lib/engine/events.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {
  initialProgress,
  type ProgressState,
  progressFraction,
  reduceProgress,
  renderProgress,
  renderProgressSummary,
  sampleRate,
} from '../../src/lib/render/progress.ts'
import {idOf} from '../topology/cluster-views.ts'

const [from, to] = [idOf('a'), idOf('b')]
const keysMoved = (keys: number, pauseMs: number): EngineEvent => ({
  kind: 'keys-moved',
  keys,
  bytes: keys * 100,
  pauseMs,
  from,
  to,
})
const slotsMoved = (count: number): EngineEvent => ({
  kind: 'slots-moved',
  slots: Array.from({length: count}, (_, slot) => slot),
  from,
  to,
})

/** `[atMs, event]` */
function play(...script: [number, EngineEvent][]): ProgressState {
  return script.reduce((state, [atMs, event]) => reduceProgress(state, event, atMs), initialProgress(0))
}

const RUNNING = play(
  [0, {kind: 'phase', text: 'Moving slots'}],
  [100, {kind: 'moves-started', slots: 4096, keys: 2_700_000}],
  [600, keysMoved(10_000, 2)],
  [1100, keysMoved(30_000, 14)],
  [1600, slotsMoved(1843)],
  [1700, keysMoved(1_160_000, 3)],
  [2300, keysMoved(0, 1)],
)

describe('renderProgress', () => {
  test('before moves it is the stage', () => {
    expect(renderProgress(play([0, {kind: 'phase', text: 'Waiting for all nodes to agree'}]), PLAIN_STYLE)).toBe(
      'Waiting for all nodes to agree',
    )
  })

  test('wide', () => {
    expect(renderProgress(RUNNING, {...PLAIN_STYLE, columns: 140})).toMatchInlineSnapshot(
      `"##########--------------  44%  1843/4096 slots  1.20M/2.70M keys  545k keys/s  52.0 MB/s  ETA 2.8 s  pause 3 ms, worst 14 ms"`,
    )
  })

  test('80 columns', () => {
    expect(renderProgress(RUNNING, PLAIN_STYLE)).toMatchInlineSnapshot(
      `"######---------  44%  1843/4096 slots  1.20M/2.70M keys  545k keys/s  ETA 2.8 s"`,
    )
  })

  test.each([10, 20, 30, 40, 60, 80, 100, 200])('stays below %d columns', (columns) => {
    expect(renderProgress(RUNNING, {...PLAIN_STYLE, columns}).length).toBeLessThan(columns)
  })
})

test('slots and keys count, and clients that write meanwhile do not make it overshoot', () => {
  const state = play([0, {kind: 'moves-started', slots: 10, keys: 100}], [1, keysMoved(500, 1)], [2, slotsMoved(9)])
  expect(progressFraction(state)).toBe(0.99)
  expect(progressFraction(reduceProgress(state, slotsMoved(1), 3))).toBe(1)
})

test('a rate of which nothing is heard falls', () => {
  const busy = play([0, {kind: 'moves-started', slots: 10, keys: 1000}], [1000, keysMoved(500, 1)])
  expect(busy.rate?.keys).toBe(500)
  const later = sampleRate(sampleRate(busy, 6000), 11_000)
  expect(later.rate?.keys).toBeCloseTo(500 / 11)
})

test('in the first seconds the rate is the mean since the start: a slow beginning does not weigh on it for long', () => {
  const state = play(
    [0, {kind: 'moves-started', slots: 100, keys: 100_000}],
    [1000, keysMoved(10, 1)],
    [2000, keysMoved(5000, 1)],
    [3000, keysMoved(5000, 1)],
  )
  expect(state.rate?.keys).toBeCloseTo(10_010 / 3)
})

test('the worst pause stays, the pause now is that of the last half second', () => {
  expect(RUNNING.pauseWorstMs).toBe(14)
  expect(RUNNING.pauseNowMs).toBe(3)
})

test('the summary tells of the way there', () => {
  expect(renderProgressSummary(RUNNING, 12_100)).toBe('100k keys/s, 9.5 MB/s on average; longest pause of a node 14 ms')
  expect(renderProgressSummary(initialProgress(0), 12_100)).toBeUndefined()
})

describe('keys that come from outside', () => {
  const loaded = (keys: number): EngineEvent => ({kind: 'keys-loaded', keys, bytes: keys * 100})

  test('are told as a part of all, where it is known how many there are', () => {
    const state = play([0, {kind: 'load-started', keys: 200}], [600, loaded(50)])
    expect(progressFraction(state)).toBe(0.25)
    expect(renderProgress(state, PLAIN_STYLE)).toContain('25%  50/200 keys  83 keys/s')
    expect(progressFraction(play([0, {kind: 'load-started', keys: 10}], [600, loaded(12)]))).toBe(1)
  })

  test('are counted, where it is not', () => {
    const state = play(
      [0, {kind: 'phase', text: 'Copying keys'}],
      [0, {kind: 'load-started', keys: undefined}],
      [600, loaded(1200)],
    )
    expect(renderProgress(state, PLAIN_STYLE)).toBe('Copying keys: 1.20k keys, 2.00k keys/s')
  })
})
