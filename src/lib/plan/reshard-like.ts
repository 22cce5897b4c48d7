/** Which slots go back to who owned them when a snapshot was taken? Nodes are the same by their IDs. Pure. */
import {RefusedError} from '../errors.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {labelNode, seedAddress} from '../topology/queries.ts'
import type {ClusterSketch} from './cluster-sketch.ts'
import {ownersIn} from './cluster-snapshot.ts'
import {buildMovePlan} from './move-plan.ts'
import type {MovePlan, SlotMove} from './plan.ts'
import {compareGround} from './shift.ts'

export interface ReshardLikeOptions {
  /** Slots whose owner of then cannot have them stay where they are; else that is refused. */
  readonly isWherePossible: boolean
}

/**
 * A failover since then is followed: who took over stands in. Slots that nobody owned then stay where they are.
 * `started`: as in `planReshard`; they are part of the plan.
 * @throws RefusedError 'foreign-cluster' when no node of then is a member, 'target-unfit' when an owner of then is gone, or
 *   no primary any more.
 */
export function planReshardLike(
  topology: Topology,
  recorded: ClusterSketch,
  {isWherePossible}: ReshardLikeOptions,
  started: readonly SlotMove[],
): MovePlan {
  if (!recorded.nodes.some(({id}) => topology.nodesById.has(id))) {
    throw new RefusedError('foreign-cluster', 'no node of the snapshot is a member of this cluster', {
      suggestions: [
        `It was taken of ${recorded.nodes
          .slice(0, 6)
          .map(({address}) => address)
          .join(', ')}`,
      ],
    })
  }
  const {standIns} = compareGround(recorded, topology, {})
  const begun = new Map(started.map((move) => [move.slot, move]))
  const moves: SlotMove[] = []
  const homeless = new Map<NodeId, number[]>()
  let elsewhere = 0
  for (const [slot, then] of ownersIn(recorded)) {
    const home = standIns.get(then) ?? then
    const move = begun.get(slot)
    const owner = move?.to ?? topology.owners[slot]
    if (owner === home || owner === undefined) continue
    if (topology.nodesById.get(home)?.role !== 'primary') {
      const slots = homeless.get(then)
      if (slots) slots.push(slot)
      else homeless.set(then, [slot])
    } else if (move) elsewhere++
    else moves.push({slot, from: owner, to: home})
  }
  const lost = [...homeless].map(([id, slots]) => `${labelThen(recorded, topology, id)}, who had ${slotsText(slots)}`)
  if (lost.length > 0 && !isWherePossible) {
    throw new RefusedError('target-unfit', `these owners of then cannot have their slots: ${lost.join('; ')}`, {
      details: {owners: [...homeless].map(([id, slots]) => ({id, slots: formatSlots(slots)}))},
      suggestions: [
        'Add --where-possible to leave those slots where they are',
        `See what has changed: rcluster diff FILE ${seedAddress(topology)}`,
      ],
    })
  }
  const warnings = lost.map((text) => `Stay where they are: slots of ${text}.`)
  if (elsewhere > 0) {
    warnings.push(
      `${slotsCount(elsewhere)} that an earlier run left open will be finished elsewhere first: run the command again then.`,
    )
  }
  return buildMovePlan(topology, 'reshard', [...started, ...moves], warnings)
}

function labelThen(recorded: ClusterSketch, topology: Topology, id: NodeId): string {
  const now = topology.nodesById.get(id)
  if (now) return `${labelNode(now)}, a replica now`
  const then = recorded.nodes.find((node) => node.id === id)
  return `${then?.address ?? '?'} (${id.slice(0, 8)}), no member any more`
}

function slotsText(slots: readonly number[]): string {
  return `${slotsCount(slots.length)} ${formatSlots(slots)}`
}

function slotsCount(count: number): string {
  return count === 1 ? '1 slot' : `${count} slots`
}
