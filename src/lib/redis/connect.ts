/** How does one get to the nodes of a cluster? Implements ClusterPort over ioredis. */
import {lookup} from 'node:dns/promises'
import {isIP} from 'node:net'
import {networkInterfaces} from 'node:os'
import type {ClusterPort, NodePort} from '../engine/cluster-port.ts'
import {NodeError, type NodeFailure} from '../errors.ts'
import {canonicalHost} from '../topology/canonical-host.ts'
import {isLoopback, isSameAddress, type Passage} from '../topology/inside-address.ts'
import {formatAddress, isSocket, type NodeAddress, type NodeId} from '../topology/model.ts'
import {type ConnectionOptions, wireOptionsFor} from './connection-options.ts'
import {NodeClient} from './node-client.ts'
import {Wire} from './wire.ts'

export function openClusterPort(options: ConnectionOptions): ClusterPort {
  return new IoredisClusterPort(options)
}

/** By which others know a node. */
interface Names {
  readonly announced: NodeAddress
  readonly hostname: string | undefined
  /** What is announced is so now, by the word of the user or of the node, and no hearsay. */
  readonly isCertain?: boolean
}

/** What was tried first belongs to the tale. */
function withFormer(error: NodeError, before: NodeError): NodeError {
  const {failure, address, suggestions} = error
  const message = `${error.message}; where it was before, ${before.message}`
  return new NodeError(failure, address, message, {suggestions, cause: error})
}

class IoredisClusterPort implements ClusterPort {
  readonly #options: ConnectionOptions
  readonly #clients = new Map<string, Promise<NodeClient>>()
  readonly #dialling = new Set<Wire>()

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  async connect(address: NodeAddress, expectedId?: NodeId, hostname?: string): Promise<NodePort> {
    const names = {announced: address, hostname}
    const {addressMap, knownAddresses} = this.#options
    const mapped = addressMap?.dialledFor(address, expectedId)
    const known = expectedId === undefined || mapped ? undefined : knownAddresses?.get(expectedId)
    let before: NodeError | undefined
    if (known && !isSameAddress(known, address)) {
      try {
        return await this.#connectTo(known, names, expectedId)
      } catch (error) {
        // It was there once: what the node announces may be right by now.
        if (!(error instanceof NodeError)) throw error
        before = error
      }
    }
    if (mapped) return this.#connectTo(mapped, {...names, isCertain: expectedId === undefined}, expectedId)
    try {
      return await this.#connectTo(address, names, expectedId)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      const failed = before ? withFormer(error, before) : error
      if (hostname === undefined || !LEADS_NOWHERE.has(error.failure)) throw failed
      // Its IP may be one of a network that we are not in, or another node's by now.
      if (await leadsTo(hostname, address.host)) throw failed
      return this.#connectTo({host: hostname, port: address.port}, names, expectedId).catch(() => {
        throw failed
      })
    }
  }

  async #connectTo(dialled: NodeAddress, names: Names, expectedId: NodeId | undefined): Promise<NodePort> {
    const key = formatAddress(dialled)
    let pending = this.#clients.get(key)
    if (!pending) {
      pending = isSocket(dialled) ? this.#dialSocket(dialled) : this.#dial(dialled, names)
      this.#clients.set(key, pending)
      pending.catch(() => this.#clients.delete(key))
    }
    const client = await pending
    if (expectedId !== undefined && client.id !== expectedId) {
      throw new NodeError(
        'wrong-node',
        key,
        `${key} is node ${client.id.slice(0, 8)}, where node ${expectedId.slice(0, 8)} was expected`,
      )
    }
    return client
  }

  close(): void {
    for (const wire of this.#dialling) wire.close()
    for (const pending of this.#clients.values()) pending.then((client) => client.close()).catch(() => undefined)
    this.#clients.clear()
  }

  /**
   * Through a socket one learns who the node is; from then on it is reached as all others are, so that what is printed and
   * saved is of use elsewhere, too. Only a node that does not answer on this machine by TCP stays on its socket.
   */
  async #dialSocket(socket: NodeAddress): Promise<NodeClient> {
    const local = await this.#dial(socket, {announced: socket, hostname: undefined})
    try {
      const own = (await local.readView()).entries.find(({isMyself}) => isMyself)?.announced
      for (const host of new Set([own?.host, '127.0.0.1', '::1', ...ownAddresses()])) {
        if (!host || !own?.port) continue
        try {
          const node = await this.connect({host, port: own.port}, local.id)
          local.close()
          return node as NodeClient
        } catch (error) {
          if (!(error instanceof NodeError)) throw error
        }
      }
      if (!own || isIP(own.host) === 0) return local
      local.close()
      return await this.#dial(socket, {announced: own, hostname: undefined, isCertain: true})
    } catch (error) {
      local.close()
      throw error
    }
  }

  async #dial(address: NodeAddress, {announced, hostname, isCertain}: Names): Promise<NodeClient> {
    const options = wireOptionsFor(this.#options, [address, announced], hostname)
    const wire = new Wire(address, options)
    this.#dialling.add(wire)
    try {
      const [id, info] = await Promise.all([
        wire.call(['CLUSTER', 'MYID']),
        // Before Redis 6.2, and for users without +client|info, there is none.
        wire.call(['CLIENT', 'INFO']).catch((error: unknown) => {
          if (error instanceof NodeError && ['unknown-command', 'permission', 'rejected'].includes(error.failure))
            return ''
          throw error
        }),
      ])
      // Whatever answers every command with something, as echo services do, would pass for a node.
      if (!/^[0-9a-f]{40}$/.test(String(id))) {
        const dialled = formatAddress(address)
        throw new NodeError(
          'not-redis',
          dialled,
          `${dialled} answers, but not as a node of a cluster: it has no node ID`,
        )
      }
      const passage = passageOf(
        address,
        wire.peer ?? address,
        parseLocalAddress(String(info)),
        isCertain ? announced : address,
      )
      return new NodeClient(String(id), address, passage, wire, options)
    } catch (error) {
      wire.close()
      throw error
    } finally {
      this.#dialling.delete(wire)
    }
  }
}

