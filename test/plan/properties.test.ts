import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {planEvacuate} from '../../src/lib/plan/evacuate.ts'
import {planJoin} from '../../src/lib/plan/join.ts'
import type {MovePlan, SlotMove} from '../../src/lib/plan/plan.ts'
import {planRebalance} from '../../src/lib/plan/rebalance.ts'
import {planRemoval} from '../../src/lib/plan/removal.ts'
import {planReshard} from '../../src/lib/plan/reshard.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {rangesFromSlots, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {NodeId, Topology} from '../../src/lib/topology/model.ts'
import {primaries, slotsOf} from '../../src/lib/topology/queries.ts'
import {afterMoves, buildTopology, nodeId} from '../support/topology-builder.ts'
import {countsOf, rangeCount, reversed, type Scene, scenes} from './arbitrary-cluster.ts'

const RUNS = {numRuns: 25}

/** A planner with its options chosen, applied to any view of the same cluster. */
type Planner = (topology: Topology, started: readonly SlotMove[]) => MovePlan

interface Case extends Scene {
  readonly plan: Planner
  /** The options in another order. */
  readonly planOtherwise: Planner
}

/** How the primaries of a scene are told apart by a number each. */
const chooser = fc.array(fc.nat(), {minLength: 8, maxLength: 8})

const idsOf = (topology: Topology): NodeId[] =>
  primaries(topology)
    .map(({id}) => id)
    .toSorted()

/** Some sources and a target of a scene; undefined where there is nobody to give. */
function endsOf({topology}: Scene, picks: readonly number[]): {from: NodeId[]; to: NodeId} {
  const ids = idsOf(topology)
  const to = ids[picks[0]! % ids.length]!
  const others = ids.filter((id) => id !== to)
  const some = others.filter((_, index) => picks[index + 1]! % 2 === 0)
  return {from: some.length > 0 ? some : others, to}
}

const reshards: fc.Arbitrary<Case> = fc
  .tuple(scenes(), chooser, fc.integer({min: 1, max: 4000}))
  .map(([scene, picks, wanted]) => {
    const {from, to} = endsOf(scene, picks)
    const begun = new Set(scene.started.map(({slot}) => slot))
    const owned = scene.topology.owners.filter((owner, slot) => from.includes(owner!) && !begun.has(slot)).length
    const ours = scene.started.filter((move) => move.to === to && from.includes(move.from)).length
    const count = Math.max(1, Math.min(wanted, owned + ours))
    return {
      ...scene,
      plan: (topology: Topology, started: readonly SlotMove[]) => planReshard(topology, {from, to, count}, started),
      planOtherwise: (topology: Topology, started: readonly SlotMove[]) =>
        planReshard(topology, {from: from.toReversed(), to, count}, started),
      isPossible: owned + ours > 0,
    }
  })
  .filter(({isPossible}) => isPossible)

const rebalances: fc.Arbitrary<Case> = fc
  .tuple(
    scenes(),
    fc.array(fc.option(fc.constantFrom(0, 0.5, 1, 1, 2, 7), {nil: undefined}), {minLength: 8, maxLength: 8}),
    fc.boolean(),
  )
  .map(([scene, picks, useEmpty]) => {
    const ids = idsOf(scene.topology)
    const weights = new Map(
      ids.flatMap((id, index) => {
        const weight = picks[index]
        return weight === undefined ? [] : [[id, index === 0 ? Math.max(1, weight) : weight] as const]
      }),
    )
    if (!weights.has(ids[0]!)) weights.set(ids[0]!, 1)
    const planWith =
      (order: ReadonlyMap<NodeId, number>): Planner =>
      (topology, started) =>
        planRebalance(topology, {weights: order, thresholdPercent: 0, useEmpty, started})
    return {...scene, plan: planWith(weights), planOtherwise: planWith(new Map([...weights].toReversed())), weights}
  })

