import {describe, expect, it, test} from 'vitest'
import {
  failoverNode,
  olderPeers,
  planRoll,
  type RollOptions,
  type RollPlan,
  shiftOf,
  troublesOf,
} from '../../src/lib/plan/roll.ts'
import type {ServerInfo, Topology} from '../../src/lib/topology/model.ts'
import {isVersionReached} from '../../src/lib/topology/versions.ts'
import {withReach} from '../../src/lib/topology/with-reach.ts'
import {buildTopology, type ClusterWords, nodeId, nodeName} from '../support/topology-builder.ts'

const THREE = {A: '0-5460', B: '5461-10922', C: '10923-16383'} as const
const SIX: ClusterWords = {primaries: THREE, replicas: {R: 'A', S: 'B', T: 'C'}}

/** What INFO says of each node, beside what all say. */
function topologyOf(words: ClusterWords, said: Readonly<Record<string, Partial<ServerInfo>>> = {}): Topology {
  return withReach(buildTopology(words), ({id, role, reach}) => {
    if (reach.kind === 'unreachable') return reach
    const isPrimaryLinkUp = role === 'replica' ? true : undefined
    const own = said[nodeName(id)]
    const serverInfo = {...reach.view.serverInfo, runId: nodeName(id), uptimeSeconds: 1000, isPrimaryLinkUp, ...own}
    return {...reach, view: {...reach.view, serverInfo}}
  })
}

const PLAIN: RollOptions = {isFailingBack: false, mayLeaveUnserved: false}

function plan(topology: Topology, options: Partial<RollOptions> = {}): RollPlan {
  return planRoll(topology, {...PLAIN, ...options})
}

/** "restart R", "hand-over A"; "!" where slots are unserved. */
function stepsOf({steps}: RollPlan): string {
  return steps.map(({kind, node, isUnserved}) => `${kind} ${nodeName(node.id)}${isUnserved ? '!' : ''}`).join(', ')
}

function ids(...names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map(nodeId))
}

const started = new Date('2026-11-29T20:00:00Z')
const later = (seconds: number): Date => new Date(started.getTime() + seconds * 1000)

describe('a roll', () => {
  test.each<{name: string; words: ClusterWords; options?: Partial<RollOptions>; steps: string}>([
    {
      name: 'takes shard by shard: replicas, failover, the old primary',
      words: SIX,
      steps: 'restart R, hand-over A, restart A, restart S, hand-over B, restart B, restart T, hand-over C, restart C',
    },
    {
      name: 'returns the role where that is wanted',
      words: {primaries: {A: '0-16383'}, replicas: {R: 'A', S: 'A'}},
      options: {isFailingBack: true},
      steps: 'restart R, restart S, hand-over A, restart A, hand-back A',
    },
    {name: 'of single nodes does no more', words: SIX, options: {only: ids('S')}, steps: 'restart S'},
    {
      name: 'of a primary alone lets its replica take over',
      words: SIX,
      options: {only: ids('B')},
      steps: 'hand-over B, restart B',
    },
    {
      name: 'restarts a primary without slots as it is, with and without replicas',
      words: {primaries: {A: '0-16383', X: '', Y: ''}, replicas: {R: 'A', S: 'X'}},
      steps: 'restart R, hand-over A, restart A, restart S, restart X, restart Y',
    },
    {
      name: 'leaves slots unserved where that is allowed',
      words: {primaries: THREE, replicas: {R: 'A'}},
      options: {mayLeaveUnserved: true},
      steps: 'restart R, hand-over A, restart A, restart B!, restart C!',
    },
  ])('$name', ({words, options, steps}) => {
    expect(stepsOf(plan(topologyOf(words), options))).toBe(steps)
  })

  it('names every primary that has nobody to take over', () => {
    const topology = topologyOf({primaries: THREE, replicas: {R: 'A'}})
    expect(() => plan(topology)).toThrow(
      '10.0.0.1:7001 (42000000) and 10.0.0.1:7002 (43000000) have no replica to take over: nobody would serve their slots meanwhile',
    )
    expect(stepsOf(plan(topology, {only: ids('A', 'R')}))).toBe('restart R, hand-over A, restart A')
  })

  it('needs nodes that tell when they are another process', () => {
    expect(() => plan(topologyOf(SIX, {S: {runId: undefined}}))).toThrow(
      '10.0.0.1:7004 (53000000) does not tell the run ID',
    )
  })

  it('passes over those that have the version', () => {
    const said = {R: {version: '8.6.0'}, A: {version: '8.6.0'}, S: {version: '9.1.2'}}
    const result = plan(topologyOf(SIX, said), {untilVersion: '8.6'})
    expect(stepsOf(result)).toBe('hand-over B, restart B, restart T, hand-over C, restart C')
    expect(result.skipped.map(({id, reason}) => `${nodeName(id)} ${reason}`)).toEqual([
      'R version',
      'A version',
      'S version',
    ])
  })

  it('passes over those that were started since, and not those that may have been before', () => {
    // Looked at 100 s after the moment: R began 90 s after it, A as much as 1 s before or after, S long before.
    const topology = topologyOf(
      {primaries: {A: '0-16383'}, replicas: {R: 'A', S: 'A'}},
      {R: {uptimeSeconds: 10}, A: {uptimeSeconds: 100}, S: {uptimeSeconds: 5000}},
    )
    const result = plan(topology, {since: {moment: started, lookedAt: later(100)}})
    expect(stepsOf(result)).toBe('restart S, hand-over A, restart A')
    expect(result.skipped.map(({id, reason}) => `${nodeName(id)} ${reason}`)).toEqual(['R restarted'])
  })

  it('goes on, after a run that ended behind the failover, with the old primary alone', () => {
    const topology = topologyOf({primaries: {R: '0-16383'}, replicas: {A: 'R'}}, {R: {uptimeSeconds: 10}})
    expect(stepsOf(plan(topology, {since: {moment: started, lookedAt: later(60)}}))).toBe('restart A')
  })
})

