/**
 * Is the cluster still what a saved plan was made for? Pure. Slots and primaries count: each must be as it was, or as the
 * plan itself makes it. A failover is followed: the new primary stands in for the old one of its shard. Replicas that came,
 * went or follow another, addresses and health do not count, unless the plan is about that very node.
 */
import {SLOT_COUNT} from '../slots/slot.ts'
import {formatSlots, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress, isPlaceless, type NodeId, type Topology} from '../topology/model.ts'
import type {ClusterSketch, SketchedNode} from './cluster-sketch.ts'
import type {SlotMove} from './plan.ts'

/** What a plan does to the ground that it stands on. */
export interface PlannedChanges {
  readonly moves?: readonly SlotMove[] | undefined
  /** Found again by address: a node that has been a member somewhere gets a new ID when it joins. */
  readonly joins?:
    | readonly {readonly id: NodeId; readonly address: string; readonly role: 'primary' | 'replica'}[]
    | undefined
  readonly leaves?: readonly NodeId[] | undefined
}

export interface Ground {
  /** One sentence each, without a full stop; empty: the plan stands. */
  readonly shifts: readonly string[]
  /** Who stands in today for nodes that the plan names: new primaries of their shards, new IDs of newcomers. */
  readonly standIns: ReadonlyMap<NodeId, NodeId>
  /** Moves of the plan that are still to be done, in today's names. */
  readonly left: readonly SlotMove[]
}

export function compareGround(before: ClusterSketch, topology: Topology, changes: PlannedChanges): Ground {
  const {moves = [], joins = [], leaves = []} = changes
  const label = labeller(before, topology)
  const {standIns, failovers} = findStandIns(before, topology, changes)
  const today = (id: NodeId): NodeId => standIns.get(id) ?? id
  const shifts = [
    ...memberShifts(before, topology, {joins, leaves, failovers, moves}, label),
    ...slotShifts(before, topology, moves, today, label),
  ]
  const open = new Set(topology.openSlots.map(({slot}) => slot))
  const left = moves
    .map(({slot, from, to}) => ({slot, from: today(from), to: today(to)}))
    .filter(({slot, to}) => topology.owners[slot] !== to || open.has(slot))
  return {shifts, standIns, left}
}

interface StandIns {
  readonly standIns: Map<NodeId, NodeId>
  /** Old primary to new one. */
  readonly failovers: ReadonlyMap<NodeId, NodeId>
}

function findStandIns(before: ClusterSketch, topology: Topology, {joins = []}: PlannedChanges): StandIns {
  const failovers = new Map<NodeId, NodeId>()
  for (const old of before.nodes) {
    if (old.role !== 'primary') continue
    const heir = heirOf(old, before, topology)
    if (heir !== undefined) failovers.set(old.id, heir)
  }
  const standIns = new Map(failovers)
  for (const {id, address} of joins) {
    if (topology.nodesById.has(id)) continue
    const member = topology.nodes.find((node) => formatAddress(node.address) === address)
    if (member) standIns.set(id, member.id)
  }
  return {standIns, failovers}
}

/** Who took over from a primary: replicas wander, so it need not have been one of its own then. */
function heirOf(old: SketchedNode, before: ClusterSketch, topology: Topology): NodeId | undefined {
  const now = topology.nodesById.get(old.id)
  const leadersThen = new Set(before.nodes.filter(({role}) => role === 'primary').map(({id}) => id))
  if (now?.role === 'replica') return leadersThen.has(now.primaryId ?? old.id) ? undefined : now.primaryId
  if (now?.reach.kind === 'reached') return undefined
  // One that died keeps the role of a primary, without slots, until it comes back.
  const theirs = slotsInRanges(parseRanges(old.slots))
  if (theirs.some((slot) => topology.owners[slot] === old.id)) return undefined
  const followers = before.nodes.filter(({role}) => role === 'replica')
  return followers.find(({id}) => theirs.some((slot) => topology.owners[slot] === id))?.id
}

interface MemberChanges {
  readonly moves: readonly SlotMove[]
  readonly joins: NonNullable<PlannedChanges['joins']>
  readonly leaves: readonly NodeId[]
  readonly failovers: ReadonlyMap<NodeId, NodeId>
}