/** Nothing on its way to a victim: that is refused. */
const evacuations: fc.Arbitrary<Case & {victims: NodeId[]}> = fc.tuple(scenes(), chooser).map(([scene, picks]) => {
  const ids = idsOf(scene.topology)
  const victims = ids.slice(1).filter((_, index) => picks[index]! % 2 === 0)
  const isOnward = ({to}: SlotMove): boolean => !victims.includes(to)
  const started = scene.started.filter(isOnward)
  const onward = new Set(started.map(({slot}) => slot))
  const openSlots = scene.topology.openSlots.filter(({slot}) => onward.has(slot))
  const planOf =
    (order: readonly NodeId[]): Planner =>
    (topology, begun) =>
      planEvacuate(topology, {victims: order, started: begun})
  return {
    topology: {...scene.topology, openSlots},
    started,
    victims,
    plan: planOf(victims),
    planOtherwise: planOf(victims.toReversed()),
  }
})

describe.each([
  {name: 'reshard', cases: reshards},
  {name: 'rebalance', cases: rebalances},
  {name: 'evacuate', cases: evacuations as fc.Arbitrary<Case>},
])('every $name plan', ({cases}) => {
  test('moves no slot twice, none to where it is, each from its owner, and those that had begun as they were meant', () => {
    fc.assert(
      fc.property(cases, ({topology, started, plan}) => {
        const {moves} = plan(topology, started)
        const slots = moves.map(({slot}) => slot)
        expect(slots.every((slot, index) => index === 0 || slot > slots[index - 1]!)).toBe(true)
        expect(moves.filter(({from, to}) => from === to)).toEqual([])
        expect(moves.filter(({slot, from}) => topology.owners[slot] !== from)).toEqual([])
        const begun = new Set(started.map(({slot}) => slot))
        expect(moves.filter(({slot}) => begun.has(slot))).toEqual(started)
      }),
      RUNS,
    )
  })

  test('conserves the slots, tells truly how many everyone has before and after, and makes few more ranges', () => {
    fc.assert(
      fc.property(cases, ({topology, started, plan}) => {
        const {moves, primaries: changes} = plan(topology, started)
        const after = afterMoves(topology, moves)
        const countsBy = (key: 'slotsBefore' | 'slotsAfter') =>
          new Map(changes.map((change) => [change.id, change[key]]))
        expect(countsBy('slotsBefore')).toEqual(countsOf(topology))
        expect(countsBy('slotsAfter')).toEqual(countsOf(after))
        expect(changes.reduce((sum, {slotsAfter}) => sum + slotsAfter, 0)).toBe(SLOT_COUNT)
        const pairs = new Set(moves.map(({from, to}) => `${from} ${to}`)).size
        // A slot that is on its way alone may split the range that it leaves and lie alone where it arrives.
        const bound = rangeCount(topology) + 2 * pairs + 2 * started.length
        expect(rangeCount(after)).toBeLessThanOrEqual(bound)
      }),
      RUNS,
    )
  })

  test('is the same in whatever order nodes and options come', () => {
    fc.assert(
      fc.property(cases, ({topology, started, plan, planOtherwise}) => {
        const [one, other] = [plan(topology, started), planOtherwise(reversed(topology), started.toReversed())]
        expect(JSON.stringify(other)).toBe(JSON.stringify(one))
      }),
      RUNS,
    )
  })
})

