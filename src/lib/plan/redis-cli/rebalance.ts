/**
 * What would redis-cli move to even out the slots? Shares are rounded down, what is left over goes round in the order in
 * which the seed lists the nodes, the greatest surplus then meets the greatest deficit, and lowest slots go first. Pure.
 */
import {UsageError} from '../../errors.ts'
import {SLOT_COUNT} from '../../slots/slot.ts'
import type {ClusterNode, NodeId, Topology} from '../../topology/model.ts'
import {buildMovePlan, slotsByOwner} from '../move-plan.ts'
import type {MovePlan} from '../plan.ts'
import {primariesInSeedOrder} from './node-order.ts'

export interface RedisCliRebalanceOptions {
  /** By node ID; a primary without one weighs 1, those of other nodes have no effect. */
  readonly weights: ReadonlyMap<NodeId, number>
  /** Nothing moves while every primary is within this many percent of its share. 0: nothing moves at all, as there. */
  readonly thresholdPercent: number
  /** Primaries without slots take part. */
  readonly useEmpty: boolean
}

/** Slots that go from one primary to another, ascending. */
export interface Transfer {
  readonly from: NodeId
  readonly to: NodeId
  readonly slots: readonly number[]
}

export interface RedisCliRebalance {
  readonly isNeeded: boolean
  /** How many primaries take part. */
  readonly involved: number
  readonly totalWeight: number
  /** Deficits (below 0) and surpluses, ascending. */
  readonly balances: readonly {readonly id: NodeId; readonly balance: number}[]
  /** In the order in which redis-cli makes them. */
  readonly transfers: readonly Transfer[]
  readonly plan: MovePlan
}

interface Party {
  readonly id: NodeId
  readonly weight: number
  readonly slots: readonly number[]
  balance: number
  /** How many of `slots` it has given away. */
  given: number
}

/** @throws UsageError when no primary that takes part has a weight above 0. */
export function planRebalanceAsRedisCli(topology: Topology, options: RedisCliRebalanceOptions): RedisCliRebalance {
  const owned = slotsByOwner(topology.owners)
  const parties = primariesInSeedOrder(topology)
    .map((node) => partyOf(node, owned, options.weights))
    .filter(({slots}) => options.useEmpty || slots.length > 0)
  // With the precision of a C float, as all of this.
  const totalWeight = parties.reduce((sum, {weight}) => Math.fround(sum + weight), 0)
  if (!(totalWeight > 0)) throw new UsageError('all weights are 0: no primary would be left to take the slots')
  const isNeeded = weigh(parties, totalWeight, options.thresholdPercent)
  if (isNeeded) handOutRest(parties)
  const sorted = [...parties].sort((a, b) => a.balance - b.balance)
  const balances = sorted.map(({id, balance}) => ({id, balance}))
  const transfers = isNeeded ? match(sorted) : []
  const moves = transfers.flatMap(({from, to, slots}) => slots.map((slot) => ({slot, from, to})))
  const plan = buildMovePlan(topology, 'rebalance', moves, [])
  return {isNeeded, involved: parties.length, totalWeight, balances, transfers, plan}
}

function partyOf(
  {id}: ClusterNode,
  owned: ReadonlyMap<NodeId, readonly number[]>,
  weights: ReadonlyMap<NodeId, number>,
): Party {
  return {id, weight: Math.fround(weights.get(id) ?? 1), slots: owned.get(id) ?? [], balance: 0, given: 0}
}

/** Sets each balance. @returns whether one is beyond the threshold. */
function weigh(parties: readonly Party[], totalWeight: number, thresholdPercent: number): boolean {
  const threshold = Math.fround(thresholdPercent)
  const perWeight = Math.fround(SLOT_COUNT / totalWeight)
  let isBeyond = false
  for (const party of parties) {
    const expected = Math.trunc(Math.fround(perWeight * party.weight))
    const {length} = party.slots
    party.balance = length - expected
    if (threshold <= 0) continue
    if (length === 0 ? expected > 1 : Math.fround(Math.abs(100 - (100 * expected) / length)) > threshold) {
      isBeyond = true
    }
  }
  return isBeyond
}

/** What rounding down has left over goes, one by one, to those that need not give; never to one of weight 0. */
function handOutRest(parties: readonly Party[]): void {
  let rest = parties.reduce((sum, {balance}) => sum + balance, 0)
  const takers = parties.filter(({balance, weight}) => balance <= 0 && weight > 0)
  while (rest > 0 && takers.length > 0) {
    for (const taker of takers) {
      if (rest <= 0) break
      taker.balance--
      rest--
    }
  }
}

/** `sorted` by balance: from both ends toward the middle. */
function match(sorted: readonly Party[]): Transfer[] {
  const transfers: Transfer[] = []
  let [low, high] = [0, sorted.length - 1]
  while (low < high) {
    const taker = sorted[low]!
    const giver = sorted[high]!
    const count = Math.max(0, Math.min(-taker.balance, giver.balance))
    if (count > 0) {
      const slots = giver.slots.slice(giver.given, giver.given + count)
      giver.given += count
      taker.balance += count
      giver.balance -= count
      transfers.push({from: giver.id, to: taker.id, slots})
    }
    if (taker.balance >= 0) low++
    if (giver.balance <= 0) high--
  }
  return transfers
}