/** Of this machine. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all.filter(({address}) => !/^fe80:/i.test(address)).map(({address}) => canonicalHost(address))
}

const LEADS_NOWHERE: ReadonlySet<NodeFailure> = new Set<NodeFailure>([
  'refused',
  'unresolved',
  'no-route',
  'timeout',
  'closed',
  'wrong-node',
  'not-redis',
])

/** Also when it leads nowhere at all. */
async function leadsTo(hostname: string, host: string): Promise<boolean> {
  try {
    const found = await lookup(hostname, {all: true})
    return found.every(({address}) => canonicalHost(address) === host)
  } catch {
    return true
  }
}

/**
 * Where a connection to `dialled` goes, and where the node says that it comes in (`seen`). Of a node that was named otherwise
 * than it is dialled the name counts where the node knows no better.
 */
export function passageOf(
  dialled: NodeAddress,
  peer: NodeAddress,
  seen: NodeAddress | undefined,
  named: NodeAddress,
): Passage {
  // Nothing of a socket's connection is an address; its node is where it says itself.
  const resolved = isSocket(dialled) ? named : peer
  if (isIP(named.host) === 0 || formatAddress(named) === formatAddress(dialled)) return {resolved, internal: seen}
  const knowsNoBetter = !seen || isSameAddress(seen, resolved) || (isLoopback(seen.host) && !isLoopback(named.host))
  return {resolved, internal: knowsNoBetter ? named : seen}
}

/** `laddr=` of CLIENT INFO: IPv6 hosts come in brackets. */
export function parseLocalAddress(info: string): NodeAddress | undefined {
  const match = /(?:^| )laddr=\[?([^\] ]+?)\]?:(\d{1,5})(?: |$)/.exec(info)
  const [, host = '', port = ''] = match ?? []
  return isIP(host) === 0 || Number(port) > 65_535 ? undefined : {host: canonicalHost(host), port: Number(port)}
}
