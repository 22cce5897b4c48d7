/**
 * Which slots would redis-cli take from these sources? The lowest of each, the source with the most slots first. Exactly
 * as many as were asked for, where redis-cli loses some by rounding down. Pure.
 */
import {UsageError} from '../../errors.ts'
import type {NodeId, Topology} from '../../topology/model.ts'
import {listNodes} from '../../topology/queries.ts'
import {buildMovePlan, slotsByOwner} from '../move-plan.ts'
import type {MovePlan} from '../plan.ts'

export interface RedisCliReshardOptions {
  /** In the order in which they were named. */
  readonly from: readonly NodeId[]
  readonly to: NodeId
  readonly count: number
}

/** Slots of one source, ascending. */
export interface Given {
  readonly from: NodeId
  readonly slots: readonly number[]
}

export interface RedisCliReshard {
  readonly plan: MovePlan
  /** In the order in which redis-cli takes them. */
  readonly given: readonly Given[]
}

/**
 * Where the sources have fewer than `count` slots, they give all that they have, as there, and the plan warns.
 * @throws UsageError when they have none at all.
 */
export function planReshardAsRedisCli(topology: Topology, {from, to, count}: RedisCliReshardOptions): RedisCliReshard {
  const owned = slotsByOwner(topology.owners)
  const sources = [...new Set(from)]
    .map((id) => ({id, slots: owned.get(id) ?? []}))
    .sort((a, b) => b.slots.length - a.slots.length)
  const total = sources.reduce((sum, {slots}) => sum + slots.length, 0)
  if (total === 0) {
    const nodes = sources.flatMap(({id}) => topology.nodesById.get(id) ?? [])
    throw new UsageError(`${listNodes(nodes)} ${nodes.length === 1 ? 'has' : 'have'} no slots to give`)
  }
  const counts = shares(
    sources.map(({slots}) => slots.length),
    Math.min(count, total),
  )
  const given = sources
    .map(({id, slots}, index) => ({from: id, slots: slots.slice(0, counts[index])}))
    .filter(({slots}) => slots.length > 0)
  const moves = given.flatMap((one) => one.slots.map((slot) => ({slot, from: one.from, to})))
  const warnings = count > total ? [`${count} slots were asked for, but the sources have only ${total}.`] : []
  return {plan: buildMovePlan(topology, 'reshard', moves, warnings), given}
}

/**
 * How many each source gives; `sizes` descending, `count` not above their sum. The first share is rounded up, the others
 * down, with the precision of a C float. What is lost that way goes to the largest remainders, ties to the earlier one.
 */
function shares(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const perSlot = Math.fround(count / total)
  const exact = sizes.map((size) => Math.fround(perSlot * size))
  let left = count
  const counts = exact.map((share, index) => {
    const own = Math.min(index === 0 ? Math.ceil(share) : Math.floor(share), left, sizes[index]!)
    left -= own
    return own
  })
  const lacking = (index: number): number => exact[index]! - counts[index]!
  while (left > 0) {
    const open = [...sizes.keys()].filter((index) => counts[index]! < sizes[index]!)
    const most = open.reduce((best, index) => (lacking(index) > lacking(best) ? index : best))
    counts[most]!++
    left--
  }
  return counts
}
