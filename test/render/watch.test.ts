import {Chalk} from 'chalk'
import {describe, expect, test, vi} from 'vitest'
import {PLAIN_STYLE, type Style} from '../../src/lib/render/colour.ts'
import {visibleLength} from '../../src/lib/render/table.ts'
import {watchDocument} from '../../src/lib/render/watch-document.ts'
import {cutLine, renderWatch, type WatchView} from '../../src/lib/render/watch-frame.ts'
import {renderRound} from '../../src/lib/render/watch-lines.ts'
import {type SORTS, watchRows} from '../../src/lib/render/watch-rows.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import {nextPicture, type Picture} from '../../src/lib/watch/picture.ts'
import type {Round} from '../../src/lib/watch/round.ts'
import {buildTopology} from '../support/topology-builder.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

vi.stubEnv('TZ', 'UTC')
const NOON = Date.UTC(2026, 10, 29, 12)

const info = (ops: number, keys: number, offset = 5000) => ({
  opsPerSecond: ops,
  keysByDatabase: new Map([[0, keys]]),
  usedMemoryBytes: 100 * keys + 2_000_000,
  maxMemoryBytes: 20_000_000,
  replicationOffset: offset,
})
const LOADED: ClusterSpec = {
  a: {...HEALTHY.a, info: info(120, 60_000)},
  b: {...HEALTHY.b, info: info(4500, 66_667)},
  c: {...HEALTHY.c, info: info(0, 70_000, 9000)},
  a1: {...HEALTHY.a1, info: info(1, 60_000)},
  b1: {...HEALTHY.b1, info: info(2, 66_667, 4000)},
  c1: {...HEALTHY.c1, info: {...info(3, 70_000, 100), isPrimaryLinkUp: false, primaryLinkDownSeconds: 12}},
}
const WORKING: ClusterSpec = {
  ...LOADED,
  a: {...LOADED['a'], migrating: {5: 'b', 6: 'b'}},
  b: {...LOADED['b'], importing: {5: 'a', 6: 'a'}},
  b1: {...LOADED['b1'], unreachable: 'nothing listens at 127.0.0.1:7004'},
}
const WORKER = {
  user: 'ada',
  host: 'box',
  pid: 7,
  since: '',
  command: 'rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50',
}

function roundOf(seconds: number, topology: Topology, more: Partial<Round> = {}): Round {
  const plain = {
    keysLeft: new Map(),
    atomicMoves: [],
    worker: undefined,
    commands: 18,
    leastIntervalMs: 0,
    slotsAtMs: NOON + 1000 * seconds,
  }
  return {...plain, atMs: NOON + 1000 * seconds, topology, ...more}
}

const calm = nextPicture(undefined, roundOf(0, topologyOf(LOADED)))
const begun = nextPicture(
  calm,
  roundOf(2, topologyOf(WORKING), {
    worker: WORKER,
    keysLeft: new Map([
      [5, 9000],
      [6, 40],
    ]),
  }),
)
const busy = nextPicture(
  begun,
  roundOf(4, topologyOf(WORKING), {
    worker: WORKER,
    keysLeft: new Map([
      [5, 3000],
      [6, 40],
    ]),
  }),
)
const lost = nextPicture(calm, roundOf(2, topologyOf(LOADED), {lost: '127.0.0.1:7000 refused the connection'}))
const large = nextPicture(undefined, roundOf(0, buildTopology({primaries: primariesNamed(1000)})))

function primariesNamed(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({length: count}, (_, n) => [`N${String(n).padStart(4, '0')}`, `${n * 16}-${n * 16 + 15}`]),
  )
}

const VIEW: WatchView = {
  sort: 'slot',
  isReversed: false,
  isPaused: false,
  isHelpShown: false,
  intervalMs: 2000,
  scroll: 0,
}
const styleOf = (columns: number): Style => ({...PLAIN_STYLE, columns, isUnicode: true, isTerminal: true})
const frame = (picture: Picture, columns: number, rows: number, view: Partial<WatchView> = {}): string =>
  renderWatch(picture, {...VIEW, ...view}, styleOf(columns), rows).join('\n')

