/**
 * By which settings do nodes send clients to the addresses at which they were named? Pure.
 *
 * What a node announces is, mostly, for the other nodes as well: cluster-announce-ip and -port move their bus and their
 * replication there. So settings that are for clients alone come first, and these only where nothing else is left.
 * Tried on Redis 7.0, 8.6 and Valkey 8.1, 9.1; see docs/decisions/0019-announcing.md.
 */
import {isIP} from 'node:net'
import {RefusedError} from '../errors.ts'
import {isLoopback, isMapped} from '../topology/inside-address.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'
import type {Announcement} from './plan.ts'

/** What is known of one node. */
export interface AnnounceFacts {
  /** As it was named: what clients are to be sent to. */
  readonly address: NodeAddress
  /** The IP address that its host is, or means here; undefined for a name that does not resolve. */
  readonly ip: string | undefined
  /** Where it listens, by its own word. */
  readonly internal: NodeAddress | undefined
  /** "redis 7.0.15" */
  readonly server: string
  /** Of `ANNOUNCE_SETTINGS` those that the server has, and what they are set to. */
  readonly settings: ReadonlyMap<string, string>
}

const HOSTNAME = 'cluster-announce-hostname'
export const ENDPOINT_TYPE = 'cluster-preferred-endpoint-type'
const CLIENT_IPV4 = 'cluster-announce-client-ipv4'
const CLIENT_IPV6 = 'cluster-announce-client-ipv6'
const CLIENT_PORT = 'cluster-announce-client-port'
const CLIENT_TLS_PORT = 'cluster-announce-client-tls-port'
const IP = 'cluster-announce-ip'
const PORT = 'cluster-announce-port'
const TLS_PORT = 'cluster-announce-tls-port'
const BUS_PORT = 'cluster-announce-bus-port'

export const ANNOUNCE_SETTINGS = [
  ...[HOSTNAME, ENDPOINT_TYPE, CLIENT_IPV4, CLIENT_IPV6, CLIENT_PORT, CLIENT_TLS_PORT],
  ...[IP, PORT, TLS_PORT, BUS_PORT],
] as const

/** Where a bus port is published when nobody says otherwise. */
const BUS_OFFSET = 10_000

/**
 * Settings are in the order in which they are to be made, on all nodes one after the other.
 * @param isTls Clients come to the port that was named by TLS.
 * @returns undefined where all nodes are reached at the very addresses at which they know one another.
 * @throws RefusedError 'target-unfit' where these servers have no way, with what to set instead.
 */
export function planAnnouncement(nodes: readonly AnnounceFacts[], isTls: boolean): Announcement | undefined {
  const silent = nodes.filter(({internal}) => internal === undefined)
  if (silent.length > 0) {
    const names = silent.map(({address}) => formatAddress(address)).join(', ')
    throw new RefusedError('target-unfit', `${names} did not tell at which address it listens (CLIENT INFO)`, {
      suggestions: ['That takes Redis 6.2 or later, and a user with +client|info'],
    })
  }
  const known = nodes as readonly KnownFacts[]
  const hasMappedPort = known.some(({address, internal}) => address.port !== internal.port)
  const hasName = known.some(({address}) => isIP(address.host) === 0)
  if (!hasName && !known.some(({address, internal}) => isMapped(address, internal))) return undefined
  const isClientWay = known.every((node) => takesClientAddress(node, isTls, hasMappedPort))
  if (isClientWay && !hasName) return announcing('clients', known, (node) => clientSettings(node, isTls, hasMappedPort))
  const isElsewhere = hasMappedPort || known.some(({ip, internal}) => ip !== internal.host)
  const isNameWay = known.every(({address, settings}) => isHostname(address.host) && settings.has(HOSTNAME))
  if (isNameWay && known.every(({settings}) => settings.has(ENDPOINT_TYPE)) && (isClientWay || !hasMappedPort)) {
    return announcing('name', known, (node) => [
      // For clients that go by CLUSTER NODES, which tells port and IP address, whatever type is preferred.
      ...(isClientWay && isElsewhere ? clientSettings(node, isTls, hasMappedPort) : []),
      [HOSTNAME, node.address.host],
      // Last: a node without a hostname is "?" to clients from then on.
      [ENDPOINT_TYPE, 'hostname'],
    ])
  }
  requireSharable(known)
  return announcing('address', known, ({address}) => [
    [IP, address.host],
    [isTls ? TLS_PORT : PORT, String(address.port)],
    [BUS_PORT, String(address.port + BUS_OFFSET)],
  ])
}

