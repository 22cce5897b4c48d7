/** What is missing until a cluster is as it was declared? */
import {describe, expect, test} from 'vitest'
import {type Declaration, planDesired, planDesiredCreation, requireSense} from '../../src/lib/plan/desired.ts'
import {describeStage} from '../../src/lib/render/desired.ts'
import type {ClusterNode, NodeView, Topology} from '../../src/lib/topology/model.ts'
import {formatAddress} from '../../src/lib/topology/model.ts'
import {afterMoves, buildTopology, type ClusterWords, nodeId} from '../support/topology-builder.ts'

/** Three shards with a replica each: A0 A1, B0 B1, C0 C1 at 7000 to 7005. */
const THREE: ClusterWords = {
  primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'},
  replicas: {RA: 'A', RB: 'B', RC: 'C'},
}
const PORTS: Record<string, number> = {
  A: 7000,
  B: 7001,
  C: 7002,
  RA: 7003,
  RB: 7004,
  RC: 7005,
  N: 7100,
  M: 7101,
  O: 7102,
}

function declare(shards: readonly (readonly [string, number?])[], more: Partial<Declaration> = {}): Declaration {
  return {
    shards: shards.map(([names, weight = 1]) => ({
      weight,
      nodes: names.split(' ').map((name) => ({address: {host: '10.0.0.1', port: PORTS[name] ?? 0}})),
    })),
    removeUndeclared: false,
    users: [],
    functions: [],
    thresholdPercent: 2,
    config: [],
    ...more,
  }
}

/** An empty node as it reports itself. */
function viewOf(name: string): NodeView {
  const address = {host: '10.0.0.1', port: PORTS[name] ?? 0}
  const [node] = buildTopology({primaries: {[name]: ''}}).nodes
  if (node?.reach.kind !== 'reached') throw new Error('it is reached')
  const [own] = node.reach.view.entries.filter(({isMyself}) => isMyself)
  return {...node.reach.view, dialled: address, entries: own ? [{...own, announced: address}] : []}
}

function plan(topology: Topology, declaration: Declaration): {stages: string[]; warnings: readonly string[]} {
  const at = new Map(topology.nodes.map((node) => [formatAddress(node.address), node]))
  const addresses = declaration.shards.flatMap(({nodes}) => nodes.map(({address}) => address))
  const members = new Map<string, ClusterNode>()
  const views = new Map<string, NodeView>()
  for (const address of addresses) {
    const text = formatAddress(address)
    const member = at.get(text)
    if (member) members.set(text, member)
    const name = Object.keys(PORTS).find((one) => PORTS[one] === address.port) ?? ''
    if (!member) views.set(text, viewOf(name))
  }
  const {stages, warnings} = planDesired(topology, declaration, members, views)
  const words = (text: string): string =>
    text.replace(
      /10\.0\.0\.1:(\d+)/g,
      (_, port) => Object.keys(PORTS).find((one) => PORTS[one] === Number(port)) ?? '?',
    )
  return {stages: stages.map((stage) => words(describeStage(stage))), warnings: warnings.map(words)}
}

const SAME: readonly (readonly [string, number?])[] = [['A RA'], ['B RB'], ['C RC']]

