import {expect, test} from 'vitest'
import {
  parseDecimal,
  parseDurationMs,
  parseInteger,
  parsePositiveInteger,
  parseSizeBytes,
} from '../../src/lib/cli/numbers.ts'
import {UsageError} from '../../src/lib/errors.ts'

test.each(['0', '-1', 'abc', '1.5', '', ' ', '1e3', '0x10', '99999999999999999999', 'NaN', 'Infinity'])(
  '"%s" is no positive integer, and the error names it',
  (text) => {
    expect(() => parsePositiveInteger(text, '--slots')).toThrow(UsageError)
    expect(() => parsePositiveInteger(text, '--slots')).toThrow(
      `--slots must be a whole number, 1 or more, not "${text}"`,
    )
  },
)

test('integers within their bounds', () => {
  expect(parsePositiveInteger('16384', 'COUNT', 16384)).toBe(16384)
  expect(() => parsePositiveInteger('16385', 'COUNT', 16384)).toThrow(
    'COUNT must be a whole number, from 1 to 16384, not "16385"',
  )
  expect(parseInteger('0', '--replicas')).toBe(0)
  expect(parseInteger('+7', '--replicas')).toBe(7)
})

test('decimals within their bounds', () => {
  expect(parseDecimal('2.5', '--threshold', 0, 100)).toBe(2.5)
  expect(parseDecimal('.5', '--threshold', 0, 100)).toBe(0.5)
  for (const text of ['-1', '101', '1e1', 'x', '']) {
    expect(() => parseDecimal(text, '--threshold', 0, 100)).toThrow(
      `--threshold must be a number, from 0 to 100, not "${text}"`,
    )
  }
})

test.each([
  ['30', 30_000],
  ['30s', 30_000],
  ['5m', 300_000],
  ['500ms', 500],
  ['1.5 m', 90_000],
  ['.5', 500],
  ['2H', 7_200_000],
])('"%s" is %d ms', (text, ms) => {
  expect(parseDurationMs(text, '--timeout')).toBe(ms)
})

test.each(['', '0', '-5', '5d', 's', '5 5', '1e3', '600h', '0.1ms'])('"%s" is no time', (text) => {
  expect(() => parseDurationMs(text, '--timeout')).toThrow(UsageError)
})

test.each([
  ['1024', 1024],
  ['512kb', 524_288],
  ['512K', 524_288],
  ['10mb', 10_485_760],
  ['1.5 GiB', 1_610_612_736],
  ['7b', 7],
])('"%s" is %d bytes', (text, bytes) => {
  expect(parseSizeBytes(text, '--skip-big')).toBe(bytes)
})

test.each(['', '0', '-5', '5t', 'mb', '1e3', '10 m b'])('"%s" is no size', (text) => {
  expect(() => parseSizeBytes(text, '--skip-big')).toThrow(UsageError)
})
