import {expect, test} from 'vitest'
import {type JoinOptions, planJoin} from '../../src/lib/plan/join.ts'
import {buildTopology, type ClusterWords, nodeId, nodeName} from '../support/topology-builder.ts'

const newcomersOn = (...hosts: string[]): JoinOptions['newcomers'] =>
  hosts.map((host, index) => ({id: nodeId(`N${index}`), address: {host, port: 7100 + index}}))

/** "N0>A" */
function homes(words: ClusterWords, options: JoinOptions): string[] {
  return planJoin(buildTopology(words), options).newcomers.map(
    ({id, primaryId}) => `${nodeName(id)}>${primaryId === undefined ? '' : nodeName(primaryId)}`,
  )
}

const TWO = {A: '0-8191', B: '8192-16383', X: ''} as const

test.each<{
  name: string
  words: ClusterWords
  hosts: string[]
  role: 'primary' | 'replica'
  primary?: string
  gives: string[]
}>([
  {
    name: 'primaries follow nobody',
    words: {primaries: TWO},
    hosts: ['h1', 'h2'],
    role: 'primary',
    gives: ['N0>', 'N1>'],
  },
  {
    name: 'replicas go where the fewest are',
    words: {primaries: TWO, replicas: {R: 'A'}},
    hosts: ['h1'],
    role: 'replica',
    gives: ['N0>B'],
  },
  {
    name: 'newcomers count as soon as they are placed',
    words: {primaries: TWO},
    hosts: ['h1', 'h1', 'h1'],
    role: 'replica',
    gives: ['N0>A', 'N1>B', 'N2>A'],
  },
  {
    name: 'another host where the numbers are even',
    words: {primaries: TWO, hosts: {A: 'h1', B: 'h2'}},
    hosts: ['h1', 'h2'],
    role: 'replica',
    gives: ['N0>B', 'N1>A'],
  },
  {
    name: 'one without slots only when no other is there',
    words: {primaries: {X: ''}},
    hosts: ['h1'],
    role: 'replica',
    gives: ['N0>X'],
  },
  {
    name: 'a primary out of reach gets none',
    words: {primaries: TWO, replicas: {R: 'B'}, unreachable: ['A']},
    hosts: ['h1'],
    role: 'replica',
    gives: ['N0>B'],
  },
  {
    name: 'the primary that was named, however many it has',
    words: {primaries: TWO, replicas: {R: 'A'}},
    hosts: ['h1', 'h1'],
    role: 'replica',
    primary: 'A',
    gives: ['N0>A', 'N1>A'],
  },
])('$name', ({words, hosts, role, gives, primary}) => {
  const primaryId = primary === undefined ? {} : {primaryId: nodeId(primary)}
  expect(homes(words, {newcomers: newcomersOn(...hosts), role, ...primaryId})).toEqual(gives)
})

test('a replica as primary is a usage error with its primary as the way out', () => {
  const topology = buildTopology({primaries: TWO, replicas: {R: 'A'}})
  expect(() => planJoin(topology, {newcomers: newcomersOn('h1'), role: 'replica', primaryId: nodeId('R')})).toThrow(
    expect.objectContaining({code: 'E_USAGE', suggestions: ['name its primary, 10.0.0.1:7000']}),
  )
})

test('no primary that answers is a usage error', () => {
  const topology = buildTopology({primaries: TWO, unreachable: ['A', 'B', 'X']})
  expect(() => planJoin(topology, {newcomers: newcomersOn('h1'), role: 'replica'})).toThrow(
    expect.objectContaining({code: 'E_USAGE', message: 'no primary answers that could get a replica'}),
  )
})
