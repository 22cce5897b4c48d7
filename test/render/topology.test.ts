import {Chalk} from 'chalk'
import {describe, expect, test} from 'vitest'
import {inspect} from '../../src/lib/findings/inspect.ts'
import {RULE_IDS} from '../../src/lib/findings/rule-book.ts'
import {PLAIN_STYLE, type Style} from '../../src/lib/render/colour.ts'
import {type Judgement, renderFindings} from '../../src/lib/render/findings.ts'
import {findingDocument} from '../../src/lib/render/findings-document.ts'
import {renderSlotMap} from '../../src/lib/render/slot-map.ts'
import {renderRanges, renderTopology} from '../../src/lib/render/topology.ts'
import {topologyDocument} from '../../src/lib/render/topology-document.ts'
import {rangesFromSlots} from '../../src/lib/slots/slot-ranges.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const KEYS = {
  keysByDatabase: new Map([
    [0, 60_000],
    [3, 6667],
  ]),
  usedMemoryBytes: 12_900_000,
  replicationOffset: 5000,
}

const LOADED = Object.fromEntries(
  Object.entries(HEALTHY).map(([name, node]) => [name, {...node, info: KEYS}]),
) satisfies ClusterSpec

/** One node dead, one slot open, some slots nobody's. */
const BROKEN: ClusterSpec = {
  ...LOADED,
  a: {slots: '0-5460', epoch: 1, importing: {11000: 'c'}, info: KEYS},
  b: {slots: '5461-10922', epoch: 2, unreachable: 'nothing listens at 127.0.0.1:7001'},
  c: {slots: '10923-16000', epoch: 3, migrating: {11000: 'a'}, info: KEYS},
  c1: {replicaOf: 'c', info: {isPrimaryLinkUp: false}},
}

const UNICODE: Style = {...PLAIN_STYLE, isUnicode: true}

