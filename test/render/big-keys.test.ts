import {expect, test} from 'vitest'
import type {BigKey, BigKeySurvey} from '../../src/lib/plan/plan.ts'
import {renderBigKeys} from '../../src/lib/render/big-keys.ts'

const MB = 2 ** 20

function key(name: string, slot: number, megabytes: number, stallMs: number, more: Partial<BigKey> = {}): BigKey {
  return {
    slot,
    from: 'a',
    to: 'b',
    database: 0,
    keyHex: Buffer.from(name).toString('hex'),
    bytes: megabytes * MB,
    stallMs,
    ...more,
  }
}

const NOTHING: BigKeySurvey = {
  thresholdBytes: 4 * MB,
  keys: [],
  left: [],
  keysLookedAt: 100,
  keysThere: 100,
  isComplete: true,
  mayHideOthers: false,
}

test('nothing big and all looked at: nothing to say', () => {
  expect(renderBigKeys(NOTHING)).toEqual([])
  expect(renderBigKeys(undefined)).toEqual([])
})

test('one key, of a type that is known', () => {
  expect(renderBigKeys({...NOTHING, keys: [key('user:1', 866, 23, 900, {type: 'hash'})]})).toEqual([
    '1 key is big. It moves alone, and source and target stall meanwhile:',
    '  "user:1" (slot 866, hash, 23.0 MB in memory): about 0.9 s',
  ])
})

test('ten are named, the others counted', () => {
  const keys = Array.from({length: 1012}, (_, n) => key(`k${n}`, n, 5, 200, {database: n === 1 ? 3 : 0}))
  const lines = renderBigKeys({...NOTHING, keys})
  expect(lines).toHaveLength(12)
  expect(lines[0]).toBe(
    '1,012 keys are big. Each moves alone, and source and target stall meanwhile, the longest up to 0.2 s:',
  )
  expect(lines[2]).toBe('  "k1" (slot 1, database 3, 5.0 MB in memory): up to 0.2 s')
  expect(lines.at(-1)).toBe('  and 1,002 more')
})

test('slots that stay', () => {
  const left = [key('a', 866, 23, 900), key('b', 866, 9, 300), key('c', 5, 8, 300)]
  expect(renderBigKeys({...NOTHING, left})).toEqual([
    '2 slots stay, for the sake of 3 keys:',
    '  "a" (slot 866, 23.0 MB in memory)',
    '  "b" (slot 866, 9.0 MB in memory)',
    '  "c" (slot 5, 8.0 MB in memory)',
  ])
})

test('how much was looked at, where that was not all', () => {
  const sampled = {...NOTHING, keysLookedAt: 512, keysThere: 200_000, isComplete: false}
  expect(renderBigKeys(sampled)).toEqual([
    'Sampled 512 of about 200,000 keys for their size; the memory in use hints at no others.',
  ])
  expect(renderBigKeys({...sampled, mayHideOthers: true})).toEqual([
    'Sampled 512 of about 200,000 keys for their size: big ones may be among the others.',
  ])
})

test('names of keys cannot steer a terminal, and are cut', () => {
  const [, line] = renderBigKeys({...NOTHING, keys: [key(`\u001b[31mred\n${'x'.repeat(100)}`, 1, 5, 200)]})
  expect(line).toBe(`  "[31mred ${'x'.repeat(52)}..." (slot 1, 5.0 MB in memory): up to 0.2 s`)
})
