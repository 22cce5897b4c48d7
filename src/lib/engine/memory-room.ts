/**
 * Does what a plan brings fit under the maxmemory of its targets? Reads only. Where it fits whatever the slots hold, that
 * is the answer; only where it may not, the keys that come are counted and some of them weighed.
 */
import {NodeError} from '../errors.ts'
import type {MovePlan} from '../plan/plan.ts'
import {formatAddress, type NodeId, type ServerInfo, type Topology} from '../topology/model.ts'
import {replicasOf} from '../topology/queries.ts'
import {countInAllDatabases} from './migrate-mover.ts'
import type {PlannedPair} from './planned-pairs.ts'
import type {ClusterSession} from './session.ts'
import {joinVerdicts, NOTHING_TO_SAY, type Verdict} from './verdict.ts'
import {mapBounded} from './waiting.ts'

const SAMPLED_SLOTS = 64
const KEYS_PER_SLOT = 4
/** What a key costs beside what MEMORY USAGE tells: its place in the hash table, an expiry, an entry by slot. */
const BYTES_BESIDE_KEY = 64
/** Of the room that is left: above this, an estimate that is a little off is one that does not fit. */
const CLOSE = 0.8

export async function judgeRoom(
  session: ClusterSession,
  plan: MovePlan,
  pairs: readonly PlannedPair[],
): Promise<Verdict> {
  const targets = [...new Set(pairs.map((pair) => pair.to))]
  const verdicts = await mapBounded(targets, 64, (to) =>
    judgeTarget(
      session,
      plan,
      to,
      pairs.filter((pair) => pair.to === to),
    ),
  )
  return joinVerdicts(verdicts)
}

async function judgeTarget(
  session: ClusterSession,
  plan: MovePlan,
  to: NodeId,
  pairs: readonly PlannedPair[],
): Promise<Verdict> {
  const {topology} = session
  const limits = [to, ...replicasOf(topology, to).map(({id}) => id)].flatMap((id) => limitOf(topology, id) ?? [])
  const least = Math.min(...limits.map(({room}) => room))
  if (limits.length === 0) return NOTHING_TO_SAY
  const most = pairs.reduce((sum, {from}) => sum + heldBytes(topology, from), 0)
  if (most < least) return NOTHING_TO_SAY
  const estimates = await mapBounded(pairs, 64, (pair) => estimateBytes(session, plan, pair))
  const arriving = estimates.reduce((sum, bytes) => sum + bytes, 0)
  return joinVerdicts(limits.map((limit) => judgeLimit(limit, arriving, limit.id !== to)))
}

interface Limit {
  readonly id: NodeId
  readonly address: string
  readonly maxBytes: number
  readonly policy: string
  /** What may still come; 0 or less: nothing. */
  readonly room: number
}

/** undefined where there is no limit, or the node does not tell. */
function limitOf(topology: Topology, id: NodeId): Limit | undefined {
  const node = topology.nodesById.get(id)
  const info = serverInfoOf(topology, id)
  if (!node || !info?.maxMemoryBytes || info.usedMemoryBytes === undefined) return undefined
  return {
    id,
    address: formatAddress(node.address),
    maxBytes: info.maxMemoryBytes,
    policy: info.maxMemoryPolicy ?? 'noeviction',
    room: info.maxMemoryBytes - (info.usedMemoryBytes - (info.uncountedMemoryBytes ?? 0)),
  }
}

function judgeLimit({address, maxBytes, policy, room}: Limit, arriving: number, isReplica: boolean): Verdict {
  const isFull = room <= 0 && policy === 'noeviction'
  if (arriving <= room * CLOSE && !isFull) return NOTHING_TO_SAY
  const coming = `about ${megabytes(arriving)} would come`
  const left = room > 0 ? `has ${megabytes(room)} left under` : 'is at'
  const facts = `${address} ${left} its maxmemory of ${megabytes(maxBytes)}, and ${coming}`
  if (isReplica) {
    return {obstacles: [], warnings: [`the replica ${facts}: after a failover it could not take writes (${policy})`]}
  }
  if (policy !== 'noeviction') {
    const isCertain = arriving > room
    return {obstacles: [], warnings: [`${facts}: keys ${isCertain ? 'will' : 'may'} be evicted there (${policy})`]}
  }
  if (!isFull && arriving <= room) return {obstacles: [], warnings: [`${facts}: that is close`]}
  const needed = Math.ceil((maxBytes - room + arriving) / CLOSE / 2 ** 20)
  return {
    obstacles: [
      {
        about: 'memory',
        message: facts,
        suggestions: [
          `Raise maxmemory on ${address} (CONFIG SET maxmemory ${needed}mb would do), or move fewer slots, or to another primary`,
        ],
        details: {target: address, arrivingBytes: Math.round(arriving), roomBytes: room},
      },
    ],
    warnings: [],
  }
}

