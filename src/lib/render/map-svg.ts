/** How does the map of the slots look as a picture? An SVG that needs nothing else: one square a slot, title, legend. */

import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, rangesFromSlots, type SlotRange, slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import type {SlotHeat} from '../topology/slot-heat.ts'
import {plural} from './amounts.ts'
import {describeLevels, formatLoad, formatShare, type HeatLevel, hottestSlots, levelOf, scaleOf} from './heat-scale.ts'
import {FAINT_INK, heatColour, INK, OPEN_COLOUR, ownerColour} from './map-colours.ts'
import {escapeMarkup} from './markup.ts'
import {shorten} from './shorten.ts'
import {renderRanges} from './topology.ts'

export interface MapTitle {
  readonly title: string
  readonly subtitle: string
  /** Two pictures in one page need different names inside. */
  readonly prefix?: string
}

const SLOTS_A_ROW = 256
const [CELL_WIDTH, CELL_HEIGHT] = [4, 8]
const [LEFT, TOP, RIGHT] = [64, 72, 24]
const MAP_WIDTH = SLOTS_A_ROW * CELL_WIDTH
const MAP_HEIGHT = (SLOT_COUNT / SLOTS_A_ROW) * CELL_HEIGHT
const WIDTH = LEFT + MAP_WIDTH + RIGHT
const LEGEND_COLUMNS = 3
const LINE = 20
const MOST_NAMED = 60
const HOTTEST = 12
/** What fits beside the next column. */
const LEGEND_LENGTH = 46
const UNICODE = {isUnicode: true}

interface LegendEntry {
  readonly fill: string
  readonly text: string
  readonly tip?: string
}

