/** What does `--json` say of the load of slots? Keys, bytes or microseconds as numbers, slots as "0-5460,5462". */

import {formatRanges} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import type {HeatGap, HeatKind, HeatSource, SlotHeat} from '../topology/slot-heat.ts'
import {type HotSlot, hottestSlots, loadByOwner, type OwnerLoad, totalOf} from './heat-scale.ts'

export interface HeatDocument {
  readonly by: HeatKind
  readonly unit: 'keys' | 'bytes' | 'microseconds'
  readonly sources: readonly HeatSource[]
  /** null: since the servers began to count; of keys and memory: now. */
  readonly overMs: number | null
  readonly total: number
  readonly hottest: readonly HotSlot[]
  readonly primaries: readonly OwnerLoad[]
  /** Slots whose load is not known, and why. */
  readonly unknown: readonly {
    readonly node: NodeId | null
    readonly slots: string
    readonly reason: HeatGap['reason']
    readonly message: string
  }[]
}

const HOTTEST = 100

export function heatDocument(heat: SlotHeat, topology: Topology): HeatDocument {
  const {kind, sources, overMs, values, gaps} = heat
  return {
    by: kind,
    unit: kind === 'keys' ? 'keys' : kind === 'cpu' ? 'microseconds' : 'bytes',
    sources: [...sources].sort(),
    overMs: overMs ?? null,
    total: totalOf(values),
    hottest: hottestSlots(heat, topology, HOTTEST),
    primaries: loadByOwner(heat, topology),
    unknown: gaps.map(({node, slots, reason, message}) => ({
      node: node ?? null,
      slots: formatRanges(slots),
      reason,
      message,
    })),
  }
}