describe('reshard', () => {
  const asked = fc.tuple(scenes(), chooser, fc.integer({min: 1, max: SLOT_COUNT}))

  test('N asked is N planned between those ends, or the shortfall is an error with both numbers', () => {
    fc.assert(
      fc.property(asked, ([scene, picks, count]) => {
        const {topology, started} = scene
        const {from, to} = endsOf(scene, picks)
        const isOurs = (move: SlotMove): boolean => move.to === to && from.includes(move.from)
        const ours = started.filter(isOurs).length
        const begun = new Set(started.map(({slot}) => slot))
        const free = topology.owners.filter((owner, slot) => from.includes(owner!) && !begun.has(slot)).length
        if (count > free + ours) {
          expect(() => planReshard(topology, {from, to, count}, started)).toThrow(
            expect.objectContaining({code: 'E_USAGE', details: {available: free + ours, asked: count}}),
          )
          return
        }
        const {moves} = planReshard(topology, {from, to, count}, started)
        expect(moves.filter(isOurs).length).toBe(Math.max(count, ours))
        expect(moves.filter((move) => !isOurs(move))).toEqual(started.filter((move) => !isOurs(move)))
      }),
      RUNS,
    )
  })

  test('given slots are exactly those that move, and asked for again none do', () => {
    fc.assert(
      fc.property(
        scenes(),
        chooser,
        fc.uniqueArray(fc.nat(SLOT_COUNT - 1), {minLength: 1, maxLength: 200}),
        ({topology}, picks, listed) => {
          const {to} = endsOf({topology, started: []}, picks)
          const slots = rangesFromSlots(listed)
          const {moves} = planReshard(topology, {from: 'all', to, slots}, [])
          const wanted = slotsInRanges(slots).filter((slot) => topology.owners[slot] !== to)
          expect(moves.map(({slot}) => slot)).toEqual(wanted)
          expect(planReshard(afterMoves(topology, moves), {from: 'all', to, slots}, []).moves).toEqual([])
        },
      ),
      RUNS,
    )
  })
})

describe('rebalance', () => {
  test('planned again after it was carried out, nothing is left', () => {
    fc.assert(
      fc.property(rebalances, ({topology, started, plan}) => {
        const first = plan(topology, started)
        const after = afterMoves(topology, first.moves)
        const second = plan(after, [])
        if (first.warnings.length === 0) expect(second.moves).toEqual([])
        expect(plan(afterMoves(after, second.moves), []).moves).toEqual([])
      }),
      RUNS,
    )
  })

  test('weight 0 never gains but what was on its way already, and ends empty', () => {
    fc.assert(
      fc.property(rebalances as fc.Arbitrary<Case & {weights: Map<NodeId, number>}>, (scene) => {
        const {topology, started, plan, weights} = scene
        const {moves} = plan(topology, started)
        const after = countsOf(afterMoves(topology, moves))
        const begun = new Set(started.map(({slot}) => slot))
        for (const [id, weight] of weights) {
          if (weight > 0) continue
          expect(moves.filter(({slot, to}) => to === id && !begun.has(slot))).toEqual([])
          expect(after.get(id)).toBe(started.filter(({to}) => to === id).length)
        }
      }),
      RUNS,
    )
  })

  test('nobody both gives and takes, but for what was on its way', () => {
    fc.assert(
      fc.property(rebalances, ({topology, started, plan}) => {
        const begun = new Set(started.map(({slot}) => slot))
        const fresh = plan(topology, started).moves.filter(({slot}) => !begun.has(slot))
        const givers = new Set(fresh.map(({from}) => from))
        expect(fresh.filter(({to}) => givers.has(to))).toEqual([])
        expect(new Set(fresh.map(({from, to}) => `${from} ${to}`)).size).toBeLessThanOrEqual(
          Math.max(0, givers.size + new Set(fresh.map(({to}) => to)).size - 1),
        )
      }),
      RUNS,
    )
  })

  test('with equal weights all end within one slot of each other, in the fewest moves', () => {
    fc.assert(
      fc.property(scenes(), ({topology}) => {
        const {moves, primaries: changes} = planRebalance(topology, {
          weights: new Map(),
          thresholdPercent: 0,
          useEmpty: true,
          started: [],
        })
        const after = changes.map(({slotsAfter}) => slotsAfter)
        expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1)
        const floor = Math.floor(SLOT_COUNT / after.length)
        const extras = SLOT_COUNT - floor * after.length
        const above = changes.filter(({slotsBefore}) => slotsBefore > floor)
        const surplus = above.reduce((sum, {slotsBefore}) => sum + slotsBefore - floor, 0)
        expect(moves.length).toBe(surplus - Math.min(extras, above.length))
      }),
      RUNS,
    )
  })
})

