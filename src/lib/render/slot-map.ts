/** Who owns which of the 16384 slots? A picture: one letter for some slots, by the primary that owns most of them. */

import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, rangesFromSlots, slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {inColumns} from './columns.ts'
import {shorten} from './shorten.ts'
import {drawGrid} from './slot-grid.ts'
import {renderRanges} from './topology.ts'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** For the primaries after those. */
const ANY_OTHER = '+'
const OPEN = '!'
const UNCOVERED = '?'

/** The map, then its legend. One open or uncovered slot is enough to mark its cell. */
export function renderSlotMap(topology: Topology, style: Style): string {
  const {chalk, columns} = style
  const paints = [chalk.cyan, chalk.green, chalk.magenta, chalk.blue, chalk.yellow, chalk.white]
  const primaries = topology.shards.map(({primary}) => primary).filter(({ranges}) => ranges.length > 0)
  const order = new Map(primaries.map(({id}, index) => [id, index]))
  const letterOf = (id: NodeId): string => {
    const index = order.get(id) ?? LETTERS.length
    return paints[index % paints.length]!(LETTERS[index] ?? ANY_OTHER)
  }
  const open = new Set(topology.openSlots.map(({slot}) => slot))
  const uncovered = new Set(slotsInRanges(topology.uncovered))
  const {rows, perCell} = drawGrid(style, (start, end) => {
    const mark = cellMark(topology, open, uncovered, start, end)
    return mark === OPEN || mark === UNCOVERED ? chalk.red.bold(mark) : letterOf(mark)
  })

  const amount = (slots: number): string => {
    const share = ((100 * slots) / SLOT_COUNT).toFixed(1)
    return `${String(slots).padStart(5)} ${slots === 1 ? 'slot ' : 'slots'}  ${share.padStart(5)}%`
  }
  const named = primaries.slice(0, LETTERS.length)
  const others = primaries.slice(LETTERS.length)
  const room = Math.max(12, columns - '   '.length - '  '.length - amount(0).length)
  const places = named.map(({address}) => shorten(clean(formatAddress(address)), room, style))
  const rest = others.length > 0 ? [`${others.length} others`] : []
  const widest = Math.max(0, ...[...places, ...rest].map((place) => place.length))
  const legend = named.map(
    ({id, ranges}, index) => `${letterOf(id)}  ${places[index]!.padEnd(widest)}  ${amount(countSlots(ranges))}`,
  )
  for (const text of rest) {
    const slots = others.reduce((sum, {ranges}) => sum + countSlots(ranges), 0)
    legend.push(`${paints[0]!(ANY_OTHER)}  ${text.padEnd(widest)}  ${amount(slots)}`)
  }
  const marks: string[] = []
  const marked = (mark: string, slots: Iterable<number>, word: string): void => {
    const ranges = rangesFromSlots(slots)
    const head = `${plural(countSlots(ranges), 'slot')} ${word}: `
    marks.push(`${chalk.red.bold(mark)}  ${head}${renderRanges(ranges, Math.max(12, columns - 3 - head.length))}`)
  }
  if (open.size > 0) marked(OPEN, open, 'open')
  if (uncovered.size > 0) marked(UNCOVERED, uncovered, 'uncovered')
  const sentence = `Each character is ${perCell} slots, shown by the primary that owns most of them.`
  return [
    rows,
    '',
    columns < sentence.length ? `Each character is ${perCell} slots.` : sentence,
    ...inColumns(legend, style),
    ...marks,
  ].join('\n')
}

/** OPEN, UNCOVERED or the owner. */
function cellMark(
  {owners}: Topology,
  open: ReadonlySet<number>,
  uncovered: ReadonlySet<number>,
  start: number,
  end: number,
): string {
  const counts = new Map<NodeId, number>()
  let best = UNCOVERED
  let hasUncovered = false
  for (let slot = start; slot < end; slot++) {
    if (open.has(slot)) return OPEN
    const owner = owners[slot]
    if (owner === undefined || uncovered.has(slot)) {
      hasUncovered = true
      continue
    }
    const count = (counts.get(owner) ?? 0) + 1
    counts.set(owner, count)
    if (count > (counts.get(best) ?? 0)) best = owner
  }
  return hasUncovered ? UNCOVERED : best
}
