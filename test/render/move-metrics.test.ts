import {expect, test} from 'vitest'
import {moveMetrics} from '../../src/lib/render/move-metrics.ts'
import {renderOpenMetrics} from '../../src/lib/render/open-metrics.ts'
import {initialProgress, reduceProgress} from '../../src/lib/render/progress.ts'

test('a run that was cut short: what it had planned, what it did, and that it is not done', () => {
  const ends = {from: 'a', to: 'b'}
  const state = [
    {kind: 'moves-started', slots: 3, keys: 20} as const,
    {kind: 'keys-moved', keys: 12, bytes: 3456, pauseMs: 7, ...ends} as const,
    {kind: 'slots-moved', slots: [1, 2], ...ends} as const,
    {kind: 'retry', slots: [3], attempt: 1, reason: 'IOERR'} as const,
  ].reduce((before, event) => reduceProgress(before, event, 1000), initialProgress(0))
  const run = {
    command: 'reshard',
    slotsPlanned: 3,
    state,
    isDone: false,
    endedAt: new Date(1_764_460_800_000),
    elapsedMs: 1234,
  }
  expect(
    renderOpenMetrics(moveMetrics(run))
      .split('\n')
      .filter((line) => !line.startsWith('#')),
  ).toEqual([
    'rcluster_run_success{command="reshard"} 0',
    'rcluster_run_end_time_seconds{command="reshard"} 1764460800',
    'rcluster_run_duration_seconds{command="reshard"} 1.234',
    'rcluster_run_slots_planned{command="reshard"} 3',
    'rcluster_run_slots_moved{command="reshard"} 2',
    'rcluster_run_keys_moved{command="reshard"} 12',
    'rcluster_run_moved_bytes{command="reshard"} 3456',
    'rcluster_run_retries{command="reshard"} 1',
    'rcluster_run_longest_pause_seconds{command="reshard"} 0.007',
  ])
  expect(renderOpenMetrics(moveMetrics(run))).toMatch(/^# TYPE rcluster_/)
})
