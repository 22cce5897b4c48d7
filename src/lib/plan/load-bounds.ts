/** How near to even, and for how little, could any plan come? Lower bounds, against which a plan is held. Pure. */
import type {Layout} from './layout.ts'

/** How far the primary that is furthest off its share is off it, as a part of it; of those that are to bear something. */
export function imbalanceOf(held: ArrayLike<number>, shares: Float64Array): number {
  return shares.reduce(
    (worst, share, node) => (share > 0 ? Math.max(worst, Math.abs((held[node] as number) - share) / share) : worst),
    0,
  )
}

/**
 * No plan ends with a smaller imbalance: a slot is whole, so some primary bears the hottest; and of more slots than there
 * are primaries, two lie together.
 */
export function leastImbalance({loads, place, weights}: Layout, shares: Float64Array): number {
  const largest = Math.max(...shares)
  if (!(largest > 0)) return 0
  const takers = weights.filter((weight) => weight > 0).length
  const sorted = Float64Array.from(loads, (load, slot) => (place[slot]! >= 0 ? load : 0))
    .sort()
    .reverse()
  const sums = new Float64Array(sorted.length + 1)
  for (const [index, load] of sorted.entries()) sums[index + 1] = sums[index]! + load
  let most = 0
  // Of the hottest `rest * takers + 1` slots, one more than `rest` lie on one primary: at best the coldest of these.
  for (let rest = 0; rest * takers < sorted.length; rest++) {
    const last = rest * takers
    most = Math.max(most, sums[last + 1]! - sums[last - rest]!)
  }
  return Math.max(0, most / largest - 1)
}

/** What is too much, over all primaries. */
export function excessOf(held: ArrayLike<number>, targets: Float64Array): number {
  return targets.reduce((sum, target, node) => sum + Math.max(0, (held[node] as number) - target), 0)
}

/**
 * No plan that takes away `relief` of what is too much costs less: what a primary bears too much goes by its slots that
 * bring most for what they cost, the last of them in part.
 */
export function leastCost(layout: Layout, targets: Float64Array, relief: number): number {
  if (layout.isCostLoad) return Math.max(0, relief)
  const {origin, loads, costs, ids} = layout
  const left = Float64Array.from(targets, (target) => -target)
  const slotsByNode: number[][] = ids.map(() => [])
  for (const [slot, node] of origin.entries()) {
    if (node < 0) continue
    left[node]! += loads[slot] as number
    if ((loads[slot] as number) > 0) slotsByNode[node]?.push(slot)
  }
  const offers: {load: number; price: number}[] = []
  for (const [node, slots] of slotsByNode.entries()) {
    let surplus = left[node] as number
    for (const slot of slots.sort((a, b) => costs[a]! * loads[b]! - costs[b]! * loads[a]! || a - b)) {
      if (surplus <= 0) break
      const load = Math.min(surplus, loads[slot] as number)
      offers.push({load, price: (costs[slot] as number) / (loads[slot] as number)})
      surplus -= load
    }
  }
  let [cost, wanted] = [0, relief]
  for (const {load, price} of offers.sort((a, b) => a.price - b.price)) {
    if (wanted <= 0) break
    cost += Math.min(load, wanted) * price
    wanted -= load
  }
  return cost
}
