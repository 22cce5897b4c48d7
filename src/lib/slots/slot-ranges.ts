/**
 * How are sets of slots written and read?
 * The only formatter and parser of slot lists: "0-5460,5462".
 */
import {SLOT_COUNT} from './slot.ts'

/** Slots `start` to `end`, both inclusive. */
export interface SlotRange {
  readonly start: number
  readonly end: number
}

/** Ascending, disjoint and not adjacent: one set of slots has exactly one such list. */
export type SlotRanges = readonly SlotRange[]

/** Duplicates and any order are fine. */
export function rangesFromSlots(slots: Iterable<number>): SlotRanges {
  const sorted = [...slots].sort((a, b) => a - b)
  const ranges: {start: number; end: number}[] = []
  for (const slot of sorted) {
    const last = ranges.at(-1)
    if (last && slot <= last.end + 1) last.end = Math.max(last.end, slot)
    else ranges.push({start: slot, end: slot})
  }
  return ranges
}

/** All slots of `ranges`, ascending when the ranges are. */
export function slotsInRanges(ranges: SlotRanges): number[] {
  const slots: number[] = []
  for (const {start, end} of ranges) for (let slot = start; slot <= end; slot++) slots.push(slot)
  return slots
}

export function countSlots(ranges: SlotRanges): number {
  return ranges.reduce((sum, {start, end}) => sum + end - start + 1, 0)
}

/** "0-99,4000"; the empty set gives "". */
export function formatRanges(ranges: SlotRanges): string {
  return ranges.map(({start, end}) => (start === end ? `${start}` : `${start}-${end}`)).join(',')
}

export function formatSlots(slots: Iterable<number>): string {
  return formatRanges(rangesFromSlots(slots))
}

/**
 * "0-99,4000" or "0-99 4000" to ranges.
 * @throws RangeError naming the first word that is no slot or no ascending range within 0-16383.
 */
export function parseRanges(text: string): SlotRanges {
  const ranges: SlotRange[] = []
  for (const word of text.split(/[\s,]+/)) {
    if (word === '') continue
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word)
    const start = match ? Number(match[1]) : Number.NaN
    const end = match ? Number(match[2] ?? match[1]) : Number.NaN
    if (!(start <= end && end < SLOT_COUNT)) {
      throw new RangeError(`"${word}" is not a slot or a range of slots within 0-${SLOT_COUNT - 1}`)
    }
    ranges.push({start, end})
  }
  return union(ranges)
}

/** Any order, overlaps and neighbours are fine. */
function union(ranges: readonly SlotRange[]): SlotRanges {
  const merged: {start: number; end: number}[] = []
  for (const {start, end} of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last && start <= last.end + 1) last.end = Math.max(last.end, end)
    else merged.push({start, end})
  }
  return merged
}
