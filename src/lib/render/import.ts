/** How is an import told, before and after? */
import type {ImportPlan} from '../plan/import.ts'
import {formatBytes, formatCount, formatDuration, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderWarning} from './error.ts'
import {quoteKey} from './key-name.ts'
import {renderTable} from './table.ts'

export interface ImportSourceFacts {
  readonly address: string
  /** "redis 7.0.15" */
  readonly server: string
  /** Of a cluster; undefined for a server alone. */
  readonly primaries: number | undefined
}

export interface ImportTargetFacts {
  readonly address: string
  readonly primaries: number
  readonly keys: number
}

export interface ImportCounts {
  readonly copied: number
  readonly identical: number
  readonly expired: number
  readonly skipped: number
  readonly failed: number
  readonly deleted: number
  readonly changed: number
  readonly bytes: number
}

export interface NamedKey {
  readonly key: Buffer
  /** Of the source. */
  readonly database: number
  readonly reason: string
}

export function renderImportPlan(
  plan: ImportPlan,
  source: ImportSourceFacts,
  target: ImportTargetFacts,
  style: Style,
): string {
  const lines: string[] = []
  if (plan.routes.length > 0) {
    const table = renderTable(
      [
        {title: 'From database', align: 'right'},
        {title: 'Keys', align: 'right'},
        {title: 'To database', align: 'right'},
      ],
      plan.routes.map(({from, to, keys}) => [String(from), formatCount(keys), String(to)]),
      style,
    )
    lines.push(table, '')
  }
  const kind = source.primaries === undefined ? '' : `, a cluster of ${plural(source.primaries, 'primary')}`
  const keys = plan.routes.reduce((sum, route) => sum + route.keys, 0)
  const from = `${clean(source.address)} (${clean(source.server)}${kind})`
  const to = `the cluster at ${clean(target.address)}: ${plural(target.primaries, 'primary')}, ${formatCount(target.keys)} keys there`
  lines.push(style.chalk.bold(`${plural(keys, 'key')} from ${from}`), `into ${to}.`)
  if (plan.left.length > 0) {
    const left = plan.left.map(({database, keys}) => `${database} (${plural(keys, 'key')})`).join(', ')
    lines.push(`Not taken: ${plan.left.length === 1 ? 'database' : 'databases'} ${left}.`)
  }
  return [...lines, ...plan.warnings.map((text) => renderWarning(text, style))].join('\n')
}

export function renderImportCounts(counts: ImportCounts, elapsedMs: number): string {
  const {copied, identical, expired, skipped, failed, deleted, changed, bytes} = counts
  const head = `Copied ${plural(copied, 'key')} (${formatBytes(bytes)}) in ${formatDuration(elapsedMs)}.`
  const others = [
    identical > 0 ? `${plural(identical, 'key')} ${were(identical)} there already, with the same value.` : '',
    expired > 0
      ? `${plural(expired, 'key')} expired or ${were(expired)} deleted before ${its(expired)} turn came.`
      : '',
    skipped > 0
      ? `${plural(skipped, 'key')} ${were(skipped)} skipped: the cluster has ${it(skipped)} with another value.`
      : '',
    failed > 0 ? `${plural(failed, 'key')} failed.` : '',
    deleted > 0 ? `${plural(deleted, 'key')} ${were(deleted)} deleted at the source.` : '',
    changed > 0 ? `${plural(changed, 'key')} ${were(changed)} changed at the source meanwhile, and left there.` : '',
  ]
  return [head, ...others.filter((line) => line !== '')].join('\n')
}

export function renderVerification({compared, differing}: {compared: number; differing: number}): string {
  if (differing === 0)
    return `Verified ${plural(compared, 'key')}: the cluster has them all, with their values and lives.`
  return `Compared ${plural(compared, 'key')}: ${formatCount(differing)} ${differing === 1 ? 'differs' : 'differ'}.`
}

/** The first few, and how many more there are. */
export function renderNamedKeys(keys: readonly NamedKey[], total: number): string {
  const lines = keys.map(({key, database, reason}) => {
    const place = database === 0 ? '' : ` (database ${database})`
    return `  ${quoteKey(key)}${place}: ${clean(reason)}`
  })
  const more = total - keys.length
  return [...lines, ...(more > 0 ? [`  and ${formatCount(more)} more`] : [])].join('\n')
}

function were(count: number): string {
  return count === 1 ? 'was' : 'were'
}

function its(count: number): string {
  return count === 1 ? 'its' : 'their'
}

function it(count: number): string {
  return count === 1 ? 'it' : 'them'
}
