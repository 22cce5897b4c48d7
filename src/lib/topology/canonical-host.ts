/** In which spelling is a host kept, so that equal ones are equal texts? */
import {isIPv6, SocketAddress} from 'node:net'

/** The short form of an IPv6 address (RFC 5952), in lower case; an IPv4 address that is written as one becomes IPv4 again. */
export function canonicalHost(host: string): string {
  const [address = '', zone] = host.split('%')
  if (!isIPv6(address)) return host
  const short = new SocketAddress({address, family: 'ipv6'}).address.toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(short)
  return mapped?.[1] ?? (zone === undefined ? short : `${short}%${zone}`)
}
