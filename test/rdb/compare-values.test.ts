import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {expect, test} from 'vitest'
import {compareValues} from '../../src/lib/rdb/compare-values.ts'
import {RdbParser} from '../../src/lib/rdb/parse-rdb.ts'
import {functionPayload, isVersionTaken, librariesIn, restorePayload} from '../../src/lib/rdb/payload.ts'
import {libraryName} from '../../src/lib/topology/library-name.ts'

/** A payload of `version`; its checksum is not looked at. */
function payload(bytes: readonly number[], version = 11): Buffer {
  const footer = Buffer.alloc(10)
  footer.writeUInt16LE(version)
  return Buffer.concat([Buffer.from(bytes), footer])
}

const [a, b] = [97, 98]

test.each([
  {name: 'equal bytes of two versions', one: payload([0, 1, a], 10), other: payload([0, 1, a], 12), likeness: 'same'},
  {name: 'another string', one: payload([0, 1, a]), other: payload([0, 1, b]), likeness: 'different'},
  {
    name: 'a string compressed or not',
    one: payload([0, 6, a, a, a, a, a, a]),
    // Literal "a", then 5 of what stands one byte back.
    other: payload([0, 0xc3, 4, 6, 0, a, 0x60, 0]),
    likeness: 'same',
  },
  {
    name: 'a set in another order',
    one: payload([2, 2, 1, a, 1, b]),
    other: payload([2, 2, 1, b, 1, a]),
    likeness: 'same',
  },
  {name: 'another set', one: payload([2, 2, 1, a, 1, b]), other: payload([2, 2, 1, a, 1, 99]), likeness: 'different'},
  {
    name: 'a hash in another order',
    one: payload([4, 2, 1, a, 1, 1, 1, b, 1, 2]),
    other: payload([4, 2, 1, b, 1, 2, 1, a, 1, 1]),
    likeness: 'same',
  },
  {
    name: 'a hash with its values exchanged',
    one: payload([4, 2, 1, a, 1, 1, 1, b, 1, 2]),
    other: payload([4, 2, 1, a, 1, 2, 1, b, 1, 1]),
    likeness: 'different',
  },
  {
    name: 'a list in another order',
    one: payload([1, 2, 1, a, 1, b]),
    other: payload([1, 2, 1, b, 1, a]),
    likeness: 'different',
  },
  {
    name: 'a packed form that is none',
    one: payload([4, 1, 1, a, 1, b]),
    other: payload([16, 1, a]),
    likeness: 'unknown',
  },
  {name: 'a hash and a set', one: payload([4, 1, 1, a, 1, b]), other: payload([2, 2, 1, a, 1, b]), likeness: 'unknown'},
  {
    name: 'one number of two families',
    one: payload([22, 1, 1, a, 1, b, 0], 12),
    other: payload([22, 1, 1, a, 1, b, 1], 80),
    likeness: 'unknown',
  },
  {name: 'what cannot be read', one: payload([4, 9, 1]), other: payload([4, 1, 1, a, 1, b]), likeness: 'unknown'},
])('$name: $likeness', ({one, other, likeness}) => {
  expect(compareValues(one, other)).toBe(likeness)
  expect(compareValues(other, one)).toBe(likeness)
})

test('libraries come out of a payload as they went in', () => {
  const codes = [Buffer.from('#!lua name=one\nreturn 1'), Buffer.from(`#!lua name=two\n${'-- long\n'.repeat(5000)}`)]
  expect(librariesIn(functionPayload(codes, 11))).toEqual(codes)
  expect(codes.map(libraryName)).toEqual(['one', 'two'])
  expect(librariesIn(functionPayload([], 11))).toEqual([])
  expect(librariesIn(Buffer.from('nothing of the kind'))).toBeUndefined()
})

test.each([
  {version: 10, own: 13, isTaken: true},
  {version: 13, own: 10, isTaken: false},
  {version: 11, own: 80, isTaken: true},
  {version: 80, own: 80, isTaken: true},
  {version: 13, own: 80, isTaken: false},
  {version: 80, own: 13, isTaken: false},
])('a server of version $own takes version $version: $isTaken', ({version, own, isTaken}) => {
  expect(isVersionTaken(version, own)).toBe(isTaken)
})

/** The payload of each key of a fixture by its name. */
function payloadsOf(name: string): Map<string, Buffer> {
  const data = readFileSync(fileURLToPath(new URL(`fixtures/${name}.rdb`, import.meta.url)))
  const parser = new RdbParser(data.length)
  const items = [...parser.push(data), ...parser.end()].filter((item) => item.kind === 'key')
  return new Map(items.map((item) => [item.key.toString('latin1'), restorePayload(item, parser.version)]))
}

test.each([
  ['redis-7.0', 'redis-8.6'],
  ['redis-7.0', 'valkey-9.1'],
  ['valkey-8.1', 'redis-8.0'],
])('the same keys of %s and %s are the same, however they are laid out', (one, other) => {
  const [payloads, others] = [payloadsOf(one), payloadsOf(other)]
  const likeness = [...payloads].map(([name, own]) => [name, compareValues(own, others.get(name) ?? Buffer.alloc(0))])
  // Streams remember when they were read from, to the millisecond.
  expect(likeness.filter(([name, like]) => like !== 'same' && name !== 'stream')).toEqual([])
  expect(payloads.size).toBeGreaterThan(30)
})

test('no two keys of one server are taken for the same', () => {
  const payloads = [...payloadsOf('redis-8.6')]
  for (const [name, own] of payloads) {
    const twins = payloads.filter(([other, payload]) => other !== name && compareValues(own, payload) === 'same')
    expect(twins, name).toEqual([])
  }
})
