/** What would put the slots in order, why, and what does it risk? The same text before the question and for --dry-run. */
import {slotsOfRepair} from '../plan/repair.ts'
import type {Repair, RepairPlan, RepairRisk, RepairWitness, ReplicaWitness} from '../plan/repair-plan.ts'
import {formatSlots, parseRanges} from '../slots/slot-ranges.ts'
import {formatAddress, isPlaceless, type NodeId, type Topology} from '../topology/model.ts'
import {formatDuration, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderWarning} from './error.ts'
import {renderTable} from './table.ts'
import {renderRanges} from './topology.ts'
import {wrap} from './wrap.ts'

/** Numbered rows, then the grounds of each, then what cannot be repaired. */
export function renderRepairPlan(plan: RepairPlan, topology: Topology, style: Style): string {
  const {chalk} = style
  const paint: Record<RepairRisk, (text: string) => string> = {
    safe: chalk.green,
    disruptive: chalk.yellow,
    'data-loss': chalk.red,
  }
  const parts: string[] = []
  if (plan.repairs.length > 0) {
    const acts = plan.repairs.map((repair) => describeRepair(repair, topology))
    const room = style.columns - Math.max(...acts.map(({length}) => length)) - 3 - 12 - 6
    parts.push(
      renderTable(
        [{title: '#', align: 'right'}, {title: 'Repair'}, {title: 'Risk'}, {title: 'Slots'}],
        plan.repairs.map((repair, index) => [
          String(index + 1),
          acts[index] ?? '',
          paint[repair.risk](repair.risk),
          nameSlots(repair, Math.max(room, 12)),
        ]),
        style,
      ),
      '',
      ...plan.repairs.flatMap((repair, index) => renderGrounds(repair, index + 1, topology, style)),
    )
  }
  const arrow = style.isUnicode ? '→' : '->'
  for (const {message, suggestions} of plan.obstacles) {
    parts.push(wrap(`${chalk.red('blocked')}  ${clean(message)}`, style, 0, 9))
    parts.push(...suggestions.map((text) => `         ${arrow} ${clean(text)}`))
  }
  return [...parts, ...plan.warnings.map((text) => renderWarning(text, style))].join('\n')
}

/** "finish the move from 127.0.0.1:7000 to 127.0.0.1:7001" */
export function describeRepair({act}: Repair, topology: Topology): string {
  const name = (id: NodeId): string => nameOf(id, topology)
  const names = (ids: readonly NodeId[]): string => {
    const shown = ids.slice(0, 3).map(name).join(', ')
    return ids.length > 3 ? `${shown} and ${ids.length - 3} more` : shown
  }
  switch (act.kind) {
    case 're-meet':
      return `introduce ${names(act.nodes)} to the others again`
    case 'take-over':
      return `replica ${name(act.replica)} takes over from ${name(act.primary)}`
    case 'reveal':
      return `find hidden keys on ${name(act.at)}`
    case 'assign':
      return `give to ${name(act.owner)}`
    case 'tell-owner':
      return `tell ${names(act.told)}: ${name(act.owner)} owns them`
    case 'close':
      return `take away the mark on ${names(act.at)}`
    case 'correct-mark':
      return `correct the mark on ${names(act.at)}`
    case 'gather':
      return `bring keys from ${names(act.from)} to ${name(act.to)}`
    case 'finish-move':
      return `finish the move from ${name(act.from)} to ${name(act.to)}`
  }
}

/** What would allow those that are not safe. */
export function flagsFor(repairs: readonly Repair[]): string[] {
  const lost = repairs.filter(({risk}) => risk === 'data-loss').flatMap(slotsOfRepair)
  return [
    ...(repairs.some(({risk}) => risk === 'disruptive') ? ['--allow disruptive'] : []),
    ...(lost.length > 0 ? [`--accept-data-loss ${formatSlots(lost)}`] : []),
  ]
}

function nameSlots(repair: Repair, width: number): string {
  if (repair.slots === '') return ''
  const count = slotsOfRepair(repair).length
  if (count === 1) return repair.slots
  return `${count}: ${renderRanges(parseRanges(repair.slots), width - String(count).length - 2)}`
}

function renderGrounds(repair: Repair, number: number, topology: Topology, style: Style): string[] {
  const indent = 4
  const head = `${String(number).padStart(2)}  ${sentence(clean(repair.why))}`
  return [
    wrap(head, style, 0, indent),
    ...repair.evidence.map((witness) =>
      style.chalk.dim(`${' '.repeat(indent)}${clean(witness.address)}: ${describeWitness(witness, topology)}`),
    ),
  ]
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function describeWitness(witness: RepairWitness, topology: Topology): string {
  const {isReachable, keys, slotsWithKeys, claimsAtEpoch, migratingTo, importingFrom, asReplica, knownAt} = witness
  const names = (ids: readonly NodeId[]): string => ids.map((id) => nameOf(id, topology)).join(', ')
  const inSlots = slotsWithKeys > 1 ? ` in ${plural(slotsWithKeys, 'slot')}` : ''
  const facts = [
    isReachable ? '' : 'no answer',
    ...(knownAt ?? []).map(({address, nodes}) => `at ${address} for ${plural(nodes, 'node')}, without a link`),
    claimsAtEpoch === undefined ? '' : `${isReachable ? 'claims' : 'had'} them at epoch ${claimsAtEpoch}`,
    migratingTo.length > 0 ? `marked migrating to ${names(migratingTo)}` : '',
    importingFrom.length > 0 ? `marked importing from ${names(importingFrom)}` : '',
    keys === undefined ? '' : keys === 0 ? 'no key' : `${plural(keys, 'key')}${inSlots}`,
    ...(asReplica && isReachable ? describeReplica(asReplica) : []),
  ]
  return facts.filter((fact) => fact !== '').join(', ')
}

function describeReplica({offset, wasLinked, linkDownSeconds, keys}: ReplicaWitness): string[] {
  const link = !wasLinked
    ? 'no link to it since this replica started'
    : linkDownSeconds === undefined
      ? 'its link is up'
      : `its link has been down for ${formatDuration(linkDownSeconds * 1000)}`
  return ['replica', ...(offset === undefined ? [] : [`offset ${offset}`]), link, plural(keys, 'key')]
}

function nameOf(id: NodeId, topology: Topology): string {
  const node = topology.nodesById.get(id)
  return clean(node && !isPlaceless(node.address) ? formatAddress(node.address) : id.slice(0, 8))
}
