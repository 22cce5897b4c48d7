/**
 * Which replicas follow another primary, and who takes over, so that a lost host or zone takes as little along as possible?
 * The fewest acts first; ties by ID. Pure.
 */
import {RefusedError} from '../errors.ts'
import {requireFitForMoves} from '../findings/require.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {listNodes, seedAddress, slotsOf} from '../topology/queries.ts'
import {type MemberAct, type NamedNode, named} from './acts.ts'
import {costOf, type PlaceableNode, placeable} from './placement.ts'
import {warnOfDomains} from './placement-warnings.ts'
import {type PlannedShard, planTakeovers} from './spread-primaries.ts'

export interface PlacedMember extends NamedNode {
  readonly zone?: string | undefined
}

export interface PlacementPlan {
  readonly version: 1
  readonly kind: 'placement'
  /** As they will be, in the order of their slots. */
  readonly shards: readonly {
    readonly primary: PlacedMember
    readonly replicas: readonly PlacedMember[]
    /** Who leads it now. */
    readonly primaryBefore: NodeId
  }[]
  /** In this order, one at a time. */
  readonly acts: readonly MemberAct[]
  /** What could not be had, too. */
  readonly warnings: readonly string[]
}

/** @throws RefusedError where the cluster is not fit, or has no replicas. */
export function planPlacement(
  topology: Topology,
  wanted: {readonly replicas: boolean; readonly primaries: boolean},
): PlacementPlan {
  requireFitForMoves(topology, {resumable: []})
  const owners = topology.shards.filter(({primary}) => slotsOf(topology, primary.id).length > 0)
  const silent = owners.flatMap(({replicas}) => replicas.filter((replica) => !isReached(replica)))
  const shards = owners.map(
    ({primary, replicas}): PlannedShard => ({
      primary: placeable(primary),
      replicas: replicas.filter(isReached).map(placeable),
    }),
  )
  if (shards.every(({replicas}) => replicas.length === 0)) {
    throw new RefusedError('target-unfit', 'no shard has a replica that answers: there is nobody to place', {
      suggestions: [`Join some: rcluster add-node NEW ${seedAddress(topology)} --replica`],
    })
  }
  const before = shards.map(({primary}) => primary.id)
  const bare: string[] = []
  const moves = wanted.replicas ? placeReplicas(shards, bare) : []
  const takeovers = wanted.primaries ? planTakeovers(shards) : []
  return {
    version: 1,
    kind: 'placement',
    shards: shards.map(({primary, replicas}, index) => ({
      primary: member(primary),
      replicas: [...replicas].sort(byId).map(member),
      primaryBefore: before[index] as NodeId,
    })),
    acts: [...moves, ...takeovers],
    warnings: [
      ...(silent.length > 0 ? [`${listNodes(silent)} cannot be reached and is not placed.`] : []),
      ...(bare.length > 0
        ? [
            `${bare.slice(0, 4).join(', ')}${bare.length > 4 ? ` and ${bare.length - 4} more` : ''} will have no replica in step for a while: each has only one, which changes places with another. An empty node joined as a replica there first avoids that.`,
          ]
        : []),
      ...warnOfDomains(shards),
    ],
  }
}

interface Seat {
  readonly shard: PlannedShard
  readonly index: number
}

/** Seats in the order in which everyone takes the next one's; a seat without a replica (index -1) ends a chain. */
interface Candidate {
  readonly seats: readonly Seat[]
  /** How much more even the numbers of replicas become; below 0 is better, as is the cost. */
  readonly unevenness: number
  readonly cost: number
}

/** Rotations of three reach what exchanges do not, but their number grows with the cube of the replicas. */
const MOST_SEATS_FOR_THREE = 40
/** Beyond that the first that is better is taken: with a thousand nodes the best of all takes minutes to find. */
const MOST_SEATS_FOR_BEST = 100

/** Changes `shards`. @returns the acts; the names of shards that are without a replica meanwhile go to `bare`. */
function placeReplicas(shards: readonly PlannedShard[], bare: string[]): MemberAct[] {
  const before = shards.map(({replicas}) => [...replicas])
  const isHasty = seatsIn(shards).length > MOST_SEATS_FOR_BEST
  for (;;) {
    const best = bestOf(transfersIn(shards), isHasty) ?? bestOf(rotationsIn(shards), isHasty)
    if (!best) return gentlestOrder(shards, before, bare)
    seat(best.seats)
  }
}

/**
 * Each replica goes once, wherever the search has sent it meanwhile. A shard that has got one gives one first, then the one
 * that has most: so as few as can be are short of a replica on the way, and by one.
 */
