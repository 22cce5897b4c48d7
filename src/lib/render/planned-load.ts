/** What does a plan make of the load? The table of the primaries, and the lines below it; nothing is drawn here. */
import type {MovePlan, PlannedLoad} from '../plan/plan.ts'
import type {Topology} from '../topology/model.ts'
import {labelId, seedAddress} from '../topology/queries.ts'
import type {LoadKind} from '../topology/slot-heat.ts'
import {formatBytes, formatCount, plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {describeHeat, formatLoad} from './heat-scale.ts'
import {type Column, renderTable} from './table.ts'
import {wrap} from './wrap.ts'

/** Hot slots that are named one by one. */
const NAMED = 5

const TITLES: Readonly<Record<LoadKind, string>> = {
  slots: 'Slots',
  keys: 'Keys',
  memory: 'Memory',
  cpu: 'CPU',
  network: 'Network',
}

/** Every primary before and after: its slots, its load, and how far that is off its share. */
export function renderLoadChanges(plan: MovePlan, load: PlannedLoad, style: Style): string {
  const byId = new Map(load.primaries.map((one) => [one.id, one]))
  // The pairs below tell of slots, too, where there is no room for both.
  const isNarrow = style.isTerminal && style.columns < 72
  const hasSlots = load.by !== 'slots' && !isNarrow
  const columns: Column[] = [
    {title: 'Primary'},
    ...(hasSlots ? [{title: 'Slots', align: 'right'} as const, {title: 'After', align: 'right'} as const] : []),
    {title: TITLES[load.by], align: 'right'},
    {title: 'After', align: 'right'},
    ...(isNarrow ? [] : [{title: 'Share', align: 'right'} as const]),
    {title: 'Off', align: 'right'},
  ]
  const rows = plan.primaries.map(({id, address, slotsBefore, slotsAfter}) => {
    const own = byId.get(id)
    const amount = (value: number | undefined): string => (value === undefined ? '-' : formatAmount(load, value))
    return [
      clean(address),
      ...(hasSlots ? [String(slotsBefore), String(slotsAfter)] : []),
      amount(own?.before),
      amount(own?.after),
      ...(isNarrow ? [] : [amount(own?.share)]),
      own && own.share > 0 ? formatOff((own.after - own.share) / own.share) : '-',
    ]
  })
  return renderTable(columns, rows, style)
}

/** ", with 1,200 keys and 3.4 MB in memory", as far as it is known. */
export function renderFreight({slots}: PlannedLoad): string {
  const sumOf = (values: readonly (number | undefined)[]): number | undefined =>
    values.length === 0 || values.includes(undefined)
      ? undefined
      : values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
  const keys = sumOf(slots.map((slot) => slot.keys))
  const bytes = sumOf(slots.map((slot) => slot.bytes))
  const parts = [
    ...(keys === undefined ? [] : [plural(Math.round(keys), 'key')]),
    ...(bytes === undefined ? [] : [`about ${formatBytes(bytes)} in memory`]),
  ]
  return parts.length === 0 ? '' : `, with ${parts.join(' and ')}`
}

/** How even it gets, for how much, and what stands in the way. */
export function renderLoadLines(load: PlannedLoad, topology: Topology, style: Style): string[] {
  const {imbalancePercent: off, cost, ranges, limitedBy, by, sources} = load
  const lines: string[] = []
  if (by !== 'slots') {
    lines.push(`${describeHeat({kind: by, sources: new Set(sources), overMs: load.overMs})}.`)
  }
  const bound = off.after - off.least < 0.01 ? 'no plan does better' : `no plan gets below ${formatPercent(off.least)}`
  lines.push(
    `Off its share by ${formatPercent(off.before)} at most now, and by ${formatPercent(off.after)} afterwards; ${bound}.`,
  )
  if (cost.moved > 0 && cost.least !== undefined) {
    const moved = formatCost(cost.unit, cost.moved)
    if (cost.least > 0) {
      const times = (cost.moved / cost.least).toFixed(2)
      lines.push(
        `To even out as much, any plan moves ${formatCost(cost.unit, cost.least)} or more; this one ${moved}, ${times} times that.`,
      )
    } else lines.push(`That moves ${moved}.`)
  }
  if (ranges.before !== ranges.after) {
    lines.push(
      `The slots lie in ${plural(ranges.before, 'range')} now, and in ${formatCount(ranges.after)} afterwards.`,
    )
  }
  if (limitedBy) lines.push(`Without --${limitedBy} more would move.`)
  return [...lines.map((line) => wrap(line, style, 0, 0)), ...renderHotSlots(load, topology, style)]
}

/** In place of a plan that moves nothing. */
export function renderStillness(load: PlannedLoad, thresholdPercent: number, topology: Topology, style: Style): string {
  const {imbalancePercent: off, total, by} = load
  const noun = by === 'slots' ? 'share' : `share of the ${by === 'cpu' ? 'computing' : by}`
  if (total === 0) return `Nothing to do: there is no ${by === 'cpu' ? 'computing time' : by} that could be evened out.`
  if (off.before <= thresholdPercent + 0.01) {
    return `Nothing to do: every primary is within ${thresholdPercent} % of its ${noun}.`
  }
  if (load.limitedBy) return `Nothing to do: --${load.limitedBy} leaves no room for a slot that would help.`
  return [
    `Nothing to do: no move brings the primaries nearer to their ${noun}.`,
    ...renderLoadLines(load, topology, style),
  ].join('\n')
}

/** The command below each is not broken, so that it can be pasted. */
function renderHotSlots({hotSlots}: PlannedLoad, topology: Topology, style: Style): string[] {
  const seed = seedAddress(topology)
  const more = hotSlots.length - NAMED
  const named = hotSlots.slice(0, NAMED).flatMap(({slot, owner, percent}) => {
    const where = `where it ${topology.owners[slot] === owner ? 'stays' : 'goes'}`
    const text = `Slot ${slot} alone bears ${formatPercent(percent)} of the load, more than the share of ${labelId(topology, owner)}, ${where}: no move helps.`
    return [wrap(text, style, 0, 0), `  rcluster explain slot ${slot} --seed ${seed}`]
  })
  return more > 0 ? [...named, `So do ${plural(more, 'other slot')}.`] : named
}

function formatAmount({by}: PlannedLoad, value: number): string {
  return by === 'slots' ? String(value) : formatLoad(by, value)
}

function formatCost(unit: PlannedLoad['unit'], value: number): string {
  switch (unit) {
    case 'slots':
      return plural(value, 'slot')
    case 'keys':
      return plural(value, 'key')
    case 'microseconds':
      return formatLoad('cpu', value)
    case 'bytes':
      return formatBytes(value)
  }
}

function formatOff(part: number): string {
  const percent = (100 * part).toFixed(1)
  return `${part > 0 && percent !== '0.0' ? '+' : ''}${percent === '-0.0' ? '0.0' : percent}%`
}

function formatPercent(percent: number): string {
  return `${percent === 0 || percent >= 99.95 ? Math.round(percent) : percent.toFixed(1)}%`
}
