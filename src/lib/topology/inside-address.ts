/** By which address do the other servers reach a node? */
import {isIP} from 'node:net'
import type {NodeAddress} from './model.ts'

/**
 * What the server itself sees of our connection (it shows through port mappings), unless that is a loopback address behind
 * a non-loopback one (a tunnel that ends on the server's host).
 */
export function insideAddress(dialled: NodeAddress, internal: NodeAddress | undefined): NodeAddress {
  if (!internal || isIP(internal.host) === 0) return dialled
  if (isLoopback(internal.host) && !isLoopback(dialled.host)) return dialled
  return internal
}

/**
 * Does a port mapping stand between us and a node that we dialled here, and that sees the connection come in there? A name
 * alone does not tell.
 */
export function isMapped(dialled: NodeAddress, internal: NodeAddress): boolean {
  if (dialled.port !== internal.port) return true
  return isIP(dialled.host) !== 0 && !isSameAddress(dialled, internal)
}

/** By any of the names that a machine has for itself. */
export function isSameAddress(a: NodeAddress, b: NodeAddress): boolean {
  const nameOf = ({host}: NodeAddress): string => (host === 'localhost' || host === '::1' ? '127.0.0.1' : host)
  return a.port === b.port && nameOf(a) === nameOf(b)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
