/** Who is who in a topology? Reads a Topology, changes nothing. */
import {createHash} from 'node:crypto'
import {UsageError} from '../errors.ts'
import {nearestWord} from '../nearest-word.ts'
import {formatRanges, type SlotRange, type SlotRanges} from '../slots/slot-ranges.ts'
import {
  type ClusterNode,
  formatAddress,
  isPlaceless,
  type NodeAddress,
  type NodeId,
  type NodeView,
  type ServerInfo,
  type Shard,
  type Topology,
} from './model.ts'

/** All primaries, slotless and unreachable ones too, in the order of the shards. */
export function primaries(topology: Topology): readonly ClusterNode[] {
  return topology.shards.map((shard) => shard.primary)
}

/** By ID; empty for a node that is no primary. */
export function replicasOf(topology: Topology, id: NodeId): readonly ClusterNode[] {
  return shardOf(topology, id)?.replicas.filter((replica) => replica.primaryId === id) ?? []
}

/** The shard that the node leads or follows in; undefined for a replica of an unknown primary. */
export function shardOf(topology: Topology, nodeId: NodeId): Shard | undefined {
  const primaryId = topology.nodesById.get(nodeId)?.primaryId ?? nodeId
  return topology.shards.find((shard) => shard.primary.id === primaryId)
}

/** The settled owner, who may be out of reach (then the slot is uncovered). */
export function ownerOf(topology: Topology, slot: number): ClusterNode | undefined {
  const id = topology.owners[slot]
  return id === undefined ? undefined : topology.nodesById.get(id)
}

const slotsByOwner = new WeakMap<Topology, ReadonlyMap<NodeId, SlotRanges>>()

/** What the node settledly owns. This may differ from `node.ranges`, which is its own claim. */
export function slotsOf(topology: Topology, id: NodeId): SlotRanges {
  let byOwner = slotsByOwner.get(topology)
  if (!byOwner) {
    byOwner = rangesByOwner(topology.owners)
    slotsByOwner.set(topology, byOwner)
  }
  return byOwner.get(id) ?? []
}

function rangesByOwner(owners: readonly (NodeId | undefined)[]): ReadonlyMap<NodeId, SlotRanges> {
  const byOwner = new Map<NodeId, SlotRange[]>()
  let start = 0
  for (let slot = 1; slot <= owners.length; slot++) {
    const owner = owners[start]
    if (slot < owners.length && owners[slot] === owner) continue
    if (owner !== undefined) {
      const ranges = byOwner.get(owner)
      if (ranges) ranges.push({start, end: slot - 1})
      else byOwner.set(owner, [{start, end: slot - 1}])
    }
    start = slot
  }
  return byOwner
}

/** 16 hex digits that are equal for equal settled slot maps: first half of a SHA-256 over sorted "id:ranges" lines. */
export function slotMapFingerprint(topology: Topology): string {
  const lines = topology.nodes
    .map(({id}) => ({id, slots: formatRanges(slotsOf(topology, id))}))
    .filter(({slots}) => slots !== '')
    .map(({id, slots}) => `${id}:${slots}`)
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 16)
}

/**
 * The node that `text` names. Tried in this order: a whole ID; the address that we dial; an announced address or
 * "hostname:port"; a bare announced hostname; the beginning of an ID. "localhost", 127.0.0.1 and ::1 stand for each
 * other where nothing matches better. Letter case does not matter.
 * @throws UsageError when several nodes fit equally well, naming them.
 */
export function findNode(topology: Topology, text: string): ClusterNode | undefined {
  const word = text.trim().toLowerCase()
  if (word === '') return undefined
  const whole = topology.nodesById.get(word)
  if (whole) return whole
  const address = splitAddress(word)
  const isAt = (wanted: NodeAddress, {host, port}: NodeAddress) =>
    port === wanted.port && host !== '' && host.toLowerCase() === wanted.host
  const isLooselyAt = (wanted: NodeAddress, {host, port}: NodeAddress) =>
    port === wanted.port && isLoopbackName(host.toLowerCase()) && isLoopbackName(wanted.host)
  const tests: ((node: ClusterNode) => boolean)[] = []
  if (address) {
    tests.push(
      (node) => isAt(address, node.address),
      (node) => isAt(address, node.announced) || isAt(address, {host: node.hostname ?? '', port: node.announced.port}),
      (node) => isLooselyAt(address, node.address) || isLooselyAt(address, node.announced),
    )
  } else {
    tests.push((node) => node.hostname?.toLowerCase() === word)
    if (/^[0-9a-f]{1,40}$/.test(word)) tests.push((node) => node.id.startsWith(word))
  }
  for (const test of tests) {
    const found = topology.nodes.filter(test)
    if (found.length > 1) throw ambiguous(text, found)
    if (found[0]) return found[0]
  }
  return undefined
}

/** A node out of reach that any node knows at this address, or knew there before it lost it from sight. */
export function findFormer(topology: Topology, address: NodeAddress): ClusterNode | undefined {
  const wanted = formatAddress(address)
  return topology.nodes.find(
    ({id, reach}) =>
      reach.kind === 'unreachable' &&
      topology.nodes.some(
        (sayer) =>
          sayer.reach.kind === 'reached' &&
          sayer.reach.view.entries.some((entry) => entry.id === id && formatAddress(entry.announced) === wanted),
      ),
  )
}

