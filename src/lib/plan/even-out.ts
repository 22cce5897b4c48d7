/**
 * How do primaries get from the slots that they have to the slots that they should have? Givers and takers are matched so
 * that few pairs arise and whole ranges travel. Pure.
 */
import type {NodeId} from '../topology/model.ts'
import {pickSlots} from './pick-slots.ts'
import type {SlotMove} from './plan.ts'

/**
 * Moves that bring every primary from `own` (ascending slots) to its quota; the quotas add up to the slots. The largest
 * surplus meets the largest deficit, ties by node ID; a giver's slots go out in ascending order, so a taker gets a run.
 * @param free the slots of `own` that can be given away; at least the surplus.
 */
export function movesToQuotas(
  own: ReadonlyMap<NodeId, readonly number[]>,
  quotas: ReadonlyMap<NodeId, number>,
  free: ReadonlyMap<NodeId, readonly number[]>,
): SlotMove[] {
  const givers: {id: NodeId; slots: number[]}[] = []
  const takers: {id: NodeId; deficit: number}[] = []
  for (const [id, quota] of quotas) {
    const surplus = (own.get(id)?.length ?? 0) - quota
    if (surplus > 0) givers.push({id, slots: pickSlots(free.get(id) ?? [], surplus)})
    if (surplus < 0) takers.push({id, deficit: -surplus})
  }
  givers.sort((a, b) => b.slots.length - a.slots.length || (a.id < b.id ? -1 : 1))
  takers.sort((a, b) => b.deficit - a.deficit || (a.id < b.id ? -1 : 1))

  const moves: SlotMove[] = []
  const give = (giver: (typeof givers)[number], taker: (typeof takers)[number], count: number): void => {
    for (const slot of giver.slots.splice(0, count)) moves.push({slot, from: giver.id, to: taker.id})
    taker.deficit -= count
  }
  // A surplus that is just somebody's deficit makes one pair instead of two.
  for (const giver of givers) {
    const match = takers.find(({deficit}) => deficit > 0 && deficit === giver.slots.length)
    if (match) give(giver, match, giver.slots.length)
  }
  for (const taker of takers) {
    for (const giver of givers) {
      if (taker.deficit === 0) break
      if (giver.slots.length > 0) give(giver, taker, Math.min(giver.slots.length, taker.deficit))
    }
  }
  return moves
}
