/** Which slots move so that every primary has its share? As few as possible. Pure. */
import {UsageError} from '../errors.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {labelNode, primaries} from '../topology/queries.ts'
import {exactShares} from './apportion.ts'
import {movesToQuotas} from './even-out.ts'
import {buildMovePlan, freeSlotsByOwner, ownersAfter, slotsByOwner} from './move-plan.ts'
import type {MovePlan, SlotMove} from './plan.ts'
import {requirePrimary} from './reshard.ts'

export interface RebalanceOptions {
  /** By node ID; a primary without one weighs 1. */
  readonly weights?: ReadonlyMap<NodeId, number>
  /** Nothing moves while every primary is within this many percent of its share; 0, the default: even out exactly. */
  readonly thresholdPercent?: number
  /** Primaries without slots take part; those with a weight of their own do in any case. Default false. */
  readonly useEmpty?: boolean
  /** Moves that have begun already: part of the plan whatever the threshold says. */
  readonly started?: readonly SlotMove[]
}

/** @throws UsageError when a weight makes no sense, or all of them are 0. */
export function planRebalance(topology: Topology, options: RebalanceOptions = {}): MovePlan {
  const {started = [], thresholdPercent = 0} = options
  const own = slotsByOwner(ownersAfter(topology, started))
  const weights = weightsOf(topology, options, own)
  const {quotas, isExact} = attainableQuotas(own, weights, started)
  const isEven = [...quotas].every(([id, quota]) => isWithin(own.get(id)?.length ?? 0, quota, thresholdPercent))
  const moves = isEven ? [] : movesToQuotas(own, quotas, freeSlotsByOwner(topology, started))
  const warnings = isExact
    ? []
    : ['Slots that are on their way already are finished first: run this again to bring every primary to its share.']
  return buildMovePlan(topology, 'rebalance', [...started, ...moves], warnings)
}

/** A slot moves once in a plan, so no primary can get below what is on its way to it; the others share the rest. */
function attainableQuotas(
  own: ReadonlyMap<NodeId, readonly number[]>,
  weights: ReadonlyMap<NodeId, number>,
  started: readonly SlotMove[],
): {readonly quotas: Map<NodeId, number>; readonly isExact: boolean} {
  const incoming = new Map<NodeId, number>()
  for (const {to} of started) incoming.set(to, (incoming.get(to) ?? 0) + 1)
  const open = new Map(weights)
  const fixed = new Map<NodeId, number>()
  let left = [...own].reduce((sum, [id, slots]) => sum + (weights.has(id) ? slots.length : 0), 0)
  for (;;) {
    const quotas = quotasFor(left, own, open)
    const below = [...quotas].filter(([id, quota]) => quota < (incoming.get(id) ?? 0))
    if (below.length === 0) return {quotas: new Map([...quotas, ...fixed]), isExact: fixed.size === 0}
    for (const [id] of below) {
      fixed.set(id, incoming.get(id) ?? 0)
      left -= incoming.get(id) ?? 0
      open.delete(id)
    }
  }
}

/** Of those that take part. @throws UsageError when one makes no sense, or all of them are 0. */
export function weightsOf(
  topology: Topology,
  {weights = new Map(), useEmpty = false}: RebalanceOptions,
  own: ReadonlyMap<NodeId, readonly number[]>,
): Map<NodeId, number> {
  for (const [id, weight] of weights) {
    const node = requirePrimary(topology, id, 'have a weight')
    if (weight >= 0 && Number.isFinite(weight)) continue
    throw new UsageError(`${weight} is no weight for ${labelNode(node)}: 0 or more`)
  }
  const taking = primaries(topology)
    .filter(({id, reach}) => own.has(id) || (weights.get(id) ?? 0) > 0 || (useEmpty && reach.kind === 'reached'))
    .map(({id}): [NodeId, number] => [id, weights.get(id) ?? 1])
  if (!taking.some(([, weight]) => weight > 0)) {
    throw new UsageError('all weights are 0: no primary would be left to take the slots')
  }
  return new Map(taking)
}

/**
 * `total` whole slots in proportion to weight. The slots left over after rounding down go to primaries that have one to keep
 * before those that would have to get one, so that they need not move: every quota stays within one of its exact share.
 */
function quotasFor(
  total: number,
  own: ReadonlyMap<NodeId, readonly number[]>,
  weights: ReadonlyMap<NodeId, number>,
): Map<NodeId, number> {
  const parts = [...exactShares(total, weights)].map(([id, exact]) => {
    const floor = Math.floor(exact + 1e-9)
    return {id, floor, remainder: Math.max(exact - floor, 0), keeps: (own.get(id)?.length ?? 0) > floor}
  })
  let left = total - parts.reduce((all, {floor}) => all + floor, 0)
  const order = parts
    .filter(({remainder}) => remainder > 1e-9)
    .sort((a, b) => Number(b.keeps) - Number(a.keeps) || b.remainder - a.remainder || (a.id < b.id ? -1 : 1))
  for (const part of order) {
    if (left <= 0) break
    part.floor++
    left--
  }
  return new Map(parts.map(({id, floor}) => [id, floor]))
}

/** As redis-cli judges it: how far the share is from what the primary has, in percent of what it has. */
function isWithin(slots: number, quota: number, thresholdPercent: number): boolean {
  if (slots === quota) return true
  if (slots === 0 || quota === 0) return false
  return thresholdPercent > 0 && Math.abs(100 - (100 * quota) / slots) <= thresholdPercent
}
