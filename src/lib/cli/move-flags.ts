/** Which flags say how slots travel, and what is told of it? Of all commands that move some. */
import * as Flags from '@oclif/core/flags'
import type {MoverChoice} from '../engine/choose-movers.ts'
import type {ConflictPolicy} from '../engine/drain.ts'
import {DEFAULT_MAX_PAUSE_MS} from '../engine/pace.ts'
import {DEFAULT_PATIENCE_MS} from '../engine/retrying.ts'
import {changeFlags, duration, lockFlags, planFlags, positiveInteger, size} from './flags.ts'

/** What a run tells: nothing that a plan keeps. */
export const tellingFlags = {
  metrics: Flags.string({
    summary: 'Write what the run did there when it ends, well or not, as OpenMetrics text for Prometheus.',
    helpValue: 'FILE',
  }),
  explain: Flags.boolean({
    summary: 'Say with the plan why each move is made.',
    default: false,
  }),
}

export const moveFlags = {
  ...changeFlags,
  ...lockFlags,
  ...planFlags,
  ...tellingFlags,
  'on-conflict': Flags.option({options: ['fail', 'source', 'target'] as const})({
    summary: 'Whose copy wins when both ends hold a key with different values.',
    default: 'fail',
  }),
  mover: Flags.option({options: ['auto', 'migrate', 'atomic'] as const})({
    summary: 'Key by key with MIGRATE, or by the servers themselves, slots whole; auto: atomic where both ends can.',
    default: 'auto',
  }),
  'max-pause': duration({
    summary: 'How long one MIGRATE should hold its source: sizes the batches, 1ms for 100 keys or 160 KB.',
    default: DEFAULT_MAX_PAUSE_MS,
    defaultHelp: async () => `${DEFAULT_MAX_PAUSE_MS}ms` as never,
  }),
  'max-bandwidth': size({
    summary: 'Move no more than this in a second, over all nodes; key by key.',
  }),
  concurrency: positiveInteger({
    summary: 'MIGRATEs that a node takes part in at once.',
    default: 1,
    max: 64,
  }),
  patience: duration({
    summary: 'How long slots that do not get on are tried again before the run stops: a node away, a failover.',
    default: DEFAULT_PATIENCE_MS,
    defaultHelp: async () => `${DEFAULT_PATIENCE_MS / 1000}s` as never,
  }),
}

/** For commands that may leave a slot where it is. */
export const skipBigFlags = {
  'skip-big': size({
    summary: 'Leave slots where they are that hold a key of this size or larger.',
  }),
}

/** As the parser gives them. */
export interface MoveFlags {
  readonly 'dry-run': boolean
  readonly 'on-conflict': ConflictPolicy
  readonly concurrency: number
  readonly mover: MoverChoice
  readonly 'max-pause': number
  readonly 'max-bandwidth': number | undefined
  readonly patience: number
  readonly explain: boolean
  readonly metrics: string | undefined
  /** Absent in commands that must move every slot. */
  readonly 'skip-big'?: number | undefined
}
