/** What does a fake server report about itself and the others? */
import {rangesFromSlots} from '../../../src/lib/slots/slot-ranges.ts'
import type {ClusterInfo, NodeEntry, NodeId, NodeView, SlotMark} from '../../../src/lib/topology/model.ts'
import type {FakeServer} from './fake-server.ts'

export function clusterInfoOf(server: FakeServer): ClusterInfo {
  const leader = server.peers.get(server.me.primaryId ?? server.id)
  return {
    state: server.isUp ? 'ok' : 'fail',
    knownNodes: server.peers.size,
    currentEpoch: server.currentEpoch,
    myEpoch: leader?.configEpoch ?? 0,
  }
}

const entriesSeen = new WeakMap<FakeServer, {stamp: string; entries: readonly NodeEntry[]}>()

export function viewOf(server: FakeServer, isReachable: (id: NodeId) => boolean): NodeView {
  const keysByDatabase = new Map<number, number>()
  for (const {database} of server.keyspace.keys()) keysByDatabase.set(database, (keysByDatabase.get(database) ?? 0) + 1)
  const version = server.settings.get('fake-version') ?? '7.0.15'
  return {
    id: server.id,
    dialled: server.address,
    ...(server.seenAt ? {resolved: server.seenAt, internal: server.seenAt} : {}),
    entries: entriesOf(server, isReachable),
    clusterInfo: clusterInfoOf(server),
    serverInfo: {
      flavour: server.keyspace.databaseCount > 1 ? 'valkey' : 'redis',
      version,
      runId: server.runId,
      isClusterEnabled: true,
      isLoading: false,
      usedMemoryBytes: server.maxMemory.used,
      maxMemoryBytes: server.maxMemory.limit,
      maxMemoryPolicy: 'noeviction',
      keysByDatabase,
      replicationOffset: 0,
      isPrimaryLinkUp: server.me.primaryId === undefined ? undefined : isReachable(server.me.primaryId),
      primaryLastIoSeconds: server.isReplica ? 0 : undefined,
      primaryLinkDownSeconds: server.isReplica && !isReachable(server.me.primaryId ?? '') ? 1 : undefined,
      availabilityZone: undefined,
      opsPerSecond: 0,
      ...server.infoOverrides,
    },
  }
}

function entriesOf(server: FakeServer, isReachable: (id: NodeId) => boolean): readonly NodeEntry[] {
  const reachable = [...server.peers.keys()].map((id) => (isReachable(id) ? '+' : '-')).join('')
  const stamp = `${server.version} ${reachable}`
  const seen = entriesSeen.get(server)
  if (seen?.stamp === stamp) return seen.entries
  const slots = new Map<NodeId, number[]>()
  for (const [slot, owner] of server.owners.entries()) {
    if (owner === undefined) continue
    const own = slots.get(owner)
    if (own) own.push(slot)
    else slots.set(owner, [slot])
  }
  const entries = [...server.peers.values()].map((peer): NodeEntry => {
    const isMyself = peer.id === server.id
    const leader = peer.primaryId === undefined ? peer : server.peers.get(peer.primaryId)
    return {
      id: peer.id,
      announced: peer.address,
      busPort: peer.busPort,
      hostname: undefined,
      isMyself,
      role: peer.primaryId === undefined ? 'primary' : 'replica',
      flags: new Set(peer.isFailed ? ['failed'] : []),
      primaryId: peer.primaryId,
      configEpoch: leader?.configEpoch ?? peer.configEpoch,
      isLinked: isMyself || isReachable(peer.id),
      ranges: rangesFromSlots(slots.get(peer.id) ?? []),
      migrating: isMyself ? marksOf(server.migrating) : [],
      importing: isMyself ? marksOf(server.importing) : [],
    }
  })
  entriesSeen.set(server, {stamp, entries})
  return entries
}

function marksOf(marks: ReadonlyMap<number, NodeId>): readonly SlotMark[] {
  return [...marks].map(([slot, peer]) => ({slot, peer})).sort((a, b) => a.slot - b.slot)
}
