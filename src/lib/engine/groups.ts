/** Which slots of a plan travel together? Pure. */
import type {SlotMove} from '../plan/plan.ts'
import type {NodeId} from '../topology/model.ts'

/** Slots of one pair that go through the phases of a move together. */
export interface Group {
  readonly from: NodeId
  readonly to: NodeId
  readonly slots: readonly number[]
}

/** A group of empty slots is cheap to hold open. */
const EMPTY_SLOTS_PER_GROUP = 256
/** With keys inside, slots stay open as briefly as can be: a few dozen milliseconds of MIGRATE. */
const SLOTS_PER_GROUP = 16
const KEYS_PER_GROUP = 5000

/** The moves of each pair of nodes, in the order given. */
export function movesByPair(moves: readonly SlotMove[]): SlotMove[][] {
  const pairs = new Map<string, SlotMove[]>()
  for (const move of moves) {
    const key = `${move.from} ${move.to}`
    const pair = pairs.get(key)
    if (pair) pair.push(move)
    else pairs.set(key, [move])
  }
  return [...pairs.values()]
}

/** `moves` are one pair's; their order is kept, and cut where a group would get too many slots or keys. */
export function formGroups(moves: readonly SlotMove[], keysBySlot: ReadonlyMap<number, number>): Group[] {
  const groups: {from: NodeId; to: NodeId; slots: number[]}[] = []
  let keys = 0
  let isEmpty = false
  for (const {slot, from, to} of moves) {
    const count = keysBySlot.get(slot) ?? 0
    const current = groups.at(-1)
    const limit = isEmpty ? EMPTY_SLOTS_PER_GROUP : SLOTS_PER_GROUP
    if (current && (count === 0) === isEmpty && current.slots.length < limit && keys + count <= KEYS_PER_GROUP) {
      current.slots.push(slot)
      keys += count
    } else {
      groups.push({from, to, slots: [slot]})
      keys = count
      isEmpty = count === 0
    }
  }
  return groups
}
