import {describe, expect, test} from 'vitest'
import {parseZones, readZoneLabels} from '../../src/lib/cli/zones.ts'
import {zoneOf} from '../../src/lib/topology/queries.ts'
import {withZones} from '../../src/lib/topology/zone-labels.ts'
import {buildTopology, nodeId} from '../support/topology-builder.ts'

const topology = buildTopology({
  primaries: {A: '0-16383', B: ''},
  replicas: {A1: 'A'},
  hosts: {A: '10.0.0.1', B: '10.0.0.2', A1: '10.0.0.2'},
})

function zonesBy(...labels: [node: string, zone: string][]): (string | undefined)[] {
  const zoned = withZones(
    topology,
    labels.map(([node, zone]) => ({node, zone, isRequired: true})),
  )
  return ['A', 'B', 'A1'].map((name) => zoneOf(zoned.nodesById.get(nodeId(name))!))
}

describe('labels', () => {
  test('are of an address, an ID or its beginning, or of all nodes on a host', () => {
    expect(zonesBy(['10.0.0.1:7000', 'a'])).toEqual(['a', undefined, undefined])
    expect(zonesBy([nodeId('B'), 'b'])).toEqual([undefined, 'b', undefined])
    expect(zonesBy([nodeId('B').slice(0, 8), 'b'])).toEqual([undefined, 'b', undefined])
    expect(zonesBy(['10.0.0.2', 'b'])).toEqual([undefined, 'b', 'b'])
  })

  test('of a node count more than of its host, later ones more than earlier ones', () => {
    expect(zonesBy(['10.0.0.2:7001', 'c'], ['10.0.0.2', 'b'])).toEqual([undefined, 'c', 'b'])
    expect(zonesBy(['10.0.0.2', 'b'], ['10.0.0.2', 'd'])).toEqual([undefined, 'd', 'd'])
  })

  test('reach the shards too', () => {
    const {shards} = withZones(topology, [{node: '10.0.0.1', zone: 'a', isRequired: true}])
    expect(shards.map(({primary, replicas}) => [primary, ...replicas].map(zoneOf))).toEqual([
      ['a', undefined],
      [undefined],
    ])
  })

  test('of a flag must mean somebody, of a file need not', () => {
    expect(() => zonesBy(['10.0.0.3', 'a'])).toThrow('no node is called "10.0.0.3"')
    expect(() => withZones(topology, parseZones('10.0.0.3 a', 'file'))).not.toThrow()
  })
})

describe('a file of zones', () => {
  const pairs = (text: string) => parseZones(text, 'zones').map(({node, zone}) => `${node}=${zone}`)

  test('is lines, or a JSON object', () => {
    expect(pairs('# rack\n10.0.0.1:7000  a\n\n[::1]:7001 b # here\r\n')).toEqual(['10.0.0.1:7000=a', '[::1]:7001=b'])
    expect(pairs('{"10.0.0.1": "a", "10.0.0.2": "b"}')).toEqual(['10.0.0.1=a', '10.0.0.2=b'])
  })

  test.each([
    ['10.0.0.1', 'line 1 is not "NODE ZONE"'],
    ['a b\nc d e', 'line 2 is not'],
    ['{"a": 1}', 'the zone of "a" is no text'],
    ['{"a"', 'is not JSON'],
  ])('%s is refused', (text, says) => {
    expect(() => parseZones(text, 'zones')).toThrow(says)
  })
})

test('flags are NODE=ZONE, and name a node once', () => {
  expect(readZoneLabels({zone: ['10.0.0.1:7000=eu-1a']})).toMatchObject([{node: '10.0.0.1:7000', zone: 'eu-1a'}])
  for (const zone of ['10.0.0.1', '=a', '10.0.0.1=']) expect(() => readZoneLabels({zone: [zone]})).toThrow('NODE=ZONE')
  expect(() => readZoneLabels({zone: ['a=1', 'a=2']})).toThrow('two zones')
})
