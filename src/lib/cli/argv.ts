/** What was typed, in the order that oclif wants: the command's ID, then everything else. Pure. */
import {UsageError} from '../errors.ts'
import {nearestWord} from '../nearest-word.ts'

export interface Catalogue {
  /** "reshard", "local:up"; what may be typed, aliases included. */
  readonly isCommand: (id: string) => boolean
  readonly isTopic: (name: string) => boolean
  /** What a token ("--seed", "-a") is; undefined when no command has such a flag. */
  readonly flag: (token: string) => {readonly takesValue: boolean} | undefined
  /** What to suggest from, with spaces: "local up". */
  readonly names: readonly string[]
  /** What to suggest from, with dashes. */
  readonly flagNames: readonly string[]
}

/**
 * Flags may stand before the command, and "help CMD" is "CMD --help".
 * @throws UsageError when the first word is no command.
 */
export function translateArgv(argv: readonly string[], catalogue: Catalogue): string[] {
  const end = argv.indexOf('--')
  const before = end === -1 ? argv : argv.slice(0, end)
  const words = indexesOfWords(before, catalogue)
  const [first, second] = words
  if (first === undefined) return withoutCommand(before)
  const word = argv[first]!
  if (word === 'help') return translateArgv([...argv.slice(0, first), ...argv.slice(first + 1), '--help'], catalogue)
  const pair = second === undefined ? undefined : `${word}:${argv[second]!}`
  if (pair !== undefined && catalogue.isCommand(pair)) {
    return [pair, ...argv.filter((_, index) => index !== first && index !== second)]
  }
  const isTopicAlone = catalogue.isTopic(word) && second === undefined
  if (catalogue.isCommand(word) || isTopicAlone) return [word, ...argv.filter((_, index) => index !== first)]
  const unknownFlag = argv.slice(0, first).find((token) => token.startsWith('-') && !isKnown(token, catalogue))
  // The word after it may be its value, a secret even: it is not repeated.
  if (unknownFlag !== undefined) throw unknownOption(unknownFlag.replace(/=.*$/s, ''), catalogue.flagNames)
  if (!catalogue.isTopic(word)) throw unknownCommand(word, catalogue.names, 'rcluster --help')
  const inTopic = catalogue.names.filter((name) => name.startsWith(`${word} `))
  throw unknownCommand(`${word} ${argv[second!]!}`, inTopic, `rcluster ${word} --help`)
}

function withoutCommand(flags: readonly string[]): string[] {
  if (flags.length === 0 || flags.includes('--help') || flags.includes('-h')) return ['--help']
  if (flags.includes('--version') || flags.includes('-v')) return ['--version']
  throw new UsageError(`no command was given, only ${flags.join(' ')}`, {
    suggestions: ['rcluster --help'],
  })
}

function indexesOfWords(argv: readonly string[], catalogue: Catalogue): number[] {
  const indexes: number[] = []
  for (let index = 0; index < argv.length; index++) {
    const token = argv[index]!
    if (!token.startsWith('-') || token === '-') indexes.push(index)
    else if (catalogue.flag(token)?.takesValue) index++
  }
  return indexes
}

/** Short flags may be run together with their value or with each other: "-awx", "-qy". */
function isKnown(token: string, {flag}: Catalogue): boolean {
  if (['--help', '-h', '--version', '-v'].includes(token)) return true
  return flag(token.startsWith('--') ? token.replace(/=.*$/s, '') : token.slice(0, 2)) !== undefined
}

function unknownOption(flag: string, flagNames: readonly string[]): UsageError {
  const nearest = flag.startsWith('--') ? nearestWord(flag, flagNames) : undefined
  return new UsageError(`unknown option ${flag}`, {
    suggestions: [nearest ? `Did you mean ${nearest}?` : 'rcluster --help'],
  })
}

/** `names` share all words but the last with what was typed, and only the last are compared. */
function unknownCommand(typed: string, names: readonly string[], help: string): UsageError {
  const lastOf = (name: string): string => name.split(' ').at(-1) ?? ''
  const nearest = nearestWord(lastOf(typed), names.map(lastOf))
  const meant = names.find((name) => lastOf(name) === nearest)
  return new UsageError(`"${typed}" is not a command of rcluster`, {
    suggestions: meant ? [`Did you mean "rcluster ${meant}"?`] : [help],
  })
}
