/** How did one command of rcluster go? Started with its events on, held to its deadline, and to the table of exit codes. */
import type {ChildProcess} from 'node:child_process'
import type {Rcluster} from '../support/rcluster.ts'
import type {EventLog} from './event-log.ts'

/** Since it last moved slots. Longer than what the engine tries on its own, for a node that stays away: a minute or so. */
export const COMMAND_DEADLINE_MS = 120_000

export interface EngineLine {
  readonly time: string
  readonly kind: string
  /** Of keys that moved, key by key. */
  readonly slot?: number
  readonly slots?: readonly number[] | number
  readonly to?: string
}

export interface CommandEnd {
  readonly args: readonly string[]
  /** undefined: ended by a signal. */
  readonly code: number | undefined
  readonly message: string
  /** Commands that it printed, without the program's name. */
  readonly printed: readonly (readonly string[])[]
  /** A node that was a primary when it was named is none any more: the same words with the primary that was named for it. */
  readonly instead?: readonly string[]
  readonly isHung: boolean
  readonly elapsedMs: number
}

export interface Command {
  readonly child: ChildProcess
  readonly ended: Promise<CommandEnd>
  readonly events: readonly EngineLine[]
  hasEnded: boolean
  /** Resolves at the n-th event from now that tells of work, or when the command has ended. */
  untilEvent(n: number): Promise<void>
}

/** Of those that read only and take no --yes. */
const ASKS_NOTHING = new Set(['check', 'wait', 'info', 'explain', 'call'])

export function startCommand(rcluster: Rcluster, args: readonly string[], log: EventLog): Command {
  const startedMs = Date.now()
  const common = ['--json', '--progress', 'ndjson']
  const asked = ASKS_NOTHING.has(args[0] ?? '') || args.includes('--yes') ? [] : ['--yes']
  log.say(`run: rcluster ${args.join(' ')}`)
  const {child, ended} = rcluster.start([...args, ...asked, ...common])
  const events: EngineLine[] = []
  const waiting: {readonly at: number; readonly resolve: () => void}[] = []
  let rest = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = parseEvent(line)
      if (event) events.push(event)
      if (event?.kind === 'slots-moved') {
        clearTimeout(timer)
        timer = setTimeout(giveUp, COMMAND_DEADLINE_MS)
      }
      if (event && (event.kind === 'retry' || event.kind === 'note' || event.kind === 'phase')) log.say(`  ${line}`)
    }
    for (const {at, resolve} of waiting) if (events.length >= at) resolve()
  })
  let isHung = false
  const giveUp = (): void => {
    isHung = true
    child.kill('SIGKILL')
  }
  let timer = setTimeout(giveUp, COMMAND_DEADLINE_MS)
  const command: Command = {
    child,
    events,
    hasEnded: false,
    untilEvent: (n) =>
      new Promise((resolve) => {
        if (command.hasEnded) resolve()
        else waiting.push({at: events.length + n, resolve})
      }),
    ended: ended.then(({code, stdout, stderr}) => {
      clearTimeout(timer)
      command.hasEnded = true
      for (const {resolve} of waiting) resolve()
      const end = {args, code, isHung, elapsedMs: Date.now() - startedMs, ...readDocument(stdout, stderr, args)}
      log.say(
        `ended: ${args[0]} with ${code ?? 'a signal'} after ${end.elapsedMs} ms${end.message && `: ${end.message}`}`,
      )
      for (const words of end.printed) log.say(`  it prints: rcluster ${words.join(' ')}`)
      return end
    }),
  }
  return command
}

function parseEvent(line: string): EngineLine | undefined {
  if (!line.startsWith('{"time"')) return undefined
  try {
    return JSON.parse(line) as EngineLine
  } catch {
    return undefined
  }
}

interface Failure {
  readonly message?: string
  readonly suggestions?: readonly string[]
}

function readDocument(
  stdout: string,
  stderr: string,
  args: readonly string[],
): Pick<CommandEnd, 'message' | 'printed' | 'instead'> {
  try {
    const {error} = JSON.parse(stdout) as {error?: Failure}
    const suggestions = error?.suggestions ?? []
    const printed = suggestions.flatMap((text) => {
      const [, words] = /(?:^|\s)rcluster (\S.*)$/.exec(text) ?? []
      return words === undefined ? [] : [words.split(' ')]
    })
    const message = error?.message ?? ''
    return {message, printed, ...wordsWithPrimary(args, message, suggestions)}
  } catch {
    const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
    return {message: [stdout, ...said].join(' ').trim().slice(0, 2000), printed: []}
  }
}

function wordsWithPrimary(
  args: readonly string[],
  message: string,
  suggestions: readonly string[],
): Pick<CommandEnd, 'instead'> {
  const [, replica] = /^(\S+) \S+ is a replica and cannot/.exec(message) ?? []
  const [, primary] = /^name its primary, (\S+)$/m.exec(suggestions.join('\n')) ?? []
  if (replica === undefined || primary === undefined) return {}
  const words = args.map((word) => (word === replica ? primary : word))
  // Its own target now: then there is nothing left to move.
  return words[words.indexOf('--from') + 1] === words[words.indexOf('--to') + 1] ? {} : {instead: words}
}

/** What is wrong with the way a command ended, whatever the cluster is like: undefined when nothing is. */
export function wrongEnd(
  {args, code, isHung, printed, message, instead}: CommandEnd,
  wasKilled: boolean,
): string | undefined {
  const name = `rcluster ${args.join(' ')}`
  if (isHung) return `${name} did not get on for ${COMMAND_DEADLINE_MS} ms`
  if (code === undefined) return wasKilled ? undefined : `${name} was ended by a signal that nobody sent`
  if (code === 2 && instead) return undefined
  if (![0, 3, 4, 5, 130].includes(code) && !(code === 1 && args[0] === 'check')) {
    return `${name} ended with ${code}: ${message}`
  }
  if (code === 5 && args[0] !== 'wait' && printed.length === 0) {
    return `${name} ended with 5 and named no command that goes on: ${message}`
  }
  return undefined
}
