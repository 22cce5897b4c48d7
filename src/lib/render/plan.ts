/** What would a plan do? The same text before the question and for --dry-run; the plan's warnings come last. */
import type {CreatePlan, JoinPlan, MoveOutlook, MovePlan, Plan, RemovalPlan} from '../plan/plan.ts'
import {rangesFromSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {formatBytes, formatDuration, plural} from './amounts.ts'
import {renderAnnouncement} from './announcement.ts'
import {renderBigKeys} from './big-keys.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {renderWarning} from './error.ts'
import {renderFreight, renderLoadChanges, renderLoadLines} from './planned-load.ts'
import {slotBars} from './slot-bars.ts'
import {renderTable} from './table.ts'
import {renderRanges} from './topology.ts'
import {wrap} from './wrap.ts'

/** Every primary before and after, then what goes from where to where, and what to expect. */
export function renderMovePlan(plan: MovePlan, topology: Topology, style: Style, isExplained = false): string {
  const {chalk} = style
  const {load} = plan
  const changes = load ? renderLoadChanges(plan, load, style) : renderChanges(plan, style)
  const loadLines = load ? renderLoadLines(load, topology, style) : []
  if (plan.moves.length === 0) {
    const none = plan.bigKeys?.left.length ? 'No slot moves.' : 'No slot has to move.'
    const lines = [...loadLines, ...renderBigKeys(plan.bigKeys), ...renderNotDone(plan.outlook, style)]
    return withWarnings(plan, style, [changes, '', none, ...lines])
  }
  const nameOf = (id: NodeId): string => nodeName(id, topology, plan.primaries)
  const pairs = new Map<string, {from: NodeId; to: NodeId; slots: number[]}>()
  for (const {slot, from, to} of plan.moves) {
    const pair = pairs.get(`${from} ${to}`) ?? {from, to, slots: []}
    pair.slots.push(slot)
    pairs.set(`${from} ${to}`, pair)
  }
  const moved = [...pairs.values()].map((pair) => ({...pair, ranges: rangesFromSlots(pair.slots)}))
  const widest = Math.max(
    ...moved.map(({from, to}) => Math.max(4, nameOf(from).length) + Math.max(2, nameOf(to).length)),
  )
  const rangesWidth = style.columns - widest - 5 - 6
  const hasRoom = rangesWidth >= 'Ranges'.length + 6
  const moves = renderTable(
    [{title: 'From'}, {title: 'To'}, {title: 'Slots', align: 'right'}, ...(hasRoom ? [{title: 'Ranges'}] : [])],
    moved.map(({from, to, slots, ranges}) => [
      nameOf(from),
      nameOf(to),
      String(slots.length),
      ...(hasRoom ? [renderRanges(ranges, rangesWidth)] : []),
    ]),
    style,
  )
  const ranges = moved.reduce((sum, pair) => sum + pair.ranges.length, 0)
  // Where the sources were counted, that says it, too.
  const freight = load && !plan.outlook?.estimate ? renderFreight(load) : ''
  const total = `${plural(plan.moves.length, 'slot')} to move, in ${plural(ranges, 'range')}${freight}.`
  const grounds = [
    ...loadLines,
    ...renderMovers(plan, nameOf),
    ...renderOutlook(plan.outlook, style),
    ...renderBigKeys(plan.bigKeys),
    ...renderNotDone(plan.outlook, style),
    ...(isExplained ? renderReasons(plan.outlook, nameOf, style) : []),
  ]
  return withWarnings(plan, style, [changes, '', moves, '', chalk.bold(total), ...grounds])
}

/** Below this a bar tells nothing that the number does not. */
const LEAST_BAR = 8
const MOST_BAR = 24

function renderChanges({primaries}: MovePlan, style: Style): string {
  const {chalk} = style
  const widest = Math.max(7, ...primaries.map(({address}) => clean(address).length))
  const room = Math.min(MOST_BAR, style.columns - widest - 6 - 5 - 6 - 4 * 2)
  const bars = room < LEAST_BAR ? undefined : slotBars(primaries, room, style)
  return renderTable(
    [
      {title: 'Primary'},
      {title: 'Before', align: 'right'},
      {title: 'After', align: 'right'},
      {title: 'Change', align: 'right'},
      ...(bars ? [{title: ''}] : []),
    ],
    primaries.map(({address, slotsBefore, slotsAfter}, index) => {
      const change = slotsAfter - slotsBefore
      const paint = change === 0 ? chalk.dim : change > 0 ? chalk.green : chalk.yellow
      return [
        clean(address),
        String(slotsBefore),
        String(slotsAfter),
        paint(change > 0 ? `+${change}` : String(change)),
        ...(bars ? [bars[index] ?? ''] : []),
      ]
    }),
    style,
  )
}

function renderOutlook(outlook: MoveOutlook | undefined, style: Style): string[] {
  if (!outlook) return []
  const {estimate, risk} = outlook
  const paint = {safe: style.chalk.green, disruptive: style.chalk.yellow, 'data-loss': style.chalk.red}[risk.class]
  const expected = estimate
    ? `Expected: ${estimate.isSampled ? 'about ' : ''}${plural(estimate.keys, 'key')}${estimate.keys > 0 ? ` with about ${formatBytes(estimate.bytes)}` : ''}, in some ${formatDuration(estimate.ms)}.`
    : undefined
  return [
    ...(expected === undefined ? [] : [wrap(expected, style, 0, 2)]),
    wrap(`Risk: ${paint(risk.class)}; ${clean(risk.why)}.`, style, 0, 2),
  ]
}

function renderNotDone(outlook: MoveOutlook | undefined, style: Style): string[] {
  return (outlook?.notDone ?? []).map((sentence) => wrap(`Not done: ${clean(sentence)}`, style, 0, 2))
}

function renderReasons(outlook: MoveOutlook | undefined, nameOf: (id: NodeId) => string, style: Style): string[] {
  const reasons = outlook?.reasons ?? []
  if (reasons.length === 0) return []
  const lines = [
    ...reasons.map(
      ({from, to, slots, why}) => `${nameOf(from)} to ${nameOf(to)}, ${plural(slots, 'slot')}: ${clean(why)}.`,
    ),
    'Which slots: whole ranges before parts of one, from their ends, so that there are few ranges afterwards.',
  ]
  return ['Why:', ...lines.map((line) => `  ${wrap(line, style, 2, 4)}`)]
}

/** Which way they go, where there is a choice. */
function renderMovers({moves, movers}: MovePlan, nameOf: (id: NodeId) => string): string[] {
  const atomic = new Set(movers.filter(({mover}) => mover === 'atomic').map(({from, to}) => `${from} ${to}`))
  const count = moves.filter(({from, to}) => atomic.has(`${from} ${to}`)).length
  const whole = count === moves.length ? 'All of them' : `${count} of them`
  const rest = count === moves.length ? '' : ', the others key by key'
  return [
    ...(count > 0 ? [`${whole} by atomic slot migration${rest}.`] : []),
    ...movers.flatMap(({from, to, reason}) =>
      reason === undefined ? [] : [`${nameOf(from)} to ${nameOf(to)} key by key: ${clean(reason)}.`],
    ),
  ]
}

export function renderCreatePlan(plan: CreatePlan, style: Style): string {
  const replicas = plan.primaries.reduce((sum, primary) => sum + primary.replicas.length, 0)
  const table = renderTable(
    [{title: 'Primary'}, {title: 'Slots'}, {title: replicas > 0 ? 'Replicas' : ''}],
    plan.primaries.map((primary) => [
      clean(primary.address),
      primary.slots,
      primary.replicas.map(({address}) => clean(address)).join(' '),
    ]),
    style,
  )
  const primaries = plan.primaries.length
  const total = `A cluster of ${plural(primaries, 'primary')} and ${plural(replicas, 'replica')}.`
  const announcement = plan.announcement ? ['', renderAnnouncement(plan.announcement, style)] : []
  return withWarnings(plan, style, [table, ...announcement, '', style.chalk.bold(total)])
}

export function renderJoinPlan(plan: JoinPlan, topology: Topology, style: Style): string {
  const ids = idColumn(style)
  const table = renderTable(
    [{title: 'Joins'}, ...ids.head, {title: 'As'}],
    plan.newcomers.map(({id, address, role, primaryId}) => [
      clean(address),
      ...ids.cell(id),
      role === 'primary'
        ? 'primary without slots'
        : `${ids.head.length > 0 ? 'replica of' : 'follows'} ${nodeName(primaryId ?? '', topology, plan.newcomers)}`,
    ]),
    style,
  )
  return withWarnings(plan, style, [table])
}

export function renderRemovalPlan(plan: RemovalPlan, topology: Topology, style: Style): string {
  const ids = idColumn(style)
  const parts = [
    renderTable(
      [{title: 'Leaves'}, ...ids.head, {title: ''}],
      plan.victims.map(({id, address, isReachable}) => [
        clean(address),
        ...ids.cell(id),
        isReachable ? 'is reset when forgotten' : 'does not answer: is only forgotten',
      ]),
      style,
    ),
  ]
  if (plan.rehomed.length > 0) {
    parts.push(
      '',
      renderTable(
        [{title: 'Replica'}, {title: 'Will follow'}],
        plan.rehomed.map(({address, primaryId}) => [clean(address), nodeName(primaryId, topology)]),
        style,
      ),
    )
  }
  return withWarnings(plan, style, parts)
}

/** Left out where the address needs the room. */
function idColumn({isTerminal, columns}: Style): {head: {title: string}[]; cell: (id: NodeId) => string[]} {
  return isTerminal && columns < 60 ? {head: [], cell: () => []} : {head: [{title: 'ID'}], cell: (id) => [shortId(id)]}
}

function withWarnings(plan: Plan, style: Style, lines: readonly string[]): string {
  return [...lines, ...plan.warnings.map((text) => renderWarning(text, style))].join('\n')
}

/** Its address; newcomers that no node knows yet are looked up in the plan. */
function nodeName(id: NodeId, topology: Topology, others: readonly {id: NodeId; address: string}[] = []): string {
  const node = topology.nodesById.get(id)
  return clean(node ? formatAddress(node.address) : (others.find((other) => other.id === id)?.address ?? shortId(id)))
}

function shortId(id: NodeId): string {
  return id.slice(0, 8)
}
