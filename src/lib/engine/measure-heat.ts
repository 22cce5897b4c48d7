/**
 * How much load does each slot bear? Reads only, and in bounded time.
 *
 * The servers tell it where they have CLUSTER SLOT-STATS and measure what is asked for. Keys can be counted everywhere,
 * and memory be estimated from a few keys of each slot; cpu and network are known to nobody but the server.
 */
import {NodeError, RefusedError} from '../errors.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {rangesFromSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import type {ClusterNode, ServerInfo, Topology} from '../topology/model.ts'
import {listNodes, seedAddress, slotsOf} from '../topology/queries.ts'
import {type HeatGap, type HeatKind, type HeatSource, heatBetween, type SlotHeat} from '../topology/slot-heat.ts'
import type {NodePort, SlotStats} from './cluster-port.ts'
import {peopledDatabases} from './peopled-databases.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded, pause} from './waiting.ts'

export interface HeatOptions {
  /** For cpu and network: look twice, this far apart, and tell what came in between. */
  readonly overMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** For counting and sampling, of all nodes together. */
  readonly budgetMs?: number
  /** Every node has to tell, since something is to be changed by it. */
  readonly isForAll?: boolean
  /** Of each slot, where bytes are estimated from some of its keys; default 5. */
  readonly sampledKeys?: number
  /** What else could be done where it is not measured, as a sentence or a command. */
  readonly instead?: string | undefined
}

const SETTING = 'cluster-slot-stats-enabled'
/** Of so many slots a node told in about a millisecond; the answer is 140 KB. */
const STATS_PORTION = 2048
/** Counted or listed at once, as engine/big-keys does. */
const PORTION = 200
const SAMPLED_KEYS = 5
/** About 2 ms of a node. */
const MEASURED_AT_ONCE = PORTION * SAMPLED_KEYS
const PORTIONS_IN_FLIGHT = 2
const NODES_AT_ONCE = 64
const BUDGET_MS = 15_000

/**
 * @throws RefusedError 'not-measured' when no node measures what was asked for, or with `isForAll` some do not.
 */
export async function measureHeat(
  session: ClusterSession,
  kind: HeatKind,
  options: HeatOptions = {},
): Promise<SlotHeat> {
  const first = await measureOnce(session, kind, options)
  if (options.overMs === undefined || (kind !== 'cpu' && kind !== 'network')) return first
  const startedAt = performance.now()
  await pause(options.overMs, options.signal)
  options.signal?.throwIfAborted()
  const second = await measureOnce(session, kind, options)
  return heatBetween(first, second, Math.round(performance.now() - startedAt))
}

async function measureOnce(session: ClusterSession, kind: HeatKind, options: HeatOptions): Promise<SlotHeat> {
  const {topology} = session
  const {signal, budgetMs = BUDGET_MS, sampledKeys = SAMPLED_KEYS} = options
  const look: Look = {
    kind,
    values: new Array<number | undefined>(SLOT_COUNT).fill(undefined),
    sources: new Set(),
    endsAtMs: performance.now() + budgetMs,
    sampledKeys,
    signal,
  }
  const firstSlot = ({id}: ClusterNode): number => slotsOf(topology, id)[0]?.start ?? SLOT_COUNT
  const owners = topology.nodes
    .filter((node) => firstSlot(node) < SLOT_COUNT)
    .sort((a, b) => firstSlot(a) - firstSlot(b))
  const reasons = await mapBounded(owners, NODES_AT_ONCE, (node) => measureNode(session, node, look))
  const gaps = owners.flatMap(({id}, index): HeatGap[] => {
    const own = slotsInRanges(slotsOf(topology, id))
    const slots = rangesFromSlots(own.filter((slot) => look.values[slot] === undefined))
    const why = reasons[index] ?? {reason: 'failed', message: 'it did not tell of them: they have moved meanwhile'}
    return slots.length > 0 ? [{node: id, slots, ...why}] : []
  })
  const nobodys = rangesFromSlots(topology.owners.flatMap((owner, slot) => (owner === undefined ? [slot] : [])))
  if (nobodys.length > 0) {
    gaps.push({node: undefined, slots: nobodys, reason: 'uncovered', message: 'nobody owns them'})
  }
  if (options.isForAll || look.values.every((value) => value === undefined))
    requireMeasured(topology, kind, gaps, options)
  return {kind, values: look.values, sources: look.sources, gaps, overMs: undefined}
}

