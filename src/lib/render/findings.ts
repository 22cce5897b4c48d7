/** What is wrong, and what next? The findings as text, and the one line that sums them up. */
import type {Dispute} from '../findings/dispute.ts'
import type {Examination, NotJudged} from '../findings/examine.ts'
import type {Finding, Severity} from '../findings/finding.ts'
import {RULE_IDS} from '../findings/rule-book.ts'
import {nameSlots} from '../findings/slot-rules.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {listNodes} from '../topology/queries.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderTable} from './table.ts'
import {wrap} from './wrap.ts'

export interface Judgement {
  /** What was found. */
  readonly examination: Examination
  /** Of its findings, those that are in no baseline: they are shown, and counted. */
  readonly fresh: readonly Finding[]
  /** Were only a few rules asked for? Then the facts below the findings are left out. */
  readonly isSelective: boolean
}

/** Each finding with its suggestions below it, then what was checked, then the verdict. */
export function renderFindings({examination, fresh, isSelective}: Judgement, topology: Topology, style: Style): string {
  const blocks = fresh.map((finding) => renderFinding(finding, topology, style))
  return [
    ...blocks,
    ...(blocks.length > 0 ? [''] : []),
    ...(isSelective ? [] : renderChecked(topology, style)),
    ...examination.notJudged.flatMap((one) => renderNotJudged(one, topology, style)),
    renderVerdict(examination, fresh, style),
  ].join('\n')
}

const INDENT = 9

/** One, with what to do about it below. */
export function renderFinding(finding: Finding, topology: Topology, style: Style): string {
  const {severity, id, message, suggestions} = finding
  const {chalk, isUnicode} = style
  const label = {
    error: chalk.red('error  '),
    warning: chalk.yellow('warning'),
    note: chalk.cyan('note   '),
  }[severity]
  const arrow = isUnicode ? '→' : '->'
  const indent = ' '.repeat(INDENT)
  const next = suggestions.map((text) => `${indent}${arrow} ${clean(text)}`)
  const isDispute = finding.id === 'disagreement'
  // The table tells the rest; the message is for logs and JSON.
  const shown = isDispute ? `${nameSlots(finding.slots)}: nodes disagree on the owner` : message
  const text = wrap(`${clean(shown)} ${chalk.dim(`[${id}]`)}`, style, INDENT, INDENT)
  const more = isDispute ? renderDispute(finding.dispute, topology, style) : []
  const evidence = isDispute || (finding.evidence ?? []).length > MOST_IN_MESSAGE ? (finding.evidence ?? []) : []
  more.push(...evidence.map((line) => wrap(clean(line), style, INDENT, INDENT)))
  return [`${label}  ${text}`, ...more.map((line) => `${indent}${line}`), ...next].join('\n')
}

/** One line a value; of two values the message says as much. */
const MOST_IN_MESSAGE = 2

/** Who holds whom for the owner, and at which epoch. A sentence each where a table is too wide. */
function renderDispute({claims}: Dispute, topology: Topology, style: Style): string[] {
  const most = style.columns < 100 ? 1 : 2
  const place = (id: NodeId): string => {
    const node = topology.nodesById.get(id)
    return clean(node && node.address.port !== 0 ? formatAddress(node.address) : id.slice(0, 8))
  }
  const list = (ids: readonly NodeId[]): string => {
    const more = ids.length > most ? ` and ${ids.length - most} more` : ''
    return `${ids.slice(0, most).map(place).join(', ')}${more}`
  }
  const rows = claims.map(({owner, configEpoch, saidBy, isStoodBy}) => [
    owner === undefined ? 'nobody' : place(owner),
    configEpoch === undefined ? '' : String(configEpoch),
    owner === undefined ? '' : isStoodBy ? (saidBy.includes(owner) ? 'yes' : 'not asked') : 'no',
    list(saidBy),
  ])
  const columns = [{title: 'Owner'}, {title: 'Epoch', align: 'right'} as const, {title: 'Own word'}, {title: 'Said by'}]
  if (style.columns >= 70) return renderTable(columns, rows, style).split('\n')
  return rows.map(([owner, epoch, own, said]) => {
    const claim = owner === 'nobody' ? owner : `${owner} at epoch ${epoch} (own word: ${own})`
    return wrap(`${claim}, says ${said}`, style, INDENT, INDENT)
  })
}

