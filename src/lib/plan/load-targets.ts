/** What should each primary bear, and which slots are too hot for any of them to bear no more than that? Pure. */
import {exactShares} from './apportion.ts'
import type {Layout} from './layout.ts'

export interface HotSlot {
  readonly slot: number
  /** Where it is to be, by number. */
  readonly node: number
}

/** By number: shares of all load in proportion to weight. */
export function evenShares({ids, weights, total}: Layout): Float64Array {
  const shares = exactShares(total, new Map(ids.map((id, index) => [id, weights[index] ?? 0])))
  return Float64Array.from(ids, (id) => shares.get(id) ?? 0)
}

/**
 * A slot that bears more than any share gets a primary for itself, and the others share the rest: over and over, since
 * their shares become smaller. Moves hot slots apart, locks them, and sets the targets. The hottest first.
 */
export function setTargets(layout: Layout): HotSlot[] {
  const {loads, weights, targets, place} = layout
  targets.fill(0)
  const hot: HotSlot[] = []
  const taken = new Set<number>()
  const order = mayBeHot(layout) ? byLoad(layout) : []
  let rest = layout.total
  for (let next = 0; ; next++) {
    const open = weights.map((weight, index) => (taken.has(index) ? 0 : weight))
    const sum = open.reduce((all, weight) => all + weight, 0)
    if (sum <= 0) return hot
    const largest = (rest * Math.max(...open)) / sum
    const slot = order[next]
    // What is just its share is no trouble, whatever the last digit says.
    if (slot === undefined || (loads[slot] as number) <= largest * (1 + 1e-9)) {
      for (const [index, weight] of open.entries()) if (!taken.has(index)) targets[index] = (rest * weight) / sum
      return hot
    }
    const home = homeFor(layout, slot, taken)
    if (home !== place[slot] && layout.mayMove(slot, home)) layout.move(slot, home)
    const node = place[slot] as number
    layout.lock(slot)
    hot.push({slot, node})
    taken.add(node)
    targets[node]! += loads[slot] as number
    rest -= loads[slot] as number
  }
}

/** Sorting all slots is only worth it where one bears a whole share. */
function mayBeHot({loads, weights, total}: Layout): boolean {
  const largest = Math.max(...weights) / weights.reduce((sum, weight) => sum + weight, 0)
  return loads.some((load) => load > total * largest)
}

function byLoad({loads, place}: Layout): number[] {
  return [...loads.keys()]
    .filter((slot) => (place[slot] as number) >= 0 && (loads[slot] as number) > 0)
    .sort((a, b) => loads[b]! - loads[a]! || a - b)
}

/** It stays, unless its primary has a hotter one or is to be empty; then the strongest takes it, of these the idlest. */
function homeFor({place, weights, held, ids}: Layout, slot: number, taken: ReadonlySet<number>): number {
  const own = place[slot] as number
  if (!taken.has(own) && (weights[own] ?? 0) > 0) return own
  const others = [...ids.keys()].filter((index) => !taken.has(index))
  const [best] = others.sort((a, b) => weights[b]! - weights[a]! || held[a]! - held[b]! || a - b)
  return best ?? own
}

/**
 * Targets on the way to `targets` that are reached by moving `amount` of load in all: what is furthest above comes down
 * first, what is furthest below comes up first.
 */
export function targetsWithin({held}: Layout, targets: Float64Array, amount: number): Float64Array {
  const shedAbove = (level: number): number =>
    held.reduce((sum, load, index) => sum + Math.max(0, load - (targets[index] as number) * level), 0)
  const lackBelow = (level: number): number =>
    held.reduce((sum, load, index) => sum + Math.max(0, (targets[index] as number) * level - load), 0)
  const highest = Math.max(1, ...held.map((load, index) => (targets[index]! > 0 ? load / targets[index]! : 1)))
  const upper = bisect(1, highest, (level) => shedAbove(level) > amount)
  const lower = bisect(0, 1, (level) => lackBelow(level) < Math.min(amount, shedAbove(upper)))
  return Float64Array.from(held, (load, index) => {
    const target = targets[index] as number
    if (load > target) return Math.min(load, target * upper)
    return Math.max(load, target * lower)
  })
}

/** Where `isBelow` turns from true to false, between the two. */
function bisect(low: number, high: number, isBelow: (level: number) => boolean): number {
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    if (isBelow(middle)) low = middle
    else high = middle
  }
  return high
}
