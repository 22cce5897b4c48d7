/** How is a failure told: to people as text, to programs as a document? */
import type {ClusterError, ErrorCode} from '../errors.ts'
import {cleanLines} from './clean.ts'
import type {Style} from './colour.ts'
import {wrap} from './wrap.ts'

/**
 * "Error: message", then each suggestion on a line of its own. What the person wanted stopped is no error. Verbose: what
 * lies behind it, and for faults of ours their stack traces.
 */
export function renderError(error: ClusterError, style: Style, isVerbose: boolean): string {
  const label = error.code === 'E_CANCELLED' ? '' : 'Error: '
  const lines = [`${style.chalk.red(label)}${wrap(cleanLines(error.message), style, label.length, label.length)}`]
  const arrow = style.isUnicode ? '→' : '->'
  const indent = 2 + arrow.length + 1
  for (const suggestion of error.suggestions) {
    const text = cleanLines(suggestion)
    lines.push(`  ${arrow} ${isToPaste(text) ? text : wrap(text, style, indent, indent)}`)
  }
  if (isVerbose) {
    const isOurs = error.code === 'E_INTERNAL'
    for (let cause = isOurs ? error : error.cause; cause instanceof Error; cause = cause.cause) {
      lines.push(cleanLines((isOurs ? cause.stack : undefined) ?? `${cause.name}: ${cause.message}`))
    }
  }
  return lines.join('\n')
}

/** A broken line cannot be pasted. */
export function isToPaste(text: string): boolean {
  return /\brcluster /.test(text)
}

export function renderWarning(text: string, style: Style): string {
  const label = 'Warning: '
  return `${style.chalk.yellow(label)}${wrap(cleanLines(text), style, label.length, label.length)}`
}

export interface ErrorDocument {
  readonly version: 1
  readonly command: string
  readonly ok: false
  readonly warnings: readonly string[]
  readonly error: {
    readonly code: ErrorCode
    readonly exitCode: number
    readonly message: string
    readonly details: Readonly<Record<string, unknown>>
    readonly suggestions: readonly string[]
  }
}

export function errorDocument(command: string, error: ClusterError, warnings: readonly string[]): ErrorDocument {
  const {code, exitCode, message, details, suggestions} = error
  return {version: 1, command, ok: false, warnings, error: {code, exitCode, message, details, suggestions}}
}

/** JSON text of a document; maps become objects, sets arrays. */
export function renderJson(document: unknown): string {
  return JSON.stringify(
    document,
    (_key, value: unknown) => {
      if (value instanceof Map) return Object.fromEntries(value)
      if (value instanceof Set) return [...value]
      if (typeof value === 'bigint') return value.toString()
      return value
    },
    2,
  )
}