describe('evacuate', () => {
  test('empties the victims, takes from nobody else, and leaves the rest as even as can be', () => {
    fc.assert(
      fc.property(evacuations, ({topology, started, plan, victims}) => {
        const {moves} = plan(topology, started)
        const after = afterMoves(topology, moves)
        const counts = countsOf(after)
        for (const id of victims) expect(counts.get(id)).toBe(0)
        const begun = new Set(started.map(({slot}) => slot))
        const fresh = moves.filter(({slot}) => !begun.has(slot))
        expect(fresh.filter(({from, to}) => !victims.includes(from) || victims.includes(to))).toEqual([])
        // Whoever took something is no fuller than anyone who could have taken it, but for the odd slot.
        const before = countsOf(afterMoves(topology, started))
        const stay = idsOf(topology).filter((id) => !victims.includes(id))
        const withSlots = stay.filter((id) => before.get(id)! > 0)
        const takers = new Set(fresh.map(({to}) => to))
        const fullest = Math.max(0, ...[...takers].map((id) => counts.get(id)!))
        for (const id of withSlots.length > 0 ? withSlots : stay) {
          expect(counts.get(id)! >= fullest - 1).toBe(true)
        }
        expect(plan(after, []).moves).toEqual([])
      }),
      RUNS,
    )
  })
})

describe('who follows whom', () => {
  const crowds = fc.record({
    replicas: fc.array(fc.constantFrom('A', 'B', 'C', 'X', 'Y'), {maxLength: 8}),
    hosts: fc.array(fc.constantFrom('h1', 'h2', 'h3'), {minLength: 13, maxLength: 13}),
  })
  const clusterOf = ({replicas, hosts}: {replicas: string[]; hosts: string[]}): Topology => {
    const names = ['A', 'B', 'C', 'X', 'Y', ...replicas.map((_, index) => `R${index}`)]
    return buildTopology({
      primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383', X: '', Y: ''},
      replicas: Object.fromEntries(replicas.map((primary, index) => [`R${index}`, primary])),
      hosts: Object.fromEntries(names.map((name, index) => [name, hosts[index]!])),
    })
  }
  const isEven = (before: ReadonlyMap<NodeId, number>, after: ReadonlyMap<NodeId, number>): boolean => {
    const grown = [...after].filter(([id, count]) => count > (before.get(id) ?? 0)).map(([, count]) => count)
    return grown.length === 0 || Math.max(...grown) <= Math.min(...after.values()) + 1
  }
  const loads = (topology: Topology): Map<NodeId, number> =>
    new Map(
      primaries(topology)
        .filter(({id}) => slotsOf(topology, id).length > 0)
        .map(({id}) => [id, topology.nodes.filter(({primaryId}) => primaryId === id).length]),
    )

  test('replicas of victims go to primaries with slots, evenly, in whatever order anything comes', () => {
    fc.assert(
      fc.property(crowds, (crowd) => {
        const topology = clusterOf(crowd)
        const victims = [nodeId('X'), nodeId('Y')]
        const {rehomed} = planRemoval(topology, {victims})
        expect(planRemoval(reversed(topology), {victims: victims.toReversed()}).rehomed).toEqual(rehomed)
        const after = loads(topology)
        for (const {primaryId} of rehomed) {
          expect(after.has(primaryId)).toBe(true)
          after.set(primaryId, after.get(primaryId)! + 1)
        }
        expect(isEven(loads(topology), after)).toBe(true)
        expect(rehomed).toHaveLength(crowd.replicas.filter((primary) => primary === 'X' || primary === 'Y').length)
      }),
    )
  })

  test('newcomers go to primaries with slots, evenly, in whatever order the nodes come', () => {
    fc.assert(
      fc.property(crowds, fc.integer({min: 1, max: 7}), (crowd, count) => {
        const topology = clusterOf(crowd)
        const newcomers = Array.from({length: count}, (_, n) => ({
          id: nodeId(`N${n}`),
          address: {host: crowd.hosts[n]!, port: 7100 + n},
        }))
        const plan = planJoin(topology, {newcomers, role: 'replica'})
        expect(planJoin(reversed(topology), {newcomers, role: 'replica'})).toEqual(plan)
        const after = loads(topology)
        for (const {primaryId} of plan.newcomers) after.set(primaryId!, (after.get(primaryId!) ?? Number.NaN) + 1)
        expect(isEven(loads(topology), after)).toBe(true)
      }),
    )
  })
})
