import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import type {MemberAct} from '../../src/lib/plan/acts.ts'
import {type PlacementPlan, planPlacement} from '../../src/lib/plan/even-replicas.ts'
import {costOf} from '../../src/lib/plan/placement.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import {withZones} from '../../src/lib/topology/zone-labels.ts'
import {buildTopology, type ClusterWords, nodeId, nodeName} from '../support/topology-builder.ts'

const THREE = {A: '0-5460', B: '5461-10922', C: '10923-16383'}

interface Case {
  readonly replicas: Readonly<Record<string, string>>
  readonly zones?: Readonly<Record<string, string>>
  readonly primaries?: ClusterWords['primaries']
  readonly hosts?: ClusterWords['hosts']
  readonly unreachable?: readonly string[]
}

function clusterOf({zones = {}, primaries = THREE, ...words}: Case): Topology {
  const labels = Object.entries(zones).map(([name, zone]) => ({node: nodeId(name), zone, isRequired: true}))
  return withZones(buildTopology({primaries, ...words}), labels)
}

/** "R1 to B", "R1 over A" */
function wordsOf(acts: readonly MemberAct[]): string[] {
  return acts.map((act) => {
    if (act.kind === 'replicate') return `${nodeName(act.node.id)} to ${nodeName(act.primary.id)}`
    return act.kind === 'fail-over' ? `${nodeName(act.replica.id)} over ${nodeName(act.primary.id)}` : act.kind
  })
}

function applied({primaries = THREE, replicas, ...rest}: Case, acts: readonly MemberAct[]): Case {
  const [leaders, followers] = [{...primaries} as Record<string, string>, {...replicas} as Record<string, string>]
  for (const act of acts) {
    if (act.kind === 'replicate') followers[nodeName(act.node.id)] = nodeName(act.primary.id)
    if (act.kind !== 'fail-over') continue
    const [heir, old] = [nodeName(act.replica.id), nodeName(act.primary.id)]
    expect(followers[heir]).toBe(old)
    leaders[heir] = leaders[old]!
    delete leaders[old]
    delete followers[heir]
    for (const [name, its] of Object.entries(followers)) if (its === old) followers[name] = heir
    followers[old] = heir
  }
  return {...rest, primaries: leaders, replicas: followers}
}

describe('rebalance --replicas', () => {
  test.each<Case & {name: string; acts: string[]; warns?: RegExp}>([
    {name: 'leaves what is good', replicas: {R1: 'A', R2: 'B', R3: 'C'}, zones: {A: 'a', R1: 'b'}, acts: []},
    {name: 'evens out numbers', replicas: {R1: 'A', R2: 'A', R3: 'A'}, acts: ['R1 to B', 'R2 to C']},
    {
      name: 'exchanges replicas that are in the zone of their primary',
      replicas: {R1: 'A', R2: 'B', R3: 'C'},
      zones: {A: 'a', R1: 'a', B: 'b', R2: 'b', C: 'c', R3: 'a'},
      acts: ['R1 to B', 'R2 to A'],
      warns: /10\.0\.0\.1:7000 will have no replica in step for a while/,
    },
    {
      name: 'takes first from the shard that has most',
      replicas: {R1: 'A', R2: 'B', R3: 'B', R4: 'C'},
      zones: {A: 'a', R1: 'a', B: 'b', R2: 'b', R3: 'c', C: 'c', R4: 'a'},
      acts: ['R2 to A', 'R1 to B'],
    },
    {
      name: 'sends a spare one where it is elsewhere',
      replicas: {R1: 'A', R2: 'A', R3: 'B', R4: 'C'},
      zones: {A: 'a', R1: 'a', R2: 'b', B: 'b', R3: 'c', C: 'c', R4: 'b'},
      acts: ['R1 to B'],
    },
    {
      name: 'turns three where two do not do',
      replicas: {R1: 'A', R2: 'B', R3: 'C'},
      zones: {A: 'a', R1: 'a', B: 'b', R2: 'b', C: 'c', R3: 'c'},
      acts: ['R1 to C', 'R3 to B', 'R2 to A'],
    },
    {
      name: 'says what cannot be had',
      replicas: {R1: 'A', R2: 'B', R3: 'C'},
      zones: {A: 'a', R1: 'a', B: 'a', R2: 'a', C: 'a', R3: 'b'},
      acts: [],
      warns: /2 of 3 shards have a replica in the zone of its primary/,
    },
    {
      name: 'leaves the dead where they are',
      replicas: {R1: 'A', R2: 'A', R3: 'B'},
      unreachable: ['R1'],
      acts: [],
      warns: /cannot be reached and is not placed/,
    },
  ])('$name', ({acts, warns, name: _, ...cluster}) => {
    const plan = planPlacement(clusterOf(cluster), {replicas: true, primaries: false})
    expect(wordsOf(plan.acts)).toEqual(acts)
    expect(plan.warnings.join()).toMatch(warns ?? /^/)
  })
})

