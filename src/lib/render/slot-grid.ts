/** How do 16384 slots fit a terminal? As rows of characters, each for some slots, the first slot of a row before it. */
import {SLOT_COUNT} from '../slots/slot.ts'
import type {Style} from './colour.ts'

const LABEL_WIDTH = 5
const SLOTS_A_CHARACTER = 32
const WIDEST_ROW = 128

export interface SlotGrid {
  readonly rows: string
  /** How many slots one character stands for. */
  readonly perCell: number
}

/** `cell`: the character, coloured, for the slots from `start` to before `end`. */
export function drawGrid(style: Style, cell: (start: number, end: number) => string): SlotGrid {
  // A power of two, so that all rows are equally long.
  const perRow = 2 ** Math.floor(Math.log2(Math.max(16, Math.min(WIDEST_ROW, style.columns - LABEL_WIDTH - 2))))
  // Where there is room, twice as fine rather than half as high.
  const perCell = perRow === WIDEST_ROW ? SLOTS_A_CHARACTER / 2 : SLOTS_A_CHARACTER
  const rows: string[] = []
  for (let rowStart = 0; rowStart < SLOT_COUNT; rowStart += perRow * perCell) {
    let row = ''
    for (let start = rowStart; start < rowStart + perRow * perCell; start += perCell)
      row += cell(start, start + perCell)
    rows.push(`${style.chalk.dim(String(rowStart).padStart(LABEL_WIDTH))}  ${row}`)
  }
  return {rows: rows.join('\n'), perCell}
}