/** What was only judged on demand was not asked for. */
function renderNotJudged(one: NotJudged, topology: Topology, {chalk}: Style): string[] {
  const {rules, nodes, reason, isOnDemand} = one
  if (isOnDemand) return []
  const asked = topology.nodes.filter(({reach}) => reach.kind === 'reached')
  const isNowhere = nodes.length === 0 || nodes.length === asked.length
  const named = nodes.flatMap((id) => topology.nodesById.get(id) ?? [])
  const where = isNowhere ? 'on any node' : `on ${listNodes(named, 3)}`
  return [`${chalk.yellow('?')} not judged ${clean(where)}: ${rules.join(', ')}: ${clean(reason)}`]
}

/** What was looked at, whether or not it was found in order. */
function renderChecked(topology: Topology, style: Style): string[] {
  const {chalk, isUnicode} = style
  const asked = topology.nodes.filter(({reach}) => reach.kind === 'reached').length
  const covered = SLOT_COUNT - countSlots(topology.uncovered)
  const disputed = topology.disagreements.reduce((sum, {ranges}) => sum + countSlots(ranges), 0)
  const down = topology.nodes.filter(({reach}) => reach.kind === 'reached' && reach.view.clusterInfo.state !== 'ok')
  const replicas = topology.nodes.filter(({role}) => role === 'replica')
  const linked = replicas.filter(({reach}) => reach.kind === 'reached' && reach.view.serverInfo.isPrimaryLinkUp)
  const facts: [boolean | undefined, string][] = [
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
    const untold = replicas.filter(
      ({reach}) => reach.kind === 'reached' && reach.view.serverInfo.isPrimaryLinkUp === undefined,
    )
    const isWhole = linked.length === replicas.length
    const isUnknown = untold.length > 0 && linked.length + untold.length === replicas.length
    facts.push([
      isUnknown ? undefined : isWhole,
      `${linked.length} of ${plural(replicas.length, 'replica link')} ${replicas.length === 1 ? 'is' : 'are'} up${untold.length > 0 ? `, ${untold.length} not told` : ''}`,
    ])
  }
  const [yes, no] = isUnicode ? ['✔', '✖'] : ['+', '!']
  return facts.map(([isGood, text]) => {
    const mark = isGood === undefined ? chalk.yellow('?') : isGood ? chalk.green(yes) : chalk.red(no)
    return `${mark} ${wrap(text, style, 2, 2)}`
  })
}

/** "Healthy.", "Not healthy: 2 errors, 1 warning." or "No error, by 3 of 38 rules." */
function renderVerdict({findings, rules}: Examination, fresh: readonly Finding[], {chalk}: Style): string {
  const isWhole = rules.length === RULE_IDS.length
  const count = (severity: Severity): number => fresh.filter((finding) => finding.severity === severity).length
  const [errors, warnings, notes] = [count('error'), count('warning'), count('note')]
  const known = findings.length - fresh.length
  const counted = [
    errors > 0 ? plural(errors, 'error') : '',
    warnings > 0 ? plural(warnings, 'warning') : '',
    notes > 0 ? plural(notes, 'note') : '',
    known > 0 ? `${known} known ${known === 1 ? 'finding' : 'findings'} of the baseline` : '',
  ]
  const tail = counted.filter((part) => part !== '').join(', ')
  const scope = isWhole ? '' : `, by ${rules.length} of ${RULE_IDS.length} rules`
  if (errors > 0) return chalk.red.bold(`Not healthy: ${tail}${scope}.`)
  const isKnownBad = findings.some(({severity}) => severity === 'error')
  const word = isKnownBad ? 'Nothing new' : isWhole ? 'Healthy' : 'No error'
  const text = `${word}${tail === '' ? '' : `, with ${tail}`}${scope}.`
  return isKnownBad || warnings > 0 ? chalk.yellow.bold(text) : chalk.green.bold(text)
}