/** Do the nodes have what the plan would set? */
export function isAnnounced({nodes}: Announcement, facts: readonly AnnounceFacts[]): boolean {
  const byAddress = new Map(facts.map((fact) => [formatAddress(fact.address), fact]))
  return nodes.every(({address, settings}) =>
    settings.every(({name, value}) => byAddress.get(address)?.settings.get(name) === value),
  )
}

/** @throws RefusedError 'target-unfit' where nodes that are a cluster would have to move all their traffic. */
export function requireSettable(announcement: Announcement): void {
  if (announcement.way !== 'address') return
  throw new RefusedError(
    'target-unfit',
    'these nodes are a cluster already, and would have to move all their traffic to the addresses to be announced',
    {
      details: {announcement},
      suggestions: [
        'Set cluster-announce-ip, -port and -bus-port in the configuration of one node after the other, and restart it',
        'Or map the addresses in the clients: rcluster clients prints the settings',
      ],
    },
  )
}

interface KnownFacts extends AnnounceFacts {
  readonly internal: NodeAddress
}

type Settings = readonly (readonly [name: string, value: string])[]

function announcing<F extends AnnounceFacts>(
  way: Announcement['way'],
  nodes: readonly F[],
  settingsOf: (node: F) => Settings,
): Announcement {
  return {
    way,
    nodes: nodes.map((node) => ({
      address: formatAddress(node.address),
      settings: settingsOf(node).map(([name, value]) => ({name, value})),
    })),
    warnings: warningsAbout(nodes),
  }
}

/** The server compares families: it tells the address of the family by which the client has come to it. */
function takesClientAddress({ip, internal, settings}: KnownFacts, isTls: boolean, hasMappedPort: boolean): boolean {
  const family = isIP(ip ?? '')
  return (
    family !== 0 &&
    family === isIP(internal.host) &&
    settings.has(family === 4 ? CLIENT_IPV4 : CLIENT_IPV6) &&
    (!hasMappedPort || settings.has(isTls ? CLIENT_TLS_PORT : CLIENT_PORT))
  )
}

function clientSettings({ip = '', address}: KnownFacts, isTls: boolean, hasMappedPort: boolean): Settings {
  return [
    [isIP(ip) === 4 ? CLIENT_IPV4 : CLIENT_IPV6, ip],
    ...(hasMappedPort ? [[isTls ? CLIENT_TLS_PORT : CLIENT_PORT, String(address.port)] as const] : []),
  ]
}

/** As the servers take it; an IPv4 address passes for one. */
function isHostname(host: string): boolean {
  return /^[A-Za-z0-9.-]{1,255}$/.test(host)
}

/** Can the nodes themselves mean these addresses? Whether they reach them, only trying tells. */
function requireSharable(nodes: readonly KnownFacts[]): void {
  const unfit = nodes.find(({address}) => isLoopback(address.host) || isIP(address.host) === 0)
  const tooHigh = nodes.find(({address}) => address.port + BUS_OFFSET > 65_535)
  const node = unfit ?? tooHigh
  if (!node) return
  const {address, internal, server} = node
  const named = formatAddress(address)
  const why = !unfit
    ? `and its bus port, ${address.port} + ${BUS_OFFSET}, is none`
    : isLoopback(address.host)
      ? 'and to each of them that is itself'
      : 'and that takes an IP address'
  throw new RefusedError(
    'target-unfit',
    `${server} listens on port ${internal.port} and cannot announce ${named} to clients alone: the other nodes would go there, too, ${why}`,
    {
      details: {node: named, internal: formatAddress(internal), server},
      suggestions: [
        `Let each server listen on the port under which it is published (port ${address.port}, published as ${address.port}:${address.port}): then its name or address is enough, on Redis 7 and Valkey 7.2 or later`,
        `Or name the nodes by an IP address of this host that the containers reach, with their bus ports published as well (${address.port + BUS_OFFSET})`,
        'Or take servers with cluster-announce-client-port (Valkey 9.1)',
        'Or leave --announce out, and map the addresses in the clients: rcluster clients prints the settings',
      ],
    },
  )
}

function warningsAbout(nodes: readonly AnnounceFacts[]): string[] {
  const elsewhere = nodes.filter(
    ({address, ip = '', internal}) => internal && isMapped({host: ip, port: address.port}, internal),
  )
  const local = [...new Set(elsewhere.map(({address}) => address.host))].filter(isLoopback)
  return [
    ...(elsewhere.length > 0
      ? ['Clients in the network of the nodes are sent to these addresses, too, and have to get there.']
      : []),
    ...(local.length > 0
      ? [
          `${local.join(', ')} ${local.length === 1 ? 'is' : 'are'} this machine for clients on it only: others do not get there.`,
        ]
      : []),
  ]
}
