/**
 * Who has which slot, and what does each primary bear by that? What the planners of load push slots about on: numbers
 * instead of IDs, so that 16384 slots over a thousand primaries take milliseconds.
 */
import {InternalError} from '../errors.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import type {NodeId} from '../topology/model.ts'
import type {SlotMove} from './plan.ts'

export interface LayoutFacts {
  /** Who owns each slot once what has begun is done. */
  readonly owners: readonly (NodeId | undefined)[]
  /** By node ID, of those that take part; together they own every slot that has an owner. */
  readonly weights: ReadonlyMap<NodeId, number>
  /** By slot, 0 or more. */
  readonly loads: readonly number[]
  /** What moving a slot costs, by slot, 0 or more; undefined: its load. */
  readonly costs?: readonly number[] | undefined
  /** Slots that stay where they are. */
  readonly locked: ReadonlySet<number>
  readonly maxMoves?: number | undefined
  readonly maxBytes?: number | undefined
  /** By slot; with `maxBytes`. */
  readonly bytes?: readonly number[] | undefined
}

export class Layout {
  /** Ascending: ties go to the smaller number, and so to the smaller ID. */
  readonly ids: readonly NodeId[]
  readonly weights: readonly number[]
  readonly loads: readonly number[]
  readonly costs: readonly number[]
  /** Moving a slot costs what it brings. */
  readonly isCostLoad: boolean
  /** By slot; -1: nobody's. */
  readonly origin: Int32Array
  readonly place: Int32Array
  /** What each should bear. */
  readonly targets: Float64Array
  readonly held: Float64Array
  readonly slotCounts: Int32Array
  readonly total: number
  readonly maxMoves: number
  readonly maxBytes: number
  moved = 0
  movedCost = 0
  movedBytes = 0
  readonly #locked: Uint8Array
  readonly #own: Set<number>[]
  readonly #bytes: readonly number[]

  constructor(facts: LayoutFacts) {
    this.ids = [...facts.weights.keys()].sort()
    this.weights = this.ids.map((id) => facts.weights.get(id) ?? 0)
    this.loads = facts.loads
    this.costs = facts.costs ?? facts.loads
    this.isCostLoad = facts.costs === undefined
    this.#bytes = facts.bytes ?? []
    this.maxMoves = facts.maxMoves ?? Number.POSITIVE_INFINITY
    this.maxBytes = facts.maxBytes ?? Number.POSITIVE_INFINITY
    const numbers = new Map(this.ids.map((id, index) => [id, index]))
    this.origin = Int32Array.from(facts.owners, (owner) => (owner === undefined ? -1 : (numbers.get(owner) ?? -1)))
    this.place = Int32Array.from(this.origin)
    this.held = new Float64Array(this.ids.length)
    this.slotCounts = new Int32Array(this.ids.length)
    this.targets = new Float64Array(this.ids.length)
    this.#locked = new Uint8Array(SLOT_COUNT)
    this.#own = this.ids.map(() => new Set())
    for (const slot of facts.locked) this.#locked[slot] = 1
    for (const [slot, node] of this.place.entries()) {
      if (node < 0) continue
      this.held[node]! += this.loads[slot] ?? 0
      this.slotCounts[node]!++
      this.#own[node]?.add(slot)
    }
    this.total = this.held.reduce((sum, load) => sum + load, 0)
  }

  lock(slot: number): void {
    this.#locked[slot] = 1
  }

  isFree(slot: number): boolean {
    return (this.place[slot] as number) >= 0 && this.#locked[slot] === 0
  }

  /** In no order. */
  slotsOf(node: number): Iterable<number> {
    return this.#own[node] as Set<number>
  }

  /** Ascending: those of a primary that may go. */
  freeSlotsOf(node: number): number[] {
    return [...this.slotsOf(node)].filter((slot) => this.isFree(slot)).sort((a, b) => a - b)
  }

  /** Within the limits, and not the last slot of a primary that is to have some. */
  mayMove(slot: number, to: number): boolean {
    const from = this.place[slot] as number
    if (from === to || !this.isFree(slot)) return false
    if (this.slotCounts[from] === 1 && (this.weights[from] ?? 0) > 0) return false
    const step = this.#stepOf(slot, to)
    return step <= 0 || (this.moved + 1 <= this.maxMoves && this.movedBytes + (this.#bytes[slot] ?? 0) <= this.maxBytes)
  }

  move(slot: number, to: number): void {
    const from = this.place[slot] as number
    if (from < 0 || from === to) throw new InternalError(`slot ${slot} cannot move there`)
    const load = this.loads[slot] ?? 0
    const step = this.#stepOf(slot, to)
    this.moved += step
    this.movedCost += step * (this.costs[slot] ?? 0)
    this.movedBytes += step * (this.#bytes[slot] ?? 0)
    this.held[from]! -= load
    this.held[to]! += load
    this.slotCounts[from]!--
    this.slotCounts[to]!++
    this.#own[from]?.delete(slot)
    this.#own[to]?.add(slot)
    this.place[slot] = to
  }

  /** What a primary bears above its target; below 0: what it lacks. */
  surplus(node: number): number {
    return (this.held[node] as number) - (this.targets[node] as number)
  }

  /** How far off its target a primary is, as a part of it; one that is to have nothing is as far off as can be. */
  deviation(node: number): number {
    const surplus = this.surplus(node)
    const target = this.targets[node] as number
    if (target > 0) return surplus / target
    return surplus > this.total * 1e-12 ? Number.POSITIVE_INFINITY : 0
  }

  /** Ascending by slot. */
  moves(): SlotMove[] {
    const moves: SlotMove[] = []
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const [from, to] = [this.origin[slot] as number, this.place[slot] as number]
      if (from !== to) moves.push({slot, from: this.ids[from] as NodeId, to: this.ids[to] as NodeId})
    }
    return moves
  }

  /** 1: one more slot is not where it was. -1: one more is there again. */
  #stepOf(slot: number, to: number): number {
    const origin = this.origin[slot]
    return Number(to !== origin) - Number(this.place[slot] !== origin)
  }
}
