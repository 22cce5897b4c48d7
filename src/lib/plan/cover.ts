/** Who gets slots that nobody has, and that hold no keys? Neighbours first, so that ranges stay whole, and even counts. Pure. */
import {SLOT_COUNT} from '../slots/slot.ts'
import type {SlotRanges} from '../slots/slot-ranges.ts'
import type {NodeId} from '../topology/model.ts'

/**
 * A run of slots goes to the owner of the slot before or after it up to an even share, the rest to whoever has the
 * fewest; ties by ID.
 * @param owners who has each slot now.
 * @param candidates not empty.
 */
export function coverEmptySlots(
  empty: SlotRanges,
  owners: readonly (NodeId | undefined)[],
  candidates: readonly NodeId[],
): Map<number, NodeId> {
  const counts = new Map<NodeId, number>([...candidates].sort().map((id) => [id, 0]))
  for (const owner of owners) {
    if (owner !== undefined && counts.has(owner)) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  }
  const share = Math.ceil(SLOT_COUNT / counts.size)
  const covered = new Map<number, NodeId>()
  const give = (id: NodeId, from: number, to: number): void => {
    for (let slot = from; slot <= to; slot++) covered.set(slot, id)
    counts.set(id, (counts.get(id) ?? 0) + to - from + 1)
  }
  const roomOf = (id: NodeId | undefined): number => (id === undefined ? 0 : share - (counts.get(id) ?? share))
  for (const {start, end} of empty) {
    let [first, last] = [start, end]
    const before = covered.get(first - 1) ?? owners[first - 1]
    const taken = Math.min(roomOf(before), last - first + 1)
    if (before !== undefined && taken > 0) {
      give(before, first, first + taken - 1)
      first += taken
    }
    const after = owners[last + 1]
    const takenAfter = Math.min(roomOf(after), last - first + 1)
    if (after !== undefined && takenAfter > 0) {
      give(after, last - takenAfter + 1, last)
      last -= takenAfter
    }
    while (first <= last) {
      const [id] = [...counts].reduce((least, next) => (next[1] < least[1] ? next : least))
      const amount = Math.min(Math.max(roomOf(id), 1), last - first + 1)
      give(id, first, first + amount - 1)
      first += amount
    }
  }
  return covered
}
