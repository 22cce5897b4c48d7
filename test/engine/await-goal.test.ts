import {describe, expect, it} from 'vitest'
import {awaitGoal, type Goal, missingFor} from '../../src/lib/engine/await-goal.ts'
import {InterruptedError, NodeError} from '../../src/lib/errors.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {buildTopology, type ClusterWords} from '../support/topology-builder.ts'

const WHOLE: ClusterWords = {primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}}

describe('what is missing for a goal', () => {
  const rows: readonly {
    readonly name: string
    readonly words: ClusterWords
    readonly goal: Goal
    readonly nodes?: number
    readonly missing: readonly RegExp[]
  }[] = [
    {name: 'nothing, when all is well', words: WHOLE, goal: 'healthy', missing: []},
    {
      name: 'uncovered slots, for health',
      words: {primaries: {A: '0-5460', B: '5461-10922'}},
      goal: 'healthy',
      missing: [/10923-16383/],
    },
    {
      name: 'a node that does not answer, for having joined',
      words: {...WHOLE, unreachable: ['B']},
      goal: 'joined',
      missing: [/10\.0\.0\.1:7001.*cannot be reached: no answer/],
    },
    {
      name: 'nodes that nobody knows yet come first',
      words: {...WHOLE, unreachable: ['B']},
      goal: 'joined',
      nodes: 6,
      missing: [/3 of 6 nodes/, /cannot be reached/],
    },
    {
      name: 'one node too many',
      words: WHOLE,
      goal: 'joined',
      nodes: 2,
      missing: [/3 of 2 nodes/],
    },
  ]
  it.each(rows)('$name', ({words, goal, nodes, missing}) => {
    const found = missingFor(buildTopology(words), {goal, nodes})
    expect(found).toHaveLength(missing.length)
    for (const [index, pattern] of missing.entries()) expect(found[index]).toMatch(pattern)
  })
})

describe('waiting for a goal', () => {
  const seedsOf = (cluster: FakeCluster) => cluster.servers.map(({address}) => address)

  it('ends as soon as it is reached', async () => {
    const cluster = new FakeCluster()
    cluster.stop(1)
    setTimeout(() => cluster.start(1), 150)
    const topology = await awaitGoal(cluster, seedsOf(cluster), {goal: 'healthy', deadlineMs: 5000})
    expect(topology.nodes.every(({reach}) => reach.kind === 'reached')).toBe(true)
  })

  it('names what is missing at the deadline', async () => {
    const cluster = new FakeCluster()
    cluster.stop(1)
    const waiting = awaitGoal(cluster, seedsOf(cluster), {goal: 'joined', deadlineMs: 200})
    await expect(waiting).rejects.toThrow(InterruptedError)
    await expect(waiting).rejects.toThrow(/not joined within 0.2 s: node 10\.0\.0\.1:7001.* cannot be reached/)
  })

  it('does not wait for a password to become right', async () => {
    const cluster = new FakeCluster()
    cluster.script.failWhen(({kind}) => (kind === 'readView' ? {when: 'before', failure: 'auth'} : undefined))
    const startedAt = performance.now()
    await expect(awaitGoal(cluster, seedsOf(cluster), {goal: 'healthy', deadlineMs: 20_000})).rejects.toThrow(NodeError)
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})
