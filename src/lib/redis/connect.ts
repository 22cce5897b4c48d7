/** How does one get to the nodes of a cluster? Implements ClusterPort over ioredis. */
import {isIP} from 'node:net'
import type {ClusterPort, NodePort} from '../engine/cluster-port.ts'
import {NodeError} from '../errors.ts'
import {isSameAddress} from '../topology/inside-address.ts'
import {formatAddress, type NodeAddress, type NodeId} from '../topology/model.ts'
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
    if (!known || isSameAddress(known, address)) return this.#connectTo(mapped ?? address, names, expectedId)
    let before: NodeError
    try {
      return await this.#connectTo(known, names, expectedId)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      before = error
    }
    try {
      // What the node announces may be right by now.
      return await this.#connectTo(address, names, expectedId)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      const {failure, suggestions} = error
      const message = `${error.message}; where it was before, ${before.message}`
      throw new NodeError(failure, error.address, message, {suggestions, cause: error})
    }
  }

  async #connectTo(dialled: NodeAddress, names: Names, expectedId: NodeId | undefined): Promise<NodePort> {
    const key = formatAddress(dialled)
    let pending = this.#clients.get(key)
    if (!pending) {
      pending = this.#dial(dialled, names)
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

  async #dial(address: NodeAddress, {announced, hostname}: Names): Promise<NodeClient> {
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
      return new NodeClient(String(id), address, parseLocalAddress(String(info)), wire, options)
    } catch (error) {
      wire.close()
      throw error
    } finally {
      this.#dialling.delete(wire)
    }
  }
}

/** `laddr=` of CLIENT INFO: IPv6 hosts come in brackets. */
export function parseLocalAddress(info: string): NodeAddress | undefined {
  const match = /(?:^| )laddr=\[?([^\] ]+?)\]?:(\d{1,5})(?: |$)/.exec(info)
  const [, host = '', port = ''] = match ?? []
  return isIP(host) === 0 || Number(port) > 65_535 ? undefined : {host, port: Number(port)}
}
