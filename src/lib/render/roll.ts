/** How is a roll shown, before and while it is done? */
import type {RollAct, RollPlan, RollStep} from '../plan/roll.ts'
import {countSlots, formatRanges} from '../slots/slot-ranges.ts'
import {formatDuration, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {wrap} from './wrap.ts'

/** Numbered, below the slots of their shards. */
export function renderRollPlan({steps, skipped}: RollPlan, style: Style): string {
  const digits = String(steps.length).length
  const lines = steps.flatMap((step, index) => {
    const before = index === 0 ? undefined : slotsOf(steps[index - 1] as RollStep)
    const number = String(index + 1).padStart(digits + 2)
    const text = wrap(clean(describeStep(step)), style, digits + 4, digits + 4)
    return [
      ...(slotsOf(step) === before ? [] : [style.chalk.bold(wrap(slotsOf(step), style, 0, 2))]),
      `${style.chalk.dim(number)}  ${text}`,
    ]
  })
  const done = (reason: string): string[] =>
    skipped.filter((node) => node.reason === reason).map(({address}) => clean(address))
  const [versions, restarted] = [done('version'), done('restarted')]
  if (versions.length > 0) lines.push(`Passed over, for they have the version: ${versions.join(', ')}`)
  if (restarted.length > 0) lines.push(`Passed over, for they were restarted since: ${restarted.join(', ')}`)
  return lines.join('\n')
}

function describeStep({kind, node, isUnserved}: RollStep): string {
  if (kind === 'hand-over') return `let the best replica take over from ${node.address}`
  if (kind === 'hand-back') return `let ${node.address} lead again`
  return `restart ${node.address} (${node.server})${isUnserved ? ', its slots unserved' : ''}`
}

function slotsOf({slots}: RollStep): string {
  return countSlots(slots) === 0 ? 'Without slots' : `Slots ${formatRanges(slots)}`
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
