/** What does `--metrics` of a command that moves slots measure? The run that has ended. Pure. */
import type {MetricFamily} from './open-metrics.ts'
import type {ProgressState} from './progress.ts'

export interface EndedRun {
  /** "reshard" */
  readonly command: string
  readonly slotsPlanned: number
  readonly state: ProgressState
  /** All that was planned was done. */
  readonly isDone: boolean
  readonly endedAt: Date
  readonly elapsedMs: number
}

/** Every family has one sample, with the command as its label. */
export function moveMetrics({command, slotsPlanned, state, isDone, endedAt, elapsedMs}: EndedRun): MetricFamily[] {
  const gauge = (name: string, help: string, value: number, unit?: string): MetricFamily => ({
    name: `rcluster_run_${name}`,
    type: 'gauge',
    ...(unit === undefined ? {} : {unit}),
    help,
    samples: [{labels: {command}, value}],
  })
  return [
    gauge('success', 'Whether the last run did all that it had planned.', Number(isDone)),
    gauge('end_time_seconds', 'When it ended, in Unix time.', Math.round(endedAt.getTime() / 1000), 'seconds'),
    gauge('duration_seconds', 'From the first move to the end.', Math.round(elapsedMs) / 1000, 'seconds'),
    gauge('slots_planned', 'Slots that it was to move.', slotsPlanned),
    gauge('slots_moved', 'Slots that have their new owner.', state.slotsDone),
    gauge('keys_moved', 'Keys that went with them.', state.keysDone),
    gauge('moved_bytes', 'Their size as it was sent.', state.bytesDone, 'bytes'),
    gauge('retries', 'What went wrong and was tried again.', state.retries),
    gauge(
      'longest_pause_seconds',
      'For which a node was busy with keys on their way.',
      Math.round(state.pauseWorstMs) / 1000,
      'seconds',
    ),
  ]
}