/** Who owns what; with `heat` how much load each slot bears. Open slots are framed, slots without owner hatched. */
export function renderMapSvg(
  topology: Topology,
  heat: SlotHeat | undefined,
  {title, subtitle, prefix = 'map'}: MapTitle,
): string {
  const unknown = `url(#${prefix}-unknown)`
  const {shapes, legend} = heat ? heatLayer(topology, heat, unknown) : ownerLayer(topology, unknown)
  const open = rangesFromSlots(topology.openSlots.map(({slot}) => slot))
  const marks = open.flatMap(rowsOf).map(({x, y, width}) => `M${x} ${y}h${width}v${CELL_HEIGHT}h-${width}z`)
  if (open.length > 0) {
    const text = `${plural(countSlots(open), 'slot')} open: ${renderRanges(open, 24)}`
    legend.push({fill: OPEN_COLOUR, text, tip: 'a move that did not end'})
  }
  const lines = Math.ceil(legend.length / LEGEND_COLUMNS)
  const height = TOP + MAP_HEIGHT + 28 + lines * LINE + 16
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="13">`,
    `<title>${escapeMarkup(title)}</title>`,
    `<desc>${escapeMarkup(subtitle)}</desc>`,
    `<defs><pattern id="${prefix}-unknown" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="#ffffff"/><rect width="2.5" height="6" fill="#9aa4af"/></pattern></defs>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="30" font-size="20" font-weight="600" fill="${INK}">${escapeMarkup(title)}</text>`,
    `<text x="${LEFT}" y="52" fill="${FAINT_INK}">${escapeMarkup(subtitle)}</text>`,
    ...rowLabels(),
    ...shapes,
    ...(marks.length > 0
      ? [
          `<path d="${marks.join('')}" fill="none" stroke="${OPEN_COLOUR}" stroke-width="2"><title>open slots</title></path>`,
        ]
      : []),
    `<rect x="${LEFT}" y="${TOP}" width="${MAP_WIDTH}" height="${MAP_HEIGHT}" fill="none" stroke="#d0d7de"/>`,
    ...legend.flatMap((entry, index) => legendLine(entry, Math.floor(index / lines), index % lines)),
    '</svg>',
    '',
  ].join('\n')
}

interface Layer {
  readonly shapes: string[]
  readonly legend: LegendEntry[]
}

function ownerLayer(topology: Topology, unknown: string): Layer {
  const uncovered = new Set(slotsInRanges(topology.uncovered))
  const slotsById = new Map<NodeId, number[]>()
  for (const [slot, owner] of topology.owners.entries()) {
    if (owner === undefined || uncovered.has(slot)) continue
    const slots = slotsById.get(owner)
    if (slots) slots.push(slot)
    else slotsById.set(owner, [slot])
  }
  const owners = [...slotsById].map(([id, slots], index) => {
    const node = topology.nodesById.get(id)
    const place = node ? formatAddress(node.address) : id
    return {id, place, ranges: rangesFromSlots(slots), fill: ownerColour(index, slotsById.size)}
  })
  const shapes = owners.map(({place, ranges, fill}) =>
    shape(ranges, fill, `${place}: ${plural(countSlots(ranges), 'slot')}, ${renderRanges(ranges, 120)}`),
  )
  const legend: LegendEntry[] = owners.slice(0, MOST_NAMED).map(({place, ranges, fill}) => {
    const slots = countSlots(ranges)
    const amount = `: ${plural(slots, 'slot')}, ${formatShare(slots / SLOT_COUNT)}`
    const text = shorten(place, LEGEND_LENGTH - amount.length, UNICODE) + amount
    return {fill, text, tip: place}
  })
  if (owners.length > MOST_NAMED) {
    legend.push({fill: 'none', text: `and ${plural(owners.length - MOST_NAMED, 'more primary')}`})
  }
  if (uncovered.size > 0) {
    const ranges = topology.uncovered
    shapes.push(shape(ranges, unknown, `uncovered: ${renderRanges(ranges, 120)}`))
    legend.push({fill: unknown, text: `${plural(countSlots(ranges), 'slot')} uncovered: ${renderRanges(ranges, 20)}`})
  }
  return {shapes, legend}
}

function heatLayer(topology: Topology, heat: SlotHeat, unknown: string): Layer {
  const scale = scaleOf(heat)
  const slotsByLevel = new Map<HeatLevel | undefined, number[]>()
  for (const [slot, value] of heat.values.entries()) {
    const level = value === undefined ? undefined : levelOf(value, scale)
    const slots = slotsByLevel.get(level)
    if (slots) slots.push(slot)
    else slotsByLevel.set(level, [slot])
  }
  const texts = describeLevels(heat, scale)
  const levels = ([0, 1, 2, 3, 4] as const).flatMap((level) => {
    const slots = slotsByLevel.get(level)
    return slots ? [{fill: heatColour(level), text: texts[level] ?? '', slots}] : []
  })
  const strange = slotsByLevel.get(undefined)
  if (strange) levels.push({fill: unknown, text: 'not known', slots: strange})
  const shapes = levels.map(({fill, text, slots}) => shape(rangesFromSlots(slots), fill, text))
  const legend: LegendEntry[] = levels.map(({fill, text, slots}) => ({
    fill,
    text: `${text}: ${plural(slots.length, 'slot')}`,
  }))
  for (const {slot, owner, load, share} of hottestSlots(heat, topology, HOTTEST)) {
    const node = topology.nodesById.get(owner ?? '')
    const who = node ? formatAddress(node.address) : ''
    const value = heat.values[slot] ?? 0
    const head = `slot ${slot}: ${formatLoad(heat.kind, load)}, ${formatShare(share)}  `
    const text = head + shorten(who, LEGEND_LENGTH - head.length, UNICODE)
    legend.push({fill: heatColour(levelOf(value, scale)), text, tip: `${who} ${owner ?? ''}`.trim()})
  }
  return {shapes, legend}
}

function shape(ranges: readonly SlotRange[], fill: string, tip: string): string {
  const path = ranges
    .flatMap(rowsOf)
    .map(({x, y, width}) => `M${x} ${y}h${width}v${CELL_HEIGHT}h-${width}z`)
    .join('')
  return `<path d="${path}" fill="${fill}"><title>${escapeMarkup(tip)}</title></path>`
}

/** A range as one bar a row. */
function rowsOf({start, end}: SlotRange): {x: number; y: number; width: number}[] {
  const bars: {x: number; y: number; width: number}[] = []
  for (let from = start; from <= end; from = (Math.floor(from / SLOTS_A_ROW) + 1) * SLOTS_A_ROW) {
    const row = Math.floor(from / SLOTS_A_ROW)
    const to = Math.min(end, (row + 1) * SLOTS_A_ROW - 1)
    bars.push({
      x: LEFT + (from % SLOTS_A_ROW) * CELL_WIDTH,
      y: TOP + row * CELL_HEIGHT,
      width: (to - from + 1) * CELL_WIDTH,
    })
  }
  return bars
}

function rowLabels(): string[] {
  return Array.from({length: 8}, (_, index) => {
    const slot = (index * SLOT_COUNT) / 8
    const y = TOP + (slot / SLOTS_A_ROW) * CELL_HEIGHT
    return `<text x="${LEFT - 8}" y="${y + 10}" text-anchor="end" font-size="11" fill="${FAINT_INK}">${slot}</text>`
  })
}

function legendLine({fill, text, tip}: LegendEntry, column: number, row: number): string[] {
  const x = LEFT + (column * MAP_WIDTH) / LEGEND_COLUMNS
  const y = TOP + MAP_HEIGHT + 28 + row * LINE
  const title = tip === undefined ? '' : `<title>${escapeMarkup(tip)}</title>`
  return [
    ...(fill === 'none'
      ? []
      : [`<rect x="${x}" y="${y - 10}" width="12" height="12" fill="${fill}" stroke="#d0d7de"/>`]),
    `<text x="${x + 20}" y="${y}" fill="${INK}">${title}${escapeMarkup(text)}</text>`,
  ]
}
