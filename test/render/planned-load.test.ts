import {expect, test} from 'vitest'
import {planLoadRebalance} from '../../src/lib/plan/rebalance-load.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {renderMovePlan} from '../../src/lib/render/plan.ts'
import {renderStillness} from '../../src/lib/render/planned-load.ts'
import {afterMoves, buildTopology} from '../support/topology-builder.ts'

const topology = buildTopology({primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}})

function planFor(values: number[], at = topology, maxBytes?: number) {
  return planLoadRebalance(at, {
    weights: new Map(),
    thresholdPercent: 2,
    useEmpty: false,
    started: [],
    loads: {by: 'memory', values, sources: ['measured'], keys: values.map(() => 1), bytes: values, gaps: []},
    maxBytes,
    isDefragmenting: false,
  })
}

const values = Array.from({length: 16384}, (_, slot) => (slot === 866 ? 6e6 : slot < 100 ? 30_000 : 0))

test('a plan by load: what each bears before and after, how good that is, and what no move helps', () => {
  expect(renderMovePlan(planFor(values, topology, 2e6), topology, PLAIN_STYLE)).toMatchInlineSnapshot(`
    "Primary        Slots  After  Memory   After   Share      Off
    ------------------------------------------------------------
    10.0.0.1:7000   5461   5395  8.6 MB  6.7 MB  2.9 MB  +134.0%
    10.0.0.1:7001   5462   5495     0 B  967 KB  2.9 MB   -67.0%
    10.0.0.1:7002   5461   5494     0 B  967 KB  2.9 MB   -67.0%

    From           To             Slots  Ranges
    -------------------------------------------
    10.0.0.1:7000  10.0.0.1:7002     33  34-66
    10.0.0.1:7000  10.0.0.1:7001     33  67-99

    66 slots to move, in 2 ranges, with 66 keys and about 1.9 MB in memory.
    Memory by slot, as the servers measure it.
    Off its share by 200% at most now, and by 134% afterwards; no plan gets below 100%.
    To even out as much, any plan moves 1.9 MB or more; this one 1.9 MB, 1.00 times that.
    The slots lie in 3 ranges now, and in 6 afterwards.
    Without --max-bytes more would move.
    Slot 866 alone bears 66.7% of the load, more than the share of 10.0.0.1:7000 (41000000), where it stays: no move helps.
      rcluster explain slot 866 --seed 10.0.0.1:7000"
  `)
})

test('where nothing helps any more, the reason is told instead', () => {
  const after = afterMoves(topology, planFor(values).moves)
  expect(renderStillness(planFor(values, after).load!, 2, after, PLAIN_STYLE)).toMatchInlineSnapshot(`
    "Nothing to do: no move brings the primaries nearer to their share of the memory.
    Memory by slot, as the servers measure it.
    Off its share by 100% at most now, and by 100% afterwards; no plan does better.
    Slot 866 alone bears 66.7% of the load, more than the share of 10.0.0.1:7000 (41000000), where it stays: no move helps.
      rcluster explain slot 866 --seed 10.0.0.1:7000"
  `)
  const empty = planFor(new Array(16384).fill(0)).load!
  expect(renderStillness(empty, 2, topology, PLAIN_STYLE)).toBe(
    'Nothing to do: there is no memory that could be evened out.',
  )
})
