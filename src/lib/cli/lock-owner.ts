/** What does this run tell others of itself, while it holds the lock of a cluster? */
import {hostname, userInfo} from 'node:os'
import type {LockOwner} from '../engine/lock-entry.ts'

interface FlagFacts {
  readonly type: 'boolean' | 'option'
  readonly char?: string | undefined
  readonly aliases?: readonly string[] | undefined
  readonly helpGroup?: string | undefined
}

export function lockOwner(command: string, env: NodeJS.ProcessEnv): LockOwner {
  return {host: hostname(), user: userName(env), pid: process.pid, since: new Date().toISOString(), command}
}

/** Containers run under user IDs that have no name. */
function userName(env: NodeJS.ProcessEnv): string {
  const uid = (): string => `uid ${process.getuid?.() ?? '?'}`
  try {
    return userInfo().username || uid()
  } catch {
    return env['USER'] || uid()
  }
}

/**
 * The words of a command without what concerns the connection and the output: others see it, and secrets are among that.
 * Logins in URLs are cut out.
 */
export function publicWords(argv: readonly string[], flags: Readonly<Record<string, FlagFacts>>): string {
  const isPrivate = (name: string, {helpGroup}: FlagFacts): boolean =>
    helpGroup === 'CONNECTION' || helpGroup === 'OUTPUT' || /pass|user|secret/.test(name)
  const secret = Object.entries(flags).filter(([name, facts]) => isPrivate(name, facts))
  const longs = new Map(secret.flatMap(([name, facts]) => [name, ...(facts.aliases ?? [])].map((one) => [one, facts])))
  const shorts = new Map(secret.map(([, facts]) => [facts.char, facts]))
  const words: string[] = []
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string
    const [, long, value] = /^--([^=]+)(=.*)?$/s.exec(word) ?? []
    const known = long === undefined ? undefined : longs.get(long)
    // Letters in a row, "-qa secret": what follows may be the value of any of them.
    const letters = /^-[^-]/.test(word) ? [...word.slice(1)].map((letter) => shorts.get(letter)) : []
    const isShort = letters.some((facts) => facts !== undefined)
    if (known?.type === 'option' && value === undefined) at++
    if (isShort && letters.at(-1)?.type === 'option') at++
    if (!known && !isShort) words.push(word.replace(/^(--[^=]+=)?([a-z]+:\/\/)?.*@/s, '$1$2'))
  }
  return words.join(' ')
}
