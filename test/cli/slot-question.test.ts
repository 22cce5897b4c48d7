import {describe, expect, test} from 'vitest'
import {isAddress, parseQuestion} from '../../src/lib/cli/slot-question.ts'
import {UsageError} from '../../src/lib/errors.ts'
import {hashTag, keySlot} from '../../src/lib/slots/key-slot.ts'
import {HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const TOPOLOGY = topologyOf({...HEALTHY, a: {...HEALTHY.a, hostname: 'cache-1.example.com'}})

describe('what is asked about', () => {
  test.each([
    {word: '866', slot: 866},
    {word: '0', slot: 0},
    {word: '16383', slot: 16383},
    {word: '00866', slot: 866},
  ])('$word is a slot', ({word, slot}) => {
    expect(parseQuestion(word, undefined, TOPOLOGY)).toEqual({kind: 'slot', slot, key: undefined, hashTag: undefined})
  })

  test.each(['user:1000', 'a', 'aaa', '{user}:7', '-1', ' 866', '1234567', 'cache.example.com:7000', 'x\ny', 'beef'])(
    '%j is a key',
    (word) => {
      const asKey = {kind: 'slot', slot: keySlot(word), key: word, hashTag: hashTag(word)}
      expect(parseQuestion(word, undefined, TOPOLOGY)).toEqual(asKey)
    },
  )

  test.each([
    '127.0.0.1:7000',
    'localhost:7000',
    'aaaa',
    idOf('a'),
    'cache-1.example.com',
    'rediss://u:p@127.0.0.1:7000/0',
  ])('%s is the node', (word) => {
    expect(parseQuestion(word, undefined, TOPOLOGY)).toMatchObject({kind: 'node', node: {id: idOf('a')}})
  })

  test('is what --as says', () => {
    expect(parseQuestion('866', 'key', TOPOLOGY)).toMatchObject({kind: 'slot', slot: keySlot('866'), key: '866'})
    expect(parseQuestion('aaaa', 'key', TOPOLOGY)).toMatchObject({kind: 'slot', key: 'aaaa'})
    expect(parseQuestion('a', 'key', TOPOLOGY)).toMatchObject({kind: 'slot', key: 'a'})
    expect(parseQuestion('', 'key', TOPOLOGY)).toMatchObject({kind: 'slot', slot: 0, key: ''})
  })

  test.each([
    {word: '16384', meaning: undefined, message: 'is no slot'},
    {word: 'user:1', meaning: 'slot' as const, message: 'is no slot'},
    {word: 'user:1', meaning: 'node' as const, message: 'no node of this cluster'},
    {word: '127.0.0.1:9999', meaning: undefined, message: 'no node of this cluster'},
    {word: 'redis://u:hunter2@10.0.0.1:7000', meaning: undefined, message: 'no node of this cluster'},
  ])('is refused where it makes no sense: $word as $meaning', ({word, meaning, message}) => {
    const parse = () => parseQuestion(word, meaning, TOPOLOGY)
    expect(parse).toThrow(UsageError)
    expect(parse).toThrow(message)
    expect(parse).not.toThrow('hunter2')
  })
})

test.each([
  ['127.0.0.1:7000', true],
  ['[::1]:7000', true],
  ['::1:7000', true],
  ['localhost:7000', true],
  ['redis://cache:7000', true],
  ['user:1000', false],
  ['10.0.0.1', false],
  ['cache.example.com:7000', false],
  ['localhost', false],
])('may %s serve as the seed: %s', (word, expected) => expect(isAddress(word)).toBe(expected))

test.each([
  ['{user1000}.following', 'user1000'],
  ['foo{}{bar}', undefined],
  ['foo{{bar}}zap', '{bar'],
  ['foo{bar}{zap}', 'bar'],
  ['foo{bar', undefined],
  ['foo}bar{', undefined],
  ['', undefined],
])('the hash tag of %j is %j', (key, tag) => {
  expect(hashTag(key)).toBe(tag)
  if (tag !== undefined) expect(keySlot(key)).toBe(keySlot(tag))
})
