import {expect, test} from 'vitest'
import {planRoll} from '../../src/lib/plan/roll.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {renderHowFar, renderRollAct, renderRollPlan} from '../../src/lib/render/roll.ts'
import {withReach} from '../../src/lib/topology/with-reach.ts'
import {buildTopology, nodeId} from '../support/topology-builder.ts'

const topology = withReach(
  buildTopology({primaries: {A: '0-99', B: '100-16383', X: ''}, replicas: {R: 'A'}}),
  ({id, reach}) =>
    reach.kind === 'unreachable'
      ? reach
      : {...reach, view: {...reach.view, serverInfo: {...reach.view.serverInfo, runId: id}}},
)

test('a roll is shown shard by shard, with what is passed over', () => {
  const only = new Set(['A', 'B', 'X', 'R'].map(nodeId))
  const plan = planRoll(topology, {only, isFailingBack: true, mayLeaveUnserved: true})
  const skipped = [{id: nodeId('Y'), address: '10.0.0.1:8000', role: 'replica', server: '', reason: 'version'}] as const
  expect(renderRollPlan({...plan, skipped}, PLAIN_STYLE).split('\n')).toEqual([
    'Slots 0-99',
    '  1  restart 10.0.0.1:7003 (redis 7.0.15)',
    '  2  let the best replica take over from 10.0.0.1:7000',
    '  3  restart 10.0.0.1:7000 (redis 7.0.15)',
    '  4  let 10.0.0.1:7000 lead again',
    'Slots 100-16383',
    '  5  restart 10.0.0.1:7001 (redis 7.0.15), its slots unserved',
    'Without slots',
    '  6  restart 10.0.0.1:7002 (redis 7.0.15)',
    'Passed over, for they have the version: 10.0.0.1:8000',
  ])
  const [first] = plan.steps
  const node = {...first!.node, server: 'redis 8.6.0\u001b[2J'}
  const acts = [
    {kind: 'restarted', node, elapsedMs: 1200},
    {kind: 'handed-over', node, from: '10.0.0.1:7000', elapsedMs: 2000},
  ] as const
  expect(acts.map(renderRollAct)).toEqual([
    '10.0.0.1:7003 is back in sync after 1.2 s (redis 8.6.0[2J)',
    '10.0.0.1:7003 has taken over from 10.0.0.1:7000 after 2.0 s',
  ])
  expect(renderHowFar(plan, acts)).toBe('1 of 4 nodes restarted, 1 failover')
})
