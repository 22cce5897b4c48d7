/** Where is the load? The 16384 slots shaded by it, then the hottest of them, and what each primary bears. */

import {countSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {labelId} from '../topology/queries.ts'
import type {SlotHeat} from '../topology/slot-heat.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {
  describeHeat,
  describeLevels,
  formatLoad,
  formatShare,
  type HeatLevel,
  hottestSlots,
  levelOf,
  loadByOwner,
  scaleOf,
  totalOf,
} from './heat-scale.ts'
import {shorten} from './shorten.ts'
import {drawGrid} from './slot-grid.ts'
import {renderTable} from './table.ts'
import {renderRanges} from './topology.ts'
import {wrap} from './wrap.ts'

const SHADES = {unicode: ['·', '░', '▒', '▓', '█'], ascii: ['.', '-', '+', '*', '#']} as const
const UNKNOWN = '?'
const HOTTEST = 10
/** Of a thousand primaries the busiest are told. */
const MOST_PRIMARIES = 12

/** A cell is shaded by the hottest of its slots, so that a single hot one is seen. */
export function renderHeatMap(heat: SlotHeat, topology: Topology, style: Style): string {
  const {chalk, isUnicode} = style
  const scale = scaleOf(heat)
  const paints = [chalk.dim, chalk.blue, chalk.green, chalk.yellow, chalk.red.bold]
  const shade = (level: HeatLevel): string => paints[level]!(SHADES[isUnicode ? 'unicode' : 'ascii'][level])
  const {rows, perCell} = drawGrid(style, (start, end) => {
    let hottest = -1
    for (let slot = start; slot < end; slot++) hottest = Math.max(hottest, heat.values[slot] ?? -1)
    return hottest < 0 ? chalk.red(UNKNOWN) : shade(levelOf(hottest, scale))
  })
  const levels = describeLevels(heat, scale)
  const isEmpty = totalOf(heat.values) === 0
  const legend = levels.map((text, level) => `${shade(level as HeatLevel)}  ${text}`).slice(0, isEmpty ? 1 : undefined)
  if (heat.gaps.length > 0) legend.push(`${chalk.red(UNKNOWN)}  not known`)
  return [
    chalk.bold(wrap(describeHeat(heat), style, 0, 0)),
    rows,
    '',
    wrap(`Each character is the hottest of ${perCell} slots.`, style, 0, 0),
    ...legend,
    ...renderGaps(heat, topology, style),
    ...(isEmpty
      ? []
      : ['', 'The hottest slots', renderHottest(heat, topology, style), '', renderOwners(heat, topology, style)]),
  ].join('\n')
}

function renderGaps({gaps}: SlotHeat, topology: Topology, style: Style): string[] {
  const mark = style.chalk.red(style.isUnicode ? '✖' : '!')
  const lines = gaps.slice(0, MOST_PRIMARIES).map(({node, slots, message}) => {
    const who = node === undefined ? '' : `${name(node, topology, style)}: `
    const count = plural(countSlots(slots), 'slot')
    const text = `${who}${count} not known (${renderRanges(slots, 40)}): ${clean(message)}`
    return `${mark} ${wrap(text, style, 2, 2)}`
  })
  return gaps.length > lines.length ? [...lines, `${mark} and ${gaps.length - lines.length} more`] : lines
}

function renderHottest(heat: SlotHeat, topology: Topology, style: Style): string {
  const rows = hottestSlots(heat, topology, HOTTEST).map(({slot, owner, load, share}) => [
    String(slot),
    owner === undefined ? '' : name(owner, topology, style),
    formatLoad(heat.kind, load),
    formatShare(share),
  ])
  return renderTable(
    [
      {title: 'Slot', align: 'right'},
      {title: 'Owner'},
      {title: 'Load', align: 'right'},
      {title: 'Share', align: 'right'},
    ],
    rows,
    style,
  )
}

function renderOwners(heat: SlotHeat, topology: Topology, style: Style): string {
  const owners = loadByOwner(heat, topology)
  const rows = owners
    .slice(0, MOST_PRIMARIES)
    .map(({id, load, share}) => [name(id, topology, style), formatLoad(heat.kind, load), formatShare(share)])
  const more = owners.length - rows.length
  const columns = [{title: 'Primary'}, {title: 'Load', align: 'right'}, {title: 'Share', align: 'right'}] as const
  return renderTable(columns, rows, style) + (more > 0 ? `\nand ${plural(more, 'primary')} with less` : '')
}

/** "127.0.0.1:7000 (07c37dfe)", with room for the columns beside it. */
function name(id: NodeId, topology: Topology, style: Style): string {
  const label = clean(labelId(topology, id))
  if (!style.isTerminal) return label
  const [, place = label, tail = ''] = /^(.*)( \([0-9a-f]+\))$/.exec(label) ?? []
  const room = Math.max(12, style.columns - 25)
  return label.length <= room
    ? label
    : shorten(place, Math.max(12, room - (room > 40 ? tail.length : 0)), style) + (room > 40 ? tail : '')
}
