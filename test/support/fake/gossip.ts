/**
 * What do fake servers learn from one another? A packet is what a server says about itself, as of when it was sent;
 * taking one in follows clusterProcessPacket and clusterUpdateSlotsConfigWith of Redis 7.
 */
import type {NodeAddress, NodeId} from '../../../src/lib/topology/model.ts'
import type {FakeServer} from './fake-server.ts'

export interface Packet {
  readonly sender: NodeId
  readonly address: NodeAddress
  readonly busPort: number
  readonly primaryId: NodeId | undefined
  readonly currentEpoch: number
  readonly configEpoch: number
  readonly slots: readonly number[]
  /** Other members that the sender knows, for those who do not. */
  readonly acquaintances: readonly {readonly id: NodeId; readonly address: NodeAddress}[]
}

const NONE: readonly number[] = []
const sent = new WeakMap<FakeServer, {version: number; packet: Packet}>()

export function packetOf(server: FakeServer): Packet {
  const last = sent.get(server)
  if (last?.version === server.version) return last.packet
  const next = writePacket(server)
  const packet = last && isSame(last.packet, next) ? last.packet : next
  sent.set(server, {version: server.version, packet})
  return packet
}

function isSame(a: Packet, b: Packet): boolean {
  if (a.slots !== b.slots) return false
  const tell = ({slots: _, ...rest}: Packet): string => JSON.stringify(rest)
  return tell(a) === tell(b)
}

function writePacket(server: FakeServer): Packet {
  const others = [...server.peers.values()].filter((peer) => peer.id !== server.id)
  return {
    sender: server.id,
    address: server.address,
    busPort: server.busPort,
    primaryId: server.me.primaryId,
    currentEpoch: server.currentEpoch,
    configEpoch: server.me.configEpoch,
    slots: server.isReplica ? NONE : server.ownSlots,
    acquaintances: others.map(({id, address}) => ({id, address})),
  }
}

/** Two servers that meet know each other at once; the handshake in between is left out. */
export function shakeHands(a: FakeServer, b: FakeServer): void {
  if (a === b) return
  a.learn(b.id, b.address, b.busPort)
  b.learn(a.id, a.address, a.busPort)
}

/** A packet from a stranger is passed over, as servers do. */
export function receive(server: FakeServer, packet: Packet): void {
  const peer = server.peers.get(packet.sender)
  if (!peer || packet.sender === server.id) return
  const before = JSON.stringify(peer)
  if (packet.currentEpoch > server.currentEpoch) {
    server.currentEpoch = packet.currentEpoch
    server.version++
  }
  peer.configEpoch = Math.max(peer.configEpoch, packet.configEpoch)
  peer.address = packet.address
  peer.isFailed = false
  if (packet.primaryId !== undefined && peer.primaryId === undefined) server.reassign(packet.sender, undefined)
  peer.primaryId = packet.primaryId
  if (packet.primaryId === undefined) {
    takeSlots(server, packet)
    settleCollision(server, packet)
  } else if (server.me.primaryId === packet.sender && server.peers.has(packet.primaryId)) {
    // Nobody follows a replica.
    server.follow(packet.primaryId)
  }
  for (const {id, address} of packet.acquaintances) {
    const isNews = !server.peers.has(id) && !server.banned.has(id)
    if (isNews && !server.meetings.some((met) => met.port === address.port)) server.meetings.push(address)
  }
  if (JSON.stringify(peer) !== before) server.version++
}

function takeSlots(server: FakeServer, packet: Packet): void {
  const leader = server.me.primaryId ?? server.id
  const dirty: number[] = []
  let taken = 0
  for (const slot of packet.slots) {
    const owner = server.owners[slot]
    // An importing mark is only lifted by SETSLOT.
    if (owner === packet.sender || server.importing.has(slot)) continue
    const isWeaker = owner !== undefined && (server.peers.get(owner)?.configEpoch ?? -1) < packet.configEpoch
    if (owner !== undefined && !isWeaker) continue
    if (owner === server.id && server.keyspace.countInAll(slot) > 0) dirty.push(slot)
    if (owner === leader) taken++
    server.assign(slot, packet.sender)
    // Redis up to 8.0 keeps the migrating mark.
  }
  if (taken === 0) return
  const isLeaderBare = !server.owners.includes(leader)
  const mayWander = server.settings.get('cluster-allow-replica-migration') === 'yes'
  if (isLeaderBare && (mayWander || packet.slots.length === taken)) {
    server.follow(packet.sender)
    return
  }
  // The new owner is believed to have them: what is left here is lost.
  for (const slot of dirty) server.keyspace.deleteSlot(slot)
}

/** Of two primaries with one epoch the one with the smaller ID takes a new one. */
function settleCollision(server: FakeServer, packet: Packet): void {
  if (server.isReplica || server.me.configEpoch !== packet.configEpoch || packet.sender < server.id) return
  server.currentEpoch++
  server.me.configEpoch = server.currentEpoch
  server.version++
}

/** The claims of stronger owners that contradict `packet`: sent back to its sender, who may be behind. */
export function correctionsFor(server: FakeServer, packet: Packet): readonly NodeId[] {
  if (packet.primaryId !== undefined) return []
  const stronger = new Set<NodeId>()
  for (const slot of packet.slots) {
    const owner = server.owners[slot]
    if (owner === undefined || owner === packet.sender) continue
    if ((server.peers.get(owner)?.configEpoch ?? -1) > packet.configEpoch) stronger.add(owner)
  }
  return [...stronger]
}
