import {readdirSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {Crc64} from '../../src/lib/rdb/crc64.ts'
import {RdbParser} from '../../src/lib/rdb/parse-rdb.ts'
import {RdbError} from '../../src/lib/rdb/rdb-error.ts'
import type {RdbItem} from '../../src/lib/rdb/rdb-items.ts'

const folder = fileURLToPath(new URL('fixtures', import.meta.url))
/** Data of every type, written by the servers of the matrix: see test/contract/rdb.test.ts. */
const fixtures = readdirSync(folder).map((name) => ({name, data: readFileSync(path.join(folder, name))}))

/** RDB data with its checksum. */
function rdb(...parts: (string | number[])[]): Buffer {
  const body = Buffer.concat([...parts.map((part) => Buffer.from(part as string)), Buffer.from([255])])
  return Buffer.concat([body, new Crc64().update(body).digest()])
}

function parse(data: Buffer, cuts: readonly number[] = []): RdbItem[] {
  const parser = new RdbParser()
  const items: RdbItem[] = []
  let at = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    items.push(...parser.push(data.subarray(at, cut)))
    at = Math.max(at, cut)
  }
  items.push(...parser.push(data.subarray(at)), ...parser.end())
  return items
}

/** The error, or undefined when there was none. Anything but an RdbError is thrown on. */
function failureOf(data: Buffer): RdbError | undefined {
  try {
    parse(data)
    return undefined
  } catch (error) {
    if (error instanceof RdbError) return error
    throw error
  }
}

test('the checksum is that of the servers, whatever the pieces', () => {
  expect(new Crc64().update(Buffer.from('123456789')).digest().toString('hex')).toBe('cad9b8c414d9c6e9')
  fc.assert(
    fc.property(fc.uint8Array({maxLength: 100}), fc.nat(100), (bytes, cut) => {
      const whole = new Crc64().update(bytes).digest()
      const byBytes = new Crc64()
      for (const byte of bytes) byBytes.update(Uint8Array.of(byte))
      expect(byBytes.digest()).toEqual(whole)
      expect(new Crc64().update(bytes.subarray(0, cut)).update(bytes.subarray(cut)).digest()).toEqual(whole)
    }),
  )
})

describe('what servers write', () => {
  test('is there for every server of the matrix', () => {
    expect(fixtures.map(({name}) => name)).toEqual([
      'redis-7.0.rdb',
      'redis-8.0.rdb',
      'redis-8.6.rdb',
      'valkey-8.1.rdb',
      'valkey-9.1.rdb',
    ])
  })

  test.each(fixtures)('is read to its end, the same in any pieces: $name', ({data}) => {
    const whole = parse(data)
    expect(whole.at(-1)).toEqual({kind: 'end', isChecked: true})
    expect(whole.filter(({kind}) => kind === 'key').length).toBeGreaterThan(30)
    expect(whole.filter(({kind}) => kind === 'library')).toHaveLength(1)
    fc.assert(
      fc.property(fc.array(fc.nat(data.length), {maxLength: 8}), (cuts) => {
        expect(parse(data, cuts)).toEqual(whole)
      }),
      {numRuns: 8},
    )
    expect(
      parse(
        data,
        Array.from({length: 3000}, (_, n) => n),
      ),
    ).toEqual(whole)
  })

  test.each(fixtures)('is refused when a bit of it is another: $name', ({data}) => {
    fc.assert(
      fc.property(fc.nat(data.length - 1), fc.nat(7), (at, bit) => {
        const bent = Buffer.from(data)
        bent[at]! ^= 1 << bit
        expect(failureOf(bent)).toBeInstanceOf(RdbError)
      }),
      {numRuns: 200},
    )
  })

  test.each(fixtures)('is refused when it is cut, or goes on: $name', ({data}) => {
    fc.assert(
      fc.property(fc.nat(data.length - 1), (length) => {
        expect(failureOf(data.subarray(0, length))).toBeInstanceOf(RdbError)
      }),
      {numRuns: 100},
    )
    expect(failureOf(Buffer.concat([data, Buffer.from('*1\r\n')]))?.message).toContain('follows the end')
  })
})