describe('a frame', () => {
  test('in 80 columns, of a cluster at work', () => {
    expect(frame(busy, 80, 24)).toMatchInlineSnapshot(`
      "12:00:04  every 2.0 s  127.0.0.1:7000  by slot  q quit  s sort  ? help
      2 errors  4.62k ops/s  1 of 6 nodes silent  3 shards  16384 slots  197k keys
      ada@box is at work: rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50
      127.0.0.1:7000 → 127.0.0.1:7001  2 open  3.04k keys left  ETA 1.0 s
      Node              Slots   Keys  Ops/s  Memory           Lag  State
      ─────────────────────────────────────────────────────────────────────────
      127.0.0.1:7000     5461  60.0k    120  7.6 MB                ok
      └ 127.0.0.1:7003         60.0k      1  7.6 MB             0  ok
      127.0.0.1:7001     5462  66.7k  4.50k  8.3 MB                ok
      └ 127.0.0.1:7004                                             silent 4.0 s
      127.0.0.1:7002     5461  70.0k      0  8.6 MB                ok
      └ 127.0.0.1:7005         70.0k      3  8.6 MB  8.7 KB, 12 s  link down

      error   12:00:00 replica 127.0.0.1:7005 (c1c1c1c1) has no link to its primary
                       127.0.0.1:7002 (cccccccc) [replica-link-down]
      error   12:00:02 node 127.0.0.1:7004 (b1b1b1b1) cannot be reached: nothing
                       listens at 127.0.0.1:7004 (replica of 127.0.0.1:7001
                       (bbbbbbbb)) [unreachable-node]
      moving  12:00:02 2 slots 5-6 are open: on the way from 127.0.0.1:7000 (aaaaaaaa)
                       to 127.0.0.1:7001 (bbbbbbbb) [open-slot]
      event   12:00:02 ada@box (process 7) is at work: rcluster reshard 127.0.0.1:700…"
    `)
  })

  test('in 40 columns', () => {
    expect(frame(busy, 40, 24)).toMatchInlineSnapshot(`
      "12:00:04  every 2.0 s  127.0.0.1:7000
      2 errors  4.62k ops/s
      ada@box is at work: rcluster reshard 12…
      → 127.0.0.1:7001  2 open
      Node              Ops/s  State
      ─────────────────────────────────────
      127.0.0.1:7000      120  ok
      └ 127.0.0.1:7003      1  ok
      127.0.0.1:7001    4.50k  ok
      └ 127.0.0.1:7004         silent 4.0 s
      127.0.0.1:7002        0  ok
      └ 127.0.0.1:7005      3  link down

      error   12:00:00 replica 127.0.0.1:7005…
      error   12:00:02 node 127.0.0.1:7004 (b…
      moving  12:00:02 2 slots 5-6 are open:…
      event   12:00:02 ada@box (process 7) is…"
    `)
  })

  test('in 200 columns', () => {
    expect(frame(busy, 200, 24)).toMatchInlineSnapshot(`
      "12:00:04  every 2.0 s  127.0.0.1:7000  by slot  q quit  s sort  ? help
      2 errors  4.62k ops/s  1 of 6 nodes silent  3 shards  16384 slots  197k keys  24.5 MB
      ada@box is at work: rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50
      127.0.0.1:7000 → 127.0.0.1:7001  2 open  3.04k keys left  ETA 1.0 s  3.00k keys/s
      Node              ID        Role     Slots   Keys  Ops/s  Memory  of max           Lag  State
      ────────────────────────────────────────────────────────────────────────────────────────────────────
      127.0.0.1:7000    aaaaaaaa  primary   5461  60.0k    120  7.6 MB     40%                ok
      └ 127.0.0.1:7003  a1a1a1a1  replica         60.0k      1  7.6 MB     40%             0  ok
      127.0.0.1:7001    bbbbbbbb  primary   5462  66.7k  4.50k  8.3 MB     43%                ok
      └ 127.0.0.1:7004  b1b1b1b1  replica                                                     silent 4.0 s
      127.0.0.1:7002    cccccccc  primary   5461  70.0k      0  8.6 MB     45%                ok
      └ 127.0.0.1:7005  c1c1c1c1  replica         70.0k      3  8.6 MB     45%  8.7 KB, 12 s  link down

      error   12:00:00 replica 127.0.0.1:7005 (c1c1c1c1) has no link to its primary 127.0.0.1:7002 (cccccccc) [replica-link-down]
      error   12:00:02 node 127.0.0.1:7004 (b1b1b1b1) cannot be reached: nothing listens at 127.0.0.1:7004 (replica of 127.0.0.1:7001 (bbbbbbbb)) [unreachable-node]
      moving  12:00:02 2 slots 5-6 are open: on the way from 127.0.0.1:7000 (aaaaaaaa) to 127.0.0.1:7001 (bbbbbbbb) [open-slot]
      event   12:00:02 ada@box (process 7) is at work: rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50"
    `)
  })

  test('in ten rows', () => {
    expect(frame(busy, 80, 10)).toMatchInlineSnapshot(`
      "12:00:04  every 2.0 s  127.0.0.1:7000  by slot  q quit  s sort  ? help
      2 errors  4.62k ops/s  1 of 6 nodes silent  3 shards  16384 slots  197k keys
      ada@box is at work: rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50
      127.0.0.1:7000 → 127.0.0.1:7001  2 open  3.04k keys left  ETA 1.0 s
      Node            ID        Slots   Keys  Ops/s  Memory  of max  State
      ────────────────────────────────────────────────────────────────────
      127.0.0.1:7000  aaaaaaaa   5461  60.0k    120  7.6 MB     40%  ok
      … 5 more
      error   12:00:00 replica 127.0.0.1:7005 (c1c1c1c1) has no link to its primary 1…
      ... 3 more"
    `)
  })

  test('of a thousand nodes', () => {
    expect(frame(large, 80, 12, {scroll: 500})).toMatchInlineSnapshot(`
      "12:00:00  every 2.0 s  10.0.0.1:7000  by slot  q quit  s sort  ? help
      1 error  0 ops/s  1,000 nodes  1,000 shards  16000 of 16384 slots  0 keys  0 B
      Node           ID        Role     Slots  Keys  State
      ────────────────────────────────────────────────────
      10.0.0.1:7500  4e303530  primary     16     0  ok
      10.0.0.1:7501  4e303530  primary     16     0  ok
      10.0.0.1:7502  4e303530  primary     16     0  ok
      10.0.0.1:7503  4e303530  primary     16     0  ok
      … 996 more

      error   12:00:00 384 slots 16000-16383 are uncovered: no node that was reached…
      warning 12:00:00 the cluster has no replicas: each of its 1000 primaries takes…"
    `)
  })

  test('says that nobody answers', () => {
    expect(frame(lost, 80, 12, {isPaused: true})).toMatchInlineSnapshot(`
      "12:00:02   paused   127.0.0.1:7000  by slot  q quit  s sort  ? help
      no answer  6 nodes  3 shards
      No node answers: 127.0.0.1:7000 refused the connection. Trying again.
      Node              Slots   Keys  Ops/s  Memory  of max  Lag  State
      ─────────────────────────────────────────────────────────────────
      127.0.0.1:7000     5461  60.0k    120  7.6 MB     40%       ok
      └ 127.0.0.1:7003         60.0k      1  7.6 MB     40%    0  ok
      127.0.0.1:7001     5462  66.7k  4.50k  8.3 MB     43%       ok
      … 3 more

      error   12:00:00 replica 127.0.0.1:7005 (c1c1c1c1) has no link to its primary 1…
      event   12:00:02 no node answers any more: 127.0.0.1:7000 refused the connection"
    `)
  })

  test('explains the keys', () => {
    expect(frame(calm, 80, 24, {isHelpShown: true})).toMatchInlineSnapshot(`
      "12:00:00  every 2.0 s  127.0.0.1:7000  by slot  q quit  s sort  ? help
      1 error  4.63k ops/s  6 nodes  3 shards  16384 slots  197k keys  24.5 MB

      q, Ctrl-C    quit
      s, → ←       sort by the next column, the one before
      r            the other way round
      ↓ ↑ PgDn PgUp  further nodes
      p, space     pause, go on
      + -          look less often, more often
      ?            this"
    `)
  })

  test('is no larger than the screen, whatever its size, and changes nothing about what is shown in colour', () => {
    const colour: Style = {...styleOf(80), chalk: new Chalk({level: 1})}
    for (const picture of [calm, busy, lost, large]) {
      for (const columns of [20, 40, 79, 80, 200]) {
        for (const rows of [1, 2, 3, 5, 8, 13, 24, 60]) {
          for (const view of [VIEW, {...VIEW, isHelpShown: true}, {...VIEW, scroll: 5000}]) {
            const lines = renderWatch(picture, view, {...colour, columns}, rows)
            expect(lines.length).toBeLessThanOrEqual(rows)
            expect(Math.max(...lines.map(visibleLength))).toBeLessThanOrEqual(columns)
          }
        }
      }
    }
  })

  test('has neither control characters nor wide ones of hostile names', () => {
    const host = `\u001b[2J\u202e宽${'x'.repeat(240)}`
    const hostile = topologyOf({...WORKING, b1: {...WORKING['b1'], unreachable: `\u001b]0;owned\u0007 ${host}\n\n`}})
    const nodes = hostile.nodes.map((node) => ({...node, address: {host, port: 7000}}))
    const nodesById = new Map(nodes.map((node) => [node.id, node]))
    const shards = hostile.shards.map(({primary}) => ({primary: nodesById.get(primary.id)!, replicas: []}))
    const picture = nextPicture(
      busy,
      roundOf(6, {...hostile, nodes, nodesById, shards}, {worker: {...WORKER, command: host}, lost: undefined}),
    )
    for (const text of [frame(picture, 80, 24), frame(picture, 200, 50), renderRound(picture, styleOf(80))]) {
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
    }
    expect(frame(picture, 80, 24)).not.toMatch(/宽/)
  })
})

