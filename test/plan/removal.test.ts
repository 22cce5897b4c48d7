import {expect, test} from 'vitest'
import {planRemoval} from '../../src/lib/plan/removal.ts'
import {buildTopology, type ClusterWords, nodeId, nodeName} from '../support/topology-builder.ts'

const plan = (words: ClusterWords, victims: readonly string[]) =>
  planRemoval(buildTopology(words), {victims: victims.map(nodeId)})

/** "R1>A" */
const rehomed = (words: ClusterWords, victims: readonly string[]): string[] =>
  plan(words, victims).rehomed.map(({id, primaryId}) => `${nodeName(id)}>${nodeName(primaryId)}`)

const FOUR = {A: '0-8191', B: '8192-16383', X: '', Y: ''} as const

test.each<{name: string; words: ClusterWords; victims: string[]; gives: string[]}>([
  {
    name: 'to the primary with the fewest replicas',
    words: {primaries: FOUR, replicas: {R1: 'A', R2: 'X'}},
    victims: ['X'],
    gives: ['R2>B'],
  },
  {
    name: 'not to one without slots',
    words: {primaries: FOUR, replicas: {R1: 'A', R2: 'B', R3: 'X'}},
    victims: ['X'],
    gives: ['R3>A'],
  },
  {
    name: 'several are spread',
    words: {primaries: FOUR, replicas: {R1: 'X', R2: 'X', R3: 'X'}},
    victims: ['X'],
    gives: ['R1>A', 'R2>B', 'R3>A'],
  },
  {
    name: 'replicas that leave too are not counted',
    words: {primaries: FOUR, replicas: {R1: 'A', R2: 'A', R3: 'B', R4: 'X'}},
    victims: ['R1', 'R2', 'X'],
    gives: ['R4>A'],
  },
  {
    name: 'another host than its primary where the numbers are even',
    words: {primaries: FOUR, replicas: {R1: 'X'}, hosts: {A: 'h1', B: 'h2', R1: 'h1'}},
    victims: ['X'],
    gives: ['R1>B'],
  },
  {
    name: 'fewer replicas count more than the host',
    words: {primaries: FOUR, replicas: {R1: 'X', R2: 'B'}, hosts: {A: 'h1', B: 'h2', R1: 'h1'}},
    victims: ['X'],
    gives: ['R1>A'],
  },
  {
    name: 'never to another victim',
    words: {primaries: FOUR, replicas: {R1: 'X'}},
    victims: ['X', 'Y'],
    gives: ['R1>A'],
  },
  {
    name: 'a replica that leaves takes nobody along',
    words: {primaries: FOUR, replicas: {R1: 'A'}},
    victims: ['R1'],
    gives: [],
  },
  {
    name: 'a primary out of reach gets none',
    words: {primaries: FOUR, replicas: {R1: 'X', R2: 'B'}, unreachable: ['A']},
    victims: ['X'],
    gives: ['R1>B'],
  },
])('replicas of a victim: $name', ({words, victims, gives}) => {
  expect(rehomed(words, victims)).toEqual(gives)
})

test('the order in which the victims are named does not matter to the replicas', () => {
  const words = {primaries: FOUR, replicas: {R1: 'Y', R2: 'X', R3: 'Y', R4: 'X'}}
  expect(rehomed(words, ['X', 'Y'])).toEqual(rehomed(words, ['Y', 'X']))
})

test('victims are listed as named, with whether they answer', () => {
  const {victims} = plan({primaries: FOUR, unreachable: ['X']}, ['Y', 'X'])
  expect(victims).toEqual([
    {id: nodeId('Y'), address: '10.0.0.1:7003', isReachable: true},
    {id: nodeId('X'), address: '10.0.0.1:7002', isReachable: false},
  ])
})

test('a replica out of reach cannot be re-homed, which is said', () => {
  const {rehomed: moved, warnings} = plan({primaries: FOUR, replicas: {R1: 'X'}, unreachable: ['R1']}, ['X'])
  expect(moved).toEqual([])
  expect(warnings).toEqual([
    '10.0.0.1:7004 (52310000) cannot be reached and so will not get a new primary: remove that node, too.',
  ])
})

test('a victim with slots is refused with their number and the way out', () => {
  expect(() => plan({primaries: FOUR}, ['A', 'X'])).toThrow(
    expect.objectContaining({
      code: 'E_REFUSED',
      reason: 'node-has-slots',
      message: '10.0.0.1:7000 (41000000) owns 8192 slots',
      suggestions: ['add --drain to move them to the other primaries first'],
    }),
  )
})

test('a victim that a slot is on its way to is refused: its keys may lie there', () => {
  const words = {primaries: FOUR, open: [{slots: '5-6', from: 'A', to: 'X'}]}
  expect(() => plan(words, ['X'])).toThrow(expect.objectContaining({code: 'E_REFUSED', reason: 'open-slots'}))
  expect(() => plan(words, ['Y'])).not.toThrow()
})

test('a dead node can be removed although a slot was on its way to it', () => {
  const words = {primaries: FOUR, open: [{slots: '5', from: 'A', to: 'X'}], unreachable: ['X']}
  expect(plan(words, ['X']).victims).toHaveLength(1)
})

test.each([
  {name: 'a node named twice', victims: ['X', 'X'], says: 'a node is named twice'},
  {name: 'all nodes', victims: ['A', 'B', 'X', 'Y'], says: 'no node would be left'},
  {name: 'a node that is no member', victims: ['Z'], says: `node ${nodeId('Z')} is not part of the cluster`},
])('$name is a usage error', ({victims, says}) => {
  expect(() => plan({primaries: FOUR}, victims)).toThrow(expect.objectContaining({code: 'E_USAGE', message: says}))
})
