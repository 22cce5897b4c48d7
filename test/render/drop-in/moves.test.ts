import {describe, expect, test} from 'vitest'
import {planRebalanceAsRedisCli} from '../../../src/lib/plan/redis-cli/rebalance.ts'
import {planReshardAsRedisCli} from '../../../src/lib/plan/redis-cli/reshard.ts'
import {renderNodesFile, snapshotName} from '../../../src/lib/render/drop-in/backup.ts'
import {rebalanceLines, renderRebalance, renderReshard, reshardLines} from '../../../src/lib/render/drop-in/moves.ts'
import {buildTopology, nodeId} from '../../support/topology-builder.ts'

const TOPOLOGY = buildTopology({primaries: {A: '0-8000', B: '8001-16382', C: '16383'}, replicas: {R: 'A'}})
const node = (name: string) => TOPOLOGY.nodesById.get(nodeId(name))!
const reshard = (count: number) =>
  planReshardAsRedisCli(TOPOLOGY, {from: [nodeId('A'), nodeId('C')], to: nodeId('B'), count})

describe('a reshard', () => {
  test('is shown with its ends and every slot, a shortfall before the number', () => {
    expect(renderReshard(TOPOLOGY, reshard(2), [node('A'), node('C')], node('B'))).toBe(
      [
        '',
        'Ready to move 2 slots.',
        '  Source nodes:',
        `    M: ${nodeId('A')} 10.0.0.1:7000`,
        '       slots:[0-8000] (8001 slots) master',
        `    M: ${nodeId('C')} 10.0.0.1:7002`,
        '       slots:[16383] (1 slots) master',
        '  Destination node:',
        `    M: ${nodeId('B')} 10.0.0.1:7001`,
        '       slots:[8001-16382] (8382 slots) master',
        '  Resharding plan:',
        `    Moving slot 0 from ${nodeId('A')}`,
        `    Moving slot 1 from ${nodeId('A')}`,
      ].join('\n'),
    )
    const all = renderReshard(TOPOLOGY, reshard(9000), [node('A'), node('C')], node('B'))
    expect(all).toContain('*** 9000 slots were asked for, but the sources have only 8002.\nReady to move 8002 slots.\n')
  })

  test('has a line a slot, or a line a source where slots travel together', () => {
    const heads = (isAtomic: boolean) => reshardLines(TOPOLOGY, reshard(2), nodeId('B'), isAtomic).map(({head}) => head)
    const way = 'from 10.0.0.1:7000 to 10.0.0.1:7001'
    expect(heads(false)).toEqual([`Moving slot 0 ${way}: `, `Moving slot 1 ${way}: `])
    expect(heads(true)).toEqual([`Moving slot range 0-1 ${way} via atomic slot migration: `])
  })
})

test('a rebalance is shown with its weight, its balances when asked, and a line a pair', () => {
  const planned = planRebalanceAsRedisCli(TOPOLOGY, {weights: new Map(), thresholdPercent: 2, useEmpty: false})
  expect(renderRebalance(TOPOLOGY, planned, false)).toBe('>>> Rebalancing across 3 nodes. Total weight = 3.00')
  expect(renderRebalance(TOPOLOGY, planned, true).split('\n').slice(1)).toEqual([
    '10.0.0.1:7002 balance is -5461 slots',
    '10.0.0.1:7000 balance is 2540 slots',
    '10.0.0.1:7001 balance is 2921 slots',
  ])
  expect(rebalanceLines(TOPOLOGY, planned.transfers).map(({head, slots}) => [head, slots.length])).toEqual([
    ['Moving 2921 slots from 10.0.0.1:7001 to 10.0.0.1:7002\n', 2921],
    ['Moving 2540 slots from 10.0.0.1:7000 to 10.0.0.1:7002\n', 2540],
  ])
})

test('the files of a backup are those of redis-cli', () => {
  expect(snapshotName(TOPOLOGY, node('C'))).toBe(`redis-node-10.0.0.1-7002-${nodeId('C')}.rdb`)
  const text = renderNodesFile(TOPOLOGY)
  expect(text).toContain(
    '"slots": [[16383]],\n    "slots_count": 1,\n    "flags": "master",\n    "current_epoch": 3\n  }',
  )
  const nodes = JSON.parse(text) as {name: string; replicate: string | null; flags: string}[]
  expect(nodes.map(({name, replicate, flags}) => [name, replicate, flags])).toEqual([
    [nodeId('A'), null, 'master'],
    [nodeId('B'), null, 'master'],
    [nodeId('C'), null, 'master'],
    [nodeId('R'), nodeId('A'), 'slave'],
  ])
})
