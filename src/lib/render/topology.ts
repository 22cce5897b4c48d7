/** What does the cluster look like? One row a node, replicas below their primary, and what stands out below the table. */

import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, formatRanges, rangesFromSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {isSameAddress} from '../topology/inside-address.ts'
import {type ClusterNode, formatAddress, type NodeView, type Topology} from '../topology/model.ts'
import {keysOf, replicaLagBytes, replicaLagSeconds, seedAddress, zoneOf} from '../topology/queries.ts'
import {formatBytes, formatCount, formatShort, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {shorten} from './shorten.ts'
import {type Column, renderTable, visibleLength} from './table.ts'
import {wrap} from './wrap.ts'

/** The table, a head line before it, and what is not as it should be after it. */
export function renderTopology(topology: Topology, style: Style): string {
  const parts = [wrap(renderHeadline(topology), style, 0, 2), '', renderNodes(topology, style)]
  const trouble = renderTrouble(topology, style)
  if (trouble.length > 0) parts.push('', ...trouble)
  return parts.join('\n')
}

/** "6 nodes in 3 shards, 16384 of 16384 slots covered, 200,000 keys, 74 MB, 1.2k ops/s, valkey 8.1.1" */
export function renderHeadline(topology: Topology): string {
  const views = topology.nodes.flatMap((node) => viewOf(node) ?? [])
  const versions = [...new Set(views.map(({serverInfo}) => `${serverInfo.flavour} ${serverInfo.version}`))].sort()
  const covered = SLOT_COUNT - countSlots(topology.uncovered)
  const keys = topology.shards.map(({primary}) => keysOf(primary))
  const known = keys.filter((count) => count !== undefined)
  const sum = (values: readonly (number | undefined)[]): number =>
    values.reduce<number>((total, value) => total + (value ?? 0), 0)
  const leading = topology.shards.flatMap(({primary}) => viewOf(primary) ?? [])
  const memory = sum(leading.map(({serverInfo}) => serverInfo.usedMemoryBytes))
  const ops = sum(views.map(({serverInfo}) => serverInfo.opsPerSecond))
  const zones = new Set(topology.nodes.map(zoneOf).filter(Boolean))
  return [
    `${plural(topology.nodes.length, 'node')} in ${plural(topology.shards.length, 'shard')}`,
    zones.size > 0 ? plural(zones.size, 'zone') : '',
    `${covered} of ${SLOT_COUNT} slots covered`,
    `${plural(sum(known), 'key')}${known.length < keys.length ? ' known' : ''}`,
    memory > 0 ? `${formatBytes(memory)} in primaries` : '',
    views.some(({serverInfo}) => serverInfo.opsPerSecond !== undefined) ? `${formatShort(ops)} ops/s` : '',
    clean(versions.join(', ')),
  ]
    .filter((part) => part !== '')
    .join(', ')
}

/** Replicas tell every second how far they are. */
const USUAL_LAG_SECONDS = 1

/** "2.0 KB, 12 s"; empty for one that keeps up. */
export function describeLag(replica: ClusterNode, topology: Topology): string {
  const bytes = replicaLagBytes(replica, topology) ?? 0
  const seconds = replicaLagSeconds(replica, topology) ?? 0
  return [bytes > 0 ? formatBytes(bytes) : '', seconds > USUAL_LAG_SECONDS ? `${seconds} s` : '']
    .filter((part) => part !== '')
    .join(', ')
}

export interface NodeState {
  readonly text: string
  readonly level: 'good' | 'poor' | 'bad'
}

/** In a few words, the gravest first. */
export function nodeState(node: ClusterNode, topology: Topology): NodeState {
  if (node.reach.kind === 'unreachable') return {text: 'no answer', level: 'bad'}
  if (node.flags.has('failed')) return {text: 'failed', level: 'bad'}
  const {clusterInfo, serverInfo} = node.reach.view
  if (serverInfo.isLoading) return {text: 'loading', level: 'bad'}
  if (node.role === 'replica' && serverInfo.isPrimaryLinkUp === false) return {text: 'link down', level: 'bad'}
  if (clusterInfo.state === 'fail') return {text: 'not serving', level: 'bad'}
  if (node.flags.has('suspected')) return {text: 'suspected', level: 'poor'}
  if (node.flags.has('handshake')) return {text: 'joining', level: 'poor'}
  const lag = node.role === 'replica' ? describeLag(node, topology) : ''
  if (lag !== '') return {text: `lag ${lag}`, level: 'good'}
  return {text: 'ok', level: 'good'}
}

/** As few leading digits as tell all nodes apart, at least 8. */
function idLength(topology: Topology): number {
  const ids = topology.nodes.map(({id}) => id)
  for (let length = 8; length < 40; length++) {
    if (new Set(ids.map((id) => id.slice(0, length))).size === ids.length) return length
  }
  return 40
}

interface NodeColumn extends Column {
  /** The higher, the sooner it goes where the terminal is too narrow; 0 stays. */
  readonly expendable: number
  readonly cell: (node: ClusterNode, info: NodeView['serverInfo'] | undefined) => string
}

function nodeColumns(topology: Topology, style: Style): readonly NodeColumn[] {
  const {chalk} = style
  const infos = topology.nodes.flatMap((node) => viewOf(node)?.serverInfo ?? [])
  const isMixed = new Set(infos.map(({version}) => version).filter(Boolean)).size > 1
  const idDigits = idLength(topology)
  const amount = (value: number | undefined, format: (value: number) => string): string =>
    value === undefined ? '?' : format(value)
  const paint = {good: chalk.green, poor: chalk.yellow, bad: chalk.red}
  const columns: (NodeColumn | false)[] = [
    {title: 'ID', expendable: 5, cell: ({id}) => id.slice(0, idDigits)},
    {title: 'Role', expendable: 7, cell: ({role}) => role},
    {
      title: 'Slots',
      align: 'right',
      expendable: 0,
      cell: ({role, ranges}) => (role === 'primary' ? String(countSlots(ranges)) : ''),
    },
    {title: 'Keys', align: 'right', expendable: 1, cell: (node) => amount(keysOf(node), formatCount)},
    {title: 'Memory', align: 'right', expendable: 2, cell: (_, info) => amount(info?.usedMemoryBytes, formatBytes)},
    infos.some(({opsPerSecond}) => opsPerSecond !== undefined) && {
      title: 'Ops/s',
      align: 'right',
      expendable: 6,
      cell: (_, info) => amount(info?.opsPerSecond, formatShort),
    },
    topology.nodes.some(zoneOf) && {
      title: 'Zone',
      expendable: 3,
      cell: (node) => clean(zoneOf(node) ?? '').slice(0, 24),
    },
    isMixed && {title: 'Version', expendable: 4, cell: (_, info) => clean(info?.version ?? '?')},
    {
      title: 'State',
      expendable: 0,
      cell: (node) => {
        const {text, level} = nodeState(node, topology)
        return paint[level](text)
      },
    },
    topology.nodes.some((node) => !isSameAddress(node.address, node.announced)) && {
      title: 'Announced',
      expendable: 3,
      cell: ({announced}) => clean(formatAddress(announced)),
    },
    topology.nodes.some(listensElsewhere) && {
      title: 'Internal',
      expendable: 6,
      cell: (node) => {
        const internal = viewOf(node)?.internal
        return internal ? clean(formatAddress(internal)) : '?'
      },
    },
    topology.nodes.some(({hostname}) => hostname) && {
      title: 'Hostname',
      expendable: 8,
      cell: ({hostname}) => clean(hostname ?? ''),
    },
  ]
  return columns.filter((column) => column !== false)
}

/** Neither where we dial it nor where it says. */
function listensElsewhere(node: ClusterNode): boolean {
  const internal = viewOf(node)?.internal
  return internal !== undefined && ![node.address, node.announced].some((one) => isSameAddress(one, internal))
}

/** Replicas below their primary; those of no known primary come last. */
export function listedNodes({shards, nodes}: Topology): readonly ClusterNode[] {
  const listed = shards.flatMap(({primary, replicas}) => [primary, ...replicas])
  const shown = new Set(listed.map(({id}) => id))
  return [...listed, ...nodes.filter(({id}) => !shown.has(id))]
}

/** On a terminal that is too narrow the columns go that matter least, and then the middle of long addresses. */
function renderNodes(topology: Topology, style: Style): string {
  const listed = listedNodes(topology)
  const places = listed.map((node, index) => {
    const isLast = listed[index + 1]?.primaryId !== node.primaryId
    const indent = style.isUnicode ? (isLast ? '└ ' : '├ ') : '  '
    const isBelow = node.role === 'replica' && topology.nodesById.get(node.primaryId ?? '')?.role === 'primary'
    return (isBelow ? indent : '') + clean(formatAddress(node.address))
  })
  // Laid out by numbers and drawn once: a thousand rows take their time.
  let columns = nodeColumns(topology, style).map((column) => {
    const cells = listed.map((node) => column.cell(node, viewOf(node)?.serverInfo))
    return {...column, cells, width: widest([column.title, ...cells])}
  })
  const longest = widest(['Node', ...places])
  // A name longer than this is cut before anything else goes.
  let nameWidth = style.isTerminal ? Math.min(longest, Math.max(24, Math.floor(style.columns / 3))) : longest
  const total = (): number => columns.reduce((sum, {width}) => sum + GAP + width, nameWidth)
  while (style.isTerminal && total() > style.columns) {
    const least = columns.reduce((a, b) => (b.expendable > a.expendable ? b : a))
    if (least.expendable === 0) {
      nameWidth = Math.max(8, nameWidth - (total() - style.columns))
      break
    }
    columns = columns.filter((column) => column !== least)
  }
  // Ranges come last and only as many as still fit: there may be thousands.
  const spare = style.columns - total() - GAP
  const hasRanges = spare >= 'Ranges'.length + 6
  const rows = listed.map(({ranges}, row) => [
    shorten(places[row]!, nameWidth, style),
    ...columns.map(({cells}) => cells[row] ?? ''),
    ...(hasRanges ? [renderRanges(ranges, spare)] : []),
  ])
  return renderTable([{title: 'Node'}, ...columns, ...(hasRanges ? [{title: 'Ranges'}] : [])], rows, style)
}

/** Between two columns. */
const GAP = 2

function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, visibleLength(text)), 0)
}

