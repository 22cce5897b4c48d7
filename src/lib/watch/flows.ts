/** Which slots are moving, how fast, and how long will what is open take? Goes by what is seen from round to round. Pure. */
import {moveOf} from '../findings/slot-rules.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {keysOf, slotsOf} from '../topology/queries.ts'
import type {Round} from './round.ts'

/** Rates are means over this time. */
const MEMORY_MS = 20_000
/** A pair of nodes is shown for so long after its last slot. */
const LINGER_MS = 15_000

interface Sample {
  readonly sinceMs: number
  readonly atMs: number
  readonly slots: number
  readonly keys: number
}

/** What moves from one node to another. */
export interface Flow {
  readonly from: NodeId
  readonly to: NodeId
  /** Slots that are marked at both or either end. */
  readonly openSlots: number
  /** Slots that the servers move by themselves. */
  readonly atomicSlots: number
  /** The server's word for how far these are; '' where there are none. */
  readonly stage: string
  /** Keys still at the source, in the open slots that were counted; undefined when none was. */
  readonly keysLeft: number | undefined
  /** Slots that changed hands since the pair was first seen. */
  readonly slotsMoved: number
  readonly slotsPerSecond: number
  /** About: keys of a slot that opened and closed between two rounds are taken to be as many as the source's others. */
  readonly keysPerSecond: number
  /** Until the keys that are left in open slots are over; undefined when that cannot be told. */
  readonly etaMs: number | undefined
  readonly sinceMs: number
  /** When a slot of it was last open or changed hands. */
  readonly activeMs: number
  readonly samples: readonly Sample[]
}

interface Tally {
  readonly from: NodeId
  readonly to: NodeId
  open: number
  atomic: number
  stage: string
  keysLeft: number | undefined
  moved: number
  keys: number
}

/** Sorted by source, then target. */
export function followFlows(flowsBefore: readonly Flow[], before: Round | undefined, round: Round): Flow[] {
  const tallies = tally(before, round)
  const known = new Map(flowsBefore.map((flow) => [pairKey(flow.from, flow.to), flow]))
  const flows = [...new Set([...tallies.keys(), ...known.keys()])].map((key) => {
    const old = known.get(key)
    const [from = '', to = ''] = key.split(' ')
    const now = tallies.get(key) ?? newTally(from, to)
    return nextFlow(old, now, before?.atMs ?? round.atMs, round.atMs)
  })
  return flows
    .filter(({activeMs}) => round.atMs - activeMs < LINGER_MS)
    .sort((a, b) => (pairKey(a.from, a.to) < pairKey(b.from, b.to) ? -1 : 1))
}

function nextFlow(old: Flow | undefined, now: Tally, sinceMs: number, atMs: number): Flow {
  const isActive = now.open > 0 || now.atomic > 0 || now.moved > 0
  // Nothing is known of how fast it was before it was first seen.
  const sample = atMs > sinceMs && (old || now.moved > 0) ? [{sinceMs, atMs, slots: now.moved, keys: now.keys}] : []
  const samples = [...(old?.samples ?? []), ...sample].filter(
    (one) => atMs - one.sinceMs <= MEMORY_MS || one === sample[0],
  )
  const seconds = samples.reduce((sum, one) => sum + (one.atMs - one.sinceMs), 0) / 1000
  const rate = (amount: (one: Sample) => number): number =>
    seconds === 0 ? 0 : samples.reduce((sum, one) => sum + amount(one), 0) / seconds
  const keysPerSecond = rate(({keys}) => keys)
  const canTell = now.keysLeft !== undefined && now.keysLeft > 0 && keysPerSecond > 0
  return {
    from: now.from,
    to: now.to,
    openSlots: now.open,
    atomicSlots: now.atomic,
    stage: now.stage,
    keysLeft: now.keysLeft,
    slotsMoved: (old?.slotsMoved ?? 0) + now.moved,
    slotsPerSecond: rate(({slots}) => slots),
    keysPerSecond,
    etaMs: canTell ? (1000 * (now.keysLeft ?? 0)) / keysPerSecond : undefined,
    sinceMs: old?.sinceMs ?? atMs,
    activeMs: isActive ? atMs : (old?.activeMs ?? atMs),
    samples,
  }
}

function tally(before: Round | undefined, round: Round): ReadonlyMap<string, Tally> {
  const tallies = new Map<string, Tally>()
  const at = (from: NodeId, to: NodeId): Tally => {
    const key = pairKey(from, to)
    const one = tallies.get(key) ?? newTally(from, to)
    tallies.set(key, one)
    return one
  }
  for (const open of round.topology.openSlots) {
    const move = moveOf(open)
    if (!move) continue
    const one = at(move.from, move.to)
    one.open++
    const left = round.keysLeft.get(open.slot)
    if (left === undefined) continue
    one.keysLeft = (one.keysLeft ?? 0) + left
    one.keys += Math.max(0, (before?.keysLeft.get(open.slot) ?? left) - left)
  }
  for (const {from, to, ranges, stage} of round.atomicMoves) {
    const one = at(from, to)
    one.atomic += countSlots(ranges)
    one.stage = stage
  }
  if (!before || round.lost !== undefined || before.lost !== undefined) return tallies
  for (let slot = 0; slot < round.topology.owners.length; slot++) {
    const [from, to] = [before.topology.owners[slot], round.topology.owners[slot]]
    if (
      from === undefined ||
      to === undefined ||
      from === to ||
      isTakeover(before.topology, round.topology, from, to)
    ) {
      continue
    }
    const one = at(from, to)
    one.moved++
    one.keys += before.keysLeft.get(slot) ?? meanKeys(before.topology, from)
  }
  return tallies
}

/** The slots went to another node of the same shard. */
function isTakeover(before: Topology, now: Topology, from: NodeId, to: NodeId): boolean {
  return before.nodesById.get(to)?.primaryId === from || now.nodesById.get(from)?.primaryId === to
}

function meanKeys(topology: Topology, id: NodeId): number {
  const node = topology.nodesById.get(id)
  const slots = countSlots(slotsOf(topology, id))
  return node && slots > 0 ? (keysOf(node) ?? 0) / slots : 0
}

function newTally(from: NodeId, to: NodeId): Tally {
  return {from, to, open: 0, atomic: 0, stage: '', keysLeft: undefined, moved: 0, keys: 0}
}

function pairKey(from: NodeId, to: NodeId): string {
  return `${from} ${to}`
}
