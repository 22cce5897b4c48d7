/** What do the servers tell of their own slot migrations? Their replies as values; errors for what is none. Pure. */
import type {SlotMigration} from '../engine/cluster-port.ts'
import {parseRanges} from '../slots/slot-ranges.ts'
import type {Reply} from './replies.ts'
import {integerIn, listIn} from './reply-shapes.ts'

/** CLUSTER GETSLOTMIGRATIONS of Valkey 9: a flat list of names and values for each. */
export function parsePushMigrations(reply: Reply): SlotMigration[] {
  return entriesOf(reply).map((fields) => ({
    ...commonOf(fields, 'name', 'slot_ranges'),
    source: fields.get('source_node') ?? '',
    target: fields.get('target_node') ?? '',
    status: pushStatus(fields.get('state') ?? ''),
    reason: fields.get('message') ?? '',
    writePauseMs: undefined,
  }))
}

/** CLUSTER MIGRATION STATUS of Redis 8.4. */
export function parsePullMigrations(reply: Reply): SlotMigration[] {
  return entriesOf(reply).map((fields) => ({
    ...commonOf(fields, 'id', 'slots'),
    source: fields.get('source') ?? '',
    target: fields.get('dest') ?? '',
    status: pullStatus(fields.get('state') ?? '', fields.get('operation') ?? ''),
    reason: fields.get('last_error') ?? '',
    // The target always says 0.
    writePauseMs: fields.get('operation') === 'migrate' ? integerIn(fields.get('write_pause_ms') ?? 0) : undefined,
  }))
}

function commonOf(fields: ReadonlyMap<string, string>, idField: string, rangesField: string) {
  return {
    id: fields.get(idField) ?? '',
    ranges: parseRanges((fields.get(rangesField) ?? '').trim().replace(/ +/g, ',')),
    stage: fields.get('state') ?? '',
  }
}

function pushStatus(state: string): SlotMigration['status'] {
  switch (state) {
    case 'success':
      return 'done'
    case 'failed':
    case 'cancelled':
      return state
    default:
      return 'running'
  }
}

function pullStatus(state: string, operation: string): SlotMigration['status'] {
  switch (state) {
    case 'completed':
      return 'done'
    case 'canceled':
      return 'cancelled'
    case 'failed':
      // The target tries again after a second, without end; its source waits to be asked.
      return operation === 'import' ? 'retrying' : 'failed'
    default:
      return 'running'
  }
}

function entriesOf(reply: Reply): ReadonlyMap<string, string>[] {
  return listIn(reply).map((entry) => {
    const words = listIn(entry).map(String)
    return new Map(words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1] ?? ''] as const] : [])))
  })
}