/** As `findNode`. @throws UsageError when no node fits, listing the known ones. */
export function requireNode(topology: Topology, text: string): ClusterNode {
  const node = findNode(topology, text)
  if (node) return node
  const similar = similarHostname(topology, text.trim())
  throw new UsageError(`no node of this cluster is called "${text.trim()}"`, {
    details: {node: text.trim()},
    suggestions: [
      ...(similar === undefined ? [] : [`Did you mean ${similar}?`]),
      `The nodes are ${listNodes(topology.nodes, 12)}`,
    ],
  })
}

/** Two letters off at most. Not for IP addresses and IDs: of those that are alike one is as good a guess as the other. */
function similarHostname(topology: Topology, text: string): string | undefined {
  const [, host = '', port = ''] = /^(.*?)(:\d{1,5})?$/s.exec(text) ?? []
  if (!/[g-z]/i.test(host)) return undefined
  const names = topology.nodes.flatMap(({hostname, announced}) =>
    hostname && (port === '' || port === `:${announced.port}`) ? [hostname] : [],
  )
  const nearest = nearestWord(host, names, 2)
  return nearest && `${nearest}${port}`
}

function ambiguous(text: string, found: readonly ClusterNode[]): UsageError {
  return new UsageError(`"${text.trim()}" names ${found.length} nodes: ${listNodes(found, 12)}`, {
    details: {node: text.trim(), candidates: found.map((node) => node.id)},
    suggestions: ['Give more digits of the node ID, or the address'],
  })
}

/** "host:port", "[::1]:7000", "::1:7000", "host:port@busport"; undefined for a word without a port. */
function splitAddress(word: string): NodeAddress | undefined {
  const match = /^(.+):(\d{1,5})(?:@\d{1,5}(?:,.*)?)?$/.exec(word)
  return match ? {host: match[1]!.replace(/^\[(.*)\]$/, '$1'), port: Number(match[2])} : undefined
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1' || host === '::1'
}

/** The failure domain above the host: as the operator labelled it, else as the server tells of itself (Valkey). */
export function zoneOf({zone, reach}: ClusterNode): string | undefined {
  return zone ?? (reach.kind === 'reached' ? reach.view.serverInfo.availabilityZone : undefined)
}

/** The host by which the nodes know one another: several may be dialled at one of published ports. */
export function hostOf({announced, address}: ClusterNode): string {
  return announced.host || address.host
}

/** undefined where the node does not tell. */
export function serverInfoOf(topology: Topology, id: NodeId): ServerInfo | undefined {
  const reach = topology.nodesById.get(id)?.reach
  return reach?.kind === 'reached' && reach.view.serverInfo.version !== '' ? reach.view.serverInfo : undefined
}

/** Keys of all databases; undefined when the node was not asked. */
export function keysOf({reach}: ClusterNode): number | undefined {
  return reach.kind === 'unreachable' ? undefined : countKeys(reach.view)
}

/** "127.0.0.1:7000 (07c37dfe)" */
export function labelNode(node: ClusterNode): string {
  const place = isPlaceless(node.address) ? 'noaddr' : formatAddress(node.address)
  return `${place} (${node.id.slice(0, 8)})`
}

/** As `labelNode`; an ID that is no member shows its first eight digits. */
export function labelId(topology: Topology, id: NodeId): string {
  const node = topology.nodesById.get(id)
  return node ? labelNode(node) : `an unknown node (${id.slice(0, 8)})`
}

/** "a, b and 3 more" */
export function listNodes(nodes: readonly ClusterNode[], limit = 6): string {
  const labels = nodes.slice(0, limit).map(labelNode)
  if (nodes.length > limit) return `${labels.join(', ')} and ${nodes.length - limit} more`
  return labels.length > 1 ? `${labels.slice(0, -1).join(', ')} and ${labels.at(-1)}` : (labels[0] ?? 'none')
}

/** Where the next command finds this cluster again. */
export function seedAddress(topology: Topology): string {
  const seed = topology.nodesById.get(topology.seedId) ?? topology.nodes.find(({reach}) => reach.kind === 'reached')
  return seed ? formatAddress(seed.address) : ''
}

/** For lists in the order of the addresses: by host, then by port. */
export function compareAddresses(a: ClusterNode, b: ClusterNode): number {
  if (a.address.host !== b.address.host) return a.address.host < b.address.host ? -1 : 1
  return a.address.port - b.address.port
}

/** In all databases, expired ones that nobody has looked at since included. */
export function countKeys({serverInfo}: NodeView): number {
  return [...serverInfo.keysByDatabase.values()].reduce((sum, count) => sum + count, 0)
}

/** How many bytes of the replication stream the replica has still to receive; undefined when not known. */
export function replicaLagBytes({primaryId, reach}: ClusterNode, topology: Topology): number | undefined {
  const primary = topology.nodesById.get(primaryId ?? '')
  if (reach.kind === 'unreachable' || primary?.reach.kind !== 'reached') return undefined
  const ahead = primary.reach.view.serverInfo.replicationOffset
  const behind = reach.view.serverInfo.replicationOffset
  return ahead === undefined || behind === undefined ? undefined : Math.max(0, ahead - behind)
}

/** How long ago the primary last heard how far this replica is, in seconds; undefined where it does not tell. */
export function replicaLagSeconds(replica: ClusterNode, topology: Topology): number | undefined {
  const primary = replica.primaryId === undefined ? undefined : topology.nodesById.get(replica.primaryId)
  const attached =
    (primary?.reach.kind === 'reached' ? primary.reach.view.serverInfo.attachedReplicas : undefined) ?? []
  const places = [
    replica.announced,
    replica.address,
    (replica.reach.kind === 'reached' ? replica.reach.view.internal : undefined) ?? replica.address,
  ].map(formatAddress)
  return attached.find(({address}) => places.includes(formatAddress(address)))?.lagSeconds
}