describe('renderTopology', () => {
  test('a healthy cluster in 80 columns', () => {
    expect(renderTopology(topologyOf(LOADED), PLAIN_STYLE)).toMatchInlineSnapshot(`
      "6 nodes in 3 shards, 16384 of 16384 slots covered, 200,001 keys, 36.9 MB in primaries, redis 7.0.15

      Node              ID        Role     Slots    Keys   Memory  State  Ranges
      -------------------------------------------------------------------------------
      127.0.0.1:7000    aaaaaaaa  primary   5461  66,667  12.3 MB  ok     0-5460
        127.0.0.1:7003  a1a1a1a1  replica         66,667  12.3 MB  ok
      127.0.0.1:7001    bbbbbbbb  primary   5462  66,667  12.3 MB  ok     5461-10922
        127.0.0.1:7004  b1b1b1b1  replica         66,667  12.3 MB  ok
      127.0.0.1:7002    cccccccc  primary   5461  66,667  12.3 MB  ok     10923-16383
        127.0.0.1:7005  c1c1c1c1  replica         66,667  12.3 MB  ok"
    `)
  })

  test('what is broken is said below the table', () => {
    expect(renderTopology(topologyOf(BROKEN), UNICODE)).toMatchInlineSnapshot(`
      "6 nodes in 3 shards, 10539 of 16384 slots covered, 133,334 keys known, 24.6 MB in primaries, redis 7.0.15

      Node              ID        Role     Slots    Keys   Memory  State
      ──────────────────────────────────────────────────────────────────────
      127.0.0.1:7000    aaaaaaaa  primary   5461  66,667  12.3 MB  ok
      └ 127.0.0.1:7003  a1a1a1a1  replica         66,667  12.3 MB  ok
      127.0.0.1:7001    bbbbbbbb  primary   5462       ?        ?  no answer
      └ 127.0.0.1:7004  b1b1b1b1  replica         66,667  12.3 MB  ok
      127.0.0.1:7002    cccccccc  primary   5078  66,667  12.3 MB  ok
      └ 127.0.0.1:7005  c1c1c1c1  replica              0        ?  link down

      ✖ 127.0.0.1:7001 could not be asked: nothing listens at 127.0.0.1:7001
      ✖ 5845 slots uncovered: 5461-10922,16001-16383
      ✖ 1 slot open (a move did not end): 11000
        rcluster check 127.0.0.1:7000 says what to do"
    `)
  })

  test('addresses that differ are told apart', () => {
    const topology = topologyOf({
      a: {slots: '0-8191', epoch: 1, host: '10.9.0.1', internal: '172.17.0.2:6379'},
      b: {slots: '8192-16383', epoch: 2, host: '172.17.0.3', internal: '172.17.0.3:7001'},
    })
    const headOf = (text: string): string | undefined => text.split('\n').find((line) => line.startsWith('Node'))
    expect(headOf(renderTopology(topology, {...PLAIN_STYLE, columns: 120}))).toMatch(/Announced +Internal/)
    expect(renderTopology(topology, {...PLAIN_STYLE, columns: 120})).toMatch(
      /^127\.0\.0\.1:7000 .* 10\.9\.0\.1:7000 +172\.17\.0\.2:6379/m,
    )
    expect(topologyDocument(topology).nodes[0]).toMatchObject({
      address: '127.0.0.1:7000',
      announced: '10.9.0.1:7000',
      internal: '172.17.0.2:6379',
    })
    const mapped = topologyOf({a: {slots: '0-16383', epoch: 1, host: '172.17.0.3', internal: '172.17.0.3:7000'}})
    expect(headOf(renderTopology(mapped, PLAIN_STYLE))).toMatch(/Announced(?!.*Internal)/)
  })

  test('ranges are left out where there is no room for them', () => {
    const narrow = renderTopology(topologyOf(LOADED), {...PLAIN_STYLE, columns: 60})
    expect(narrow).not.toContain('Ranges')
    expect(
      Math.max(
        ...narrow
          .split('\n')
          .slice(2)
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(72)
  })

  test('versions have a column only when they differ', () => {
    const mixed = topologyOf({...LOADED, a: {...HEALTHY.a, info: {...KEYS, version: '8.1.1', flavour: 'valkey'}}})
    expect(renderTopology(mixed, PLAIN_STYLE)).toContain('Version')
    expect(renderTopology(topologyOf(LOADED), PLAIN_STYLE)).not.toContain('Version')
  })

  test('a replica that is behind shows by how much', () => {
    const behind = topologyOf({...LOADED, a1: {replicaOf: 'a', info: {...KEYS, replicationOffset: 2952}}})
    expect(renderTopology(behind, PLAIN_STYLE)).toContain('lag 2.0 KB')
  })

  test('a hostname from a server cannot steer the terminal', () => {
    const evil = topologyOf({...LOADED, a: {...HEALTHY.a, hostname: 'x\u202ey'}})
    const text = renderTopology(evil, PLAIN_STYLE)
    expect(text).toContain(':7000')
    expect(text).not.toContain('\u202e')
  })

  test('no escape codes without colour, some with it', () => {
    const coloured = {...PLAIN_STYLE, chalk: new Chalk({level: 1})}
    expect(renderTopology(topologyOf(BROKEN), PLAIN_STYLE)).not.toContain('\u001b')
    expect(renderTopology(topologyOf(BROKEN), coloured)).toContain('\u001b')
  })
})

test.each([
  {name: 'all that fit', slots: [1, 2, 3, 9], width: 10, expected: '1-3,9'},
  {name: 'as many as fit', slots: [1, 3, 5, 7, 9, 11], width: 11, expected: '1,3 +4 more'},
  {name: 'their number when none fits', slots: [1000, 2000, 3000], width: 9, expected: '3 ranges'},
  {name: 'nothing', slots: [], width: 5, expected: ''},
])('ranges: $name', ({slots, width, expected}) => {
  expect(renderRanges(rangesFromSlots(slots), width)).toBe(expected)
})

describe('renderSlotMap', () => {
  test('marks open and uncovered slots', () => {
    expect(renderSlotMap(topologyOf(BROKEN), PLAIN_STYLE)).toMatchInlineSnapshot(`
      "    0  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
       2048  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
       4096  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA??????????????????????
       6144  ????????????????????????????????????????????????????????????????
       8192  ????????????????????????????????????????????????????????????????
      10240  ??????????????????????C!CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC
      12288  CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC
      14336  CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC????????????

      Each character is 32 slots, shown by the primary that owns most of them.
      A  127.0.0.1:7000   5461 slots   33.3%
      B  127.0.0.1:7001   5462 slots   33.3%
      C  127.0.0.1:7002   5078 slots   31.0%
      !  1 slot open: 11000
      ?  5845 slots uncovered: 5461-10922,16001-16383"
    `)
  })

  test.each([20, 40, 80, 133, 200])('stays within %d columns and draws every slot', (columns) => {
    const [...lines] = renderSlotMap(topologyOf(LOADED), {...PLAIN_STYLE, columns}).split('\n')
    const rows = lines.slice(0, lines.indexOf(''))
    expect(rows.map((row) => row.slice(7)).join('')).toHaveLength(16384 / (columns === 200 ? 16 : 32))
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(Math.max(23, columns))
  })

  test('more primaries than letters', () => {
    const spec = Object.fromEntries(
      Array.from({length: 64}, (_, index) => [
        index.toString(16).padStart(2, '0'),
        {slots: `${index * 256}-${index * 256 + 255}`, epoch: index + 1},
      ]),
    )
    const map = renderSlotMap(topologyOf(spec), PLAIN_STYLE)
    expect(map).toContain('9  127.0.0.1:7061')
    expect(map).toContain('+  2 others          512 slots    3.1%')
  })
})

function judged(topology: Topology): Judgement {
  const findings = inspect(topology)
  return {examination: {findings, rules: RULE_IDS, notJudged: []}, fresh: findings, isSelective: false}
}

describe('renderFindings', () => {
  test('a healthy cluster is told in few lines', () => {
    const topology = topologyOf(LOADED)
    expect(renderFindings(judged(topology), topology, UNICODE)).toMatchInlineSnapshot(`
      "✔ 6 of 6 nodes answered
      ✔ 16384 of 16384 slots are covered
      ✔ all nodes agree on who owns them
      ✔ no slot is open
      ✔ cluster_state is ok on every node that answered
      ✔ 3 of 3 replica links are up
      Healthy."
    `)
  })

  test('each finding is followed by what to do', () => {
    const topology = topologyOf(BROKEN)
    const text = renderFindings(judged(topology), topology, PLAIN_STYLE)
    expect(text).toMatch(/^error {4}.*127\.0\.0\.1:7001.*\[unreachable-node\]\n {9}-> /m)
    expect(text).toContain('! 5 of 6 nodes answered')
    expect(text).toMatch(/\nNot healthy: \d+ errors[^\n]*\.$/)
  })
})

describe('documents', () => {
  test('survive JSON and hold what the table shows', () => {
    const document = topologyDocument(topologyOf(BROKEN))
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
    expect(document.nodes.find(({id}) => id === idOf('a'))).toMatchInlineSnapshot(`
      {
        "address": "127.0.0.1:7000",
        "announced": "127.0.0.1:7000",
        "availabilityZone": null,
        "configEpoch": 1,
        "failure": null,
        "flags": [],
        "hostname": null,
        "id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "internal": null,
        "isReachable": true,
        "keys": 66667,
        "lagBytes": null,
        "lagSeconds": null,
        "memoryBytes": 12900000,
        "opsPerSecond": null,
        "primaryId": null,
        "role": "primary",
        "server": "redis",
        "slotCount": 5461,
        "slots": "0-5460",
        "state": "ok",
        "version": "7.0.15",
      }
    `)
    expect(document.unreachable).toEqual([idOf('b')])
    expect(document.uncovered).toBe('5461-10922,16001-16383')
  })

  test('findings survive JSON', () => {
    const documents = inspect(topologyOf(BROKEN)).map(findingDocument)
    expect(JSON.parse(JSON.stringify(documents))).toEqual(documents)
    expect(documents.find(({id}) => id === 'open-slot')?.slots).toBe('11000')
  })
})
