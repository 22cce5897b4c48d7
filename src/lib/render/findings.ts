/** What is wrong, and what next? The findings as text, and the one line that sums them up. */
import type {Finding, Severity} from '../findings/finding.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import type {Topology} from '../topology/model.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {wrap} from './wrap.ts'

/** Each finding with its suggestions below it, then what was checked, then the verdict. */
export function renderFindings(findings: readonly Finding[], topology: Topology, style: Style): string {
  const blocks = findings.map((finding) => renderFinding(finding, style))
  return [
    ...blocks,
    ...(blocks.length > 0 ? [''] : []),
    ...renderChecked(topology, style),
    renderVerdict(findings, style),
  ].join('\n')
}

/** One, with what to do about it below. */
export function renderFinding({severity, id, message, suggestions}: Finding, style: Style): string {
  const {chalk, isUnicode} = style
  const label = severity === 'error' ? chalk.red('error  ') : chalk.yellow('warning')
  const arrow = isUnicode ? '→' : '->'
  const next = suggestions.map((text) => `         ${arrow} ${clean(text)}`)
  const text = wrap(`${clean(message)} ${chalk.dim(`[${id}]`)}`, style, 9, 9)
  return [`${label}  ${text}`, ...next].join('\n')
}

/** What was looked at, whether or not it was found in order. */
function renderChecked(topology: Topology, {chalk, isUnicode}: Style): string[] {
  const asked = topology.nodes.filter(({reach}) => reach.kind === 'reached').length
  const covered = SLOT_COUNT - countSlots(topology.uncovered)
  const disputed = topology.disagreements.reduce((sum, {ranges}) => sum + countSlots(ranges), 0)
  const down = topology.nodes.filter(({reach}) => reach.kind === 'reached' && reach.view.clusterInfo.state !== 'ok')
  const replicas = topology.nodes.filter(({role}) => role === 'replica')
  const linked = replicas.filter(
    ({reach}) => reach.kind === 'reached' && reach.view.serverInfo.isPrimaryLinkUp !== false,
  )
  const facts: [boolean, string][] = [
    [asked === topology.nodes.length, `${asked} of ${plural(topology.nodes.length, 'node')} answered`],
    [covered === SLOT_COUNT, `${covered} of ${SLOT_COUNT} slots are covered`],
    [
      disputed === 0,
      disputed === 0 ? 'all nodes agree on who owns them' : `the nodes disagree on ${plural(disputed, 'slot')}`,
    ],
    [
      topology.openSlots.length === 0,
      topology.openSlots.length === 0 ? 'no slot is open' : `${plural(topology.openSlots.length, 'slot')} open`,
    ],
    [
      down.length === 0,
      down.length === 0
        ? 'cluster_state is ok on every node that answered'
        : `cluster_state is fail on ${plural(down.length, 'node')}`,
    ],
  ]
  if (replicas.length > 0) {
    const isWhole = linked.length === replicas.length
    facts.push([
      isWhole,
      `${linked.length} of ${plural(replicas.length, 'replica link')} ${replicas.length === 1 ? 'is' : 'are'} up`,
    ])
  }
  const [yes, no] = isUnicode ? ['✔', '✖'] : ['+', '!']
  return facts.map(([isGood, text]) => `${isGood ? chalk.green(yes) : chalk.red(no)} ${text}`)
}

/** "Healthy." or "Not healthy: 2 errors, 1 warning." */
function renderVerdict(findings: readonly Finding[], {chalk}: Style): string {
  const count = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length
  const [errors, warnings] = [count('error'), count('warning')]
  const counted = [errors > 0 ? plural(errors, 'error') : '', warnings > 0 ? plural(warnings, 'warning') : '']
  const tail = counted.filter((part) => part !== '').join(', ')
  if (errors > 0) return chalk.red.bold(`Not healthy: ${tail}.`)
  return warnings > 0 ? chalk.yellow.bold(`Healthy, with ${tail}.`) : chalk.green.bold('Healthy.')
}
