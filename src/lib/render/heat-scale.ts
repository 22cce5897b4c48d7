/** Which slots are hot, and how hot is that? Facts for the maps, the lists below them and --json; nothing is drawn here. */

import type {NodeId, Topology} from '../topology/model.ts'
import type {HeatKind, SlotHeat} from '../topology/slot-heat.ts'
import {formatBytes, formatCount, formatDuration} from './amounts.ts'

/** 0: no load. 1: under half of the mean. 2: about the mean. 3: from twice, 4: from eight times the mean on. */
export type HeatLevel = 0 | 1 | 2 | 3 | 4

export interface HeatScale {
  /** Where levels 2, 3 and 4 begin. The mean is that of the slots with any load: empty slots say nothing about the others. */
  readonly from: readonly [number, number, number]
}

export function scaleOf({values}: SlotHeat): HeatScale {
  const loaded = values.filter((value) => value !== undefined && value > 0) as number[]
  const mean = loaded.length === 0 ? 0 : loaded.reduce((sum, value) => sum + value, 0) / loaded.length
  return {from: [mean / 2, 2 * mean, 8 * mean]}
}

export function levelOf(value: number, {from}: HeatScale): HeatLevel {
  if (value <= 0) return 0
  return value < from[0] ? 1 : value < from[1] ? 2 : value < from[2] ? 3 : 4
}

/** What each level stands for, "none" first; in the kind's unit. */
export function describeLevels({kind}: SlotHeat, {from}: HeatScale): readonly string[] {
  const [second, third, fourth] = from.map((value) => formatLoad(kind, Math.ceil(value))) as [string, string, string]
  return ['none', `under ${second}`, `${second} to ${third}`, `${third} to ${fourth}`, `${fourth} and more`]
}

/** The load of a slot or of a node: "1,200", "3.4 MB", "120 ms". */
export function formatLoad(kind: HeatKind, value: number): string {
  switch (kind) {
    case 'keys':
      return formatCount(value)
    case 'cpu':
      return value < 1000 ? `${Math.round(value)} us` : formatDuration(value / 1000)
    default:
      return formatBytes(value)
  }
}

const NOUNS: Readonly<Record<HeatKind, string>> = {
  keys: 'Keys',
  memory: 'Memory',
  cpu: 'Computing time',
  network: 'Network traffic, in and out',
}

/** "Keys by slot, as the servers count them" */
export function describeHeat({kind, sources, overMs}: Pick<SlotHeat, 'kind' | 'sources' | 'overMs'>): string {
  const parts: string[] = []
  if (sources.has('measured')) parts.push(kind === 'keys' ? 'as the servers count them' : 'as the servers measure it')
  if (sources.has('counted')) parts.push('counted')
  if (sources.has('estimated')) parts.push('estimated from a few keys of each slot')
  const time =
    kind !== 'cpu' && kind !== 'network'
      ? ''
      : overMs === undefined
        ? ', since the servers began to count'
        : `, in ${formatDuration(overMs)}`
  return `${NOUNS[kind]} by slot${time}${parts.length === 0 ? '' : `, ${parts.join(' or ')}`}`
}

export interface HotSlot {
  readonly slot: number
  readonly owner: NodeId | undefined
  readonly load: number
  /** Of the load of all slots; 0 to 1. */
  readonly share: number
}

/** The hottest first; equal ones by slot. Slots without load are not among them. */
export function hottestSlots({values}: SlotHeat, {owners}: Topology, limit: number): readonly HotSlot[] {
  const total = totalOf(values)
  return values
    .flatMap((load, slot) => (load ? [{slot, owner: owners[slot], load, share: load / total}] : []))
    .sort((a, b) => b.load - a.load || a.slot - b.slot)
    .slice(0, limit)
}

export interface OwnerLoad {
  readonly id: NodeId
  readonly load: number
  readonly share: number
}

/** The most loaded first; owners of whose slots something is known. */
export function loadByOwner({values}: SlotHeat, {owners}: Topology): readonly OwnerLoad[] {
  const total = totalOf(values)
  const loads = new Map<NodeId, number>()
  for (const [slot, load] of values.entries()) {
    const owner = owners[slot]
    if (load !== undefined && owner !== undefined) loads.set(owner, (loads.get(owner) ?? 0) + load)
  }
  return [...loads]
    .map(([id, load]) => ({id, load, share: total === 0 ? 0 : load / total}))
    .sort((a, b) => b.load - a.load || (a.id < b.id ? -1 : 1))
}

export function totalOf(values: SlotHeat['values']): number {
  return values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
}

/** 0.125 → "12.5%" */
export function formatShare(share: number): string {
  return `${(100 * share).toFixed(1)}%`
}
