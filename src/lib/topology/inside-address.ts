/** By which address do the other servers reach a node? */
import {isIP} from 'node:net'
import {type ClusterNode, isSocket, type NodeAddress, type NodeView} from './model.ts'

/** How a node was reached. */
export interface Passage {
  /** The IP to which our connection goes. */
  readonly resolved: NodeAddress
  /** Where the node says that it comes in; undefined where it does not say. */
  readonly internal: NodeAddress | undefined
}

/** As `insideAddresses`, of a member that was reached or not. */
export function waysTo({announced, linkedAt, reach}: ClusterNode): NodeAddress[] {
  if (reach.kind === 'unreachable') return [linkedAt ?? announced]
  const passage = passageTo(reach.view)
  const isLocal = isLoopback(insideAddress(passage.resolved, passage.internal).host) && !isLoopback(announced.host)
  // What a node believes of itself may be long past; but better than what every host means by it.
  return insideAddresses(passage, linkedAt ?? (isLocal ? announced : undefined))
}

export function passageTo({dialled, resolved, internal}: NodeView): Passage {
  return {resolved: resolved ?? dialled, internal}
}

/**
 * The likeliest first, never empty. Behind a port mapping what the node itself sees tells more than what its peers say, who
 * may have been told an address that is for clients. Without one our connection only shows one of the addresses that a host
 * has, which may be its loopback address: then that counts at which nodes are linked to it (`known`).
 */
export function insideAddresses({resolved, internal}: Passage, known: NodeAddress | undefined): NodeAddress[] {
  const seen = insideAddress(resolved, internal)
  if (!known || isIP(known.host) === 0 || known.host === seen.host || isSameAddress(known, seen)) return [seen]
  // On every host it is another one.
  if (isLoopback(known.host)) return [seen]
  if (isLoopback(seen.host)) return [known]
  return internal && isMapped(resolved, internal) ? [seen, known] : [known, seen]
}

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
  if (isSocket(dialled)) return false
  if (dialled.port !== internal.port) return true
  return isIP(dialled.host) !== 0 && !isSameAddress(dialled, internal)
}

/**
 * Are these two addresses of a host, of which only one need be reached from where we are? Its loopback address is another
 * matter: who uses that is on the host, and reaches what it does.
 */
export function isElsewhere(a: NodeAddress, b: NodeAddress): boolean {
  const isTold = [a, b].every(({host}) => isIP(host) !== 0 && !isLoopback(host))
  return isTold && a.host !== b.host
}

/** By any of the names that a machine has for itself. */
export function isSameAddress(a: NodeAddress, b: NodeAddress): boolean {
  const nameOf = ({host}: NodeAddress): string => (host === 'localhost' || host === '::1' ? '127.0.0.1' : host)
  return a.port === b.port && nameOf(a) === nameOf(b)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
