/** What is known of the load that each slot bears? */
import type {SlotRanges} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from './model.ts'

export const HEAT_KINDS = ['keys', 'memory', 'cpu', 'network'] as const
export type HeatKind = (typeof HEAT_KINDS)[number]

/** measured: by the server. estimated: from a few keys of each slot. */
export type HeatSource = 'measured' | 'counted' | 'estimated'

export interface HeatGap {
  readonly node: NodeId | undefined
  readonly slots: SlotRanges
  /** off: the server could measure it, and is not set to. unsupported: it cannot. late: there was no time left. */
  readonly reason: 'off' | 'unsupported' | 'unreachable' | 'uncovered' | 'failed' | 'late'
  readonly message: string
}

export interface SlotHeat {
  readonly kind: HeatKind
  /** By slot: keys, bytes, or microseconds of computing; undefined where it is not known. */
  readonly values: readonly (number | undefined)[]
  readonly sources: ReadonlySet<HeatSource>
  /** Slots whose load is not known, by the order of the shards. */
  readonly gaps: readonly HeatGap[]
  /** cpu and network: in this time. undefined: since the servers began to count. */
  readonly overMs: number | undefined
}

/** What came between two looks. A counter that has become smaller was set back, and counts from then. */
export function heatBetween(first: SlotHeat, second: SlotHeat, overMs: number): SlotHeat {
  const values = second.values.map((value, slot) => {
    const before = first.values[slot]
    if (value === undefined || before === undefined) return undefined
    return value >= before ? value - before : value
  })
  return {...second, values, gaps: first.gaps.length > second.gaps.length ? first.gaps : second.gaps, overMs}
}

/** What slots can be evened out by. */
export const LOAD_KINDS = ['slots', ...HEAT_KINDS] as const
export type LoadKind = (typeof LOAD_KINDS)[number]

/** What is known of each slot, to even primaries out by it. Lists by slot. */
export interface SlotLoads {
  readonly by: LoadKind
  /** What is to be evened out; undefined where it is not known. */
  readonly values: readonly (number | undefined)[]
  readonly sources: readonly HeatSource[]
  /** cpu and network: in this time. */
  readonly overMs?: number | undefined
  /** Absent where nobody asked, or may. */
  readonly keys?: readonly (number | undefined)[] | undefined
  readonly bytes?: readonly (number | undefined)[] | undefined
  readonly gaps: readonly HeatGap[]
}

/** By the number of slots: nobody has to be asked. */
export function plainLoads({owners}: Topology): SlotLoads {
  return {by: 'slots', values: owners.map((owner) => (owner === undefined ? 0 : 1)), sources: [], gaps: []}
}
