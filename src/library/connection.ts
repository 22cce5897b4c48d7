/** How does a program say where its cluster is and how it is reached? As what the adapter wants. */
import {parseAddressRule} from '../lib/cli/address-rules.ts'
import {type AddressReference, parseAddressReference} from '../lib/cli/node-argument.ts'
import {UsageError} from '../lib/errors.ts'
import {AddressMap} from '../lib/redis/address-map.ts'
import type {ConnectionOptions} from '../lib/redis/connection-options.ts'
import {Login, Logins} from '../lib/redis/logins.ts'
import type {NodeAddress} from '../lib/topology/model.ts'

/** TLS to every node. The chain is always verified; the name as well of nodes that go by one. */
export interface TlsSettings {
  /** PEM; the system's authorities by default. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[]
  /** PEM of the client certificate, with its key. */
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  /** The name to ask for, and the only one that a certificate may bear. */
  readonly servername?: string
  /** 'names' (the default): the right name of nodes that go by one. 'full': the right name or address of all. */
  readonly verify?: 'chain' | 'names' | 'full'
}

/** How the nodes of a cluster are reached. Secrets are given as values and kept in no property of what is returned. */
export interface AccessOptions {
  /** Default: the default user. Wins over the one of a URL. */
  readonly username?: string
  readonly password?: string
  /** `true`: with the system's authorities. `rediss://` says the same. */
  readonly tls?: TlsSettings | boolean
  /** What is dialled instead of what a node announces: `{'10.0.0.5:6379': '127.0.0.1:7000', '*': '127.0.0.1'}`. */
  readonly addressMap?: Readonly<Record<string, string>>
  /** Default 3000. */
  readonly connectTimeoutMs?: number
  /** How long an answer may take; default 5000. */
  readonly commandTimeoutMs?: number
}

/**
 * Addresses in any form that the program takes: `host:port`, `host`, `[::1]:7000`, `redis://user:password@host:port`,
 * `rediss://…`.
 * @throws UsageError for what is no address, and for URLs that contradict one another.
 */
export function accessTo(
  places: readonly string[],
  access: AccessOptions,
): {readonly addresses: NodeAddress[]; readonly options: ConnectionOptions} {
  const references = places.map(parseAddressReference)
  if (references.length === 0) throw new UsageError('no address was given')
  const username = access.username ?? only('user', references, (one) => one.username)
  const password = access.password ?? only('password', references, (one) => one.password)
  if (username !== undefined && password === undefined) {
    throw new UsageError(`there is no password for the user "${username}"`)
  }
  const tls = access.tls ?? only('scheme', references, (one) => one.tls)
  const rules = Object.entries(access.addressMap ?? {}).map(([announced, dialled]) =>
    parseAddressRule(`${announced}=${dialled}`, `addressMap "${announced}"`),
  )
  return {
    addresses: references.map(({address}) => address),
    options: {
      logins: new Logins([], password === undefined ? undefined : new Login(username, password)),
      tls: tls === undefined || tls === false ? undefined : tlsOptionsFrom(tls === true ? {} : tls),
      addressMap: new AddressMap(rules),
      connectTimeoutMs: access.connectTimeoutMs ?? 3000,
      commandTimeoutMs: access.commandTimeoutMs ?? 5000,
    },
  }
}

function tlsOptionsFrom({ca, cert, key, servername, verify = 'names'}: TlsSettings): ConnectionOptions['tls'] {
  const authorities = ca === undefined ? undefined : Array.isArray(ca) ? (ca as (string | Buffer)[]) : [ca as string]
  return {
    ca: authorities?.map((pem) => Buffer.from(pem)),
    cert: cert === undefined ? undefined : Buffer.from(cert),
    key: key === undefined ? undefined : Buffer.from(key),
    servername,
    verify,
    isInsecure: false,
  }
}

function only<V>(what: string, references: readonly AddressReference[], pick: (one: AddressReference) => V) {
  const values = new Set(references.map(pick).filter((value) => value !== undefined))
  if (values.size > 1) {
    throw new UsageError(`the addresses name more than one ${what}; all nodes are reached in the same way`)
  }
  const [value] = values
  return value as V | undefined
}
