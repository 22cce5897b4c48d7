/**
 * What do the slots of a plan hold, and how long will they take? Reads only: keys are counted, of many slots of some, and a
 * few are weighed.
 */
import {NodeError} from '../errors.ts'
import type {MoveEstimate, MovePlan} from '../plan/plan.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {serverInfoOf} from '../topology/queries.ts'
import {countInAllDatabases} from './migrate-mover.ts'
import {type PlannedPair, pairsOf} from './planned-pairs.ts'
import type {ClusterSession} from './session.ts'
import {spread} from './spread.ts'
import {mapBounded} from './waiting.ts'

const WEIGHED_SLOTS = 64
const KEYS_PER_SLOT = 4
/** What a key costs beside what MEMORY USAGE tells: its place in the hash table, an expiry, an entry by slot. */
const BYTES_BESIDE_KEY = 64
/** Of a pair: counting takes a node about 5 µs a slot. */
const COUNTED_SLOTS = 2048

/** What a core of 2020 does, by `npm run bench`; a guess for any other machine, and for any other network. */
const PACE = {
  migrate: {keysPerSecond: 40_000, bytesPerSecond: 60e6, slotsPerSecond: 2500, startMs: 300},
  atomic: {keysPerSecond: 400_000, bytesPerSecond: 150e6, slotsPerSecond: 50_000, startMs: 300},
} as const

export interface PairLoad {
  readonly keys: number
  /** In memory, estimated. */
  readonly bytes: number
  /** Not all slots were counted. */
  readonly isSampled: boolean
}

/**
 * undefined where the user may not ask. @param maxBytesPerSecond the operator's limit, over all nodes, key by key.
 * @throws NodeError when a node does not answer.
 */
export async function estimateMoves(
  session: ClusterSession,
  plan: MovePlan,
  maxBytesPerSecond: number | undefined,
): Promise<MoveEstimate | undefined> {
  const pairs = pairsOf(plan)
  let loads: PairLoad[]
  try {
    loads = await mapBounded(pairs, 64, (pair) => weighPair(session, plan, pair))
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'permission') return undefined
    throw error
  }
  // Pairs without a node in common travel at once: the busiest node sets the pace.
  const msByNode = new Map<NodeId, number>()
  let throttledBytes = 0
  for (const [index, {from, to, isAtomic, moves}] of pairs.entries()) {
    const {keys, bytes} = loads[index] as PairLoad
    const pace = isAtomic ? PACE.atomic : PACE.migrate
    const seconds = keys / pace.keysPerSecond + bytes / pace.bytesPerSecond + moves.length / pace.slotsPerSecond
    const ms = pace.startMs + seconds * 1000
    for (const id of [from, to]) msByNode.set(id, (msByNode.get(id) ?? 0) + ms)
    if (!isAtomic) throttledBytes += bytes
  }
  const least = maxBytesPerSecond === undefined ? 0 : (throttledBytes / maxBytesPerSecond) * 1000
  return {
    keys: Math.round(loads.reduce((sum, {keys}) => sum + keys, 0)),
    bytes: Math.round(loads.reduce((sum, {bytes}) => sum + bytes, 0)),
    ms: Math.round(Math.max(least, ...msByNode.values())),
    isSampled: loads.some(({isSampled}) => isSampled),
  }
}

/** Keys at the mean weight of some, big keys that are known by their own. */
export async function weighPair(session: ClusterSession, plan: MovePlan, pair: PlannedPair): Promise<PairLoad> {
  const {moves} = pair
  const held = heldBytes(session.topology, pair.from)
  if (held === 0) return {keys: 0, bytes: 0, isSampled: false}
  const source = session.node(pair.from)
  const databases = await source.readDatabaseCount()
  const counted = spread(moves, COUNTED_SLOTS)
  const counts = await mapBounded(counted, 512, ({slot}) => countInAllDatabases(source, slot, databases))
  const keys = counts.reduce((sum, count) => sum + count, 0) * (moves.length / counted.length)
  const isSampled = counted.length < moves.length
  const big = (plan.bigKeys?.keys ?? []).filter(({from, to}) => from === pair.from && to === pair.to)
  const bigBytes = big.reduce((sum, {bytes}) => sum + bytes, 0)
  const load = (bytes: number): PairLoad => ({keys, bytes: Math.min(bytes, held), isSampled})
  if (keys <= big.length) return load(bigBytes)
  const filled = counted.filter((_, index) => (counts[index] ?? 0) > 0).map(({slot}) => slot)
  const known = new Set(big.map(({keyHex}) => keyHex))
  const mean = await weigh(session, pair.from, spread(filled, WEIGHED_SLOTS), databases, known)
  const total = [...(serverInfoOf(session.topology, pair.from)?.keysByDatabase.values() ?? [])]
  const keysOnNode = total.reduce((sum, count) => sum + count, 0)
  const share = keysOnNode > 0 && Number.isFinite(held) ? held / keysOnNode : 0
  return load(bigBytes + (keys - big.length) * (mean ?? share))
}

/** All that a node holds: no part of its slots can be more. */
export function heldBytes(topology: Topology, id: NodeId): number {
  const info = serverInfoOf(topology, id)
  if (!info) return Number.POSITIVE_INFINITY
  if (info.keysByDatabase.size === 0) return 0
  return info.usedMemoryBytes === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(0, info.usedMemoryBytes - (info.startupMemoryBytes ?? 0))
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
