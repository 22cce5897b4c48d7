import {Chalk} from 'chalk'
import {describe, expect, test} from 'vitest'
import {PLAIN_STYLE, type Style} from '../../src/lib/render/colour.ts'
import {heatDocument} from '../../src/lib/render/heat-document.ts'
import {renderHeatMap} from '../../src/lib/render/heat-map.ts'
import {renderSlotMap} from '../../src/lib/render/slot-map.ts'
import {visibleLength} from '../../src/lib/render/table.ts'
import {renderTopology} from '../../src/lib/render/topology.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import type {SlotHeat} from '../../src/lib/topology/slot-heat.ts'
import {type ClusterSpec, HEALTHY, topologyOf} from '../topology/cluster-views.ts'
import {HEAT} from './heat.ts'

const info = (zone: string, ops: number) => ({
  keysByDatabase: new Map([[0, 66_667]]),
  usedMemoryBytes: 12_900_000,
  replicationOffset: 5000,
  availabilityZone: zone,
  opsPerSecond: ops,
})

/** One node dead, one slot open, some slots nobody's, a replica behind. */
const TROUBLED: ClusterSpec = {
  a: {slots: '0-5460', epoch: 1, importing: {11000: 'c'}, info: info('eu-west-1a', 1200)},
  b: {slots: '5461-10922', epoch: 2, unreachable: 'nothing listens at 127.0.0.1:7001'},
  c: {
    slots: '10923-16000',
    epoch: 3,
    migrating: {11000: 'a'},
    info: {
      ...info('eu-west-1c', 33_000),
      version: '7.2.4',
      attachedReplicas: [{address: {host: '127.0.0.1', port: 7003}, isOnline: true, lagSeconds: 12}],
    },
  },
  c1: {replicaOf: 'c', info: {...info('eu-west-1a', 0), replicationOffset: 2952}},
}

/** Names as long as there may be, and letters that are read from the right. */
const LONG: ClusterSpec = {
  a: {...HEALTHY.a, hostname: 'cache-1.example.com'},
  b: {
    ...HEALTHY.b,
    unreachable: 'gone',
    host: `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
    hostname: 'x'.repeat(253),
  },
  c: {...HEALTHY.c, unreachable: 'gone', host: `${'\u05d0\u05d1'.repeat(30)}.example`},
}

function thousand(): Topology {
  return topologyOf(
    Object.fromEntries(
      Array.from({length: 1000}, (_, index) => [
        // 40 digits are ten of these.
        index.toString(16).padStart(4, '0'),
        {slots: `${index * 16}-${index * 16 + 15}`, epoch: index + 1, unreachable: index === 0 ? undefined : 'gone'},
      ]),
    ) as ClusterSpec,
  )
}

const terminal = (columns: number): Style => ({...PLAIN_STYLE, columns, isTerminal: true})
const coloured = (columns: number): Style => ({...terminal(columns), chalk: new Chalk({level: 1})})
const widest = (text: string): number => Math.max(...text.split('\n').map(visibleLength))
const uncoloured = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, '')

const PICTURES: readonly [string, (topology: Topology, style: Style) => string][] = [
  ['the table', renderTopology],
  ['the map', renderSlotMap],
  ['the heat map', (topology, style) => renderHeatMap(HEAT, topology, style)],
]

describe.each(PICTURES)('%s', (name, render) => {
  test.each([40, 80, 200])('in %d columns looks so', (columns) => {
    expect(`\n${render(topologyOf(TROUBLED), terminal(columns))}\n`).toMatchSnapshot()
  })

  test.each([40, 80, 200])('in %d columns is the same with colours, but for these', (columns) => {
    const text = render(topologyOf(TROUBLED), coloured(columns))
    expect(text).toContain('\u001b[')
    expect(uncoloured(text)).toBe(render(topologyOf(TROUBLED), terminal(columns)))
  })

  test.each([40, 80, 120, 200])('with names of 253 characters stays within %d columns', (columns) => {
    const text = render(topologyOf(LONG), terminal(columns))
    // Sentences break between words only, and commands stay whole, so that they can be copied.
    const drawn = text.split('\n').filter((line) => !/^(! | {2})[a-z\u05d0]/.test(line))
    expect(widest(drawn.join('\n'))).toBeLessThanOrEqual(columns)
  })

  test('in a pipe names are whole', () => {
    const text = render(topologyOf(LONG), PLAIN_STYLE)
    // Its legend is as wide as its rows.
    if (name !== 'the map') expect(text).toContain(`${'d'.repeat(61)}:7001`)
  })
})

describe('a thousand primaries', () => {
  const topology = thousand()

  test('have a map with a legend of bounded length', () => {
    const lines = renderSlotMap(topology, terminal(80)).split('\n')
    expect(lines.length).toBeLessThan(60)
    expect(lines.join('\n')).toContain('938 others')
  })

  test('have a heat map with lists of bounded length', () => {
    const gaps = topology.nodes.map(({id, ranges}) => ({
      node: id,
      slots: ranges,
      reason: 'unreachable' as const,
      message: 'gone',
    }))
    const text = renderHeatMap({...HEAT, gaps}, topology, terminal(80))
    expect(text.split('\n').length).toBeLessThan(80)
    expect(text).toContain('and 988 more')
  })
})

describe('the heat map', () => {
  const topology = topologyOf(HEALTHY)

  test('of a cluster without any load says so', () => {
    const cold: SlotHeat = {...HEAT, values: new Array(16384).fill(0), gaps: []}
    const text = renderHeatMap(cold, topology, terminal(80))
    expect(text).toContain('.  none')
    expect(text).not.toMatch(/NaN|hottest slots|Infinity/)
  })

  test.each([
    {kind: 'memory', value: 3 * 2 ** 20, shown: '3.0 MB'},
    {kind: 'network', value: 2048, shown: '2.0 KB'},
    {kind: 'cpu', value: 45_000, shown: '45 ms'},
    {kind: 'cpu', value: 45, shown: '45 us'},
  ] as const)('tells $kind in its unit: $shown', ({kind, value, shown}) => {
    const values = HEAT.values.map((_, slot) => (slot === 7 ? value : 0))
    expect(renderHeatMap({...HEAT, kind, values, gaps: []}, topology, terminal(80))).toContain(shown)
  })

  test('as a document names the hottest first and what is not known', () => {
    const document = heatDocument(HEAT, topology)
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
    expect(document.hottest.slice(0, 2)).toMatchObject([
      {slot: 866, load: 5000},
      {slot: 12182, load: 40},
    ])
    expect(document.unknown).toMatchObject([{slots: '5461-10922', reason: 'unreachable'}])
    expect(document.primaries.reduce((sum, {share}) => sum + share, 0)).toBeCloseTo(1)
  })
})
