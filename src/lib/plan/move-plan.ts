/** How does a list of slot moves become a plan? Sorted, checked, with every primary before and after. Pure. */
import {InternalError} from '../errors.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {primaries} from '../topology/queries.ts'
import {sketchCluster} from './cluster-sketch.ts'
import type {MovePlan, SlotMove} from './plan.ts'

/** @throws InternalError when a slot would move twice or to where it is. */
export function buildMovePlan(
  topology: Topology,
  kind: MovePlan['kind'],
  moves: readonly SlotMove[],
  warnings: readonly string[],
): MovePlan {
  const sorted = [...moves].sort((a, b) => a.slot - b.slot)
  for (const [index, move] of sorted.entries()) {
    if (move.from === move.to) throw new InternalError(`the plan moves slot ${move.slot} to its own source`)
    if (sorted[index + 1]?.slot === move.slot) throw new InternalError(`the plan moves slot ${move.slot} twice`)
  }
  const before = new Map<NodeId, number>()
  for (const owner of topology.owners) if (owner !== undefined) before.set(owner, (before.get(owner) ?? 0) + 1)
  const after = new Map(before)
  for (const {slot, to} of sorted) {
    const owner = topology.owners[slot]
    if (owner === to) continue
    if (owner !== undefined) after.set(owner, (after.get(owner) ?? 0) - 1)
    after.set(to, (after.get(to) ?? 0) + 1)
  }
  return {
    version: 1,
    kind,
    fingerprint: sketchCluster(topology).fingerprint,
    moves: sorted,
    primaries: primaries(topology)
      .map(({id, address}) => ({
        id,
        address: formatAddress(address),
        slotsBefore: before.get(id) ?? 0,
        slotsAfter: after.get(id) ?? 0,
      }))
      .sort((a, b) => compare(a.address, b.address)),
    movers: [],
    warnings,
  }
}

let collator: Intl.Collator | undefined

/** Digits count as numbers, so that port 7010 comes after 7002. */
export function compare(a: string, b: string): number {
  // localeCompare with options makes one for every call.
  collator ??= new Intl.Collator('en', {numeric: true})
  return collator.compare(a, b)
}

/** Who owns each slot once the moves that have begun are done. */
export function ownersAfter(topology: Topology, started: readonly SlotMove[]): (NodeId | undefined)[] {
  const owners = [...topology.owners]
  for (const {slot, to} of started) owners[slot] = to
  return owners
}

/** Ascending slots that every owner can give away: slots of moves that have begun are spoken for. */
export function freeSlotsByOwner(topology: Topology, started: readonly SlotMove[]): Map<NodeId, number[]> {
  const begun = new Set(started.map(({slot}) => slot))
  return slotsByOwner(topology.owners.map((owner, slot) => (begun.has(slot) ? undefined : owner)))
}

/** Ascending slots of every owner. */
export function slotsByOwner(owners: readonly (NodeId | undefined)[]): Map<NodeId, number[]> {
  const slots = new Map<NodeId, number[]>()
  for (const [slot, owner] of owners.entries()) {
    if (owner === undefined) continue
    const own = slots.get(owner)
    if (own) own.push(slot)
    else slots.set(owner, [slot])
  }
  return slots
}
