/** Where do the slots of primaries go that are to leave? To the others, the emptiest first. Pure. */
import {UsageError} from '../errors.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {primaries} from '../topology/queries.ts'
import {movesToQuotas} from './even-out.ts'
import {buildMovePlan, freeSlotsByOwner, ownersAfter, slotsByOwner} from './move-plan.ts'
import {requireNothingOnTheWay} from './on-the-way.ts'
import type {MovePlan, SlotMove} from './plan.ts'

export interface EvacuateOptions {
  /** Node IDs; replicas among them have no slots and are passed over. */
  readonly victims: readonly NodeId[]
  /** Moves that have begun already: part of the plan. */
  readonly started?: readonly SlotMove[]
}

/**
 * The remaining primaries give nothing away: each is filled up toward an even level. Primaries without slots only take
 * some when no other remains.
 * @throws UsageError when no primary would remain; RefusedError 'open-slots' when a slot is on its way to a victim.
 */
export function planEvacuate(topology: Topology, {victims, started = []}: EvacuateOptions): MovePlan {
  const leaving = new Set(victims)
  requireNothingOnTheWay(topology, leaving)
  const own = slotsByOwner(ownersAfter(topology, started))
  const others = primaries(topology).filter(({id, reach}) => !leaving.has(id) && reach.kind === 'reached')
  const withSlots = others.filter(({id}) => own.has(id))
  const remaining = (withSlots.length > 0 ? withSlots : others).map(({id}) => id)
  const toMove = [...own].reduce((sum, [id, slots]) => sum + (leaving.has(id) ? slots.length : 0), 0)
  if (remaining.length === 0 && toMove > 0) {
    throw new UsageError(`no primary would be left to take ${toMove} slots`, {
      suggestions: ['add a primary first: rcluster add-node NEW EXISTING'],
    })
  }
  const quotas = fillUp(new Map(remaining.map((id) => [id, own.get(id)?.length ?? 0])), toMove)
  for (const id of leaving) if (own.has(id)) quotas.set(id, 0)
  return buildMovePlan(
    topology,
    'evacuate',
    [...started, ...movesToQuotas(own, quotas, freeSlotsByOwner(topology, started))],
    [],
  )
}

/** Pours `amount` over the levels: the lowest rise first, together; ties to the smaller ID. */
export function fillUp(levels: ReadonlyMap<NodeId, number>, amount: number): Map<NodeId, number> {
  const result = new Map(levels)
  const order = [...levels].sort(([a, low], [b, high]) => low - high || (a < b ? -1 : 1))
  let left = amount
  for (let count = 1; count <= order.length && left > 0; count++) {
    const group = order.slice(0, count).map(([id]) => id)
    const level = result.get(group[0] as NodeId) ?? 0
    const ceiling = order[count]?.[1] ?? Number.POSITIVE_INFINITY
    const rise = Math.min(left, (ceiling - level) * count)
    for (const [index, id] of group.entries()) {
      result.set(id, level + Math.floor(rise / count) + (index < rise % count ? 1 : 0))
    }
    left -= rise
  }
  return result
}
