import {expect, test} from 'vitest'
import {type BackupPlan, planBackup} from '../../src/lib/plan/backup.ts'
import {formatRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {ClusterNode, ServerInfo, Topology} from '../../src/lib/topology/model.ts'
import {buildTopology, type ClusterWords, nodeName} from '../support/topology-builder.ts'

const WORDS: ClusterWords = {
  primaries: {A: '0-8000', B: '8001-16383', C: ''},
  replicas: {R1: 'A', R2: 'A', R3: 'B'},
}
const UP = {isPrimaryLinkUp: true}

/** The cluster with what nodes say of themselves, by name. */
function cluster(
  facts: Readonly<Record<string, Partial<ServerInfo> | undefined>>,
  words: ClusterWords = WORDS,
): Topology {
  const topology = buildTopology(words)
  const told = (node: ClusterNode): ClusterNode => {
    if (node.reach.kind !== 'reached') return node
    const {view} = node.reach
    const serverInfo = {...view.serverInfo, ...facts[nodeName(node.id)]}
    return {...node, reach: {kind: 'reached', view: {...view, serverInfo}}}
  }
  return {
    ...topology,
    shards: topology.shards.map(({primary, replicas}) => ({primary: told(primary), replicas: replicas.map(told)})),
  }
}

function describePlan({sources, missing}: BackupPlan): string[] {
  return [
    ...sources.map(
      ({node, slots, lagBytes}) =>
        `${nodeName(node.id)} ${formatRanges(slots)}${lagBytes === undefined ? '' : ` lag ${lagBytes}`}`,
    ),
    ...missing.map(({primary}) => `none of ${nodeName(primary.id)}`),
  ]
}

test.each([
  {name: 'no replica is in touch', facts: {}, expected: ['A 0-8000', 'B 8001-16383']},
  {name: 'one is', facts: {R2: UP, R3: UP}, expected: ['R2 0-8000', 'R3 8001-16383']},
  {
    name: 'one lags less',
    facts: {
      A: {replicationOffset: 100},
      R1: {...UP, replicationOffset: 60},
      R2: {...UP, replicationOffset: 90},
    },
    expected: ['R2 0-8000 lag 10', 'B 8001-16383'],
  },
  {name: 'both are as near', facts: {R1: UP, R2: UP}, expected: ['R1 0-8000', 'B 8001-16383']},
  {
    name: 'one is still loading',
    facts: {R1: {...UP, isLoading: true}, R2: UP},
    expected: ['R2 0-8000', 'B 8001-16383'],
  },
])('when $name', ({facts, expected}) => {
  const plan = planBackup(cluster(facts), {isFromPrimaries: false})
  expect(describePlan(plan)).toEqual(expected)
  expect(describePlan(planBackup(cluster(facts), {isFromPrimaries: true}))).toEqual(['A 0-8000', 'B 8001-16383'])
})

test('a shard of which nobody can be asked is told, and a replica does for a primary that cannot', () => {
  const topology = cluster({R1: UP}, {...WORDS, unreachable: ['A', 'B', 'R3']})
  const owned = {...topology, owners: buildTopology(WORDS).owners}
  expect(describePlan(planBackup(owned, {isFromPrimaries: false}))).toEqual(['R1 0-8000', 'none of B'])
  expect(describePlan(planBackup(owned, {isFromPrimaries: true}))).toEqual(['none of A', 'none of B'])
})
