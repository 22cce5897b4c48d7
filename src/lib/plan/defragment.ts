/**
 * How do the slots of each primary come to lie in few ranges, with little movement? Small ranges go to a neighbour, the
 * smallest first; what a primary would bear too much by that it gives back where its ranges border on others. Pure.
 */
import {SLOT_COUNT} from '../slots/slot.ts'
import type {Layout} from './layout.ts'

/** A range with a smaller part of its primary's slots is a fragment: eight of them at most are left. */
const FRAGMENT = 1 / 8

export interface DefragmentOptions {
  /** How far off its target a primary may be, as a part of it, or as far as it is already. */
  readonly tolerance: number
}

/** Ways back that are looked for in vain, at most: where shares are a few slots, hardly one fits. */
const MOST_FAILURES = 500

/** Changes `layout`. Nothing moves where there is no fragment. */
export function defragment(layout: Layout, {tolerance}: DefragmentOptions): void {
  const allowance = Float64Array.from(layout.ids, (_, node) =>
    Math.max(Math.abs(layout.surplus(node)), tolerance * (layout.targets[node] as number)),
  )
  const borders = new Borders(layout)
  const largest = Math.max(...layout.slotCounts) * FRAGMENT
  for (let size = 1; size < 2 * largest; size *= 2) {
    // What has joined may be a fragment of that size still.
    while (sweep(layout, size, allowance, borders) > 0);
  }
}

/** One look along the slots. @returns how many fragments of up to `size` slots are gone: each time a range fewer. */
function sweep(layout: Layout, size: number, allowance: Float64Array, borders: Borders): number {
  let gone = 0
  borders.forget()
  for (let start = 0; start < SLOT_COUNT; ) {
    const end = endOfRange(layout, start)
    if (isFragment(layout, start, end) && end - start <= size && join(layout, {start, end}, allowance, borders)) gone++
    start = end
  }
  return gone
}

/** The slot after the range that begins at `start`. */
function endOfRange({place}: Layout, start: number): number {
  let end = start + 1
  while (end < SLOT_COUNT && place[end] === place[start]) end++
  return end
}

function isFragment({place, slotCounts}: Layout, start: number, end: number): boolean {
  const owner = place[start] as number
  const all = slotCounts[owner] ?? 0
  return owner >= 0 && end - start < all && end - start < all * FRAGMENT
}

interface Range {
  readonly start: number
  /** The slot after it. */
  readonly end: number
}

/** Gives a fragment to one of its neighbours, where that is allowed. */
function join(layout: Layout, range: Range, allowance: Float64Array, borders: Borders): boolean {
  const {place} = layout
  const {start, end} = range
  const owner = place[start] as number
  const sides = [place[start - 1], place[end]].filter((node) => node !== undefined && node >= 0) as number[]
  const neighbours = [...new Set(sides)]
    .filter((node) => (layout.weights[node] ?? 0) > 0)
    .sort((a, b) => layout.deviation(a) - layout.deviation(b) || a - b)
  for (const neighbour of neighbours) {
    const undo = new Undo(layout)
    if (undo.moveRange(start, end, neighbour)) {
      if (
        isWithin(layout, [owner, neighbour], allowance) ||
        giveBack(layout, undo, neighbour, owner, range, allowance, borders)
      ) {
        return true
      }
    }
    undo.run()
  }
  return false
}

/** What `from` has too much now goes to `to`, over others where the two have no border. @returns whether all are well then. */
function giveBack(
  layout: Layout,
  undo: Undo,
  from: number,
  to: number,
  range: Range,
  allowance: Float64Array,
  borders: Borders,
): boolean {
  const way = borders.wayBetween(from, to, range)
  const amount = Math.max(layout.surplus(from), -layout.surplus(to))
  for (const [hop, node] of way.slice(1).entries()) {
    shiftBorders(layout, undo, way[hop] as number, node, amount, range, borders)
  }
  if (way.length > 0 && isWithin(layout, way, allowance)) return true
  borders.failures++
  return false
}