/** "0-99,200 +12 more" */
export function renderRanges(ranges: SlotRanges, width: number): string {
  const whole = formatRanges(ranges)
  if (whole.length <= width) return whole
  for (let count = ranges.length - 1; count > 0; count--) {
    const text = `${formatRanges(ranges.slice(0, count))} +${ranges.length - count} more`
    if (text.length <= width) return text
  }
  return plural(ranges.length, 'range').slice(0, width)
}

function renderTrouble(topology: Topology, style: Style): string[] {
  const {chalk, isUnicode} = style
  const mark = chalk.red(isUnicode ? '✖' : '!')
  const lines: string[] = []
  const say = (text: string): number => lines.push(`${mark} ${wrap(text, style, 2, 2)}`)
  for (const node of topology.nodes) {
    if (node.reach.kind !== 'unreachable') continue
    say(`${clean(formatAddress(node.address))} could not be asked: ${clean(node.reach.message)}`)
  }
  if (topology.uncovered.length > 0) {
    say(`${plural(countSlots(topology.uncovered), 'slot')} uncovered: ${renderRanges(topology.uncovered, 60)}`)
  }
  if (topology.openSlots.length > 0) {
    const open = rangesFromSlots(topology.openSlots.map(({slot}) => slot))
    say(`${plural(topology.openSlots.length, 'slot')} open (a move did not end): ${renderRanges(open, 60)}`)
  }
  if (topology.disagreements.length > 0) {
    const disputed = rangesFromSlots(topology.disagreements.flatMap(({ranges}) => slotsInRanges(ranges)))
    say(`nodes disagree on ${plural(countSlots(disputed), 'slot')}: ${renderRanges(disputed, 60)}`)
  }
  if (lines.length > 0) lines.push(`  rcluster check ${seedAddress(topology)} says what to do`)
  return lines
}

function viewOf(node: ClusterNode): NodeView | undefined {
  return node.reach.kind === 'reached' ? node.reach.view : undefined
}
