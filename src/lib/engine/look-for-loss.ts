/** Is a shard lost for certain, and what would give its slots to others? One look; reads only. */
import {healingPart, judgeLoss, type LossVerdict, type LostShard, slotsLost, usableSpares} from '../plan/heal.ts'
import {slotsOfRepair} from '../plan/repair.ts'
import type {RepairPlan} from '../plan/repair-plan.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import type {NodeId} from '../topology/model.ts'
import {lookForRepairs} from './run-repairs.ts'
import type {ClusterSession} from './session.ts'

export interface LossLook extends LossVerdict {
  /** undefined where nothing is lost, or in doubt. */
  readonly plan: RepairPlan | undefined
  /** Who may get the slots; undefined: all primaries. */
  readonly heirs: readonly NodeId[] | undefined
}

/** `spares`: empty primaries that take the place of lost ones, one each; undefined: the others share the slots. */
export async function lookForLoss(
  session: ClusterSession,
  spares: readonly NodeId[] | undefined,
  signal: AbortSignal,
): Promise<LossLook> {
  const {lost, doubts} = judgeLoss(await session.observe())
  const heirs = spares && usableSpares(session.topology, spares).slice(0, lost.length)
  const none = {lost, doubts, plan: undefined, heirs}
  if (lost.length === 0 || doubts.length > 0) return none
  if (heirs && heirs.length < lost.length) return {...none, doubts: ['no spare node is left that is empty and answers']}
  const plan = await lookForRepairs(session, {heirs, signal})
  const again = judgeLoss(session.topology)
  if (again.doubts.length > 0 || namesOf(again.lost) !== namesOf(lost)) return {...again, plan: undefined, heirs}
  const [obstacle] = plan.obstacles
  if (obstacle) return {...none, doubts: [obstacle.message]}
  const part = healingPart(plan, lost)
  const given = new Set(part.repairs.flatMap(slotsOfRepair))
  const left = [...slotsLost(lost)].filter((slot) => !given.has(slot))
  if (left.length > 0) return {...none, doubts: [`slots ${formatSlots(left)} need rcluster fix, and a person`]}
  return {...none, plan: part}
}

function namesOf(lost: readonly LostShard[]): string {
  return lost.map(({id, slots}) => `${id} ${slots}`).join()
}
