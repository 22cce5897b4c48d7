/**
 * Which shards are lost for certain, so that their slots may be given up without a person? By the word of most primaries, with
 * nobody who says otherwise; whatever does not fit together is a doubt, and with a doubt nothing is given up. Pure.
 */
import {countSlots, formatRanges, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {mergedClusters} from '../topology/merged-clusters.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {movedNodes} from '../topology/moved-nodes.ts'
import {labelNode, listNodes, primaries, replicasOf, slotsOf} from '../topology/queries.ts'
import {slotsOfRepair} from './repair.ts'
import {absentOwners} from './repair-facts.ts'
import type {RepairPlan} from './repair-plan.ts'

export interface LostShard {
  /** Of the primary that has failed and has no replica that could take over. */
  readonly id: NodeId
  readonly address: string
  /** "0-5460" */
  readonly slots: string
}

export interface LossVerdict {
  readonly lost: readonly LostShard[]
  /** Why nothing is to be done about them; one sentence each, without a full stop. */
  readonly doubts: readonly string[]
}

export function judgeLoss(topology: Topology): LossVerdict {
  const absent = absentOwners(topology)
  const lost = absent.filter(({id}) => !replicasOf(topology, id).some(({reach}) => reach.kind === 'reached'))
  return {lost: lost.map((node) => describeLost(topology, node)), doubts: doubtsAbout(topology, absent, lost)}
}

function describeLost(topology: Topology, {id, address}: ClusterNode): LostShard {
  return {id, address: formatAddress(address), slots: formatRanges(slotsOf(topology, id))}
}

function doubtsAbout(
  topology: Topology,
  absent: readonly ClusterNode[],
  lost: readonly ClusterNode[],
): readonly string[] {
  const doubts: string[] = []
  if (mergedClusters(topology)) doubts.push('two clusters seem to have been joined')
  if (movedNodes(topology).length > 0) doubts.push('nodes have moved to other addresses, and the others do not know it')
  if (topology.disagreements.length > 0) doubts.push('the nodes disagree on who owns which slots')
  if (topology.membershipGaps.length > 0) doubts.push('the nodes disagree on who is a member')
  const led = absent.filter((node) => !lost.includes(node))
  if (led.length > 0) doubts.push(`a replica of ${listNodes(led)} answers: the servers let it take over`)
  doubts.push(...topology.nodes.flatMap((node) => doubtOf(topology, node)))
  return doubts
}

/** Of a node out of our reach: the others must be sure that it is gone, or the fault may be ours. */
function doubtOf(topology: Topology, node: ClusterNode): string[] {
  if (node.reach.kind === 'reached') return []
  const voters = primaries(topology).filter(({id}) => countSlots(slotsOf(topology, id)) > 0)
  const said = topology.nodes.flatMap((sayer) => {
    const entry = sayer.reach.kind === 'reached' && sayer.reach.view.entries.find(({id}) => id === node.id)
    return entry ? [{sayer, isFailed: entry.flags.has('failed') || entry.flags.has('noaddr')}] : []
  })
  const others = said.filter(({isFailed}) => !isFailed).map(({sayer}) => sayer)
  if (others.length > 0)
    return [`${labelNode(node)} does not answer us, and has not failed for ${listNodes(others, 2)}`]
  const ids = new Set(said.map(({sayer}) => sayer.id))
  const votes = voters.filter(({id}) => ids.has(id)).length
  if (votes * 2 > voters.length) return []
  return [`only ${votes} of ${voters.length} primaries with slots can say that ${labelNode(node)} has failed`]
}

/** Those of `spares` that can take the place of a lost primary: they answer, lead, and have no slots, in this order. */
export function usableSpares(topology: Topology, spares: readonly NodeId[]): NodeId[] {
  return spares.filter((id) => {
    const node = topology.nodesById.get(id)
    return node?.role === 'primary' && node.reach.kind === 'reached' && countSlots(slotsOf(topology, id)) === 0
  })
}

/** What of a repair plan gives the lost slots to others, and nothing besides. */
export function healingPart(plan: RepairPlan, lost: readonly LostShard[]): RepairPlan {
  const slots = slotsLost(lost)
  const repairs = plan.repairs.filter(
    (repair) =>
      repair.act.kind === 'assign' &&
      repair.risk === 'data-loss' &&
      slotsOfRepair(repair).every((slot) => slots.has(slot)),
  )
  return {...plan, repairs}
}

export function slotsLost(lost: readonly LostShard[]): ReadonlySet<number> {
  return new Set(lost.flatMap(({slots}) => slotsInRanges(parseRanges(slots))))
}
