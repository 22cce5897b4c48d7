/** How do slots of a primary before and after look side by side? What stays, what comes, what goes. */
import type {PrimaryChange} from '../plan/plan.ts'
import type {Style} from './colour.ts'

const MARKS = {
  unicode: {stays: '█', comes: '▓', goes: '░'},
  ascii: {stays: '#', comes: '+', goes: '-'},
} as const

/** One bar for each, at most `width` cells, drawn to the scale of the largest; what is not nothing has a cell. */
export function slotBars(changes: readonly PrimaryChange[], width: number, style: Style): string[] {
  const {chalk, isUnicode} = style
  const marks = MARKS[isUnicode ? 'unicode' : 'ascii']
  const most = Math.max(1, ...changes.map(({slotsBefore, slotsAfter}) => Math.max(slotsBefore, slotsAfter)))
  return changes.map(({slotsBefore, slotsAfter}) => {
    const whole = cells(Math.max(slotsBefore, slotsAfter), most, width)
    const changed = Math.min(whole, cells(Math.abs(slotsAfter - slotsBefore), most, width))
    const stays = Math.min(slotsBefore, slotsAfter) > 0 ? Math.max(whole - changed, 1) : 0
    const rest = Math.max(whole - stays, changed > 0 ? 1 : 0)
    const change =
      slotsAfter > slotsBefore ? chalk.green(marks.comes.repeat(rest)) : chalk.yellow(marks.goes.repeat(rest))
    return chalk.dim(marks.stays.repeat(stays)) + (slotsAfter === slotsBefore ? '' : change)
  })
}

function cells(slots: number, most: number, width: number): number {
  return slots === 0 ? 0 : Math.max(1, Math.round((slots / most) * width))
}
