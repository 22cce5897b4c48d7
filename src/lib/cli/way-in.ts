/** With which flags was the cluster reached? Commands that go on from here name nodes, and need these besides. */
import type {InferredFlags} from '@oclif/core/interfaces'
import {connectionFlags} from './flags.ts'
import type {AddressReference} from './node-argument.ts'
import {shellWord} from './shell-word.ts'

type ConnectionFlags = Partial<InferredFlags<typeof connectionFlags>>

/** Told in their own way, or no part of the way. */
const NOT_REPEATED: ReadonlySet<string> = new Set<keyof typeof connectionFlags>([
  'seed',
  'password',
  'askpass',
  'remember',
  'connect-timeout',
  'command-timeout',
])

/**
 * "--context prod --user ops --askpass": to be pasted behind a command; "" where none is needed. `context`: the one in use,
 * be it by a variable or by default, which go by the addresses. A password is asked for instead of shown.
 */
export function wayIn(
  flags: ConnectionFlags,
  context: string | undefined,
  references: readonly AddressReference[],
): string {
  const all: ConnectionFlags = {...flags}
  if (context !== undefined) all.context = context
  // What URLs say. A context says itself whether there is TLS.
  all.tls ||= context === undefined && references.some(({tls}) => tls)
  all.user ??= references.find(({username}) => username !== undefined)?.username
  const isFromStdin = all['password-file'] === '-'
  if (isFromStdin) delete all['password-file']
  const isPasswordSaid = all.password !== undefined || references.some(({password}) => password !== undefined)
  const isAsked = all.askpass || isFromStdin || (isPasswordSaid && all['password-file'] === undefined)

  const words: string[] = []
  for (const name of Object.keys(connectionFlags)) {
    if (NOT_REPEATED.has(name)) continue
    for (const value of [all[name as keyof ConnectionFlags] ?? []].flat()) {
      if (value === true) words.push(`--${name}`)
      else if (value !== false) words.push(`--${name}`, shellWord(String(value)))
    }
  }
  return [...words, ...(isAsked ? ['--askpass'] : [])].join(' ')
}
