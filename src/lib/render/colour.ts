/** May this stream be coloured, drawn with box characters, animated? The one place that decides. */
import {Chalk, type ChalkInstance} from 'chalk'

export interface StreamFacts {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** How renderers draw: each takes one of these and asks nothing else of the world. */
export interface Style {
  readonly chalk: ChalkInstance
  /** Else plain ASCII. */
  readonly isUnicode: boolean
  /** The width to stay within. */
  readonly columns: number
  /** Else a pipe or a file. */
  readonly isTerminal: boolean
}

/** --no-color, then NO_COLOR, then FORCE_COLOR, then: a terminal that is not dumb. */
export function hasColour(stream: StreamFacts, env: Environment, isForbidden: boolean): boolean {
  if (isForbidden || env['NO_COLOR']) return false
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}

/** Is the locale UTF-8, and the terminal not the Linux console, whose font has few such characters? */
export function hasUnicode(env: Environment, platform: NodeJS.Platform = process.platform): boolean {
  if (platform === 'win32') return Boolean(env['WT_SESSION'] ?? env['TERM_PROGRAM'])
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return /utf-?8/i.test(locale) && env['TERM'] !== 'linux'
}

/** May a line be drawn over? Not in CI, not on a terminal that tells no width. */
export function canAnimate(stream: StreamFacts, env: Environment): boolean {
  return stream.isTTY === true && (stream.columns ?? 0) > 0 && env['TERM'] !== 'dumb' && !env['CI']
}

/** Output that goes to no terminal is 100 columns wide: log files have no width, and 80 is tight for IPv6. */
export function styleFor(stream: StreamFacts, env: Environment, isColourForbidden: boolean): Style {
  return {
    chalk: new Chalk({level: hasColour(stream, env, isColourForbidden) ? 1 : 0}),
    isUnicode: hasUnicode(env),
    columns: stream.isTTY && stream.columns ? stream.columns : 100,
    isTerminal: stream.isTTY === true && Boolean(stream.columns),
  }
}

export const PLAIN_STYLE: Style = {chalk: new Chalk({level: 0}), isUnicode: false, columns: 80, isTerminal: false}