function memberShifts(
  before: ClusterSketch,
  topology: Topology,
  {moves, joins, leaves, failovers}: MemberChanges,
  label: (id: NodeId) => string,
): string[] {
  const shifts: string[] = []
  const leaving = new Set(leaves)
  const heirs = new Set(failovers.values())
  const beforeById = new Map(before.nodes.map((node) => [node.id, node]))
  const moved = new Map<NodeId, Set<number>>()
  for (const {slot, from} of moves) moved.set(from, (moved.get(from) ?? new Set()).add(slot))
  /** On some servers a primary that gave its last slot away follows who took it. */
  const isEmptied = ({id, slots}: SketchedNode): boolean => {
    const away = moved.get(id)
    return away !== undefined && slotsInRanges(parseRanges(slots)).every((slot) => away.has(slot))
  }
  for (const old of before.nodes) {
    const now = topology.nodesById.get(old.id)
    if (!now) {
      const counts = old.role === 'primary' && !failovers.has(old.id)
      if (counts && !leaving.has(old.id)) shifts.push(`${label(old.id)}, a primary then, is no member any more`)
    } else if (leaving.has(old.id) && failovers.has(old.id)) {
      const heir = failovers.get(old.id) as NodeId
      if (!leaving.has(heir)) shifts.push(`${label(heir)} has taken over from ${label(old.id)}, which is to leave`)
    } else if (old.role === 'primary' && now.role === 'replica') {
      if (failovers.has(old.id) || leaving.has(old.id) || isEmptied(old)) continue
      shifts.push(`${label(old.id)}, a primary then, is a replica of ${label(now.primaryId ?? '')}`)
    } else if (old.role === 'replica' && now.role === 'primary' && !heirs.has(old.id) && !leaving.has(old.id)) {
      shifts.push(`${label(old.id)}, a replica of ${label(old.primaryId ?? '')} then, is a primary`)
    }
  }
  for (const {id, address, role, primaryId} of topology.nodes) {
    if (beforeById.has(id)) continue
    const planned = joins.find((join) => join.id === id || join.address === formatAddress(address))
    // Cut off between its introduction and its role, a replica is a primary without slots.
    const isRoleless = planned?.role === 'replica' && role === 'primary' && !topology.owners.includes(id)
    if (planned && planned.role !== role && !isRoleless) {
      const what = role === 'replica' ? `as a replica of ${label(primaryId ?? '')}` : 'as a primary'
      shifts.push(`${label(id)} has joined ${what}, and was to join as a ${planned.role}`)
    } else if (!planned && role === 'primary') {
      shifts.push(`${label(id)} has joined as a primary`)
    }
  }
  return shifts
}

function slotShifts(
  before: ClusterSketch,
  topology: Topology,
  moves: readonly SlotMove[],
  today: (id: NodeId) => NodeId,
  label: (id: NodeId) => string,
): string[] {
  const ownersThen = new Array<NodeId | undefined>(SLOT_COUNT).fill(undefined)
  for (const {id, slots} of before.nodes) for (const slot of slotsInRanges(parseRanges(slots))) ownersThen[slot] = id
  const moveBySlot = new Map(moves.map((move) => [move.slot, move]))
  const strays = new Map<string, {then: NodeId | undefined; now: NodeId | undefined; to?: NodeId; slots: number[]}>()
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const [then, now, move] = [ownersThen[slot], topology.owners[slot], moveBySlot.get(slot)]
    const allowed = [then, ...(move ? [move.from, move.to] : [])].map((id) => id && today(id))
    if (allowed.includes(now)) continue
    const name = `${then} ${now} ${move?.to}`
    const known = strays.get(name)
    if (known) known.slots.push(slot)
    else strays.set(name, {then, now, ...(move ? {to: move.to} : {}), slots: [slot]})
  }
  return [...strays.values()].map(({then, now, to, slots}) => {
    const what = slots.length === 1 ? 'slot' : 'slots'
    const end = to === undefined ? '' : `, and ${slots.length === 1 ? 'was' : 'were'} to go to ${label(to)}`
    const went =
      now === undefined
        ? `of ${label(then ?? '')} ${slots.length === 1 ? 'has' : 'have'} no owner`
        : `went from ${then === undefined ? 'nobody' : label(then)} to ${label(now)}`
    return `${what} ${formatSlots(slots)} ${went}${end}`
  })
}

/** "127.0.0.1:7000 (07c37dfe)", of today or of then. */
function labeller(before: ClusterSketch, topology: Topology): (id: NodeId) => string {
  const addressThen = new Map(before.nodes.map(({id, address}) => [id, address]))
  return (id) => {
    const now = topology.nodesById.get(id)
    const place =
      now && !isPlaceless(now.address) ? formatAddress(now.address) : (addressThen.get(id) ?? 'an unknown node')
    return `${place} (${id.slice(0, 8)})`
  }
}
