/**
 * Which command goes on from here? One line for each target, complete enough to paste; an end that has become a replica
 * since is named by its primary. Pure.
 */
import type {SlotMove} from '../plan/plan.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeAddress, type NodeId, type Topology} from '../topology/model.ts'

/** Running such a line twice is harmless: slots that are at the target already are passed over. */
export function formatResumeCommands(moves: readonly SlotMove[], topology: Topology, seed: NodeAddress): string[] {
  const addressOf = (id: NodeId): string => {
    const node = topology.nodesById.get(id)
    const leader = topology.nodesById.get(node?.primaryId ?? id) ?? node
    return leader ? formatAddress(leader.address) : id
  }
  const byTarget = new Map<NodeId, SlotMove[]>()
  for (const move of moves) byTarget.set(move.to, [...(byTarget.get(move.to) ?? []), move])
  return [...byTarget].map(([to, own]) => {
    const sources = [...new Set(own.map(({from}) => addressOf(from)))].sort().join(',')
    const slots = formatSlots(own.map(({slot}) => slot))
    return `rcluster reshard ${formatAddress(seed)} --from ${sources} --to ${addressOf(to)} --slots-list ${slots}`
  })
}