test('lines are cut with their colours closed', () => {
  const {chalk} = {chalk: new Chalk({level: 1})}
  expect(cutLine(`a ${chalk.red('bcdef')} g`, 5, true)).toBe(`a ${'\u001b[31m'}bc${'\u001b[39m'}…`)
  expect(cutLine('abcde', 5, true)).toBe('abcde')
})

describe('rows', () => {
  const order = (sort: (typeof SORTS)[number], isReversed = false): string =>
    watchRows(busy, sort, isReversed)
      .map(({id}) => id.slice(0, 2))
      .join(' ')

  test.each([
    ['slot', 'aa a1 bb b1 cc c1'],
    ['node', 'aa a1 bb b1 cc c1'],
    ['slots', 'bb b1 aa a1 cc c1'],
    ['keys', 'cc c1 bb b1 aa a1'],
    ['ops', 'bb b1 aa a1 cc c1'],
    ['memory', 'cc c1 bb b1 aa a1'],
    ['lag', 'cc c1 aa a1 bb b1'],
    ['state', 'bb b1 cc c1 aa a1'],
  ] as const)('by %s', (sort, expected) => {
    expect(order(sort)).toBe(expected)
  })

  test('the other way round keep replicas below their primaries', () => {
    expect(order('keys', true)).toBe('aa a1 bb b1 cc c1')
  })
})

