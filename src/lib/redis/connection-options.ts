/** What must be known to reach the servers of a cluster, and what of it concerns one of them? Values only. */
import type {NodeAddress} from '../topology/model.ts'
import type {AddressMap, KnownAddresses} from './address-map.ts'
import type {Logins} from './logins.ts'
import type {TlsOptions} from './tls-options.ts'
import type {WireOptions} from './wire.ts'

export interface ConnectionOptions {
  /** undefined: nobody logs in. */
  readonly logins?: Logins | undefined
  readonly tls?: TlsOptions | undefined
  readonly connectTimeoutMs: number
  readonly commandTimeoutMs: number
  /** What to dial instead of what a node announces. */
  readonly addressMap?: AddressMap | undefined
  /** Where nodes were reached before: tried first, unless the map says otherwise. */
  readonly knownAddresses?: KnownAddresses | undefined
}

/** `addresses`: all that the server goes by. `hostname`: what it announces beside them. */
export function wireOptionsFor(
  options: ConnectionOptions,
  addresses: readonly NodeAddress[],
  hostname?: string,
): WireOptions {
  const {logins, tls, connectTimeoutMs, commandTimeoutMs} = options
  const hosts = [...addresses.map(({host}) => host), ...(hostname === undefined ? [] : [hostname])]
  return {...logins?.at(addresses), tls, hosts, connectTimeoutMs, commandTimeoutMs}
}
