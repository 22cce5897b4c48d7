import {describe, expect, test} from 'vitest'
import {RefusedError} from '../../src/lib/errors.ts'
import type {MemberAct} from '../../src/lib/plan/acts.ts'
import {isAwaitingHeir, planReplacement} from '../../src/lib/plan/replace.ts'
import {parseServerInfo} from '../../src/lib/topology/parse-info.ts'
import {buildTopology, type ClusterWords, nodeId, nodeName} from '../support/topology-builder.ts'

const SHARDS: ClusterWords = {
  primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383', X: ''},
  replicas: {A1: 'A', A2: 'A', B1: 'B'},
}

function wordsOf(acts: readonly MemberAct[]): string[] {
  return acts.map((act) => {
    if (act.kind === 'replicate') return `${nodeName(act.node.id)} follows ${nodeName(act.primary.id)}`
    if (act.kind === 'fail-over') return `${nodeName(act.replica.id)} over ${nodeName(act.primary.id)}`
    return `${nodeName(act.node.id)} ${act.kind}s`
  })
}

function plan(words: ClusterWords, old: string, replacement: string, keepsOld = false) {
  return planReplacement(buildTopology(words), {
    oldId: nodeId(old),
    replacement: {id: nodeId(replacement), address: {host: '10.0.0.9', port: 7000}},
    keepsOld,
  })
}

describe('what is left to do', () => {
  test.each<{name: string; words?: ClusterWords; old: string; by: string; keepsOld?: boolean; acts: string[]}>([
    {
      name: 'of a primary',
      old: 'A',
      by: 'N',
      acts: ['N joins', 'N follows A', 'N over A', 'A removes'],
    },
    {name: 'when it has joined', old: 'A', by: 'X', acts: ['X follows A', 'X over A', 'A removes']},
    {name: 'when it follows', old: 'A', by: 'A1', acts: ['A1 over A', 'A removes']},
    {
      name: 'when it leads, and a replica lags behind',
      words: {primaries: {N: '0-5460', B: '5461-16383'}, replicas: {A: 'N', A1: 'N', A2: 'A'}},
      old: 'A',
      by: 'N',
      acts: ['A2 follows N', 'A removes'],
    },
    {name: 'of a replica', old: 'A1', by: 'N', acts: ['N joins', 'N follows A', 'A1 removes']},
    {name: 'of a replica, with another in its place', old: 'A1', by: 'A2', acts: ['A1 removes']},
    {
      name: 'of a dead replica',
      words: {...SHARDS, unreachable: ['B1']},
      old: 'B1',
      by: 'N',
      acts: ['N joins', 'N follows B', 'B1 removes'],
    },
    {
      name: 'of a dead primary: the shard that lacks a replica gets one',
      words: {...SHARDS, unreachable: ['X']},
      old: 'X',
      by: 'N',
      acts: ['N joins', 'N follows C', 'X removes'],
    },
    {
      name: 'of a dead primary, when that was done',
      words: {...SHARDS, unreachable: ['X']},
      old: 'X',
      by: 'B1',
      acts: ['X removes'],
    },
    {name: 'of a primary without slots', old: 'X', by: 'N', acts: ['N joins', 'X removes']},
    {name: 'where the old one stays', old: 'A', by: 'N', keepsOld: true, acts: ['N joins', 'N follows A', 'N over A']},
    {name: 'where the old one stays, when all is done', old: 'A1', by: 'A2', keepsOld: true, acts: []},
  ])('$name', ({words = SHARDS, old, by, keepsOld, acts}) => {
    expect(wordsOf(plan(words, old, by, keepsOld).acts)).toEqual(acts)
  })
})

describe('refused', () => {
  test.each<{name: string; words?: ClusterWords; old: string; by: string; says: RegExp}>([
    {name: 'a primary with slots of its own', old: 'A', by: 'B', says: /with 5462 slots of its own/},
    {name: 'a replica of another', old: 'A', by: 'B1', says: /as a replica of .*7001.* → .*rcluster replicate/},
    {
      name: 'a dead primary without a replica: fix',
      words: {...SHARDS, unreachable: ['C']},
      old: 'C',
      by: 'N',
      says: /owns 5461 slots, and has no replica.* → .*rcluster fix/,
    },
    {
      name: 'a dead primary whose replica does not lead',
      words: {...SHARDS, unreachable: ['A']},
      old: 'A',
      by: 'N',
      says: /has not taken over → .*--force/,
    },
    {
      name: 'a replica whose primary is dead',
      words: {...SHARDS, unreachable: ['A']},
      old: 'A1',
      by: 'N',
      says: /the primary of .* does not answer/,
    },
    {
      name: 'a node with a slot on its way',
      words: {...SHARDS, open: [{slots: '7', from: 'A', to: 'B'}]},
      old: 'A',
      by: 'N',
      says: /on their way/,
    },
  ])('$name', ({words = SHARDS, old, by, says}) => {
    expect(() => plan(words, old, by)).toThrow(RefusedError)
    let told = ''
    try {
      plan(words, old, by)
    } catch (error) {
      const {message, suggestions} = error as RefusedError
      told = `${message} → ${suggestions.join('; ')}`
    }
    expect(told).toMatch(says)
  })

  test('a server that would evict what it is to hold', () => {
    const words = buildTopology(SHARDS)
    const nodes = words.nodes.map((node) => {
      if (node.reach.kind === 'unreachable') return node
      const {view} = node.reach
      return {
        ...node,
        reach: {kind: 'reached' as const, view: {...view, serverInfo: {...view.serverInfo, usedMemoryBytes: 2 ** 27}}},
      }
    })
    const topology = {...words, nodes, nodesById: new Map(nodes.map((node) => [node.id, node]))}
    const by = (info: string) =>
      planReplacement(topology, {
        oldId: nodeId('A'),
        replacement: {id: nodeId('N'), address: {host: '10.0.0.9', port: 7000}, serverInfo: parseServerInfo(info)},
        keepsOld: false,
      })
    expect(() => by('redis_version:7.0.15\nmaxmemory:67108864')).toThrow('has a maxmemory of 64 MB, and 10.0.0.1:7000')
    expect(by('redis_version:7.2.1\nmaxmemory:0').warnings).toEqual([])
    expect(by('redis_version:6.2.1\nmaxmemory:0').warnings.join()).toContain('it never gets in step')
  })

  test('by itself', () => {
    expect(() => plan(SHARDS, 'A', 'A')).toThrow('cannot replace itself')
  })
})

test('who is waited for: a replica of a dead primary that still has its slots', () => {
  const awaited = (unreachable: string[], old: string) =>
    isAwaitingHeir(buildTopology({...SHARDS, unreachable}), nodeId(old))
  expect(awaited(['A'], 'A')).toBe(true)
  expect(awaited(['A', 'A1', 'A2'], 'A')).toBe(false)
  expect(awaited(['C'], 'C')).toBe(false)
  expect(awaited(['X'], 'X')).toBe(false)
  expect(awaited([], 'A')).toBe(false)
})
