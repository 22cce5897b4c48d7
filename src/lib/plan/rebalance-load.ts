/**
 * Which slots move so that every primary bears its share of the load, for as little as can be? Pure; ties by node ID and
 * slot. The plan says what it makes of the load, and how near it is to the best that any plan could do.
 */
import {RefusedError} from '../errors.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {labelId} from '../topology/queries.ts'
import type {SlotLoads} from '../topology/slot-heat.ts'
import {defragment} from './defragment.ts'
import {evenLoad} from './even-load.ts'
import {Layout, type LayoutFacts} from './layout.ts'
import {excessOf, leastCost} from './load-bounds.ts'
import {type HotSlot, setTargets, targetsWithin} from './load-targets.ts'
import {buildMovePlan, ownersAfter, slotsByOwner} from './move-plan.ts'
import type {MovePlan, PlannedLoad} from './plan.ts'
import {describeLoad, unitOf} from './planned-load.ts'
import {type RebalanceOptions, weightsOf} from './rebalance.ts'
import {settleSlots} from './settle-slots.ts'

export interface LoadOptions extends Required<RebalanceOptions> {
  readonly loads: SlotLoads
  /** Slots that move beside those that have begun, at most. */
  readonly maxMoves?: number | undefined
  /** Bytes in memory of the slots that move beside those that have begun, at most. */
  readonly maxBytes?: number | undefined
  /** Bring the slots of each primary into few ranges, too. */
  readonly isDefragmenting: boolean
}

/** @throws UsageError as `planRebalance`; RefusedError 'not-measured' when --max-bytes is given and nobody tells bytes. */
export function planLoadRebalance(topology: Topology, options: LoadOptions): MovePlan {
  const {loads, started, maxMoves, maxBytes} = options
  if (maxBytes !== undefined && !loads.bytes) {
    throw new RefusedError(
      'not-measured',
      'how many bytes each slot holds is not known, so --max-bytes cannot be kept',
      {
        suggestions: ['Limit the slots by their number: --max-moves N'],
      },
    )
  }
  const owners = ownersAfter(topology, started)
  const {values, guessed} = complete(loads.values, topology.owners)
  const [keys, bytes] = [loads.keys, loads.bytes].map((known) => known && complete(known, topology.owners).values)
  const facts: LayoutFacts = {
    owners,
    weights: weightsOf(topology, options, slotsByOwner(owners)),
    loads: values,
    // What is computed or sent does not move; what is stored does.
    costs: loads.by === 'cpu' || loads.by === 'network' ? (bytes ?? keys) : undefined,
    locked: new Set([...started.map(({slot}) => slot), ...guessed]),
    bytes,
  }
  const {layout, before, ...outcome} = arrange(facts, {maxMoves, maxBytes}, options)
  const relief = excessOf(before, layout.targets) - excessOf(layout.held, layout.targets)
  const plan = buildMovePlan(
    topology,
    'rebalance',
    [...started, ...layout.moves()],
    warnAbout(topology, loads, guessed),
  )
  const costUnit = facts.costs === undefined ? unitOf(loads.by) : bytes ? 'bytes' : 'keys'
  return {
    ...plan,
    load: describeLoad(topology, plan, loads, layout, {
      ...outcome,
      leastCost: leastCost(layout, layout.targets, relief),
      costUnit,
    }),
  }
}

interface Arrangement extends Evened {
  readonly limitedBy: PlannedLoad['limitedBy']
}

type Limits = Pick<LayoutFacts, 'maxMoves' | 'maxBytes'>

/** Without a limit first: what that would take tells how far a limited plan may go. */
function arrange(facts: LayoutFacts, limits: Limits, options: LoadOptions): Arrangement {
  const free = evened(facts, options, evenLoad)
  if (options.isDefragmenting) defragment(free.layout, toleranceOf(options))
  const {maxMoves = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY} = limits
  const parts = [maxMoves / free.layout.moved, maxBytes / free.layout.movedBytes]
  const part = Math.min(...parts)
  if (!(part < 1)) return {...free, limitedBy: undefined}
  const limited = {...facts, ...limits}
  const ranges = evened(limited, options, (layout, tolerance) => {
    const goal = Float64Array.from(layout.targets)
    layout.targets.set(targetsWithin(layout, goal, part * excessOf(layout.held, goal)))
    evenLoad(layout, tolerance)
    layout.targets.set(goal)
    settleSlots(layout, tolerance)
  })
  const singles = evened(limited, options, settleSlots)
  const relief = ({layout, before}: Evened): number =>
    excessOf(before, layout.targets) - excessOf(layout.held, layout.targets)
  // Slots picked one by one lie in as many ranges: only for the sake of something.
  const better = relief(singles) > WORTH * relief(ranges) ? singles : ranges
  if (options.isDefragmenting) defragment(better.layout, toleranceOf(options))
  return {...better, limitedBy: parts[0] === part ? 'max-moves' : 'max-bytes'}
}

const WORTH = 1.1

interface Evened {
  readonly layout: Layout
  readonly hot: readonly HotSlot[]
  /** What each bore at first. */
  readonly before: Float64Array
}

function evened(
  facts: LayoutFacts,
  options: LoadOptions,
  even: (layout: Layout, tolerance: ReturnType<typeof toleranceOf>) => void,
): Evened {
  const layout = new Layout(facts)
  const before = Float64Array.from(layout.held)
  const hot = setTargets(layout)
  const isOff = (node: number): boolean =>
    Math.abs(layout.deviation(node)) > toleranceOf(options).tolerance + 1e-9 ||
    (layout.weights[node] === 0 && (layout.slotCounts[node] as number) > 0)
  if ([...layout.ids.keys()].some(isOff)) even(layout, toleranceOf(options))
  return {layout, hot, before}
}

function toleranceOf({thresholdPercent}: LoadOptions): {readonly tolerance: number} {
  return {tolerance: thresholdPercent / 100}
}

/** A slot of which nothing is known bears what those of its owner do on the average, and stays. */
function complete(
  values: readonly (number | undefined)[],
  owners: readonly (NodeId | undefined)[],
): {readonly values: number[]; readonly guessed: readonly number[]} {
  const known = new Map<NodeId | undefined, {sum: number; count: number}>()
  for (const [slot, value] of values.entries()) {
    if (value === undefined) continue
    const own = known.get(owners[slot])
    if (own) {
      own.sum += value
      own.count++
    } else known.set(owners[slot], {sum: value, count: 1})
  }
  const guessed: number[] = []
  const all = Array.from({length: SLOT_COUNT}, (_, slot) => {
    const value = values[slot]
    if (value !== undefined || owners[slot] === undefined) return value ?? 0
    guessed.push(slot)
    const own = known.get(owners[slot])
    return own ? own.sum / own.count : 0
  })
  return {values: all, guessed}
}

function warnAbout(topology: Topology, {gaps, sources}: SlotLoads, guessed: readonly number[]): string[] {
  const warnings = gaps.flatMap(({node, slots, message}) =>
    node === undefined || guessed.length === 0
      ? []
      : [`the load of ${countSlots(slots)} slots of ${labelId(topology, node)} is not known (${message}): they stay`],
  )
  if (sources.includes('measured') && sources.includes('estimated')) {
    warnings.push(
      'some servers measure the memory of their slots and for others it is estimated, which may differ a little',
    )
  }
  return warnings
}