describe('rebalance --primaries', () => {
  test.each<Case & {name: string; acts: string[]; warns?: RegExp}>([
    {
      name: 'lets a replica elsewhere take over',
      replicas: {R1: 'A', R2: 'B', R3: 'C'},
      zones: {A: 'a', B: 'a', C: 'a', R1: 'b', R2: 'b', R3: 'c'},
      acts: ['R1 over A', 'R3 over C'],
    },
    {
      name: 'goes by way of a third zone',
      primaries: {A: '0-999', B: '1000-1999', C: '2000-2999', D: '3000-3999', E: '4000-4999', F: '5000-16383'},
      replicas: {R1: 'A', R4: 'D'},
      zones: {A: 'a', B: 'a', C: 'a', D: 'b', E: 'b', F: 'c', R1: 'b', R4: 'c'},
      acts: ['R4 over D', 'R1 over A'],
    },
    {
      name: 'says what cannot be had',
      replicas: {R1: 'A', R2: 'B', R3: 'C'},
      zones: {A: 'a', B: 'a', C: 'a', R1: 'a', R2: 'a', R3: 'b'},
      acts: ['R3 over C'],
      warns: /zone a has 2 of 3 primaries/,
    },
    {
      name: 'spreads over hosts, where there are no zones',
      replicas: {R1: 'A', R2: 'B', R3: 'C'},
      hosts: {A: 'h1', B: 'h1', C: 'h1', R1: 'h2', R2: 'h3', R3: 'h1'},
      acts: ['R1 over A', 'R2 over B'],
    },
  ])('$name', ({acts, warns, name: _, ...cluster}) => {
    const plan = planPlacement(clusterOf(cluster), {replicas: false, primaries: true})
    expect(wordsOf(plan.acts)).toEqual(acts)
    expect(plan.warnings.join()).toMatch(warns ?? /^/)
  })
})

test('where no replica answers there is nobody to place', () => {
  const alone = clusterOf({replicas: {R1: 'A'}, unreachable: ['R1']})
  expect(() => planPlacement(alone, {replicas: true, primaries: true})).toThrow('no shard has a replica')
})

test('any cluster: planned again after half of it, and after all of it, it comes to rest, and is no worse', () => {
  const NAMES = ['A', 'B', 'C', 'D', 'E']
  const crowds = fc.record({
    homes: fc.array(fc.nat(2), {minLength: 1, maxLength: 7}),
    zones: fc.array(fc.constantFrom('a', 'b', 'c', ''), {minLength: 10, maxLength: 10}),
    hosts: fc.array(fc.constantFrom('h1', 'h2', 'h3', 'h4'), {minLength: 10, maxLength: 10}),
    done: fc.nat(9),
  })
  fc.assert(
    fc.property(crowds, ({homes, zones, hosts, done}) => {
      const replicas = Object.fromEntries(homes.map((home, index) => [`R${index}`, NAMES[home]!]))
      const names = ['A', 'B', 'C', ...Object.keys(replicas)]
      const cluster: Case = {
        replicas,
        hosts: Object.fromEntries(names.map((name, index) => [name, hosts[index]!])),
        zones: Object.fromEntries(names.flatMap((name, index) => (zones[index] ? [[name, zones[index]]] : []))),
      }
      const plan = (words: Case): PlacementPlan => planPlacement(clusterOf(words), {replicas: true, primaries: true})
      const first = plan(cluster)
      const costs = (one: Topology): number =>
        one.shards.reduce(
          (sum, {primary, replicas: own}) =>
            sum +
            costOf(
              place(primary.id),
              own.map(({id}) => place(id)),
            ),
          0,
        )
      const place = (id: string) => {
        const name = nodeName(id)
        return {id, address: {host: cluster.hosts![name]!, port: 1}, zone: cluster.zones![name]}
      }
      const counts = new Set(homes.map((home) => homes.filter((one) => one === home).length))
      const isEven = counts.size === 1 && new Set(homes).size === 3
      const onlyReplicas = planPlacement(clusterOf(cluster), {replicas: true, primaries: false})
      if (isEven) {
        expect(costs(clusterOf(applied(cluster, onlyReplicas.acts)))).toBeLessThanOrEqual(costs(clusterOf(cluster)))
      }
      const moved = onlyReplicas.acts
      expect(planPlacement(clusterOf(applied(cluster, moved)), {replicas: true, primaries: false}).acts).toEqual([])
      const half = applied(cluster, first.acts.slice(0, done))
      let rest = half
      for (let turn = 0; turn < 3; turn++) rest = applied(rest, plan(rest).acts)
      expect(wordsOf(plan(rest).acts)).toEqual([])
    }),
    {numRuns: 60},
  )
})
