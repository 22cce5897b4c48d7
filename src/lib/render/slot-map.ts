/** Who owns which of the 16384 slots? A picture: one letter for some slots, by the primary that owns most of them. */

import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** For the primaries after those. */
const ANY_OTHER = '+'
const OPEN = '!'
const UNCOVERED = '?'
const LABEL_WIDTH = 5

/** The map, then its legend. One open or uncovered slot is enough to mark its cell. */
export function renderSlotMap(topology: Topology, style: Style): string {
  const {chalk} = style
  const paints = [chalk.cyan, chalk.green, chalk.magenta, chalk.blue, chalk.yellow, chalk.white]
  const primaries = topology.shards.map(({primary}) => primary).filter(({ranges}) => ranges.length > 0)
  const order = new Map(primaries.map(({id}, index) => [id, index]))
  const letterOf = (id: NodeId): string => {
    const index = order.get(id) ?? LETTERS.length
    return paints[index % paints.length]!(LETTERS[index] ?? ANY_OTHER)
  }
  // A power of two, so that all rows are equally long.
  const perRow = 2 ** Math.floor(Math.log2(Math.max(16, Math.min(128, style.columns - LABEL_WIDTH - 2))))
  const perCell = 32
  const open = new Set(topology.openSlots.map(({slot}) => slot))
  const uncovered = new Set(slotsInRanges(topology.uncovered))
  const rows: string[] = []
  for (let rowStart = 0; rowStart < SLOT_COUNT; rowStart += perRow * perCell) {
    let row = ''
    for (let start = rowStart; start < rowStart + perRow * perCell; start += perCell) {
      const mark = cellMark(topology, open, uncovered, start, start + perCell)
      row += mark === OPEN || mark === UNCOVERED ? chalk.red.bold(mark) : letterOf(mark)
    }
    rows.push(`${chalk.dim(String(rowStart).padStart(LABEL_WIDTH))}  ${row}`)
  }
  const widest = Math.max(0, ...primaries.map(({address}) => formatAddress(address).length))
  const legend = primaries.map(({id, address, ranges}) => {
    const slots = countSlots(ranges)
    const share = ((100 * slots) / SLOT_COUNT).toFixed(1)
    return `${letterOf(id)}  ${clean(formatAddress(address)).padEnd(widest)}  ${String(slots).padStart(5)} slots  ${share.padStart(5)}%`
  })
  if (open.size > 0) legend.push(`${chalk.red.bold(OPEN)}  with open slots: ${open.size}`)
  if (uncovered.size > 0) legend.push(`${chalk.red.bold(UNCOVERED)}  with uncovered slots: ${uncovered.size}`)
  return [
    ...rows,
    '',
    `Each character is ${perCell} slots, shown by the primary that owns most of them.`,
    ...legend,
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
