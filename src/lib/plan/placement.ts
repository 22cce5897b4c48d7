/**
 * Which node becomes what, so that one lost host takes as little along as possible? Deterministic: the order in which the
 * nodes were given decides between equals. Pure.
 */
import type {ClusterNode, NodeAddress, NodeId} from '../topology/model.ts'
import {hostOf, zoneOf} from '../topology/queries.ts'

export interface PlaceableNode {
  readonly id: NodeId
  readonly address: NodeAddress
  /** Where that is not the one of the address. */
  readonly host?: string
  /** Failure domain above the host: a rack, an availability zone. */
  readonly zone?: string | undefined
}

/** A member, by the host at which the others know it. */
export function placeable(node: ClusterNode): PlaceableNode {
  return {id: node.id, address: node.address, host: hostOf(node), zone: zoneOf(node)}
}

export interface PlacedShard {
  readonly primary: PlaceableNode
  readonly replicas: readonly PlaceableNode[]
}

/** What a pair in one shard costs that shares a host or a zone; a primary and its replica together is the worst. */
const COST = {hostWithPrimary: 1000, zoneWithPrimary: 100, hostWithReplica: 10, zoneWithReplica: 1}

/** Hosts (and their zones) take turns, so that the first nodes of the result spread over as many as there are. */
export function interleave(nodes: readonly PlaceableNode[]): PlaceableNode[] {
  const byZone = groupBy(nodes, (node) => node.zone ?? '')
  const lanes = byZone.map((zone) => roundRobin(groupBy(zone, (node) => node.address.host)))
  return roundRobin(lanes)
}

/**
 * The first `primaryCount` nodes after interleaving lead; the others follow, `replicasEach` a shard, what is left over
 * one more each from the first shard on.
 */
export function placeShards(nodes: readonly PlaceableNode[], primaryCount: number): PlacedShard[] {
  const order = interleave(nodes)
  const shards = order.slice(0, primaryCount).map((primary) => ({primary, replicas: [] as PlaceableNode[]}))
  const pool = order.slice(primaryCount)
  while (pool.length > 0) {
    for (const shard of shards) {
      if (pool.length === 0) break
      const costs = pool.map((node) => costOf(shard.primary, [...shard.replicas, node]))
      const [chosen] = pool.splice(costs.indexOf(Math.min(...costs)), 1)
      if (chosen) shard.replicas.push(chosen)
    }
  }
  improveByRotations(shards)
  return shards
}

/** The place of one replica. */
interface Seat {
  readonly shard: {readonly primary: PlaceableNode; readonly replicas: PlaceableNode[]}
  readonly index: number
}

/** Rotations of three reach what swaps alone do not, but their number grows with the cube of the replicas. */
const MOST_SEATS_FOR_THREE = 64

/** Replicas of different shards that may be moved change seats as long as that lowers the cost; ends, for the cost only falls. */
export function improveByRotations(
  shards: readonly Seat['shard'][],
  isMovable: (replica: PlaceableNode) => boolean = () => true,
): void {
  const seats = shards.flatMap((shard) =>
    shard.replicas.flatMap((replica, index): Seat[] => (isMovable(replica) ? [{shard, index}] : [])),
  )
  for (let isBetter = true; isBetter; ) {
    isBetter = false
    for (const first of seats) {
      let cost = costOf(first.shard.primary, first.shard.replicas)
      for (const second of seats) {
        if (cost === 0) break
        if (!swapIfBetter(first, second)) continue
        isBetter = true
        cost = costOf(first.shard.primary, first.shard.replicas)
      }
    }
    if (!isBetter && seats.length <= MOST_SEATS_FOR_THREE) isBetter = rotateAnyThree(seats)
  }
}

/** As a rotation of two; of a thousand nodes there are a million pairs, so that only what a swap changes is looked at. */
function swapIfBetter(first: Seat, second: Seat): boolean {
  if (first.shard === second.shard) return false
  const [one, other] = [first.shard.replicas[first.index]!, second.shard.replicas[second.index]!]
  const before = costAt(first, one) + costAt(second, other)
  if (before === 0 || costAt(first, other) + costAt(second, one) >= before) return false
  first.shard.replicas[first.index] = other
  second.shard.replicas[second.index] = one
  return true
}

/** What the shard's cost owes to who sits there, were it `node`. */
function costAt({shard: {primary, replicas}, index}: Seat, node: PlaceableNode): number {
  let cost = 0
  if (node.address.host === primary.address.host) cost += COST.hostWithPrimary
  if (sharesZone(node, primary)) cost += COST.zoneWithPrimary
  for (let other = 0; other < replicas.length; other++) {
    if (other === index) continue
    if (node.address.host === replicas[other]!.address.host) cost += COST.hostWithReplica
    if (sharesZone(node, replicas[other]!)) cost += COST.zoneWithReplica
  }
  return cost
}

function rotateAnyThree(seats: readonly Seat[]): boolean {
  for (const first of seats) {
    if (costOf(first.shard.primary, first.shard.replicas) === 0) continue
    for (const second of seats) {
      for (const third of seats) if (rotateIfBetter([first, second, third])) return true
    }
  }
  return false
}

/** Everyone takes the next one's seat, the last the first one's; undone unless the cost falls. */
function rotateIfBetter(seats: readonly Seat[]): boolean {
  const shards = new Set(seats.map(({shard}) => shard))
  if (shards.size < seats.length) return false
  const cost = (): number => [...shards].reduce((sum, {primary, replicas}) => sum + costOf(primary, replicas), 0)
  const before = cost()
  const sitting = seats.map(({shard, index}) => shard.replicas[index]!)
  for (const [turn, {shard, index}] of seats.entries()) shard.replicas[index] = sitting.at(turn - 1)!
  if (cost() < before) return true
  for (const [turn, {shard, index}] of seats.entries()) shard.replicas[index] = sitting[turn]!
  return false
}

/** 0: no two members of the shard share a host or a zone. */
export function costOf(primary: PlaceableNode, replicas: readonly PlaceableNode[]): number {
  let cost = 0
  for (const [index, replica] of replicas.entries()) {
    if (sharesHost(replica, primary)) cost += COST.hostWithPrimary
    if (sharesZone(replica, primary)) cost += COST.zoneWithPrimary
    for (const other of replicas.slice(index + 1)) {
      if (sharesHost(replica, other)) cost += COST.hostWithReplica
      if (sharesZone(replica, other)) cost += COST.zoneWithReplica
    }
  }
  return cost
}

function sharesHost(a: PlaceableNode, b: PlaceableNode): boolean {
  return (a.host ?? a.address.host) === (b.host ?? b.address.host)
}

function sharesZone(a: PlaceableNode, b: PlaceableNode): boolean {
  return a.zone !== undefined && a.zone === b.zone
}

function groupBy(nodes: readonly PlaceableNode[], keyOf: (node: PlaceableNode) => string): PlaceableNode[][] {
  const groups = new Map<string, PlaceableNode[]>()
  for (const node of nodes) {
    const group = groups.get(keyOf(node))
    if (group) group.push(node)
    else groups.set(keyOf(node), [node])
  }
  return [...groups.values()]
}

function roundRobin(lanes: readonly (readonly PlaceableNode[])[]): PlaceableNode[] {
  const longest = Math.max(0, ...lanes.map((lane) => lane.length))
  return Array.from({length: longest}, (_, turn) => lanes.flatMap((lane) => lane.slice(turn, turn + 1))).flat()
}
