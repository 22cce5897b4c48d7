/** How are contexts shown: to people as text, to programs as documents? */
import type {Context, Contexts} from '../state/contexts.ts'
import {cleanLines} from './clean.ts'
import type {Style} from './colour.ts'
import {renderTable} from './table.ts'

export interface ContextDocument extends Context {
  readonly name: string
  readonly isDefault: boolean
}

export function contextDocument({standard, byName}: Contexts, name: string): ContextDocument {
  return {name, isDefault: name === standard, ...(byName.get(name) as Context)}
}

/** One line each. */
export function renderContexts(contexts: readonly ContextDocument[], style: Style): string {
  return renderTable(
    [{title: ''}, {title: 'Context'}, {title: 'Seeds'}, {title: 'User'}, {title: 'Password'}, {title: 'TLS'}],
    contexts.map((context) => [
      context.isDefault ? '*' : '',
      context.name,
      context.seeds.map(cleanLines).join('\n'),
      cleanLines(context.user ?? ''),
      passwordPlace(context),
      usesTls(context) ? 'yes' : '',
    ]),
    style,
  )
}

/** All that it says, a line each. */
export function renderContext(context: ContextDocument): string {
  const {password, cacert, cacertdir, cert, key, sni, insecure, tlsVerify} = context
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['Context', `${context.name}${context.isDefault ? ' (the default)' : ''}`],
    ['Seeds', context.seeds.join(', ')],
    ['User', context.user],
    ['Password', password && passwordPlace(context)],
    ['Credentials', context.credentials],
    ['TLS', usesTls(context) ? `yes${insecure ? ', without verification' : ''}` : 'no'],
    ['CA file', cacert],
    ['CA folder', cacertdir],
    ['Certificate', cert],
    ['Key', key],
    ['Server name', sni],
    ['Verifies', tlsVerify],
    ['Ciphers', context.tlsCiphers],
    ['TLS 1.3', context.tlsCiphersuites],
    ['Address map', context.addressMap?.join(', ')],
  ]
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([title, value]) => `${title.padEnd(12)}  ${cleanLines(value as string)}`)
    .join('\n')
}

function passwordPlace({password}: Context): string {
  if (!password) return ''
  const [[kind, place]] = Object.entries(password) as [[string, string]]
  return cleanLines(kind === 'env' ? `variable ${place}` : `${kind} ${place}`)
}

function usesTls({
  tls,
  insecure,
  cacert,
  cacertdir,
  cert,
  sni,
  tlsVerify,
  tlsCiphers,
  tlsCiphersuites,
}: Context): boolean {
  const said = [cacert, cacertdir, cert, sni, tlsVerify, tlsCiphers, tlsCiphersuites]
  return tls === true || insecure === true || said.some((value) => value !== undefined)
}