/** All that a node holds: no part of its slots can be more. */
function heldBytes(topology: Topology, id: NodeId): number {
  const info = serverInfoOf(topology, id)
  if (!info) return Number.POSITIVE_INFINITY
  if (info.keysByDatabase.size === 0) return 0
  return info.usedMemoryBytes === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(0, info.usedMemoryBytes - (info.startupMemoryBytes ?? 0))
}

/** What the slots of one pair hold, in memory: their keys, at the mean weight of some; big keys that are known by their own. */
async function estimateBytes(session: ClusterSession, plan: MovePlan, pair: PlannedPair): Promise<number> {
  const {moves} = pair
  const held = heldBytes(session.topology, pair.from)
  if (held === 0) return 0
  const source = session.node(pair.from)
  const databases = await source.readDatabaseCount()
  const counts = await mapBounded(moves, 512, ({slot}) => countInAllDatabases(source, slot, databases))
  const keys = counts.reduce((sum, count) => sum + count, 0)
  const big = (plan.bigKeys?.keys ?? []).filter(({from, to}) => from === pair.from && to === pair.to)
  const bigBytes = big.reduce((sum, {bytes}) => sum + bytes, 0)
  const atMost = (bytes: number): number => Math.min(bytes, held)
  if (keys <= big.length) return atMost(bigBytes)
  const filled = moves.filter((_, index) => (counts[index] ?? 0) > 0).map(({slot}) => slot)
  const known = new Set(big.map(({keyHex}) => keyHex))
  const mean = await weigh(session, pair.from, spread(filled, SAMPLED_SLOTS), databases, known)
  const total = [...(serverInfoOf(session.topology, pair.from)?.keysByDatabase.values() ?? [])]
  const keysOnNode = total.reduce((sum, count) => sum + count, 0)
  const share = keysOnNode > 0 && Number.isFinite(held) ? held / keysOnNode : 0
  return atMost(bigBytes + (keys - big.length) * (mean ?? share))
}

/** The mean weight of some keys of `slots`; undefined where the user may not ask. */
async function weigh(
  session: ClusterSession,
  id: NodeId,
  slots: readonly number[],
  databases: number,
  except: ReadonlySet<string>,
): Promise<number | undefined> {
  const node = session.node(id)
  try {
    const sizes: number[] = []
    for (let database = 0; database < databases; database++) {
      const listed = await Promise.all(slots.map((slot) => node.listKeys(slot, KEYS_PER_SLOT, database)))
      const keys = listed.flat().filter((key) => !except.has(key.toString('hex')))
      const measured = await node.measureKeys(keys, database)
      for (const size of measured) if (size !== undefined) sizes.push(size + BYTES_BESIDE_KEY)
    }
    return sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0) / sizes.length
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'permission') return undefined
    throw error
  }
}

/** undefined where the node does not tell. */
export function serverInfoOf(topology: Topology, id: NodeId): ServerInfo | undefined {
  const reach = topology.nodesById.get(id)?.reach
  return reach?.kind === 'reached' && reach.view.serverInfo.version !== '' ? reach.view.serverInfo : undefined
}

/** At most `count` of them, evenly spread. */
export function spread<T>(items: readonly T[], count: number): T[] {
  const wanted = Math.min(items.length, count)
  return Array.from({length: wanted}, (_, index) => items[Math.floor((index * items.length) / wanted)] as T)
}

function megabytes(bytes: number): string {
  return `${(Math.max(0, bytes) / 2 ** 20).toFixed(1)} MB`
}
