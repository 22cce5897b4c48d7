/** Which of our errors is this? Everything that was thrown becomes a ClusterError, oclif's parse errors included. */
import {stripVTControlCharacters} from 'node:util'
import {ClusterError, InternalError, UsageError} from '../errors.ts'
import {nearestWord} from '../nearest-word.ts'

/** What oclif's parse errors carry; each kind is told by what it has, since a bundler may rename classes. */
interface ParseErrorFacts {
  readonly oclif?: unknown
  /** Unknown flags. */
  readonly flags?: unknown
  /** Strings: arguments too many. Objects: arguments that are missing. */
  readonly args?: unknown
}

/** `command` is what `--help` is asked of; `knownFlags` are its long flags without dashes. */
export function toClusterError(error: unknown, command: string, knownFlags: readonly string[] = []): ClusterError {
  if (error instanceof ClusterError) {
    error.message = withoutParserNoise(error.message)
    return error
  }
  if (!(error instanceof Error)) return new InternalError(`something was thrown that is no error: ${String(error)}`)
  const facts = error as Error & ParseErrorFacts
  if (facts.oclif === undefined) return unexpected(error)
  const help = `rcluster ${command} --help`.replace('  ', ' ')
  if (Array.isArray(facts.flags)) {
    // A mistyped --password=… must not be repeated with its value.
    const flags = facts.flags.map((flag) => String(flag).replace(/=.*$/s, ''))
    return new UsageError(`unknown option${flags.length > 1 ? 's' : ''} ${flags.join(', ')}`, {
      suggestions: [...similarFlags(flags, knownFlags), help],
    })
  }
  if (Array.isArray(facts.args)) {
    const args: (string | {name: string})[] = facts.args
    const names = args.map((arg) => (typeof arg === 'string' ? arg : arg.name.toUpperCase())).join(' ')
    const isMissing = args.some((arg) => typeof arg !== 'string')
    const problem = isMissing ? `missing argument${args.length > 1 ? 's' : ''}` : 'too many arguments'
    return new UsageError(`${problem}: ${names}`, {suggestions: [help]})
  }
  const message = withoutParserNoise(error.message)
  const meant = similarValue(message)
  return new UsageError(message.charAt(0).toLowerCase() + message.slice(1), {
    suggestions: meant ? [meant, help] : [help],
  })
}

/** An error that is none of ours is a fault of ours, whatever threw it. */
function unexpected(error: Error): InternalError {
  return new InternalError(`unexpected fault: ${error.message || error.name}`, {
    cause: error,
    suggestions: ['This is a fault of rcluster: please report it, with what --verbose prints'],
  })
}

function similarFlags(flags: readonly string[], knownFlags: readonly string[]): string[] {
  return flags.flatMap((flag) => {
    const nearest = nearestWord(flag.replace(/^-+/, ''), knownFlags)
    return nearest ? [`Did you mean --${nearest}?`] : []
  })
}

/** For a value that is none of those that its flag takes: only oclif's message tells the three. */
function similarValue(message: string): string | undefined {
  const [, flag, value = '', options = ''] = /^Expected (--\S+?)=(.*) to be one of: (.*)$/s.exec(message) ?? []
  const nearest = flag && nearestWord(value, options.split(', '))
  return nearest ? `Did you mean ${flag} ${nearest}?` : undefined
}

/** oclif puts its own words around the message of an error thrown while a flag's value is read, and dims some. */
function withoutParserNoise(message: string): string {
  return stripVTControlCharacters(message)
    .replace(/^Parsing --\S+ \n\t/, '')
    .replace(/\nSee more help with --help$/, '')
    .replace(/^The following errors? occurred:\n\s*/, '')
    .trim()
}
