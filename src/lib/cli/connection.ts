/** How is the cluster reached? The connection flags, URLs and environment, as what the adapter wants. */
import type {InferredFlags} from '@oclif/core/interfaces'
import {UsageError} from '../errors.ts'
import {AddressMap} from '../redis/address-map.ts'
import type {ConnectionOptions} from '../redis/connection-options.ts'
import {Login, Logins} from '../redis/logins.ts'
import {parseAddressMap} from './address-rules.ts'
import {passwordFromEnvironment, readPasswordFile} from './credentials.ts'
import type {connectionFlags} from './flags.ts'
import {readLoginRules} from './login-rules.ts'
import type {AddressReference} from './node-argument.ts'
import {isTlsAsked, tlsOptionsFrom} from './tls-flags.ts'

type ConnectionFlags = Partial<InferredFlags<typeof connectionFlags>>

/**
 * A line of --credentials wins over a flag, a flag over a URL, a URL over the environment. Reads the files that the flags name.
 * @throws UsageError for URLs that contradict each other, unreadable files, a malformed --address-map or --credentials.
 */
export function connectionOptionsFrom(
  flags: ConnectionFlags,
  askedPassword: string | undefined,
  references: readonly AddressReference[],
  env: Readonly<Record<string, string | undefined>>,
): ConnectionOptions {
  const isTls = isTlsAsked(flags) || only('scheme', references, ({tls}) => tls)
  if (flags.credentials === '-' && flags['password-file'] === '-') {
    throw new UsageError('--credentials and --password-file cannot both be read from stdin')
  }
  const username = flags.user ?? only('user', references, ({username}) => username)
  const file = flags['password-file']
  const password =
    askedPassword ??
    flags.password ??
    (file === undefined ? undefined : readPasswordFile(file)) ??
    only('password', references, ({password}) => password) ??
    passwordFromEnvironment(env)
  const rules = flags.credentials === undefined ? [] : readLoginRules(flags.credentials)
  if (username !== undefined && password === undefined) {
    throw new UsageError(`there is no password for the user "${username}"`, {
      suggestions: ['Set RCLUSTER_PASSWORD, or give --askpass or --password-file'],
    })
  }
  return {
    logins: new Logins(rules, password === undefined ? undefined : new Login(username, password)),
    tls: isTls ? tlsOptionsFrom(flags) : undefined,
    addressMap: new AddressMap(parseAddressMap(flags['address-map'] ?? [])),
    connectTimeoutMs: flags['connect-timeout'] ?? 3000,
    commandTimeoutMs: flags['command-timeout'] ?? 5000,
  }
}

/** The one value that the URLs have; those that are silent about it do not count. */
function only<V>(
  what: string,
  references: readonly AddressReference[],
  pick: (r: AddressReference) => V,
): V | undefined {
  const values = new Set(references.map(pick).filter((value) => value !== undefined))
  if (values.size > 1) {
    throw new UsageError(`the addresses name more than one ${what}; all nodes are reached in the same way`)
  }
  const [value] = values
  return value
}
