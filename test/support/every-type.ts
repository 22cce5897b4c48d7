/** Keys of every type and layout that a server has, so that nothing is lost which no test ever looked at. */
import {createHash} from 'node:crypto'
import type {ServerKind} from './servers.ts'

type Word = string | number | Buffer

/** One key, and how a client sees all of its content, in an order that does not depend on the server. */
export interface Specimen {
  readonly key: Buffer
  readonly commands: readonly (readonly Word[])[]
  readonly read: readonly (readonly Word[])[]
  /** The elements of the answer come in no order, so many words each. */
  readonly unordered?: number
}

/** Far enough not to come in a test. */
const LIFE_MS = 86_400_000
const FIELD_ENDS_AT_MS = 4_102_444_800_000

const numbered = (count: number, text: (n: number) => string): string[] =>
  Array.from({length: count}, (_, n) => text(n))

function hasFieldLives({family, version}: ServerKind): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return family === 'valkey' ? major >= 9 : major > 7 || (major === 7 && minor >= 4)
}

const NOISE = Buffer.concat(numbered(60, String).map((text) => createHash('sha256').update(text).digest()))

/**
 * What only some servers have goes by the names of their commands. `many` is how many elements make a server leave the
 * packed layouts, and give a list several nodes.
 */
export function specimens(kind: ServerKind, has: (command: string) => boolean, many = 2000): Specimen[] {
  const all: Specimen[] = []
  const add = (name: string | Buffer, read: Word[][], unordered: number | undefined, ...commands: Word[][]): void => {
    const key = Buffer.isBuffer(name) ? name : Buffer.from(name)
    const withKey = (words: readonly Word[]): Word[] => words.map((word) => (word === 'KEY' ? key : word))
    all.push({
      key,
      commands: commands.map(withKey),
      read: read.map(withKey),
      ...(unordered === undefined ? {} : {unordered}),
    })
  }
  const get = [['GET', 'KEY']]
  for (const value of [
    '0',
    '-1',
    '127',
    '-128',
    '32767',
    '-32768',
    '2147483647',
    '-2147483648',
    '9007199254740993',
    '007',
  ]) {
    add(`number ${value}`, get, undefined, ['SET', 'KEY', value])
  }
  add('12345', get, undefined, ['SET', 'KEY', 'its name is a number'])
  add('empty', get, undefined, ['SET', 'KEY', ''])
  add('short text', get, undefined, ['SET', 'KEY', 'short'])
  add('compressed', get, undefined, ['SET', 'KEY', 'abc'.repeat(2 * many)])
  add(`a name that is compressed ${'a'.repeat(200)}`, get, undefined, ['SET', 'KEY', 'value'])
  add('noise', get, undefined, ['SET', 'KEY', NOISE])
  add('large', get, undefined, ['SET', 'KEY', Buffer.concat(Array.from({length: many}, () => NOISE))])
  add(Buffer.from([0, 255, 13, 10, 195, 40, 32, 34]), get, undefined, ['SET', 'KEY', Buffer.from([0, 255, 13, 10])])
  add('mortal', get, undefined, ['SET', 'KEY', 'will end', 'PX', LIFE_MS])
  add('bits', get, undefined, ['SETBIT', 'KEY', 50 * many, 1])
  add('hyperloglog', [['PFCOUNT', 'KEY'], ...get], undefined, [
    'PFADD',
    'KEY',
    ...numbered(many / 4, (n) => `visitor ${n}`),
  ])

  const list = [['LRANGE', 'KEY', 0, -1]]
  add('list small', list, undefined, ['RPUSH', 'KEY', 'a', 'b', '3', 'a'])
  add('list large', list, undefined, ['RPUSH', 'KEY', ...numbered(many, (n) => `element ${n} ${'x'.repeat(n % 50)}`)])
  add('list of a large element', list, undefined, [
    'RPUSH',
    'KEY',
    'small',
    'y'.repeat(10 * many),
    NOISE.toString('hex'),
    'small',
  ])

  const set = [['SMEMBERS', 'KEY']]
  add('set of numbers', set, 1, ['SADD', 'KEY', ...numbered(200, (n) => String(n * n))])
  add('set of large numbers', set, 1, ['SADD', 'KEY', '1', '9007199254740993', '-5'])
  add('set small', set, 1, ['SADD', 'KEY', 'a', 'b', 'c', '17'])
  add('set large', set, 1, ['SADD', 'KEY', ...numbered(many, (n) => `member ${n}`)])

  const sorted = [['ZRANGE', 'KEY', 0, -1, 'WITHSCORES']]
  add('sorted small', sorted, undefined, [
    'ZADD',
    'KEY',
    1,
    'one',
    '-2.5',
    'two',
    '1e300',
    'three',
    '-inf',
    'four',
    '+inf',
    'five',
  ])
  add('sorted large', sorted, undefined, [
    'ZADD',
    'KEY',
    ...numbered(many, (n) => `${n / 7} member${n}`).flatMap((pair) => pair.split(' ')),
  ])
  add('places', sorted, undefined, [
    'GEOADD',
    'KEY',
    '13.361389',
    '38.115556',
    'Palermo',
    '15.087269',
    '37.502669',
    'Catania',
  ])

  const hash = [['HGETALL', 'KEY']]
  add('hash small', hash, 2, ['HSET', 'KEY', 'field', 'value', 'number', '42', 'binary', Buffer.from([0, 1, 255])])
  add('hash large', hash, 2, [
    'HSET',
    'KEY',
    ...numbered(many, (n) => `field${n} value${n}`).flatMap((pair) => pair.split(' ')),
  ])
  add('hash of a large value', hash, 2, ['HSET', 'KEY', 'field', 'z'.repeat(5 * many)])
  if (hasFieldLives(kind)) {
    const lives = (count: number): Word[][] => [
      ['HGETALL', 'KEY'],
      ['HPEXPIRETIME', 'KEY', 'FIELDS', count, ...numbered(count, (n) => `field${n}`)],
    ]
    add(
      'hash with lives small',
      lives(3),
      2,
      ['HSET', 'KEY', 'field0', 'a', 'field1', 'b', 'field2', 'c'],
      ['HPEXPIREAT', 'KEY', FIELD_ENDS_AT_MS, 'FIELDS', 1, 'field0'],
      ['HPEXPIREAT', 'KEY', FIELD_ENDS_AT_MS + 12_345, 'FIELDS', 1, 'field2'],
    )
    add(
      'hash with lives large',
      lives(many),
      2,
      ['HSET', 'KEY', ...numbered(many, (n) => `field${n} value${n}`).flatMap((pair) => pair.split(' '))],
      ...numbered(many / 4, String).map((n) => [
        'HPEXPIREAT',
        'KEY',
        FIELD_ENDS_AT_MS + Number(n) * 1000,
        'FIELDS',
        1,
        `field${n}`,
      ]),
    )
  }

  const stream = [
    ['XRANGE', 'KEY', '-', '+'],
    ['XINFO', 'GROUPS', 'KEY'],
  ]
  const entries = numbered(Math.max(60, many / 5), (n) => `${n + 1}-${n % 3}`)
  add(
    'stream',
    [...stream, ['XPENDING', 'KEY', 'readers', '-', '+', 1000], ['XINFO', 'STREAM', 'KEY']],
    undefined,
    ...entries.map((id) => ['XADD', 'KEY', id, 'field', `value ${id}`, 'other', 'x']),
    ['XDEL', 'KEY', '7-0', '8-1', '60-2'],
    ['XGROUP', 'CREATE', 'KEY', 'readers', '0'],
    ['XGROUP', 'CREATE', 'KEY', 'idle', '$'],
    ['XREADGROUP', 'GROUP', 'readers', 'alice', 'COUNT', 40, 'STREAMS', 'KEY', '>'],
    ['XREADGROUP', 'GROUP', 'readers', 'bob', 'COUNT', 10, 'STREAMS', 'KEY', '>'],
    ['XACK', 'KEY', 'readers', '3-2', '5-1'],
  )
  add('stream emptied', stream, undefined, ['XADD', 'KEY', '5-5', 'a', 'b'], ['XTRIM', 'KEY', 'MAXLEN', 0])

  if (has('vadd')) {
    const read = [
      ['VCARD', 'KEY'],
      ['VEMB', 'KEY', 'red'],
      ['VGETATTR', 'KEY', 'red'],
      ['VSIM', 'KEY', 'VALUES', 3, 1, 0.2, 0.1],
    ]
    add(
      'vectors',
      read,
      undefined,
      ['VADD', 'KEY', 'VALUES', 3, 1, 0, 0, 'red', 'SETATTR', '{"warm":true}'],
      ['VADD', 'KEY', 'VALUES', 3, 0, 1, 0, 'green'],
      ['VADD', 'KEY', 'VALUES', 3, 0, 0.5, 1, 'blue'],
    )
  }
  if (has('json.set')) add('json', [['JSON.GET', 'KEY']], undefined, ['JSON.SET', 'KEY', '$', '{"a":[1,2,{"b":null}]}'])
  if (has('bf.add')) {
    add('bloom', [['BF.INFO', 'KEY']], undefined, ['BF.ADD', 'KEY', 'one'], ['BF.ADD', 'KEY', 'two'])
  }
  if (has('ts.add'))
    add(
      'series',
      [['TS.RANGE', 'KEY', '-', '+']],
      undefined,
      ['TS.ADD', 'KEY', 1000, 1.5],
      ['TS.ADD', 'KEY', 2000, 2.5],
    )
  return all
}
