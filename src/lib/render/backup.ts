/** How are a backup and what is restored from one shown? */
import type {BackupPlan} from '../plan/backup.ts'
import {formatAddress} from '../topology/model.ts'
import {formatBytes, formatCount, plural} from './amounts.ts'
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

export function renderRestoreFiles(files: readonly RestoreRow[], style: Style): string {
  const hasStrays = files.some(({strays}) => strays > 0)
  const rows = files.map(({name, bytes, rdbVersion, serverVersion, keys, expired, strays}) => [
    clean(name),
    formatBytes(bytes),
    clean(serverVersion === '' ? `RDB ${rdbVersion}` : `${serverVersion}, RDB ${rdbVersion}`),
    formatCount(keys),
    formatCount(expired),
    ...(hasStrays ? [formatCount(strays)] : []),
  ])
  return renderTable(
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
}

/** A key's name in a message: as text where it is text, cut where it is long. */
export function renderKey(key: Buffer): string {
  const text = clean(
    key.toString('latin1').replace(/[^\x20-\x7e]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`),
  )
  return text.length > 60 ? `"${text.slice(0, 60)}…"` : `"${text}"`
}
