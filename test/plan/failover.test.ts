import {expect, test} from 'vitest'
import {RefusedError} from '../../src/lib/errors.ts'
import {planFailover} from '../../src/lib/plan/failover.ts'
import {requireForgettable} from '../../src/lib/plan/forget.ts'
import {planReplicate} from '../../src/lib/plan/replicate.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import {buildTopology, type ClusterWords, nodeId, nodeName} from '../support/topology-builder.ts'

const THREE = {A: '0-5460', B: '5461-10922', C: '10923-16383'} as const
const SHARD: ClusterWords = {primaries: {...THREE, X: ''}, replicas: {R1: 'A', R2: 'A', R3: 'X'}}

interface Replication {
  readonly offset?: number
  readonly isLinked?: boolean
}

/** What INFO says of each node. */
function topologyOf(words: ClusterWords, said: Readonly<Record<string, Replication>> = {}): Topology {
  const topology = buildTopology(words)
  const nodes = topology.nodes.map((node) => {
    const {offset, isLinked} = said[nodeName(node.id)] ?? {}
    if (node.reach.kind === 'unreachable') return node
    const {view} = node.reach
    const serverInfo = {
      ...view.serverInfo,
      replicationOffset: offset ?? 1000,
      isPrimaryLinkUp: node.role === 'replica' ? (isLinked ?? true) : undefined,
    }
    return {...node, reach: {kind: 'reached' as const, view: {...view, serverInfo}}}
  })
  const nodesById = new Map(nodes.map((node) => [node.id, node]))
  const byId = (id: string) => nodesById.get(id)!
  const shards = topology.shards.map(({primary, replicas}) => ({
    primary: byId(primary.id),
    replicas: replicas.map(({id}) => byId(id)),
  }))
  return {...topology, nodes, nodesById, shards}
}

function refusalOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof RefusedError) return `${error.message} → ${error.suggestions.join('; ')}`
    throw error
  }
  return 'nothing refused'
}

test.each<{name: string; node: string; said: Record<string, Replication>; heir: string}>([
  {name: 'the replica that is named', node: 'R2', said: {R1: {offset: 1000}, R2: {offset: 900}}, heir: 'R2'},
  {name: 'of a primary, the one that has most', node: 'A', said: {R1: {offset: 900}}, heir: 'R2'},
  {name: 'of equals, the first by ID', node: 'A', said: {}, heir: 'R1'},
  {
    name: 'not one whose link is down',
    node: 'A',
    said: {R1: {offset: 1000, isLinked: false}, R2: {offset: 5}},
    heir: 'R2',
  },
])('failover lets take over: $name', ({node, said, heir}) => {
  const plan = planFailover(topologyOf(SHARD, said), {nodeId: nodeId(node), way: 'coordinated'})
  expect(nodeName(plan.replica.id)).toBe(heir)
  expect(nodeName(plan.primary.id)).toBe('A')
})

test.each<{
  name: string
  node: string
  said?: Record<string, Replication>
  unreachable?: string[]
  way?: 'coordinated' | 'force' | 'takeover'
  says: RegExp
}>([
  {name: 'no replica', node: 'B', says: /has no replica that could take over/},
  {name: 'a broken link', node: 'R1', said: {R1: {isLinked: false}}, says: /link of .* is down → .*--force/},
  {name: 'a replica far behind', node: 'R1', said: {A: {offset: 2 ** 27}}, says: /is 128 MB behind/},
  {name: 'a dead primary', node: 'R1', unreachable: ['A'], says: /cannot hand over.* → .*--force/},
  {name: 'a dead replica', node: 'R1', unreachable: ['R1'], way: 'takeover', says: /replica .* cannot be reached/},
  {name: 'no slots', node: 'R3', way: 'force', says: /owns no slots.* → .*--takeover/},
  {name: 'no majority', node: 'R1', unreachable: ['A', 'B'], way: 'force', says: /only 1 of 3 .* → .*--takeover/},
])('failover refuses $name', ({node, said = {}, unreachable = [], way = 'coordinated', says}) => {
  const topology = topologyOf({...SHARD, unreachable}, said)
  expect(refusalOf(() => planFailover(topology, {nodeId: nodeId(node), way}))).toMatch(says)
})

test.each<{name: string; node: string; unreachable: string[]; way: 'force' | 'takeover'}>([
  {name: 'force: a dead primary', node: 'R1', unreachable: ['A'], way: 'force'},
  {name: 'takeover: no majority', node: 'R1', unreachable: ['A', 'B'], way: 'takeover'},
  {name: 'takeover: no slots', node: 'R3', unreachable: [], way: 'takeover'},
])('failover goes ahead, with a warning, by $name', ({node, unreachable, way}) => {
  const plan = planFailover(topologyOf({...SHARD, unreachable}), {nodeId: nodeId(node), way})
  expect(nodeName(plan.replica.id)).toBe(node)
  expect(plan.warnings.join()).toMatch(/are lost/)
})

test('replicate takes replicas and empty primaries, and refuses what would be lost', () => {
  const topology = topologyOf(SHARD)
  const plan = (replica: string, primary: string) =>
    planReplicate(topology, {replicaId: nodeId(replica), primaryId: nodeId(primary)})
  expect(plan('R1', 'B')).toMatchObject({primaryBefore: nodeId('A'), warnings: []})
  expect(refusalOf(() => plan('B', 'A'))).toContain('owns 5462 slots')
  expect(refusalOf(() => plan('X', 'A'))).toContain('has replicas of its own')
  expect(() => plan('A', 'A')).toThrow('cannot follow itself')
  expect(() => plan('R1', 'R3')).toThrow('is a replica itself')
  const alone = topologyOf({primaries: THREE, replicas: {R1: 'A'}})
  expect(planReplicate(alone, {replicaId: nodeId('R1'), primaryId: nodeId('B')}).warnings).toHaveLength(1)
})

test('forget refuses owners of slots, and whom somebody follows', () => {
  const refusal = (unreachable: string[], ...ids: string[]) =>
    refusalOf(() => requireForgettable(topologyOf({...SHARD, unreachable}), ids.map(nodeId)))
  expect(refusal(['A'], 'A')).toMatch(/owns 5461 slots.* → .*failover 10\.0\.0\.1:7004 --force/)
  expect(refusal(['X'], 'X')).toMatch(/still follow .* → .*del-node/)
  expect(refusal(['X', 'R3'], 'X', 'R3')).toBe('nothing refused')
  expect(refusal(['R2'], 'R2')).toBe('nothing refused')
})