function isWithin(layout: Layout, nodes: readonly number[], allowance: Float64Array): boolean {
  return nodes.every((node) => Math.abs(layout.surplus(node)) <= (allowance[node] as number) * (1 + 1e-9) + 1e-9)
}

/** About `amount` of load goes from `giver` to `taker` where their ranges border on each other: no range is made or ended. */
function shiftBorders(
  layout: Layout,
  undo: Undo,
  giver: number,
  taker: number,
  amount: number,
  except: Range,
  borders: Borders,
): void {
  const {place, loads} = layout
  const isGivers = (slot: number): boolean => place[slot] === giver && !(slot >= except.start && slot < except.end)
  let left = amount
  for (const border of borders.between(giver, taker)) {
    const isUp = place[border - 1] === taker && isGivers(border)
    const isDown = isGivers(border - 1) && place[border] === taker
    if (!isUp && !isDown) continue
    const direction = isUp ? 1 : -1
    for (let slot = isUp ? border : border - 1; ; slot += direction) {
      const load = loads[slot] as number
      // The range must not end there: one more slot has to be behind it.
      if (left <= 0 || load > 2 * left || !isGivers(slot) || !isGivers(slot + direction)) break
      if (!undo.moveRange(slot, slot + 1, taker)) break
      left -= load
    }
  }
}

/** Where do ranges of two primaries meet? As it was when that was last asked for after `forget`: to be looked at again. */
class Borders {
  readonly #layout: Layout
  /** By primary, by primary beside it: slots with which the upper range begins. */
  #known: Map<number, Map<number, number[]>> | undefined
  failures = 0

  constructor(layout: Layout) {
    this.#layout = layout
  }

  forget(): void {
    this.#known = undefined
  }

  between(a: number, b: number): readonly number[] {
    return this.#known?.get(a)?.get(b) ?? []
  }

  /** The fewest primaries, from one to another, of which each borders on the next elsewhere than at `except`. */
  wayBetween(from: number, to: number, except: Range): number[] {
    if (this.failures >= MOST_FAILURES) return []
    this.#known ??= this.#read(except, from, to)
    const before = new Map<number, number>([[from, -1]])
    const queue = [from]
    for (const node of queue) {
      if (node === to) break
      for (const [next, places] of this.#known.get(node) ?? []) {
        if (before.has(next) || places.every((slot) => slot === except.start || slot === except.end)) continue
        before.set(next, node)
        queue.push(next)
      }
    }
    const way: number[] = []
    if (!before.has(to)) return way
    for (let node = to; node >= 0; node = before.get(node) as number) way.unshift(node)
    return way
  }

  #read(range: Range, holder: number, owner: number): Map<number, Map<number, number[]>> {
    const known = new Map<number, Map<number, number[]>>()
    const {place} = this.#layout
    // The range has been given away for a try, and may come back.
    const ownerOf = (slot: number): number =>
      slot >= range.start && slot < range.end && place[slot] === holder ? owner : (place[slot] as number)
    for (let slot = 1; slot < SLOT_COUNT; slot++) {
      const [a, b] = [ownerOf(slot - 1), ownerOf(slot)]
      if (a === b || a < 0 || b < 0) continue
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const beside = known.get(one) ?? new Map<number, number[]>()
        known.set(one, beside)
        const places = beside.get(other)
        if (places) places.push(slot)
        else beside.set(other, [slot])
      }
    }
    return known
  }
}

/** Moves that may be taken back. */
class Undo {
  readonly #layout: Layout
  readonly #done: {readonly slot: number; readonly from: number}[] = []

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** @returns false when a slot of it may not move; those before have. */
  moveRange(start: number, end: number, to: number): boolean {
    for (let slot = start; slot < end; slot++) {
      const from = this.#layout.place[slot] as number
      if (!this.#layout.mayMove(slot, to)) return false
      this.#layout.move(slot, to)
      this.#done.push({slot, from})
    }
    return true
  }

  run(): void {
    for (const {slot, from} of this.#done.reverse()) this.#layout.move(slot, from)
  }
}