describe('of a cluster that is there', () => {
  const rows = [
    {name: 'what is there needs nothing', shards: SAME, stages: []},
    {name: 'whoever leads in a shard may do so', shards: [['RA A'], ['RB B'], ['RC C']], stages: []},
    {
      name: 'a new shard joins, its first node before its second, and gets its share',
      shards: [...SAME, ['N M']],
      stages: [
        'Join N as primary',
        'Join M as replica',
        'Move 4096 slots: A from 5461 to 4096, B from 5462 to 4096, C from 5461 to 4096, N from 0 to 4096',
      ],
    },
    {name: 'a new replica joins its shard', shards: [['A RA N'], ['B RB'], ['C RC']], stages: ['Join N as replica']},
    {
      name: 'weights are shares',
      shards: [['A RA', 2], ['B RB'], ['C RC']],
      stages: ['Move 2731 slots: A from 5461 to 8192, B from 5462 to 4096, C from 5461 to 4096'],
    },
    {
      name: 'what is not declared stays, and is told of',
      shards: [['A RA'], ['B RB'], ['C']],
      stages: [],
      warning: 'RC (52430000) is not declared and stays as before; --prune removes what is not declared.',
    },
    {
      name: 'what is not declared is drained and leaves where that is wanted',
      shards: [['A RA'], ['B RB']],
      removeUndeclared: true,
      stages: ['Move 5461 slots: A from 5461 to 8192, B from 5462 to 8192, C from 5461 to 0', 'Remove C, RC'],
    },
    {
      name: 'replicas change places',
      shards: [['A RB'], ['B RA'], ['C RC']],
      stages: ['Make RB follow A', 'Make RA follow B'],
    },
    {
      name: 'a primary that is declared a replica gives its slots first',
      shards: [['A RA C'], ['B RB']],
      removeUndeclared: true,
      stages: [
        'Move 5461 slots: A from 5461 to 8192, B from 5462 to 8192, C from 5461 to 0',
        'Remove RC',
        'Make C follow A',
      ],
    },
  ] satisfies readonly {
    name: string
    shards: typeof SAME
    stages: string[]
    removeUndeclared?: boolean
    warning?: string
  }[]

  test.each(rows)('$name', ({shards, stages, ...row}) => {
    const removeUndeclared = 'removeUndeclared' in row && row.removeUndeclared === true
    const made = plan(buildTopology(THREE), declare(shards, {removeUndeclared}))
    expect(made.stages).toEqual(stages)
    expect(made.warnings).toEqual('warning' in row ? [row.warning] : [])
  })

  test('a declared node that does not answer is told of', () => {
    const topology = buildTopology({...THREE, unreachable: ['RC']})
    expect(plan(topology, declare(SAME))).toEqual({
      stages: [],
      warnings: ['RC (52430000) is declared and does not answer: nothing can be told of it.'],
    })
  })

  test('once the slots have moved, nothing more of them is to be done', () => {
    const topology = buildTopology({...THREE, primaries: {...THREE.primaries, D: ''}, replicas: {}})
    const declaration = declare([['A', 3], ['B'], ['C']])
    const members = new Map(topology.nodes.map((node) => [formatAddress(node.address), node]))
    const [first] = planDesired(topology, declaration, members, new Map()).stages
    if (first?.stage !== 'move') throw new Error('a move comes first')
    const after = afterMoves(topology, first.plan.moves)
    expect(planDesired(after, declaration, members, new Map()).stages).toEqual([])
  })

  test('a shard without anybody who could lead it is refused, with the way out', () => {
    expect(() => plan(buildTopology(THREE), declare([['RA'], ['B RB'], ['C RC']]))).toThrow(
      expect.objectContaining({
        reason: 'target-unfit',
        suggestions: ['Declare 10.0.0.1:7000 in that shard', expect.stringContaining('failover 10.0.0.1:7003')],
      }),
    )
  })
})

describe('of empty nodes', () => {
  const ids = new Map(Object.entries(PORTS).map(([name, port]) => [`10.0.0.1:${port}`, nodeId(name)]))
  const slotsOf = (declaration: Declaration): string[] => {
    const [stage] = planDesiredCreation(declaration, ids).stages
    return stage?.stage === 'create' ? stage.plan.primaries.map(({slots}) => slots) : []
  }

  test('slots go by weight, as create gives them where all weigh the same', () => {
    expect(slotsOf(declare(SAME))).toEqual(['0-5460', '5461-10922', '10923-16383'])
    expect(slotsOf(declare([['A', 2], ['B'], ['C', 0], ['N', 1]]))).toEqual(['0-8191', '8192-12287', '', '12288-16383'])
  })

  test('shards in one zone are told of', () => {
    const [shard] = declare([['A RA']]).shards
    const nodes = (shard?.nodes ?? []).map((node) => ({...node, zone: 'a'}))
    const {warnings} = planDesiredCreation({...declare(SAME), shards: [{nodes, weight: 1}]}, ids)
    expect(warnings).toEqual([expect.stringContaining('have all nodes in one zone')])
  })
})

test('a node in two places, and no weight at all, make no sense', () => {
  expect(() => requireSense(declare([['A'], ['B A']]))).toThrow('10.0.0.1:7000 is declared twice')
  expect(() => requireSense(declare([['A', 0]]))).toThrow('all weights are 0')
})