function gentlestOrder(
  shards: readonly PlannedShard[],
  before: readonly (readonly PlaceableNode[])[],
  bare: string[],
): MemberAct[] {
  const counts = before.map(({length}) => length)
  const left = before.flatMap((replicas, from) =>
    [...replicas].sort(byId).flatMap((node) => {
      const to = shards.findIndex((shard) => shard.replicas.includes(node))
      return to === from ? [] : [{node, from, to}]
    }),
  )
  const acts: MemberAct[] = []
  while (left.length > 0) {
    const gained = (shard: number): number => counts[shard]! - before[shard]!.length
    left.sort((a, b) => gained(b.from) - gained(a.from) || counts[b.from]! - counts[a.from]! || byId(a.node, b.node))
    const {node, from, to} = left.shift()!
    counts[from]!--
    counts[to]!++
    if (counts[from] === 0) bare.push(formatAddress(shards[from]!.primary.address))
    acts.push({kind: 'replicate', node: named(node), primary: named(shards[to]!.primary)})
  }
  return acts
}

function bestOf(candidates: Iterable<Candidate>, isHasty: boolean): Candidate | undefined {
  let best: Candidate | undefined
  for (const one of candidates) {
    if (one.unevenness > 0 || (one.unevenness === 0 && one.cost >= 0)) continue
    if (isHasty) return one
    const isBetter =
      !best || one.unevenness < best.unevenness || (one.unevenness === best.unevenness && one.cost < best.cost)
    if (isBetter) best = one
  }
  return best
}

/** One replica goes where there are fewer. */
function* transfersIn(shards: readonly PlannedShard[]): Generator<Candidate> {
  const least = Math.min(...shards.map(({replicas}) => replicas.length))
  for (const seat of seatsIn(shards)) {
    if (seat.shard.replicas.length <= least) continue
    for (const shard of shards) {
      const [has, gets] = [seat.shard.replicas.length, shard.replicas.length]
      if (shard === seat.shard || has <= gets) continue
      const seats = [seat, {shard, index: -1}]
      // Squares: from 2 and 0 to 1 and 1 is better, from 2 and 1 to 1 and 2 is the same.
      yield {seats, unevenness: 2 * (gets - has) + 2, cost: costChange(seats)}
    }
  }
}

/** Two or three replicas of different shards change places. */
function* rotationsIn(shards: readonly PlannedShard[]): Generator<Candidate> {
  const seats = seatsIn(shards)
  let isFound = false
  for (const first of seats) {
    if (costOf(first.shard.primary, first.shard.replicas) === 0) continue
    for (const second of seats) {
      if (second.shard === first.shard) continue
      const cost = costChange([first, second])
      isFound ||= cost < 0
      yield {seats: [first, second], unevenness: 0, cost}
    }
  }
  if (isFound || seats.length > MOST_SEATS_FOR_THREE) return
  for (const first of seats) {
    for (const second of seats) {
      for (const third of seats) {
        if (new Set([first.shard, second.shard, third.shard]).size < 3) continue
        yield {seats: [first, second, third], unevenness: 0, cost: costChange([first, second, third])}
      }
    }
  }
}

function seatsIn(shards: readonly PlannedShard[]): Seat[] {
  return shards
    .flatMap((shard) => shard.replicas.map((_, index): Seat => ({shard, index})))
    .sort((a, b) => byId(a.shard.replicas[a.index]!, b.shard.replicas[b.index]!))
}

function costChange(seats: readonly Seat[]): number {
  return seats.reduce((sum, {shard, index}, turn) => {
    const giver = seats.at(turn - 1) as Seat
    const comes = giver.index < 0 ? [] : [giver.shard.replicas[giver.index]!]
    const after = [...shard.replicas.filter((_, at) => at !== index), ...comes]
    return sum + costOf(shard.primary, after) - costOf(shard.primary, shard.replicas)
  }, 0)
}

function seat(seats: readonly Seat[]): void {
  const leaving = seats.map(({shard, index}) => shard.replicas[index])
  for (const {shard, index} of seats) if (index >= 0) shard.replicas.splice(index, 1)
  for (const [turn, node] of leaving.entries()) if (node) seats[(turn + 1) % seats.length]!.shard.replicas.push(node)
}

function byId(a: PlaceableNode, b: PlaceableNode): number {
  return a.id < b.id ? -1 : 1
}

function member(node: PlaceableNode): PlacedMember {
  return {...named(node), ...(node.zone === undefined ? {} : {zone: node.zone})}
}

function isReached({reach}: ClusterNode): boolean {
  return reach.kind === 'reached'
}
