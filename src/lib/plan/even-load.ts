/**
 * Which slots go where, so that every primary bears its share? Ranges first: whole ones, and one that is cut at an end.
 * What that leaves over goes slot by slot. Pure.
 */
import {apportion} from './apportion.ts'
import type {Layout} from './layout.ts'
import {settleSlots} from './settle-slots.ts'

/** Ranges may cost so much more than the cheapest slots that bring as much. */
const DEAR = 1.1

export interface EvenOptions {
  /** How far off its share a primary may be, as a part of it. */
  readonly tolerance: number
}

/** Changes `layout`, whose targets are set. */
export function evenLoad(layout: Layout, {tolerance}: EvenOptions): void {
  for (const {giver, taker, amount} of transfersFor(layout)) giveRanges(layout, giver, taker, amount)
  settleSlots(layout, {tolerance})
  empty(layout)
}

interface Transfer {
  readonly giver: number
  readonly taker: number
  readonly amount: number
}

/** The largest surplus meets the largest deficit, ties by number: at most one pair fewer than there are primaries. */
function transfersFor(layout: Layout): Transfer[] {
  const above: {node: number; left: number}[] = []
  const below: {node: number; left: number}[] = []
  for (const node of layout.ids.keys()) {
    const surplus = layout.surplus(node)
    if (surplus > 0) above.push({node, left: surplus})
    if (surplus < 0) below.push({node, left: -surplus})
  }
  above.sort((a, b) => b.left - a.left || a.node - b.node)
  below.sort((a, b) => b.left - a.left || a.node - b.node)
  const transfers: Transfer[] = []
  let next = 0
  for (const giver of above) {
    while (giver.left > 0 && next < below.length) {
      const taker = below[next] as {node: number; left: number}
      const amount = Math.min(giver.left, taker.left)
      transfers.push({giver: giver.node, taker: taker.node, amount})
      giver.left -= amount
      taker.left -= amount
      if (taker.left <= layout.total * 1e-12) next++
    }
  }
  return transfers
}

function giveRanges(layout: Layout, giver: number, taker: number, amount: number): void {
  const free = layout.freeSlotsOf(giver)
  const ranges = takeRanges(layout, runsOf(free), amount, taker)
  const picked = layout.isCostLoad ? ranges : cheaper(layout, ranges, takeCheapest(layout, free, amount))
  for (const slot of picked) if (layout.mayMove(slot, taker)) layout.move(slot, taker)
}

/** Whole runs, the lightest first, then a part of the one that lies beside the taker's slots, or needs the fewest slots. */
function takeRanges(layout: Layout, runs: readonly number[][], amount: number, taker: number): number[] {
  const {loads, place} = layout
  const ends = runs
    .map((run) => trimmed(loads, run))
    .filter((run) => run.length > 0)
    .map((run) => ({
      run,
      load: run.reduce((sum, slot) => sum + (loads[slot] as number), 0),
      joinsBelow: place[run[0]! - 1] === taker,
      joinsAbove: place[run.at(-1)! + 1] === taker,
    }))
    .sort(
      (a, b) =>
        a.load - b.load ||
        Number(b.joinsBelow || b.joinsAbove) - Number(a.joinsBelow || a.joinsAbove) ||
        b.run[0]! - a.run[0]!,
    )
  const picked: number[] = []
  let left = amount
  let whole = 0
  while (whole < ends.length && ends[whole]!.load <= left) {
    picked.push(...ends[whole]!.run)
    left -= ends[whole]!.load
    whole++
  }
  const rest = ends.slice(whole)
  const cut = rest.find(({joinsBelow, joinsAbove}) => joinsBelow || joinsAbove) ?? rest[0]
  if (!cut) return picked
  const low = takeWhile(loads, cut.run, left)
  const high = takeWhile(loads, cut.run.toReversed(), left)
  const isLow = cut.joinsBelow === cut.joinsAbove ? low.slots.length < high.slots.length : cut.joinsBelow
  const [side, other] = isLow ? [low, high] : [high, low]
  // A heavy slot at the end stops the cut there.
  return [...picked, ...(other.load > 2 * side.load ? other : side).slots]
}

/** Slots from the beginning that bring `amount` at most. */
function takeWhile(
  loads: readonly number[],
  slots: readonly number[],
  amount: number,
): {slots: number[]; load: number} {
  let [load, count] = [0, 0]
  for (const [index, slot] of slots.entries()) {
    const own = loads[slot] as number
    if (load + own > amount) break
    load += own
    if (own > 0) count = index + 1
  }
  return {slots: trimmed(loads, slots.slice(0, count)), load}
}

/** Slots at the ends that bring nothing travel along where they are few: else they stay. */
function trimmed(loads: readonly number[], slots: readonly number[]): number[] {
  const bearing = (slot: number): boolean => (loads[slot] as number) > 0
  const span = slots.slice(slots.findIndex(bearing), slots.findLastIndex(bearing) + 1)
  return slots.length <= 2 * span.length ? [...slots] : span
}

/** Those that bring most for what they cost. */
function takeCheapest({loads, costs}: Layout, slots: readonly number[], amount: number): number[] {
  const order = slots
    .filter((slot) => (loads[slot] as number) > 0)
    .sort((a, b) => costs[a]! * loads[b]! - costs[b]! * loads[a]! || a - b)
  const picked: number[] = []
  let left = amount
  for (const slot of order) {
    if ((loads[slot] as number) > left) continue
    picked.push(slot)
    left -= loads[slot] as number
  }
  return picked
}

function cheaper({loads, costs}: Layout, ranges: readonly number[], cheapest: readonly number[]): readonly number[] {
  const priceOf = (slots: readonly number[]): number => {
    const load = slots.reduce((sum, slot) => sum + (loads[slot] as number), 0)
    return load > 0 ? slots.reduce((sum, slot) => sum + (costs[slot] as number), 0) / load : Number.POSITIVE_INFINITY
  }
  return priceOf(ranges) <= DEAR * priceOf(cheapest) ? ranges : cheapest
}

/** A primary of weight 0 keeps nothing, not even slots without load: these go to the others by weight, in runs. */
function empty(layout: Layout): void {
  const {ids, weights} = layout
  for (const [node, weight] of weights.entries()) {
    if (weight > 0) continue
    const slots = layout.freeSlotsOf(node)
    if (slots.length === 0) continue
    const shares = apportion(slots.length, new Map(ids.map((id, index) => [id, weights[index] ?? 0])))
    let from = 0
    for (const [index, id] of ids.entries()) {
      const count = shares.get(id) ?? 0
      for (const slot of slots.slice(from, from + count)) if (layout.mayMove(slot, index)) layout.move(slot, index)
      from += count
    }
  }
}

/** Ascending slots as runs of neighbours. */
export function runsOf(slots: readonly number[]): number[][] {
  const runs: number[][] = []
  for (const slot of slots) {
    const last = runs.at(-1)
    if (last && last.at(-1) === slot - 1) last.push(slot)
    else runs.push([slot])
  }
  return runs
}
