import {expect, test} from 'vitest'
import {compareValues} from '../../src/lib/rdb/compare-values.ts'
import {functionPayload, isVersionTaken, librariesIn, libraryName} from '../../src/lib/rdb/payload.ts'

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
  {name: 'two layouts', one: payload([4, 1, 1, a, 1, b]), other: payload([16, 1, a]), likeness: 'unknown'},
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