test.each([
  ['8.6.3', '8.6', true],
  ['8.6.3', '8.6.4', false],
  ['8.10.0', '8.6', true],
  ['8.0.9', '8.6', false],
  ['9.0.0', '8.6', true],
  ['7.2', '7.2.0', true],
  ['8.6.0-rc1', '8.6.0', true],
  ['', '1', false],
])('%s reaches %s: %s', (version, until, isReached) => {
  expect(isVersionReached(version, until)).toBe(isReached)
})

describe('where versions are mixed', () => {
  const words: ClusterWords = {primaries: {A: '0-16383'}, replicas: {R: 'A', S: 'A', T: 'A'}}

  it('an oldest replica takes over, of those the one that has most', () => {
    const said = {
      R: {version: '8.6.0', replicationOffset: 900},
      S: {version: '8.0.1', replicationOffset: 100},
      T: {version: '8.0.1', replicationOffset: 200},
    }
    expect(failoverNode(topologyOf(words, said), nodeId('A'))).toBe(nodeId('T'))
    expect(failoverNode(topologyOf(words), nodeId('A'))).toBe(nodeId('A'))
  })

  it('a replica that is newer than another one is told from it', () => {
    const topology = topologyOf(words, {R: {version: '8.6.0'}, S: {version: '8.6.0'}})
    expect(olderPeers(topology, nodeId('R')).map(({id}) => nodeName(id))).toEqual(['T'])
    expect(olderPeers(topology, nodeId('T'))).toEqual([])
  })
})

describe('before a node is touched', () => {
  const troubles = (topology: Topology, restarting?: string): string[] =>
    troublesOf(topology, restarting === undefined ? undefined : nodeId(restarting)).map(({id}) => id)

  test('a replica without a link is in the way of all but itself', () => {
    const topology = topologyOf(SIX, {S: {isPrimaryLinkUp: false}})
    expect(troubles(topology)).toEqual(['replica-link-down'])
    expect(troubles(topology, 'R')).toEqual(['replica-link-down'])
    expect(troubles(topology, 'S')).toEqual([])
  })

  test('a node that loads or does not answer is in the way, and versions are not', () => {
    expect(troubles(topologyOf(SIX, {S: {isLoading: true}}))).toEqual(['loading-node'])
    expect(troubles(topologyOf({...SIX, unreachable: ['T']}))).toContain('unreachable-node')
    expect(troubles(topologyOf(SIX, {S: {version: '9.1.0'}}))).toEqual([])
  })

  test('roles that have changed since the plan are seen', () => {
    const before = plan(topologyOf(SIX)).steps
    const shifts = (words: ClusterWords): (string | undefined)[] =>
      before.slice(0, 3).map((step) => shiftOf(topologyOf(words), step))
    expect(shifts(SIX)).toEqual([undefined, undefined, 'it is a primary with slots now'])
    const over: ClusterWords = {primaries: {R: THREE.A, B: THREE.B, C: THREE.C}, replicas: {A: 'R', S: 'B', T: 'C'}}
    expect(shifts(over)).toEqual(['it is a primary with slots now', 'it is a replica now', undefined])
  })
})
