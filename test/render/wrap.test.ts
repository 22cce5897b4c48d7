import {expect, test} from 'vitest'
import {InternalError, UsageError} from '../../src/lib/errors.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {renderError, renderWarning} from '../../src/lib/render/error.ts'
import {wrap} from '../../src/lib/render/wrap.ts'

const TERMINAL = {...PLAIN_STYLE, isTerminal: true, columns: 40}

test('prose is broken between words on a terminal, the further lines indented', () => {
  const text = 'node 127.0.0.1:7001 cannot be reached: nothing listens there'
  expect(wrap(text, TERMINAL, 9, 9)).toBe('node 127.0.0.1:7001 cannot be\n         reached: nothing listens there')
})

test('a pipe gets one line, and so does a terminal that is too narrow for sense', () => {
  const text = 'word '.repeat(50).trim()
  expect(wrap(text, PLAIN_STYLE, 0, 0)).toBe(text)
  expect(wrap(text, {...TERMINAL, columns: 20}, 0, 0)).toBe(text)
})

test('a word longer than a line stays whole', () => {
  const long = 'x'.repeat(60)
  expect(wrap(`a ${long} b`, TERMINAL, 0, 2)).toBe(`a\n  ${long}\n  b`)
})

test('messages and warnings are broken, commands to be pasted are not', () => {
  const command = `rcluster reshard 127.0.0.1:7000 127.0.0.1:7003 ${'9'.repeat(30)}`
  const error = new UsageError('one two three four five six seven eight nine', {suggestions: [command]})
  expect(renderError(error, TERMINAL, false).split('\n')).toEqual([
    'Error: one two three four five six seven',
    '       eight nine',
    `  -> ${command}`,
  ])
  expect(renderWarning('one two three four five six seven', TERMINAL).split('\n')).toEqual([
    'Warning: one two three four five six',
    '         seven',
  ])
})

test('stacks are for faults; of other errors it is told what lies behind them', () => {
  expect(renderError(new UsageError('no such node'), PLAIN_STYLE, true)).toBe('Error: no such node')
  const behind = new UsageError('no such file', {cause: new Error('ENOENT')})
  expect(renderError(behind, PLAIN_STYLE, true)).toBe('Error: no such file\nError: ENOENT')
  expect(renderError(new InternalError('broken'), PLAIN_STYLE, true)).toContain('\n    at ')
})
