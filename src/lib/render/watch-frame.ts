/**
 * What stands on the screen while a cluster is watched? One frame as lines, never more than there are rows, none wider than
 * the screen: what matters least is left out first, and what is cut says so.
 */
import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import {keysOf, seedAddress} from '../topology/queries.ts'
import type {Flow} from '../watch/flows.ts'
import type {Picture} from '../watch/picture.ts'
import {formatBytes, formatDuration, formatShort, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {type Column, renderTable, visibleLength} from './table.ts'
import {SORTS, type Sort, type WatchRow, watchRows} from './watch-rows.ts'
import {wrap} from './wrap.ts'

export interface WatchView {
  readonly sort: Sort
  readonly isReversed: boolean
  readonly isPaused: boolean
  readonly isHelpShown: boolean
  readonly intervalMs: number
  /** Rows of the table that are above the screen. */
  readonly scroll: number
}

/** `rows`: undefined for no limit, as in a file. */
export function renderWatch(picture: Picture, view: WatchView, style: Style, rows?: number): string[] {
  const room = rows ?? Number.POSITIVE_INFINITY
  const head = [
    ...renderHead(picture, rows === undefined ? undefined : view, style),
    ...renderFlows(picture, style, room < 16 ? 2 : 6),
  ]
  if (view.isHelpShown) return fitted([...head.slice(0, 2), '', ...HELP], style, room)
  const left = room - head.length
  const table = watchRows(picture, view.sort, view.isReversed)
  const wanted = table.length + 3
  // Whole sentences where there is room for them.
  const [whole, cut] = [renderBelow(picture, style, true), renderBelow(picture, style, false)]
  const below = whole.length + 1 <= left - wanted ? whole : cut
  // The table first, but what is wrong has a third of the screen at least.
  const belowRows =
    below.length === 0 ? 0 : Math.min(below.length + 1, Math.max(left - wanted, Math.floor(left / 3), 2))
  const tableRows = left - belowRows
  return fitted(
    [
      ...head,
      ...(tableRows >= 3 ? renderRows(table, view, style, tableRows) : []),
      ...(belowRows > Math.min(below.length, 3) ? ['', ...cutLines(below, belowRows - 1)] : cutLines(below, belowRows)),
    ],
    style,
    room,
  )
}

/** Slots and roles that are older than this are not of the same look. */
const OLD_MS = 3000

const HELP = [
  'q, Ctrl-C    quit',
  's, → ←       sort by the next column, the one before',
  'r            the other way round',
  '↓ ↑ PgDn PgUp  further nodes',
  'p, space     pause, go on',
  '+ -          look less often, more often',
  '?            this',
]

/** `view`: undefined where there are no keys to change it. */
function renderHead(picture: Picture, view: WatchView | undefined, {chalk, columns}: Style): string[] {
  const {round} = picture
  const time = clockTime(round.atMs)
  const seed = tame(seedAddress(round.topology))
  const first = view
    ? [
        chalk.bold(time),
        view.isPaused
          ? chalk.inverse(' paused ')
          : `every ${formatDuration(Math.max(view.intervalMs, round.leastIntervalMs))}`,
        seed,
        `by ${view.sort}${view.isReversed ? ' reversed' : ''}`,
        chalk.dim('q quit  s sort  ? help'),
      ]
    : [chalk.bold(time), seed]
  const isOlder = round.atMs - round.slotsAtMs > OLD_MS
  const older = isOlder ? [chalk.dim(`slots as of ${clockTime(round.slotsAtMs)}`)] : []
  const lines = [pack(first, columns, 2), pack([...summaryParts(picture, {chalk}), ...older], columns, 2)]
  if (round.lost !== undefined) lines.push(chalk.red(`No node answers: ${tame(round.lost)}. Trying again.`))
  if (round.worker) {
    const {user, host, command} = round.worker
    lines.push(chalk.cyan(tame(`${user}@${host} is at work: ${command}`)))
  }
  return lines
}

/** "3 shards, 6 nodes": the most important first. */
export function summaryParts(picture: Picture, {chalk}: Pick<Style, 'chalk'>): string[] {
  const {round, findings, silent} = picture
  const {topology} = round
  const covered = SLOT_COUNT - countSlots(topology.uncovered)
  const infos = topology.nodes.flatMap(({reach, role}) =>
    reach.kind === 'reached' ? [{role, ...reach.view.serverInfo}] : [],
  )
  const primaries = infos.filter(({role}) => role === 'primary')
  const sum = (amounts: (number | undefined)[]): number => amounts.reduce<number>((all, one) => all + (one ?? 0), 0)
  const keys = sum(topology.shards.map(({primary}) => keysOf(primary)))
  const errors = findings.filter(({finding, isExpected}) => finding.severity === 'error' && !isExpected).length
  const warnings = findings.filter(({finding}) => finding.severity === 'warning').length
  const counted = [
    silent.size > 0
      ? chalk.red(`${silent.size} of ${plural(topology.nodes.length, 'node')} silent`)
      : plural(topology.nodes.length, 'node'),
    plural(topology.shards.length, 'shard'),
  ]
  if (round.lost !== undefined) return [chalk.red.bold('no answer'), ...counted]
  return [
    errors > 0
      ? chalk.red.bold(plural(errors, 'error'))
      : warnings > 0
        ? chalk.yellow(plural(warnings, 'warning'))
        : chalk.green('healthy'),
    `${formatShort(sum(infos.map(({opsPerSecond}) => opsPerSecond)))} ops/s`,
    ...counted,
    covered === SLOT_COUNT ? `${covered} slots` : chalk.red(`${covered} of ${SLOT_COUNT} slots`),
    `${formatShort(keys)} ${keys === 1 ? 'key' : 'keys'}`,
    formatBytes(sum(primaries.map(({usedMemoryBytes}) => usedMemoryBytes))),
  ]
}

function renderFlows({flows, round: {topology}}: Picture, style: Style, most: number): string[] {
  const place = (id: NodeId): string => {
    const node = topology.nodesById.get(id)
    return node ? tame(formatAddress(node.address)) : id.slice(0, 8)
  }
  const arrow = style.isUnicode ? '→' : '->'
  const lines = flows.map((flow) => {
    const name = style.columns < 60 ? `${arrow} ${place(flow.to)}` : `${place(flow.from)} ${arrow} ${place(flow.to)}`
    return pack([style.chalk.cyan(name), ...flowParts(flow)], style.columns, 2)
  })
  return cutLines(lines, most)
}

/** How far and how fast, the most important first. */
export function flowParts(flow: Flow): string[] {
  const {openSlots, atomicSlots, stage, keysLeft, slotsMoved, slotsPerSecond, keysPerSecond, etaMs} = flow
  const parts: string[] = []
  if (openSlots > 0) parts.push(`${openSlots} open`)
  if (keysLeft !== undefined) parts.push(`${formatShort(keysLeft)} keys left`)
  if (atomicSlots > 0) parts.push(`${plural(atomicSlots, 'slot')} at once: ${tame(stage)}`)
  if (openSlots === 0 && atomicSlots === 0) parts.push('none open')
  if (etaMs !== undefined) parts.push(`ETA ${formatDuration(etaMs)}`)
  if (keysPerSecond >= 0.5) parts.push(`${formatShort(keysPerSecond)} keys/s`)
  if (slotsPerSecond >= 0.05) parts.push(`${formatShort(slotsPerSecond)} slots/s`)
  if (slotsMoved > 0) parts.push(`${slotsMoved} moved`)
  return parts
}

interface Cell extends Column {
  /** The higher, the sooner it is left out. */
  readonly rank: number
  readonly sort?: Sort
  /** Columns that are as wide from the start do not come and go with every digit. */
  readonly least?: number
  readonly text: (row: WatchRow) => string
}

function renderRows(table: readonly WatchRow[], view: WatchView, style: Style, room: number): string[] {
  const {chalk, columns, isUnicode} = style
  const shownCount = room === Number.POSITIVE_INFINITY ? table.length : room - 2
  const isCut = table.length > shownCount
  const top = isCut ? Math.max(0, Math.min(view.scroll, table.length - shownCount + 1)) : 0
  const shown = table.slice(top, isCut ? top + shownCount - 1 : undefined)
  const widest = Math.max(20, Math.floor(columns * 0.4))
  const number = (amount: number | undefined, format: (value: number) => string): string =>
    amount === undefined ? '' : format(amount)
  const cells: Cell[] = [
    {
      title: 'Node',
      rank: 0,
      sort: 'node',
      text: ({label, isBelow, isLastBelow}) =>
        `${isBelow ? (isUnicode ? (isLastBelow ? '└ ' : '├ ') : '  ') : ''}${cutHead(tame(label), widest, isUnicode)}`,
    },
    {title: 'ID', rank: 8, text: ({id}) => id.slice(0, 8)},
    {title: 'Role', rank: 9, text: ({role}) => role},
    {title: 'Slots', rank: 3, align: 'right', sort: 'slots', text: ({slots}) => number(slots, String)},
    {title: 'Keys', least: 5, rank: 4, align: 'right', sort: 'keys', text: ({keys}) => number(keys, formatShort)},
    {title: 'Ops/s', least: 6, rank: 1, align: 'right', sort: 'ops', text: ({ops}) => number(ops, formatShort)},
    {
      title: 'Memory',
      least: 7,
      rank: 2,
      align: 'right',
      sort: 'memory',
      text: ({memoryBytes}) => number(memoryBytes, formatBytes),
    },
    {
      title: 'of max',
      rank: 6,
      align: 'right',
      text: ({memoryShare}) => number(memoryShare, (share) => `${Math.round(100 * share)}%`),
    },
    {
      title: 'Lag',
      least: 7,
      rank: 5,
      align: 'right',
      sort: 'lag',
      text: ({lagBytes, lagSeconds}) =>
        [
          number(lagBytes, (bytes) => (bytes === 0 ? '0' : formatBytes(bytes))),
          number(lagSeconds, (s) => (s > 1 ? `${s} s` : '')),
        ]
          .filter((part) => part !== '')
          .join(', '),
    },
    {
      title: 'State',
      least: 10,
      rank: 0,
      sort: 'state',
      text: ({state: {text, level}}) => ({good: chalk.green, poor: chalk.yellow, bad: chalk.red})[level](text),
    },
  ]
  const arrow = view.isReversed ? (isUnicode ? '▲' : '^') : isUnicode ? '▼' : 'v'
  const titled = cells.map((cell) => (cell.sort === view.sort ? {...cell, title: `${cell.title}${arrow}`} : cell))
  // A column of which nothing is known is no column.
  let chosen = titled.filter(({text, rank}) => rank === 0 || shown.some((row) => text(row) !== ''))
  const widthOf = ({title, least, text}: Cell): number =>
    Math.max(title.length, least ?? 0, ...shown.map((row) => visibleLength(text(row))))
  const widths = new Map(chosen.map((cell) => [cell, widthOf(cell)]))
  const total = (): number => chosen.reduce((sum, cell) => sum + (widths.get(cell) ?? 0) + 2, -2)
  for (let rank = 9; rank > 0 && total() > columns; rank--) chosen = chosen.filter((cell) => cell.rank !== rank)
  const lines = renderTable(
    chosen,
    shown.map((row) => chosen.map(({text}) => text(row))),
    style,
  ).split('\n')
  const hidden = table.length - shown.length
  return isCut ? [...lines, chalk.dim(`${isUnicode ? '…' : '...'} ${hidden} more`)] : lines
}

/** Findings, what has gone, what happened; the gravest and latest first. */
function renderBelow(picture: Picture, style: Style, isWhole: boolean): string[] {
  const {chalk} = style
  const {round, findings, gone, history} = picture
  const inOrder = [...findings].sort((a, b) => Number(a.isExpected) - Number(b.isExpected))
  const lines = inOrder.flatMap(({finding, sinceMs, isExpected}) => {
    const label = isExpected
      ? chalk.cyan('moving ')
      : finding.severity === 'error'
        ? chalk.red('error  ')
        : chalk.yellow('warning')
    const text = `${tame(finding.message)} ${chalk.dim(`[${finding.id}]`)}`
    const head = `${label} ${chalk.dim(clockTime(sinceMs))} `
    return `${head}${isWhole ? wrap(text, style, 17, 17) : text}`.split('\n')
  })
  const past = [
    ...gone.map(({finding, sinceMs, goneMs}) => ({
      atMs: goneMs,
      text: `gone    ${clockTime(goneMs)} after ${formatDuration(goneMs - sinceMs)}: ${tame(finding.message)}`,
    })),
    ...history.map(({atMs, text}) => ({atMs, text: `event   ${clockTime(atMs)} ${tame(text)}`})),
  ].filter(({atMs}) => round.atMs - atMs < 5 * 60_000)
  return [...lines, ...past.sort((a, b) => b.atMs - a.atMs).map(({text}) => chalk.dim(text))]
}

function cutLines(lines: readonly string[], most: number): string[] {
  if (lines.length <= most) return [...lines]
  if (most < 2) return most < 1 ? [] : [`${lines.length}: ${lines[0]}`]
  return [...lines.slice(0, most - 1), `... ${lines.length - most + 1} more`]
}

/** As many parts as fit, in their order. */
function pack(parts: readonly string[], columns: number, gap: number): string {
  let line = ''
  for (const part of parts) {
    const next = line === '' ? part : `${line}${' '.repeat(gap)}${part}`
    if (line !== '' && visibleLength(next) > columns) break
    line = next
  }
  return line
}

function fitted(lines: readonly string[], {columns, isTerminal, isUnicode}: Style, room: number): string[] {
  const shown = room === Number.POSITIVE_INFINITY ? lines : lines.slice(0, room)
  return isTerminal ? shown.map((line) => cutLine(line, columns, isUnicode)) : [...shown]
}

/** Colours do not count, and end where the line ends. */
export function cutLine(line: string, columns: number, isUnicode: boolean): string {
  if (visibleLength(line) <= columns) return line
  const mark = isUnicode ? '…' : '.'
  let [shown, width] = ['', 0]
  for (const [piece] of line.matchAll(/\u001b\[[0-9;]*m|[\s\S]/gu)) {
    if (piece.length > 1 && piece.startsWith('\u001b')) shown += piece
    else if (width < columns - 1) {
      shown += piece
      width++
    }
  }
  return `${shown.trimEnd()}${mark}`
}

/** Of addresses the end says more. */
function cutHead(text: string, width: number, isUnicode: boolean): string {
  const mark = isUnicode ? '…' : '.'
  return text.length <= width ? text : `${mark}${text.slice(text.length - width + 1)}`
}

/** One column a character, whatever servers call themselves: what may be wider, or nothing, is a question mark. */
function tame(text: string): string {
  return clean(text).replace(/[^\u0020-\u024f\u2010-\u2027]/gu, '?')
}

/** "14:03:12", by the clock of this machine. */
export function clockTime(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8)
}

export function nextSort(sort: Sort, step: 1 | -1): Sort {
  return SORTS[(SORTS.indexOf(sort) + step + SORTS.length) % SORTS.length] as Sort
}
