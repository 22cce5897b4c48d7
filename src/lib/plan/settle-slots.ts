/**
 * Which single slots, or which two that change places, bring primaries nearer to their targets? The fullest gives to the
 * emptiest, again and again, as long as that makes the picture more even. Pure.
 */
import {SLOT_COUNT} from '../slots/slot.ts'
import type {Layout} from './layout.ts'

/** Takers that are looked at for one giver. */
const TAKERS = 8
/** Within this part of the tolerance nothing more is worth a move; nor is this part of a share, whatever is tolerated. */
const FINE = 1 / 4
const FINEST = 1e-4
/** Slots that change places, for each primary: the first few do most of it. */
const EXCHANGES = 16

/**
 * Changes `layout`. Only for a primary that is off its target by more than `tolerance` may a slot go that is too much for
 * its taker, or two slots change places.
 */
export function settleSlots(layout: Layout, {tolerance}: {readonly tolerance: number}): void {
  const stuck = new Set<number>()
  const exchanges = {left: EXCHANGES * layout.ids.length}
  let hasMoved = false
  for (let round = 0; round < 4 * SLOT_COUNT; round++) {
    const {giver, takers, worst} = extremes(layout, stuck)
    if (worst <= Math.max(tolerance * FINE, FINEST)) return
    if (giver === undefined) {
      if (!hasMoved) return
      stuck.clear()
      hasMoved = false
      continue
    }
    const above = layout.deviation(giver)
    const isDone = takers.some((taker) => {
      const below = layout.deviation(taker)
      return below < above && step(layout, giver, taker, Math.max(above, -below) > tolerance, exchanges)
    })
    if (isDone) hasMoved = true
    else stuck.add(giver)
  }
}

/** The fullest that is not stuck, the emptiest that may take, and how far off the worst of all is. */
function extremes(
  layout: Layout,
  stuck: ReadonlySet<number>,
): {readonly giver: number | undefined; readonly takers: readonly number[]; readonly worst: number} {
  let [giver, most, worst]: [number | undefined, number, number] = [undefined, 0, 0]
  const takers: {node: number; deviation: number}[] = []
  for (let node = 0; node < layout.ids.length; node++) {
    const deviation = layout.deviation(node)
    worst = Math.max(worst, Math.abs(deviation))
    if (deviation > most && !stuck.has(node)) [giver, most] = [node, deviation]
    const last = takers.at(-1)
    if (layout.weights[node] === 0 || (takers.length === TAKERS && last && deviation >= last.deviation)) continue
    const place = takers.findIndex((taker) => deviation < taker.deviation)
    takers.splice(place < 0 ? takers.length : place, 0, {node, deviation})
    if (takers.length > TAKERS) takers.pop()
  }
  return {giver, takers: takers.map(({node}) => node), worst}
}

/** One slot from the giver to the taker, or one each way. @returns whether anything went. */
function step(layout: Layout, giver: number, taker: number, isAmiss: boolean, exchanges: {left: number}): boolean {
  const [pressure, pull] = [layout.surplus(giver), layout.surplus(taker)]
  const [giverScale, takerScale] = [scaleOf(layout, giver), scaleOf(layout, taker)]
  /** The load that evens both out best; with twice as much, nothing is gained. */
  const wanted = (pressure * giverScale - pull * takerScale) / (giverScale + takerScale)
  // Up to this nothing goes in vain: all of it was too much here, and is missing there.
  const plain = Math.min(pressure, -pull)
  const most = isAmiss ? 2 * wanted * (1 - 1e-9) : plain * (1 + 1e-9)
  if (!(most > 0)) return false
  const slot = nearest(layout, giver, taker, isAmiss ? wanted : Math.min(wanted, plain), most)
  if (slot !== undefined) {
    layout.move(slot, taker)
    return true
  }
  if (!isAmiss || layout.weights[giver] === 0 || exchanges.left === 0) return false
  exchanges.left--
  return exchange(layout, giver, taker, wanted)
}

/** A primary that is to have nothing comes before all others. */
function scaleOf(layout: Layout, node: number): number {
  return 1 / Math.max(layout.targets[node] as number, (layout.total * 1e-6) / layout.ids.length)
}

/** The slot of the giver whose load is nearest to `wanted`, up to `most`; among equals the cheapest, then the lowest. */
function nearest(layout: Layout, giver: number, taker: number, wanted: number, most: number): number | undefined {
  const {loads, costs} = layout
  let best = -1
  let bestGap = Number.POSITIVE_INFINITY
  for (const slot of layout.slotsOf(giver)) {
    const load = loads[slot] as number
    if (load <= 0 || load > most) continue
    const gap = Math.abs(load - wanted)
    const order = gap - bestGap || costs[slot]! - costs[best]! || slot - best
    if (order >= 0 || !layout.mayMove(slot, taker)) continue
    best = slot
    bestGap = gap
  }
  return best < 0 ? undefined : best
}

/** A heavier slot goes, a lighter one comes. */
function exchange(layout: Layout, giver: number, taker: number, wanted: number): boolean {
  const {loads} = layout
  const heavier = (a: number, b: number): number => loads[a]! - loads[b]! || a - b
  const own = layout.freeSlotsOf(giver).sort(heavier)
  const theirs = layout.freeSlotsOf(taker).sort(heavier)
  let best: {slot: number; back: number} | undefined
  let bestGap = wanted
  let at = 0
  for (const back of theirs) {
    while (at < own.length && loads[own[at]!]! - loads[back]! < wanted) at++
    for (const slot of own.slice(Math.max(0, at - 1), at + 1)) {
      const gap = Math.abs(loads[slot]! - loads[back]! - wanted)
      if (gap < bestGap * (1 - 1e-9)) {
        best = {slot, back}
        bestGap = gap
      }
    }
  }
  if (!best || !layout.mayMove(best.back, giver)) return false
  layout.move(best.back, giver)
  if (layout.mayMove(best.slot, taker)) {
    layout.move(best.slot, taker)
    return true
  }
  layout.move(best.back, taker)
  return false
}
