/** How does the drop-in form show what fix is about to repair, and what it asks before? */
import {slotsOfRepair} from '../../plan/repair.ts'
import type {Repair, RepairPlan} from '../../plan/repair-plan.ts'
import {parseRanges} from '../../slots/slot-ranges.ts'
import type {Topology} from '../../topology/model.ts'
import {describeRepair} from '../repairs.ts'
import {bracketed} from './nodes.ts'

/** Slots that nobody serves: what redis-cli asks before it gives them to somebody. */
export interface CoverQuestion {
  readonly repairs: readonly Repair[]
  /** Before the question, which stands on the last line. */
  readonly text: string
  readonly question: string
}

type Cover = 'none' | 'one' | 'several' | 'replica'

/** redis-cli's, for scripts that wait for them; nothing is random here. */
const WORDS: Readonly<Record<Cover, readonly [have: string, way: string]>> = {
  none: ['have no keys across the cluster', 'covering with a random node'],
  one: ['have keys in just one node', 'covering with those nodes'],
  several: ['have keys in multiple nodes', 'moving keys into a single node'],
  replica: ['were of a primary that does not answer', 'letting its replica take over'],
}

/** In redis-cli's order. Open slots and doubted owners are mended without a question. */
export function coverQuestions(plan: RepairPlan): CoverQuestion[] {
  const kinds: readonly Cover[] = ['replica', 'none', 'one', 'several']
  return kinds.flatMap((kind) => {
    const repairs = plan.repairs.filter((repair) => coverOf(repair) === kind)
    if (repairs.length === 0) return []
    const [have, way] = WORDS[kind]
    const lines = [
      `The following uncovered slots ${have}:`,
      ...repairs.map(({slots, risk, why}) =>
        risk === 'safe' ? bracketed(parseRanges(slots)) : `${bracketed(parseRanges(slots))} (${risk}: ${why})`,
      ),
    ]
    return [{repairs, text: lines.join('\n'), question: `Fix these slots by ${way}? (type 'yes' to accept): `}]
  })
}

/** undefined: nothing is covered by it. */
export function coverOf({act, evidence}: Repair): Cover | undefined {
  if (act.kind === 'take-over') return 'replica'
  if (act.kind !== 'assign') return undefined
  const holders = evidence.filter(({keys = 0}) => keys > 0).length
  return holders === 0 ? 'none' : holders === 1 ? 'one' : 'several'
}

/** A line a slot that is open or doubted, as redis-cli has it, and what is done about all of them. */
export function renderRepairs(repairs: readonly Repair[], topology: Topology): string {
  const open = new Set(topology.openSlots.map(({slot}) => slot))
  return repairs
    .flatMap((repair) => {
      const slots = slotsOfRepair(repair)
      const isCover = coverOf(repair) !== undefined
      const verb = isCover ? 'Covering' : 'Fixing open'
      const lines = slots.filter((slot) => isCover || open.has(slot)).map((slot) => `>>> ${verb} slot ${slot}`)
      return [...lines, `    ${describeRepair(repair, topology)} (${repair.why})`]
    })
    .join('\n')
}
