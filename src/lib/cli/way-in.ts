/** With which flags was the cluster reached? Commands that go on from here name nodes, and need these besides. */
import type {InferredFlags} from '@oclif/core/interfaces'
import type {connectionFlags} from './flags.ts'
import type {AddressReference} from './node-argument.ts'
import {shellWord} from './shell-word.ts'

type ConnectionFlags = Partial<InferredFlags<typeof connectionFlags>>

const SWITCHES = ['tls', 'insecure'] as const
const VALUES = [
  'user',
  'password-file',
  'credentials',
  'cacert',
  'cacertdir',
  'cert',
  'key',
  'sni',
  'tls-verify',
  'tls-ciphers',
  'tls-ciphersuites',
] as const

/**
 * "--context prod --user ops --askpass": to be pasted behind a command; "" where none is needed. `context`: the one in use,
 * be it by a variable or by default, which go by the addresses. A password is asked for instead of shown.
 */
export function wayIn(
  flags: ConnectionFlags,
  context: string | undefined,
  references: readonly AddressReference[],
): string {
  const fromUrls: ConnectionFlags = {}
  for (const {tls, username, password} of references) {
    if (tls && context === undefined) fromUrls.tls = true
    if (username !== undefined) fromUrls.user = username
    if (password !== undefined) fromUrls.askpass = true
  }
  const all: ConnectionFlags = {...fromUrls, ...withoutDefaults(flags)}
  const isAsked = all.askpass || all.password !== undefined || all['password-file'] === '-'
  const words: string[] = []
  const add = (name: string, value?: string): void => {
    words.push(`--${name}`, ...(value === undefined ? [] : [shellWord(value)]))
  }
  const named = context ?? all.context
  if (named !== undefined) add('context', named)
  for (const name of SWITCHES) if (all[name]) add(name)
  for (const name of VALUES) {
    const value = all[name]
    if (value !== undefined && !(name === 'password-file' && isAsked)) add(name, value)
  }
  if (isAsked) add('askpass')
  for (const rule of all['address-map'] ?? []) add('address-map', rule)
  return words.join(' ')
}

/** So that what an URL says is not hidden behind `false`. */
function withoutDefaults(flags: ConnectionFlags): ConnectionFlags {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined && value !== false))
}
