import {expect, test} from 'vitest'
import {fillUp, planEvacuate} from '../../src/lib/plan/evacuate.ts'
import {buildTopology, type ClusterWords, describeMoves, nodeId, startedIn} from '../support/topology-builder.ts'

function plan(words: ClusterWords, victims: readonly string[]) {
  const topology = buildTopology(words)
  return planEvacuate(topology, {victims: victims.map(nodeId), started: startedIn(topology)})
}

const THREE = {primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}, replicas: {R: 'A'}} as const

test.each([
  {name: 'half to each of two', words: THREE, victims: ['C'], gives: ['C>A 10923-13653', 'C>B 13654-16383']},
  {
    name: 'the emptiest is filled first',
    words: {primaries: {A: '0-99', B: '100-15999', C: '16000-16383'}},
    victims: ['C'],
    gives: ['C>A 16000-16383'],
  },
  {
    name: 'those who stay give nothing away',
    words: {primaries: {A: '0-15999', B: '16000-16099', C: '16100-16383'}},
    victims: ['B'],
    gives: ['B>C 16000-16099'],
  },
  {
    name: 'primaries without slots take none while others can',
    words: {primaries: {A: '0-8191', B: '8192-16383', C: ''}},
    victims: ['B'],
    gives: ['B>A 8192-16383'],
  },
  {
    name: 'unless no other stays',
    words: {primaries: {A: '0-8191', B: '8192-16383', C: ''}},
    victims: ['A', 'B'],
    gives: ['A>C 0-8191', 'B>C 8192-16383'],
  },
  {name: 'a replica among the victims has nothing to give', words: THREE, victims: ['R'], gives: []},
  {
    name: 'a primary out of reach takes nothing',
    words: {...THREE, unreachable: ['B']},
    victims: ['C'],
    gives: ['C>A 10923-16383'],
  },
  {
    name: 'what is on its way from a victim goes on',
    words: {...THREE, open: [{slots: '10925', from: 'C', to: 'B'}]},
    victims: ['C'],
    gives: ['C>A 10923-10924,10926-13654', 'C>B 10925,13655-16383'],
  },
])('$name', ({words, victims, gives}) => {
  expect(describeMoves(plan(words, victims).moves)).toEqual(gives)
})

test('no primary left is a usage error with the number of slots', () => {
  expect(() => plan(THREE, ['A', 'B', 'C'])).toThrow(
    expect.objectContaining({code: 'E_USAGE', message: 'no primary would be left to take 16384 slots'}),
  )
})

test('a slot on its way to a victim is refused: its keys would be left out', () => {
  const act = (): unknown => plan({...THREE, open: [{slots: '7', from: 'A', to: 'C'}]}, ['C'])
  expect(act).toThrow(
    expect.objectContaining({
      code: 'E_REFUSED',
      reason: 'open-slots',
      suggestions: ['rcluster reshard 10.0.0.1:7000 --from 10.0.0.1:7000 --to 10.0.0.1:7002 --slots-list 7'],
    }),
  )
})

test.each([
  {name: 'the lowest rise first', levels: {a: 1, b: 5, c: 9}, amount: 3, gives: {a: 4, b: 5, c: 9}},
  {name: 'then together', levels: {a: 1, b: 5, c: 9}, amount: 6, gives: {a: 6, b: 6, c: 9}},
  {name: 'the odd one goes to the lowest', levels: {a: 5, b: 1, c: 9}, amount: 5, gives: {a: 5, b: 6, c: 9}},
  {name: 'equal ones: the smaller ID', levels: {b: 0, a: 0}, amount: 1, gives: {b: 0, a: 1}},
  {name: 'above all', levels: {a: 0, b: 1, c: 2}, amount: 9, gives: {a: 4, b: 4, c: 4}},
  {name: 'nothing', levels: {a: 3}, amount: 0, gives: {a: 3}},
])('filling up: $name', ({levels, amount, gives}) => {
  expect(Object.fromEntries(fillUp(new Map(Object.entries(levels)), amount))).toEqual(gives)
})