interface Look {
  readonly kind: HeatKind
  readonly values: (number | undefined)[]
  readonly sources: Set<HeatSource>
  readonly endsAtMs: number
  readonly sampledKeys: number
  readonly signal: AbortSignal | undefined
}

type Reason = Pick<HeatGap, 'reason' | 'message'>

/** @returns why some slots of the node are not known; undefined where there is nothing to say. */
async function measureNode(session: ClusterSession, node: ClusterNode, look: Look): Promise<Reason | undefined> {
  if (node.reach.kind === 'unreachable') return {reason: 'unreachable', message: node.reach.message}
  const slots = slotsOf(session.topology, node.id)
  const port = session.node(node.id)
  try {
    const told = await readStats(port, slots, look)
    if (told === 'measured') {
      look.sources.add('measured')
      return undefined
    }
    if (look.kind === 'cpu' || look.kind === 'network') {
      return told === 'off'
        ? {reason: 'off', message: `its ${SETTING} does not cover ${look.kind}`}
        : {reason: 'unsupported', message: 'it has no CLUSTER SLOT-STATS'}
    }
    return await fallBack(port, node.reach.view.serverInfo, slots, look)
  } catch (error) {
    // Who may not ask here may not ask anywhere.
    if (!(error instanceof NodeError) || error.failure === 'permission') throw error
    return {reason: 'failed', message: error.message}
  }
}

/** Fills in what the server measures. 'off': it has such figures, but not these. */
async function readStats(port: NodePort, slots: SlotRanges, look: Look): Promise<'measured' | 'off' | 'none'> {
  const own = new Set(slotsInRanges(slots))
  for (let start = 0; start < SLOT_COUNT; start += STATS_PORTION) {
    const end = start + STATS_PORTION - 1
    if (!slots.some((range) => range.start <= end && range.end >= start)) continue
    look.signal?.throwIfAborted()
    const stats = await port.readSlotStats({start, end}).catch((error: unknown) => {
      // Keys and memory are had without that right, too.
      const isOtherWay = look.kind === 'keys' || look.kind === 'memory'
      if (isOtherWay && error instanceof NodeError && error.failure === 'permission') return undefined
      throw error
    })
    if (!stats) return 'none'
    for (const one of stats) {
      const value = loadIn(one, look.kind)
      if (value === undefined) return 'off'
      if (own.has(one.slot)) look.values[one.slot] = value
    }
  }
  return 'measured'
}

function loadIn(stats: SlotStats, kind: HeatKind): number | undefined {
  switch (kind) {
    case 'keys':
      return stats.keys
    case 'memory':
      return stats.memoryBytes
    case 'cpu':
      return stats.cpuMicroseconds
    case 'network':
      return stats.networkBytes
  }
}

