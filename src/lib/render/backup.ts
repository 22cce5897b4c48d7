/** How are a backup and what is restored from one shown? */
import type {BackupPlan} from '../plan/backup.ts'
import {formatAddress} from '../topology/model.ts'
import {formatBytes, formatCount, formatDuration, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderTable} from './table.ts'
import {renderRanges} from './topology.ts'

const RANGES_WIDTH = 30

export function renderBackupPlan({sources, missing}: BackupPlan, folder: string, style: Style): string {
  const rows = sources.map(({primary, node, slots, keys, memoryBytes, lagBytes}) => [
    clean(formatAddress(primary.address)),
    renderRanges(slots, RANGES_WIDTH),
    node.id === primary.id ? 'itself' : clean(formatAddress(node.address)),
    keys === undefined ? '?' : formatCount(keys),
    memoryBytes === undefined ? '?' : formatBytes(memoryBytes),
    node.id === primary.id ? '' : lagBytes === undefined ? '?' : formatBytes(lagBytes),
  ])
  const table = renderTable(
    [
      {title: 'Primary'},
      {title: 'Slots'},
      {title: 'Taken from'},
      {title: 'Keys', align: 'right'},
      {title: 'Memory', align: 'right'},
      {title: 'Lag', align: 'right'},
    ],
    rows,
    style,
  )
  const lost = missing.map(
    ({primary, slots}) =>
      `${style.chalk.yellow('Warning:')} ${clean(formatAddress(primary.address))} cannot be asked, nor a replica of it: slots ${renderRanges(slots, RANGES_WIDTH)} will not be in the backup.`,
  )
  return [table, '', `${plural(sources.length, 'file')} to be written to ${clean(folder)}.`, ...lost].join('\n')
}

export interface RestoreRow {
  readonly name: string
  readonly bytes: number
  readonly rdbVersion: number
  readonly serverVersion: string
  readonly keys: number
  readonly expired: number
  readonly strays: number
}

export function renderRestoreFiles(
  files: readonly RestoreRow[],
  libraries: readonly string[],
  seed: string,
  style: Style,
): string {
  const hasStrays = files.some(({strays}) => strays > 0)
  const rows = files.map(({name, bytes, rdbVersion, serverVersion, keys, expired, strays}) => [
    clean(name),
    formatBytes(bytes),
    clean(serverVersion === '' ? `RDB ${rdbVersion}` : `${serverVersion}, RDB ${rdbVersion}`),
    formatCount(keys),
    formatCount(expired),
    ...(hasStrays ? [formatCount(strays)] : []),
  ])
  const table = renderTable(
    [
      {title: 'File'},
      {title: 'Size', align: 'right'},
      {title: 'Written by'},
      {title: 'Keys', align: 'right'},
      {title: 'Expired', align: 'right'},
      ...(hasStrays ? [{title: 'Of other slots', align: 'right'} as const] : []),
    ],
    rows,
    style,
  )
  const keys = files.reduce((sum, file) => sum + file.keys, 0)
  const more = libraries.length > 0 ? `, and ${nameLibraries(libraries)}` : ''
  return `${table}\n\n${plural(keys, 'key')} for the cluster at ${clean(seed)}${more}.`
}

/** "a, b and c", without those that are empty. */
function listParts(parts: readonly string[]): string {
  const shown = parts.filter((part) => part !== '')
  return shown.length > 1 ? `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}` : shown.join('')
}

function nameLibraries(names: readonly string[]): string {
  return `the function ${names.length === 1 ? 'library' : 'libraries'} ${clean(names.join(', '))}`
}

export interface Taken {
  readonly folder: string
  readonly isComplete: boolean
  readonly keys: number
  readonly shards: number
  readonly bytes: number
  readonly libraries: number
  /** undefined: left out. */
  readonly users: number | undefined
  readonly elapsedMs: number
}

export function renderTaken({folder, isComplete, keys, shards, bytes, libraries, users, elapsedMs}: Taken): string {
  const parts = [
    `${plural(keys, 'key')} of ${plural(shards, 'shard')} (${formatBytes(bytes)})`,
    libraries > 0 ? plural(libraries, 'function library') : '',
    users === undefined ? 'no users' : plural(users, 'user'),
  ]
  return [
    `Wrote ${listParts(parts)} to ${clean(folder)} in ${formatDuration(elapsedMs)}.`,
    isComplete
      ? 'All slots are in it; every file was read as RDB on its way, and no slot moved meanwhile.'
      : 'It is partial: not all slots are in it, and its manifest says so.',
  ].join('\n')
}

export interface Restored {
  readonly copied: number
  readonly identical: number
  readonly skipped: number
  readonly expired: number
  readonly bytes: number
  readonly libraries: readonly string[]
  readonly users: number | undefined
  readonly elapsedMs: number
}

export function renderRestored(
  {copied, identical, skipped, expired, bytes, libraries, users, elapsedMs}: Restored,
  verified: {readonly same: number; readonly expired: number; readonly present: number} | undefined,
): string {
  const parts = [
    `${plural(copied, 'key')}${copied > 0 ? ` (${formatBytes(bytes)})` : ''}`,
    libraries.length > 0 ? nameLibraries(libraries) : '',
    users === undefined ? '' : plural(users, 'user'),
  ]
  const others = [
    identical > 0 ? `${formatCount(identical)} were there already` : '',
    skipped > 0 ? `of ${formatCount(skipped)} the cluster kept its own` : '',
    expired > 0 ? `${formatCount(expired)} had expired` : '',
  ].filter((part) => part !== '')
  const lines = [
    `Restored ${listParts(parts)} in ${formatDuration(elapsedMs)}.`,
    ...(others.length > 0 ? [`Of the other keys ${others.join(', ')}.`] : []),
  ]
  if (verified) {
    const more = [
      verified.expired > 0 ? `; ${formatCount(verified.expired)} expired` : '',
      verified.present > 0
        ? `; ${formatCount(verified.present)} are there in a form that cannot be compared from here`
        : '',
    ]
    lines.push(`Verified: ${plural(verified.same, 'key')} equal to the backup${more.join('')}.`)
  }
  return lines.join('\n')
}

/** A key's name in a message: as text where it is text, cut where it is long. */
export function renderKey(key: Buffer): string {
  const text = clean(
    key.toString('latin1').replace(/[^\x20-\x7e]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`),
  )
  return text.length > 60 ? `"${text.slice(0, 60)}…"` : `"${text}"`
}
