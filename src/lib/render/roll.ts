/** How is a roll shown, before and while it is done? */
import type {RollAct, RollPlan, RollStep} from '../plan/roll.ts'
import {countSlots, formatRanges} from '../slots/slot-ranges.ts'
import {formatDuration, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {shorten} from './shorten.ts'
import {renderTable} from './table.ts'

const SLOTS_WIDTH = 24

export function renderRollPlan({steps, skipped}: RollPlan, style: Style): string {
  const rows = steps.map((step, index) => [
    String(index + 1),
    describeStep(step),
    slotsOf(step, style),
    clean(step.node.server),
  ])
  const columns = [{title: '#', align: 'right' as const}, {title: 'Step'}, {title: 'Slots'}, {title: 'Server'}]
  const lines = rows.length === 0 ? [] : [renderTable(columns, rows, style)]
  const done = (reason: string): string[] =>
    skipped.filter((node) => node.reason === reason).map(({address}) => clean(address))
  const [versions, restarted] = [done('version'), done('restarted')]
  if (versions.length > 0) lines.push(`Passed over, for they have the version: ${versions.join(', ')}`)
  if (restarted.length > 0) lines.push(`Passed over, for they were restarted since: ${restarted.join(', ')}`)
  return lines.join('\n')
}

function describeStep({kind, node, isUnserved}: RollStep): string {
  const address = clean(node.address)
  if (kind === 'hand-over') return `let the best replica take over from ${address}`
  if (kind === 'hand-back') return `let ${address} lead again`
  if (isUnserved) return `restart ${address}, its slots unserved`
  return `restart ${address}`
}

function slotsOf({slots}: RollStep, style: Style): string {
  return countSlots(slots) === 0 ? '-' : shorten(formatRanges(slots), SLOTS_WIDTH, style)
}

export function renderRollAct({kind, node, from, elapsedMs}: RollAct): string {
  const time = formatDuration(elapsedMs)
  if (kind === 'restarted') return `${clean(node.address)} is back in sync after ${time} (${clean(node.server)})`
  return `${clean(node.address)} has taken over from ${clean(from ?? '')} after ${time}`
}

/** "3 of 6 nodes restarted" */
export function renderHowFar(plan: RollPlan, acts: readonly RollAct[]): string {
  const all = plan.steps.filter(({kind}) => kind === 'restart').length
  const done = acts.filter(({kind}) => kind === 'restarted').length
  const failovers = acts.length - done
  return `${done} of ${plural(all, 'node')} restarted${failovers > 0 ? `, ${plural(failovers, 'failover')}` : ''}`
}