test('plain lines tell the numbers, and what came and went', () => {
  const over = nextPicture(busy, roundOf(6, topologyOf(LOADED)))
  expect(
    [calm, begun, busy, over, lost].map((picture) => renderRound(picture, PLAIN_STYLE)).join('\n'),
  ).toMatchInlineSnapshot(`
    "12:00:00 1 error, 4.63k ops/s, 6 nodes, 3 shards, 16384 slots, 197k keys, 24.5 MB
    12:00:00 + error replica 127.0.0.1:7005 (c1c1c1c1) has no link to its primary 127.0.0.1:7002 (cccccccc) [replica-link-down]
    12:00:02 2 errors, 4.62k ops/s, 1 of 6 nodes silent, 3 shards, 16384 slots, 197k keys, 24.5 MB
    12:00:02   127.0.0.1:7000 -> 127.0.0.1:7001: 2 open, 9.04k keys left
    12:00:02 * ada@box (process 7) is at work: rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50
    12:00:02 + moving 2 slots 5-6 are open: on the way from 127.0.0.1:7000 (aaaaaaaa) to 127.0.0.1:7001 (bbbbbbbb) [open-slot]
    12:00:02 + error node 127.0.0.1:7004 (b1b1b1b1) cannot be reached: nothing listens at 127.0.0.1:7004 (replica of 127.0.0.1:7001 (bbbbbbbb)) [unreachable-node]
    12:00:04 2 errors, 4.62k ops/s, 1 of 6 nodes silent, 3 shards, 16384 slots, 197k keys, 24.5 MB
    12:00:04   127.0.0.1:7000 -> 127.0.0.1:7001: 2 open, 3.04k keys left, ETA 1.0 s, 3.00k keys/s
    12:00:06 1 error, 4.63k ops/s, 6 nodes, 3 shards, 16384 slots, 197k keys, 24.5 MB
    12:00:06   127.0.0.1:7000 -> 127.0.0.1:7001: none open, 1.50k keys/s
    12:00:06 * ada@box (process 7) is done: rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50
    12:00:06 - gone after 4.0 s: 2 slots 5-6 are open: on the way from 127.0.0.1:7000 (aaaaaaaa) to 127.0.0.1:7001 (bbbbbbbb) [open-slot]
    12:00:06 - gone after 4.0 s: node 127.0.0.1:7004 (b1b1b1b1) cannot be reached: nothing listens at 127.0.0.1:7004 (replica of 127.0.0.1:7001 (bbbbbbbb)) [unreachable-node]
    12:00:02 no node answers: 127.0.0.1:7000 refused the connection; no answer, 6 nodes, 3 shards
    12:00:02 * no node answers any more: 127.0.0.1:7000 refused the connection"
  `)
})

