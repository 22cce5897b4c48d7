/** What must be known to reach the servers of a cluster, and what of it concerns one of them? Values only. */
import type {NodeAddress} from '../topology/model.ts'
import type {AddressMap, KnownAddresses} from './address-map.ts'
import type {Logins} from './logins.ts'
import type {TlsOptions, WireOptions} from './wire.ts'

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

/** `addresses`: all that the server goes by. */
export function wireOptionsFor(options: ConnectionOptions, addresses: readonly NodeAddress[]): WireOptions {
  const {logins, tls, connectTimeoutMs, commandTimeoutMs} = options
  return {...logins?.at(addresses), tls, connectTimeoutMs, commandTimeoutMs}
}