/** Counts keys, and for memory weighs a few of each slot. */
async function fallBack(port: NodePort, info: ServerInfo, ranges: SlotRanges, look: Look): Promise<Reason | undefined> {
  const databases = await peopledDatabases(port, info)
  const slots = slotsInRanges(ranges)
  const portions = Array.from({length: Math.ceil(slots.length / PORTION)}, (_, index) =>
    slots.slice(index * PORTION, (index + 1) * PORTION),
  )
  let isLate = false
  await mapBounded(portions, PORTIONS_IN_FLIGHT, async (portion) => {
    look.signal?.throwIfAborted()
    const sums = new Map(portion.map((slot) => [slot, 0]))
    for (const database of databases) {
      if (performance.now() > look.endsAtMs) {
        isLate = true
        return
      }
      const counts = await Promise.all(portion.map((slot) => port.countKeys(slot, database)))
      const loads = look.kind === 'keys' ? counts : await estimateBytes(port, portion, counts, database, look)
      for (const [index, slot] of portion.entries()) sums.set(slot, (sums.get(slot) ?? 0) + (loads[index] ?? 0))
    }
    for (const [slot, sum] of sums) look.values[slot] = sum
  })
  look.sources.add(look.kind === 'keys' ? 'counted' : 'estimated')
  return isLate ? {reason: 'late', message: 'there was no time left to look at them'} : undefined
}

async function estimateBytes(
  port: NodePort,
  slots: readonly number[],
  counts: readonly number[],
  database: number,
  {sampledKeys, signal}: Look,
): Promise<number[]> {
  const listed = await Promise.all(
    slots.map((slot, index) => (counts[index] ? port.listKeys(slot, sampledKeys, database) : Promise.resolve([]))),
  )
  const keys = listed.flat()
  const sizes: (number | undefined)[] = []
  for (let at = 0; at < keys.length; at += MEASURED_AT_ONCE) {
    signal?.throwIfAborted()
    sizes.push(...(await port.measureKeys(keys.slice(at, at + MEASURED_AT_ONCE), database)))
  }
  const sized = sizes.values()
  return listed.map((keys, index) => {
    const own = keys.map(() => sized.next().value).filter((size) => size !== undefined)
    const mean = own.length === 0 ? 0 : own.reduce((sum, size) => sum + size, 0) / own.length
    return Math.round((counts[index] ?? 0) * mean)
  })
}

/** Nothing is known at all, and a map of that would say nothing either; or too little to go by. */
function requireMeasured(topology: Topology, kind: HeatKind, gaps: readonly HeatGap[], options: HeatOptions): void {
  const nodesWith = (reason: HeatGap['reason']): ClusterNode[] =>
    gaps.filter((gap) => gap.reason === reason).flatMap(({node}) => topology.nodesById.get(node ?? '') ?? [])
  const [off, unsupported] = [nodesWith('off'), nodesWith('unsupported')]
  const seed = seedAddress(topology)
  const {isForAll, instead = `rcluster info ${seed} --heat keys needs no setting`} = options
  const problem = isForAll ? `${kind} by slot is not measured` : `no node measures ${kind} by slot`
  if (off.length > 0) {
    const words = wordsFor(off[0], kind)
    throw new RefusedError('not-measured', `${problem}: ${SETTING} is off on ${listNodes(off, 3)}`, {
      details: {setting: SETTING, heat: kind, nodes: off.map(({id}) => id)},
      suggestions: [
        `Switch it on, for as long as the servers run: rcluster call ${seed} --primaries -- CONFIG SET ${SETTING} ${words}`,
        'It counts from then on, and costs the servers a little time for each command',
        instead,
      ],
    })
  }
  if (unsupported.length > 0) {
    throw new RefusedError(
      'not-measured',
      `${problem}: ${listNodes(unsupported, 3)} ${unsupported.length === 1 ? 'has' : 'have'} no CLUSTER SLOT-STATS`,
      {
        details: {setting: SETTING, heat: kind, nodes: unsupported.map(({id}) => id)},
        suggestions: [`Redis 8.2, Valkey 8 and later have it, and measure ${kind} with ${SETTING}`, instead],
      },
    )
  }
}

/** Redis takes a list, and measures memory only where it was started so; Valkey knows yes and no. */
function wordsFor(node: ClusterNode | undefined, kind: HeatKind): string {
  const isRedis = node?.reach.kind === 'reached' && node.reach.view.serverInfo.flavour === 'redis'
  if (!isRedis) return 'yes'
  return kind === 'network' ? 'net' : kind
}
