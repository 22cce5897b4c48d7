/** What does a plan make of the load, and what is left of that when some of its moves are done or dropped? Pure. */
import {rangesFromSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import type {LoadKind, SlotLoads} from '../topology/slot-heat.ts'
import type {Layout} from './layout.ts'
import {imbalanceOf, leastImbalance} from './load-bounds.ts'
import {evenShares, type HotSlot} from './load-targets.ts'
import {ownersAfter, slotsByOwner} from './move-plan.ts'
import type {MovePlan, PlannedLoad, SlotMove} from './plan.ts'

export function unitOf(by: LoadKind): PlannedLoad['unit'] {
  switch (by) {
    case 'slots':
    case 'keys':
      return by
    case 'cpu':
      return 'microseconds'
    default:
      return 'bytes'
  }
}

interface Outcome {
  readonly hot: readonly HotSlot[]
  readonly leastCost: number
  readonly limitedBy: PlannedLoad['limitedBy']
  readonly costUnit: PlannedLoad['unit']
}

export function describeLoad(
  topology: Topology,
  {moves, primaries}: MovePlan,
  {by, sources, overMs, keys, bytes}: SlotLoads,
  layout: Layout,
  {hot, leastCost, limitedBy, costUnit}: Outcome,
): PlannedLoad {
  const {ids, loads, held, total} = layout
  const shares = evenShares(layout)
  const before = new Map(ids.map((id) => [id, 0]))
  for (const [slot, owner] of topology.owners.entries()) {
    if (owner !== undefined) before.set(owner, (before.get(owner) ?? 0) + (loads[slot] as number))
  }
  const heldBefore = ids.map((id) => before.get(id) ?? 0)
  const numbers = new Map(ids.map((id, index) => [id, index]))
  return {
    by,
    unit: unitOf(by),
    sources: [...sources].sort(),
    ...(overMs === undefined ? {} : {overMs}),
    total: rounded(total),
    primaries: primaries.flatMap(({id}) => {
      const node = numbers.get(id)
      if (node === undefined) return []
      return [
        {
          id,
          share: rounded(shares[node] as number),
          before: rounded(heldBefore[node] as number),
          after: rounded(held[node] as number),
        },
      ]
    }),
    slots: moves.map(({slot}) => ({
      slot,
      load: rounded(loads[slot] as number),
      ...(keys?.[slot] === undefined ? {} : {keys: keys[slot]}),
      ...(bytes?.[slot] === undefined ? {} : {bytes: bytes[slot]}),
    })),
    imbalancePercent: {
      before: percent(imbalanceOf(heldBefore, shares)),
      after: percent(imbalanceOf(held, shares)),
      least: percent(leastImbalance(layout, shares)),
    },
    cost: {unit: costUnit, moved: rounded(layout.movedCost), least: rounded(leastCost)},
    ranges: rangesOf(topology, moves),
    hotSlots: hot.map(({slot, node}) => ({
      slot,
      owner: ids[node] as NodeId,
      load: rounded(loads[slot] as number),
      percent: percent((loads[slot] as number) / total),
    })),
    ...(limitedBy === undefined ? {} : {limitedBy}),
  }
}

/** How many ranges all primaries have together, now and after the moves. */
function rangesOf(topology: Topology, moves: readonly SlotMove[]): PlannedLoad['ranges'] {
  const count = (owners: readonly (NodeId | undefined)[]): number =>
    [...slotsByOwner(owners).values()].reduce((sum, slots) => sum + rangesFromSlots(slots).length, 0)
  return {before: count(topology.owners), after: count(ownersAfter(topology, moves))}
}

/**
 * `plan`, whose moves are some of those of `whole`, with what is left of its load: slots that are where they were to go
 * count as moved before, others that are missing as staying.
 */
export function withLoadOf(whole: MovePlan, plan: MovePlan, topology: Topology): MovePlan {
  const {load} = whole
  if (!load || plan.moves.length === whole.moves.length) return load ? {...plan, load} : plan
  const left = new Set(plan.moves.map(({slot}) => slot))
  const facts = new Map(load.slots.map((one) => [one.slot, one]))
  const before = new Map(load.primaries.map((one) => [one.id, one.before]))
  const after = new Map(load.primaries.map((one) => [one.id, one.after]))
  const add = (to: Map<NodeId, number>, id: NodeId, amount: number): Map<NodeId, number> =>
    to.set(id, (to.get(id) ?? 0) + amount)
  let dropped = 0
  for (const {slot, from, to} of whole.moves) {
    const fact = facts.get(slot)
    if (left.has(slot) || !fact) continue
    dropped += (load.cost.unit === load.unit ? fact.load : load.cost.unit === 'keys' ? fact.keys : fact.bytes) ?? 0
    if (topology.owners[slot] === to) add(add(before, from, -fact.load), to, fact.load)
    else add(add(after, from, fact.load), to, -fact.load)
  }
  const primaries = load.primaries.map((one) => ({
    ...one,
    before: before.get(one.id) ?? 0,
    after: after.get(one.id) ?? 0,
  }))
  const shares = Float64Array.from(primaries, ({share}) => share)
  const worst = (of: 'before' | 'after'): number =>
    percent(
      imbalanceOf(
        primaries.map((one) => one[of]),
        shares,
      ),
    )
  const {least: _, ...cost} = load.cost
  return {
    ...plan,
    load: {
      ...load,
      primaries,
      slots: load.slots.filter(({slot}) => left.has(slot)),
      imbalancePercent: {...load.imbalancePercent, before: worst('before'), after: worst('after')},
      cost: {...cost, moved: Math.max(0, cost.moved - dropped)},
      ranges: rangesOf(topology, plan.moves),
    },
  }
}

function rounded(value: number): number {
  return Math.round(value)
}

/** Two decimals. */
function percent(part: number): number {
  return Math.round(part * 10_000) / 100
}