describe('garbage', () => {
  test('is refused by an error of its kind, never by another, and soon', () => {
    const magic = fc.constantFrom('REDIS0009', 'REDIS0011', 'REDIS0013', 'VALKEY080', '')
    fc.assert(
      fc.property(magic, fc.uint8Array({maxLength: 300}), (head, bytes) => {
        expect(failureOf(Buffer.concat([Buffer.from(head), bytes]))).toBeInstanceOf(RdbError)
      }),
      {numRuns: 2000},
    )
  })

  test('with the types of values is no better', () => {
    const start = fc.constantFrom(...Array.from({length: 28}, (_, type) => type), 243, 244, 245, 247, 250)
    fc.assert(
      fc.property(
        fc.constantFrom('REDIS0013', 'VALKEY080'),
        start,
        fc.uint8Array({maxLength: 200}),
        (head, type, bytes) => {
          const data = Buffer.concat([Buffer.from(head), Buffer.from([type, 1, 107]), bytes])
          expect(failureOf(data)).toBeInstanceOf(RdbError)
        },
      ),
      {numRuns: 2000},
    )
  })
})

test.each([
  {name: 'another magic', data: Buffer.from('GARBAGE01\xff'), message: /no RDB data.*byte 0\)/},
  {name: 'Redis with a version of Valkey', data: rdb('REDIS0080'), message: /REDIS0080 is no RDB version/},
  {name: 'Valkey with a version of Redis', data: rdb('VALKEY011'), message: /VALKEY011 is no RDB version/},
  {
    name: 'an unknown type',
    data: rdb('REDIS0011', [40, 1, 107, 1, 118]),
    message: /^40 is no opcode or type of Redis.*byte 9\)/,
  },
  {name: 'metadata before their time', data: rdb('REDIS0012', [243, 0]), message: /^243 is no opcode/},
  {
    name: 'a type of Redis in Valkey',
    data: rdb('VALKEY080', [24, 1, 107]),
    message: /^24 is no opcode or type of Valkey/,
  },
  {name: 'a module of old', data: rdb('REDIS0008', [6, 1, 107]), message: /type 6 of Redis is a module value/},
  {
    name: 'a length beyond the end',
    data: rdb('REDIS0011', [0, 1, 107, 0x81, 0, 1, 0, 0, 0, 0, 0, 0]),
    message: /more than can be held|ends after/,
  },
  {name: 'nothing', data: Buffer.alloc(0), message: /ends after 0 bytes/},
])('$name is told with its place', ({data, message}) => {
  expect(failureOf(data)?.message).toMatch(message)
})

test('a key comes with all that stands before it, and the next one without', () => {
  const time = Buffer.alloc(8)
  time.writeBigInt64LE(1_700_000_000_123n)
  const items = parse(
    rdb(
      'REDIS0011',
      [254, 3, 251, 2, 1, 252, ...time, 248, 9, 249, 5],
      [0, 1, 107, 0xc1, 0x39, 0x30],
      [244, 1, 2, 3, 0, 0xc0, 7, 1, 118],
    ),
  )
  expect(items).toMatchObject([
    {
      kind: 'key',
      database: 3,
      key: Buffer.from('k'),
      type: 0,
      value: Buffer.from([0xc1, 0x39, 0x30]),
      expiresAtMs: 1_700_000_000_123,
      idleSeconds: 9,
      frequency: 5,
    },
    {
      kind: 'key',
      database: 3,
      key: Buffer.from('7'),
      expiresAtMs: undefined,
      idleSeconds: undefined,
      frequency: undefined,
    },
    {kind: 'end', isChecked: true},
  ])
})

test('Redis attaches metadata to a key with the opcode by which Valkey tells of slots on their way in', () => {
  const [key] = parse(rdb('REDIS0013', [243, 1, 1, 2, 3, 4, 2, 7, 0], [0, 1, 107, 1, 118]))
  expect(key).toMatchObject({
    kind: 'key',
    metadata: Buffer.from([243, 1, 1, 2, 3, 4, 2, 7, 0]),
    value: Buffer.from([1, 118]),
  })
  const [slots, next] = parse(rdb('VALKEY080', [243, 2, 97, 98, 1, 5, 9], [0, 1, 107, 1, 118]))
  expect([slots, next]).toMatchObject([{kind: 'slot-import'}, {kind: 'key'}])
})

test('a server that computes no checksum is believed, and it is told', () => {
  const data = Buffer.concat([Buffer.from('REDIS0011'), Buffer.from([255]), Buffer.alloc(8)])
  expect(parse(data)).toEqual([{kind: 'end', isChecked: false}])
})

test('items come out as the data comes in, and not at its end', () => {
  const key = Buffer.concat([Buffer.from([0, 1, 107, 0x80, 0, 1, 0, 0]), Buffer.alloc(65_536, 'x')])
  const parser = new RdbParser()
  parser.push(Buffer.from('REDIS0011'))
  let keys = 0
  for (let n = 1; n <= 200; n++) {
    for (let at = 0; at < key.length; at += 10_000) keys += parser.push(key.subarray(at, at + 10_000)).length
    expect(n - keys).toBeLessThanOrEqual(2)
  }
})
