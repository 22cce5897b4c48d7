import {expect, test} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {formatRanges} from '../../src/lib/slots/slot-ranges.ts'
import {
  findNode,
  labelId,
  labelNode,
  listNodes,
  ownerOf,
  primaries,
  replicasOf,
  requireNode,
  seedAddress,
  shardOf,
  slotMapFingerprint,
  slotsOf,
} from '../../src/lib/topology/queries.ts'
import {HEALTHY, idOf, topologyOf} from './cluster-views.ts'

const topology = topologyOf({
  ...HEALTHY,
  b: {...HEALTHY.b, hostname: 'Two.lab', host: '10.0.0.2'},
  d1: {hostname: 'cafe'},
  d2: {host: 'fd00::2', unreachable: 'timeout'},
  e: {flags: 'noaddr', unreachable: ''},
})

test.each([
  {name: 'a whole ID', text: idOf('b'), finds: 'b'},
  {name: 'a whole ID in capitals', text: idOf('b1').toUpperCase(), finds: 'b1'},
  {name: 'a unique prefix', text: 'c1c', finds: 'c1'},
  {name: 'a prefix of one digit', text: 'e', finds: 'e'},
  {name: 'the dialled address', text: '127.0.0.1:7001', finds: 'b'},
  {name: 'the address with its bus port', text: '127.0.0.1:7001@17001', finds: 'b'},
  {name: 'the announced address', text: '10.0.0.2:7001', finds: 'b'},
  {name: 'hostname and port', text: 'two.lab:7001', finds: 'b'},
  {name: 'the bare hostname', text: 'TWO.LAB', finds: 'b'},
  {name: 'a hostname that looks like a prefix', text: 'cafe', finds: 'd1'},
  {name: 'localhost for 127.0.0.1', text: 'localhost:7002', finds: 'c'},
  {name: 'IPv6 in brackets', text: '[FD00::2]:7007', finds: 'd2'},
  {name: 'IPv6 without brackets', text: 'fd00::2:7007', finds: 'd2'},
  {name: 'spaces around', text: ' 127.0.0.1:7001 ', finds: 'b'},
])('$name finds the node', ({text, finds}) => {
  expect(findNode(topology, text)?.id).toBe(idOf(finds))
})

test.each([
  {name: 'an unknown ID', text: 'f'.repeat(40)},
  {name: 'an unknown port', text: '127.0.0.1:7999'},
  {name: 'the hostname with a wrong port', text: 'two.lab:7002'},
  {name: 'a bare IP', text: '10.0.0.2'},
  {name: 'nothing', text: '  '},
  {name: 'no address at all', text: ':0'},
])('$name finds nobody, and to require it lists the nodes', ({text}) => {
  expect(findNode(topology, text)).toBeUndefined()
  expect(() => requireNode(topology, text)).toThrow(UsageError)
  expect(() => requireNode(topology, text)).toThrow(`"${text.trim()}"`)
  try {
    requireNode(topology, text)
  } catch (error) {
    expect((error as UsageError).suggestions.join()).toContain('127.0.0.1:7000 (aaaaaaaa)')
  }
})

test.each([
  {text: 'tow.lab', meant: 'Did you mean Two.lab?'},
  {text: 'two.lba:7001', meant: 'Did you mean Two.lab:7001?'},
  {text: 'two.lba:7002', meant: undefined},
  {text: 'one.lan', meant: undefined},
  {text: '10.0.0.3:7001', meant: undefined},
])('near an announced hostname: $text', ({text, meant}) => {
  try {
    requireNode(topology, text)
    expect.unreachable()
  } catch (error) {
    expect((error as UsageError).suggestions.find((one) => one.startsWith('Did you mean'))).toBe(meant)
  }
})

test('an ambiguous prefix names the candidates', () => {
  expect(() => findNode(topology, 'd')).toThrow(UsageError)
  expect(() => findNode(topology, 'd')).toThrow(
    '"d" names 2 nodes: 127.0.0.1:7006 (d1d1d1d1) and [fd00::2]:7007 (d2d2d2d2)',
  )
})

test('a hostname of several nodes is ambiguous without the port', () => {
  const twins = topologyOf({a: {slots: '0-16383', epoch: 1, hostname: 'box'}, b: {hostname: 'box'}})
  expect(() => findNode(twins, 'box')).toThrow('names 2 nodes')
  expect(findNode(twins, 'box:7001')?.id).toBe(idOf('b'))
})

test('the dialled address comes before an announced one', () => {
  const natted = topologyOf({
    a: {slots: '0-16383', epoch: 1, host: '10.0.0.9'},
    b: {host: '10.0.0.8', unreachable: 'x'},
  })
  expect(findNode(natted, '127.0.0.1:7000')?.id).toBe(idOf('a'))
  expect(findNode(natted, '10.0.0.8:7001')?.id).toBe(idOf('b'))
})

test('shards', () => {
  const ids = (nodes: readonly {id: string}[]) => nodes.map(({id}) => id)
  expect(ids(primaries(topology))).toEqual(['a', 'b', 'c', 'd1', 'd2', 'e'].map(idOf))
  expect(ids(replicasOf(topology, idOf('a')))).toEqual([idOf('a1')])
  expect(replicasOf(topology, idOf('a1'))).toEqual([])
  expect(replicasOf(topology, idOf('f'))).toEqual([])
  expect(shardOf(topology, idOf('a1'))?.primary.id).toBe(idOf('a'))
  expect(shardOf(topology, idOf('a'))?.primary.id).toBe(idOf('a'))
  expect(shardOf(topology, idOf('f'))).toBeUndefined()
})

test('slots are those settledly owned', () => {
  expect(ownerOf(topology, 6000)?.id).toBe(idOf('b'))
  const disputed = topologyOf({
    a: {slots: '0-99', epoch: 1, sees: {b: {slots: '100-16383'}}},
    b: {slots: '50-16383', epoch: 2, sees: {a: {slots: '0-49'}}},
  })
  expect(formatRanges(slotsOf(disputed, idOf('a')))).toBe('0-49')
  expect(formatRanges(disputed.nodesById.get(idOf('a'))!.ranges)).toBe('0-99')
  expect(slotsOf(disputed, idOf('f'))).toEqual([])
})

test('the fingerprint follows the slot map and nothing else', () => {
  const fingerprint = slotMapFingerprint(topologyOf(HEALTHY))
  expect(fingerprint).toMatch(/^[0-9a-f]{16}$/)
  expect(slotMapFingerprint(topology)).toBe(fingerprint)
  expect(slotMapFingerprint(topologyOf({...HEALTHY, a: {...HEALTHY.a, epoch: 8, migrating: {1: 'b'}}}))).toBe(
    fingerprint,
  )
  const moved = {...HEALTHY, a: {...HEALTHY.a, slots: '0-5459'}, b: {...HEALTHY.b, slots: '5460-10922'}}
  expect(slotMapFingerprint(topologyOf(moved))).not.toBe(fingerprint)
})

test('labels', () => {
  const [a, e] = [topology.nodesById.get(idOf('a'))!, topology.nodesById.get(idOf('e'))!]
  expect(labelNode(a)).toBe('127.0.0.1:7000 (aaaaaaaa)')
  expect(labelNode(e)).toBe('noaddr (eeeeeeee)')
  expect(labelId(topology, 'f'.repeat(40))).toBe('an unknown node (ffffffff)')
  expect(listNodes([])).toBe('none')
  expect(listNodes([a, e], 1)).toBe('127.0.0.1:7000 (aaaaaaaa) and 1 more')
  expect(seedAddress(topology)).toBe('127.0.0.1:7000')
})