test('the document of a round is plain data', () => {
  const document = watchDocument(busy)
  expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  const {nodes, findings, ...rest} = document
  expect(rest).toMatchInlineSnapshot(`
    {
      "atomicMoves": [],
      "commands": 18,
      "coveredSlots": 16384,
      "events": [],
      "gone": [],
      "lost": null,
      "moves": [
        {
          "atomicSlots": 0,
          "etaMs": 1013.3333333333334,
          "from": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "keysLeft": 3040,
          "keysPerSecond": 3000,
          "openSlots": 2,
          "slotsMoved": 0,
          "slotsPerSecond": 0,
          "stage": "",
          "to": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        },
      ],
      "slotsAsOf": "2026-11-29T12:00:04.000Z",
      "time": "2026-11-29T12:00:04.000Z",
      "worker": {
        "command": "rcluster reshard 127.0.0.1:7000 127.0.0.1:7001 50",
        "host": "box",
        "pid": 7,
        "since": "",
        "user": "ada",
      },
    }
  `)
  expect(nodes.find(({id}) => id === idOf('b1'))).toMatchObject({
    ...{isReachable: false, keys: null, opsPerSecond: null},
    silentSince: '2026-11-29T12:00:00.000Z',
  })
  expect(nodes.find(({id}) => id === idOf('c1'))).toMatchObject({
    lagBytes: 8900,
    lagSeconds: 12,
    maxMemoryBytes: 20_000_000,
  })
  expect(findings.map(({id, since, isNew}) => `${id} ${since} ${isNew}`)).toMatchInlineSnapshot(`
    [
      "open-slot 2026-11-29T12:00:02.000Z false",
      "replica-link-down 2026-11-29T12:00:00.000Z false",
      "unreachable-node 2026-11-29T12:00:02.000Z false",
    ]
  `)
})
