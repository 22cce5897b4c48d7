/** What does the cluster look like? One row a node, replicas below their primary, and what stands out below the table. */

import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, formatRanges, rangesFromSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeView, type Topology} from '../topology/model.ts'
import {keysOf, seedAddress} from '../topology/queries.ts'
import {formatBytes, formatCount, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {type Column, renderTable, visibleLength} from './table.ts'

/** The table, a head line before it, and what is not as it should be after it. */
export function renderTopology(topology: Topology, style: Style): string {
  const parts = [renderHeadline(topology), '', renderNodes(topology, style)]
  const trouble = renderTrouble(topology, style)
  if (trouble.length > 0) parts.push('', ...trouble)
  return parts.join('\n')
}

/** "6 nodes in 3 shards, 16384 of 16384 slots covered, 200,000 keys, valkey 8.1.1" */
function renderHeadline(topology: Topology): string {
  const views = topology.nodes.flatMap((node) => viewOf(node) ?? [])
  const versions = [...new Set(views.map(({serverInfo}) => `${serverInfo.flavour} ${serverInfo.version}`))].sort()
  const covered = SLOT_COUNT - countSlots(topology.uncovered)
  const keys = topology.shards.map(({primary}) => keysOf(primary))
  const known = keys.filter((count) => count !== undefined)
  const total = known.reduce((sum, count) => sum + count, 0)
  return [
    `${plural(topology.nodes.length, 'node')} in ${plural(topology.shards.length, 'shard')}`,
    `${covered} of ${SLOT_COUNT} slots covered`,
    `${plural(total, 'key')}${known.length < keys.length ? ' known' : ''}`,
    clean(versions.join(', ')),
  ]
    .filter((part) => part !== '')
    .join(', ')
}

/** How many bytes of the replication stream the replica has still to receive; undefined when not known. */
export function replicaLagBytes(replica: ClusterNode, topology: Topology): number | undefined {
  const primary = replica.primaryId === undefined ? undefined : topology.nodesById.get(replica.primaryId)
  const ahead = primary && viewOf(primary)?.serverInfo.replicationOffset
  const behind = viewOf(replica)?.serverInfo.replicationOffset
  return ahead === undefined || behind === undefined ? undefined : Math.max(0, ahead - behind)
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
  const lagBytes = node.role === 'replica' ? replicaLagBytes(node, topology) : undefined
  if (lagBytes) return {text: `lag ${formatBytes(lagBytes)}`, level: 'good'}
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

function renderNodes(topology: Topology, style: Style): string {
  const {chalk} = style
  const idDigits = idLength(topology)
  const isMixed = new Set(topology.nodes.map((node) => viewOf(node)?.serverInfo.version).filter(Boolean)).size > 1
  const hasHostnames = topology.nodes.some(({hostname}) => hostname)
  const columns: Column[] = [
    {title: 'Node'},
    {title: 'ID'},
    {title: 'Role'},
    {title: 'Slots', align: 'right'},
    {title: 'Keys', align: 'right'},
    {title: 'Memory', align: 'right'},
    ...(isMixed ? [{title: 'Version'}] : []),
    {title: 'State'},
    ...(hasHostnames ? [{title: 'Hostname'}] : []),
  ]
  const listed = topology.shards.flatMap(({primary, replicas}) => [primary, ...replicas])
  const shown = new Set(listed.map(({id}) => id))
  listed.push(...topology.nodes.filter(({id}) => !shown.has(id)))
  const rows = listed.map((node, index) => {
    const isLast = listed[index + 1]?.primaryId !== node.primaryId
    const indent = style.isUnicode ? (isLast ? '└ ' : '├ ') : '  '
    const view = viewOf(node)
    const state = nodeState(node, topology)
    const paint = {good: chalk.green, poor: chalk.yellow, bad: chalk.red}[state.level]
    const isBelow = node.role === 'replica' && shown.has(node.id)
    const keys = keysOf(node)
    const memory = view?.serverInfo.usedMemoryBytes
    return [
      (isBelow ? indent : '') + clean(formatAddress(node.address)),
      node.id.slice(0, idDigits),
      node.role,
      node.role === 'primary' ? String(countSlots(node.ranges)) : '',
      keys === undefined ? '?' : formatCount(keys),
      memory === undefined ? '?' : formatBytes(memory),
      ...(isMixed ? [clean(view?.serverInfo.version ?? '?')] : []),
      paint(state.text),
      ...(hasHostnames ? [clean(node.hostname ?? '')] : []),
    ]
  })
  const narrow = renderTable(columns, rows, style)
  // Ranges come last and only as many as still fit: there may be thousands.
  const spare = style.columns - narrow.split('\n').reduce((width, line) => Math.max(width, visibleLength(line)), 0) - 2
  if (spare < 'Ranges'.length + 6) return narrow
  const withRanges = rows.map((row, index) => [...row, renderRanges(listed[index]!.ranges, spare)])
  return renderTable([...columns, {title: 'Ranges'}], withRanges, style)
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

function renderTrouble(topology: Topology, {chalk, isUnicode}: Style): string[] {
  const mark = chalk.red(isUnicode ? '✖' : '!')
  const lines: string[] = []
  for (const node of topology.nodes) {
    if (node.reach.kind !== 'unreachable') continue
    lines.push(`${mark} ${clean(formatAddress(node.address))} could not be asked: ${clean(node.reach.message)}`)
  }
  if (topology.uncovered.length > 0) {
    lines.push(
      `${mark} ${plural(countSlots(topology.uncovered), 'slot')} uncovered: ${renderRanges(topology.uncovered, 60)}`,
    )
  }
  if (topology.openSlots.length > 0) {
    const open = rangesFromSlots(topology.openSlots.map(({slot}) => slot))
    lines.push(
      `${mark} ${plural(topology.openSlots.length, 'slot')} open (a move did not end): ${renderRanges(open, 60)}`,
    )
  }
  if (topology.disagreements.length > 0) {
    const disputed = rangesFromSlots(topology.disagreements.flatMap(({ranges}) => slotsInRanges(ranges)))
    lines.push(`${mark} nodes disagree on ${plural(countSlots(disputed), 'slot')}: ${renderRanges(disputed, 60)}`)
  }
  if (lines.length > 0) lines.push(`  rcluster check ${seedAddress(topology)} says what to do`)
  return lines
}

function viewOf(node: ClusterNode): NodeView | undefined {
  return node.reach.kind === 'reached' ? node.reach.view : undefined
}
