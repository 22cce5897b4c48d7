import {expect, test} from 'vitest'
import type {MovePlan} from '../../src/lib/plan/plan.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {renderCreatePlan, renderJoinPlan, renderMovePlan, renderRemovalPlan} from '../../src/lib/render/plan.ts'
import {HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const topology = topologyOf(HEALTHY)

const movePlan: MovePlan = {
  version: 1,
  kind: 'reshard',
  fingerprint: 'f',
  moves: [
    ...[0, 1, 2, 7, 9].map((slot) => ({slot, from: idOf('a'), to: idOf('c')})),
    {slot: 5461, from: idOf('b'), to: idOf('c')},
  ],
  primaries: [
    {id: idOf('a'), address: '127.0.0.1:7000', slotsBefore: 5461, slotsAfter: 5456},
    {id: idOf('b'), address: '127.0.0.1:7001', slotsBefore: 5462, slotsAfter: 5461},
    {id: idOf('c'), address: '127.0.0.1:7002', slotsBefore: 5461, slotsAfter: 5467},
  ],
  movers: [],
  warnings: ['one of them is big'],
}

test('moves: primaries before and after, then each pair', () => {
  expect(renderMovePlan(movePlan, topology, PLAIN_STYLE)).toMatchInlineSnapshot(`
    "Primary         Before  After  Change
    ---------------------------------------------------------------
    127.0.0.1:7000    5461   5456      -5  #######################-
    127.0.0.1:7001    5462   5461      -1  #######################-
    127.0.0.1:7002    5461   5467      +6  #######################+

    From            To              Slots  Ranges
    ----------------------------------------------
    127.0.0.1:7000  127.0.0.1:7002      5  0-2,7,9
    127.0.0.1:7001  127.0.0.1:7002      1  5461

    6 slots to move, in 4 ranges.
    Warning: one of them is big"
  `)
})

test('moves: what to expect, what is not done and why each is made; within 80, 40 and 200 columns', () => {
  const outlook = {
    estimate: {keys: 12_340, bytes: 3_500_000, ms: 2100, isSampled: true},
    risk: {class: 'safe' as const, why: 'every key can be read and written on the way; clients are redirected'},
    notDone: ['127.0.0.1:7003 gets no slots: --use-empty or a weight gives it some.'],
    reasons: [{from: idOf('a'), to: idOf('c'), slots: 5, why: '127.0.0.1:7000 has 5461, its share is 5456'}],
  }
  const at = (columns: number, isUnicode = false): string =>
    renderMovePlan({...movePlan, outlook}, topology, {...PLAIN_STYLE, columns, isTerminal: true, isUnicode}, true)
  expect(at(80)).toMatchSnapshot('80 columns')
  expect(at(40)).toMatchSnapshot('40 columns')
  expect(at(200, true)).toMatchSnapshot('200 columns, Unicode')
  for (const columns of [40, 80, 200]) {
    expect(
      Math.max(
        ...at(columns)
          .split('\n')
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(columns)
  }
})

test('moves: which way they go, and why', () => {
  const [a, b, c] = [idOf('a'), idOf('b'), idOf('c')]
  const movers = [
    {from: a, to: c, mover: 'atomic' as const},
    {from: b, to: c, mover: 'migrate' as const, reason: '127.0.0.1:7001 (redis 8.0.2) has no atomic slot migration'},
  ]
  expect(renderMovePlan({...movePlan, movers, warnings: []}, topology, PLAIN_STYLE)).toContain(
    [
      '5 of them by atomic slot migration, the others key by key.',
      '127.0.0.1:7001 to 127.0.0.1:7002 key by key: 127.0.0.1:7001 (redis 8.0.2) has no atomic slot migration.',
    ].join('\n'),
  )
})

test('a plan without moves says so', () => {
  expect(renderMovePlan({...movePlan, moves: [], warnings: []}, topology, PLAIN_STYLE)).toMatch(
    /\n\nNo slot has to move\.$/,
  )
})

test('many ranges stay within the width', () => {
  const moves = Array.from({length: 500}, (_, index) => ({slot: index * 2, from: idOf('a'), to: idOf('c')}))
  const text = renderMovePlan({...movePlan, moves}, topology, PLAIN_STYLE)
  expect(text).toContain('more')
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
})

test('create', () => {
  const replica = (address: string) => ({id: idOf('d'), address, configEpoch: 4})
  const text = renderCreatePlan(
    {
      version: 1,
      kind: 'create',
      primaries: [
        {id: idOf('a'), address: 'h1:1', slots: '0-8191', configEpoch: 1, replicas: [replica('h2:2'), replica('h2:3')]},
        {id: idOf('b'), address: 'h2:1', slots: '8192-16383', configEpoch: 2, replicas: [replica('h1:2')]},
      ],
      warnings: ['two primaries cannot fail over'],
    },
    PLAIN_STYLE,
  )
  expect(text).toMatchInlineSnapshot(`
    "Primary  Slots       Replicas
    ------------------------------
    h1:1     0-8191      h2:2 h2:3
    h2:1     8192-16383  h1:2

    A cluster of 2 primaries and 3 replicas.
    Warning: two primaries cannot fail over"
  `)
})

test('add-node: a replica of another newcomer is named by its address', () => {
  const text = renderJoinPlan(
    {
      version: 1,
      kind: 'add-node',
      newcomers: [
        {id: idOf('d'), address: 'h:1', role: 'primary', primaryId: undefined},
        {id: idOf('e'), address: 'h:2', role: 'replica', primaryId: idOf('d')},
        {id: idOf('f'), address: 'h:3', role: 'replica', primaryId: idOf('a')},
      ],
      warnings: [],
    },
    topology,
    PLAIN_STYLE,
  )
  expect(text).toMatchInlineSnapshot(`
    "Joins  ID        As
    ------------------------------------------
    h:1    dddddddd  primary without slots
    h:2    eeeeeeee  replica of h:1
    h:3    ffffffff  replica of 127.0.0.1:7000"
  `)
})

test('del-node: victims, and whom their replicas follow then', () => {
  const text = renderRemovalPlan(
    {
      version: 1,
      kind: 'del-node',
      victims: [
        {id: idOf('a'), address: '127.0.0.1:7000', isReachable: true},
        {id: idOf('b1'), address: '127.0.0.1:7004', isReachable: false},
      ],
      rehomed: [{id: idOf('a1'), address: '127.0.0.1:7003', primaryId: idOf('c')}],
      warnings: [],
    },
    topology,
    PLAIN_STYLE,
  )
  expect(text).toMatchInlineSnapshot(`
    "Leaves          ID
    ------------------------------------------------------------
    127.0.0.1:7000  aaaaaaaa  is reset when forgotten
    127.0.0.1:7004  b1b1b1b1  does not answer: is only forgotten

    Replica         Will follow
    ------------------------------
    127.0.0.1:7003  127.0.0.1:7002"
  `)
})
