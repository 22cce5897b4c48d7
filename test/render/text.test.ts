import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {InternalError, RefusedError, UsageError} from '../../src/lib/errors.ts'
import {formatBytes, formatCount, formatDuration, formatShort, plural} from '../../src/lib/render/amounts.ts'
import {clean, cleanLines} from '../../src/lib/render/clean.ts'
import {canAnimate, hasColour, hasUnicode, PLAIN_STYLE, styleFor} from '../../src/lib/render/colour.ts'
import {errorDocument, renderError, renderJson} from '../../src/lib/render/error.ts'
import {renderTable} from '../../src/lib/render/table.ts'

describe('clean', () => {
  test.each([
    {name: 'escape codes lose their escape', text: '\u001b[31mred\u001b[0m', expected: '[31mred[0m'},
    {name: 'the one-byte CSI', text: 'a\u009b2Jb', expected: 'a2Jb'},
    {name: 'bidirectional marks', text: 'a\u202eb\u2066c\u200f', expected: 'abc'},
    {name: 'line breaks become blanks', text: 'a\r\n\tb', expected: 'a b'},
    {name: 'NUL and DEL', text: 'a\u0000b\u007f', expected: 'ab'},
    {name: 'other scripts stay', text: 'Ünïcödé 漢字', expected: 'Ünïcödé 漢字'},
  ])('$name', ({text, expected}) => expect(clean(text)).toBe(expected))

  test('nothing that steers a terminal is left of any text', () => {
    fc.assert(
      fc.property(fc.string({unit: 'binary'}), (text) => {
        expect(clean(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
        expect(clean(clean(text))).toBe(clean(text))
      }),
    )
  })

  test('line by line', () => expect(cleanLines('a\u0007\nb')).toBe('a\nb'))
})

describe('the colour decision', () => {
  const tty = {isTTY: true, columns: 80}
  test.each([
    {name: 'a terminal', stream: tty, env: {TERM: 'xterm'}, isForbidden: false, expected: true},
    {name: 'a dumb terminal', stream: tty, env: {TERM: 'dumb'}, isForbidden: false, expected: false},
    {name: 'a pipe', stream: {}, env: {TERM: 'xterm'}, isForbidden: false, expected: false},
    {name: 'FORCE_COLOR in a pipe', stream: {}, env: {FORCE_COLOR: '1'}, isForbidden: false, expected: true},
    {name: 'FORCE_COLOR=0', stream: tty, env: {FORCE_COLOR: '0'}, isForbidden: false, expected: false},
    {
      name: 'NO_COLOR beats FORCE_COLOR',
      stream: tty,
      env: {NO_COLOR: '1', FORCE_COLOR: '1'},
      isForbidden: false,
      expected: false,
    },
    {name: 'an empty NO_COLOR says nothing', stream: tty, env: {NO_COLOR: ''}, isForbidden: false, expected: true},
    {name: '--no-color beats all', stream: tty, env: {FORCE_COLOR: '1'}, isForbidden: true, expected: false},
  ])('$name: $expected', ({stream, env, isForbidden, expected}) => {
    expect(hasColour(stream, env, isForbidden)).toBe(expected)
    expect(styleFor(stream, env, isForbidden).chalk.red('x') !== 'x').toBe(expected)
  })

  test.each([
    {env: {LANG: 'en_GB.UTF-8'}, expected: true},
    {env: {LC_ALL: 'C', LANG: 'en_GB.UTF-8'}, expected: false},
    {env: {LANG: 'C.utf8', TERM: 'linux'}, expected: false},
    {env: {}, expected: false},
  ])('box characters with $env: $expected', ({env, expected}) => {
    expect(hasUnicode(env, 'linux')).toBe(expected)
  })

  test.each([
    {name: 'a terminal', stream: tty, env: {}, expected: true},
    {name: 'a terminal without a width', stream: {isTTY: true, columns: 0}, env: {}, expected: false},
    {name: 'CI', stream: tty, env: {CI: 'true'}, expected: false},
    {name: 'a dumb terminal', stream: tty, env: {TERM: 'dumb'}, expected: false},
    {name: 'a pipe', stream: {columns: 80}, env: {}, expected: false},
  ])('animation on $name: $expected', ({stream, env, expected}) => {
    expect(canAnimate(stream, env)).toBe(expected)
  })
})

describe('errors', () => {
  const error = new RefusedError('open-slots', 'slot 866 is open\u001b[2J', {
    details: {slots: '866'},
    suggestions: ['rcluster check h:1', 'rcluster fix h:1'],
  })

  test('message, then each suggestion on its own line, never wrapped', () => {
    expect(renderError(error, PLAIN_STYLE, false)).toBe(
      'Error: slot 866 is open[2J\n  -> rcluster check h:1\n  -> rcluster fix h:1',
    )
    expect(renderError(new UsageError('x'.repeat(300)), PLAIN_STYLE, false).split('\n')).toHaveLength(1)
  })

  test('stacks, causes included, only when asked for', () => {
    const fault = new InternalError('broke', {cause: new TypeError('of undefined')})
    expect(renderError(fault, PLAIN_STYLE, false)).not.toContain('TypeError')
    expect(renderError(fault, PLAIN_STYLE, true)).toMatch(
      /InternalError: broke\n {4}at [\s\S]*TypeError: of undefined\n/,
    )
  })

  test('the document has exactly these fields', () => {
    expect(JSON.parse(renderJson(errorDocument('reshard', error, ['w'])))).toEqual({
      version: 1,
      command: 'reshard',
      ok: false,
      warnings: ['w'],
      error: {
        code: 'E_REFUSED',
        exitCode: 3,
        message: 'slot 866 is open\u001b[2J',
        details: {reason: 'open-slots', slots: '866'},
        suggestions: ['rcluster check h:1', 'rcluster fix h:1'],
      },
    })
  })

  test('maps, sets and big numbers survive JSON', () => {
    expect(JSON.parse(renderJson({m: new Map([['a', 1]]), s: new Set([1]), n: 2n ** 60n}))).toEqual({
      m: {a: 1},
      s: [1],
      n: '1152921504606846976',
    })
  })
})

test('amounts', () => {
  expect([0, 999, 1234567].map(formatCount)).toEqual(['0', '999', '1,234,567'])
  expect([0, 0.5, 12, 999, 1000, 12_345, 999_999, 2_700_000].map(formatShort)).toEqual([
    '0',
    '0.5',
    '12',
    '999',
    '1.00k',
    '12.3k',
    '1.00M',
    '2.70M',
  ])
  expect([0, 512, 1536, 12_900_000, 2 ** 40].map(formatBytes)).toEqual(['0 B', '512 B', '1.5 KB', '12.3 MB', '1.0 TB'])
  expect([40, 400, 9949, 12_000, 59_600, 185_000, 7_620_000].map(formatDuration)).toEqual([
    '40 ms',
    '0.4 s',
    '9.9 s',
    '12 s',
    '1m00s',
    '3m05s',
    '2h07m',
  ])
  expect([plural(1, 'slot'), plural(2, 'slot')]).toEqual(['1 slot', '2 slots'])
})

test('a table in ASCII has no trailing blanks and no escape codes', () => {
  const table = renderTable(
    [{title: 'Node'}, {title: 'Slots', align: 'right'}, {title: ''}],
    [
      ['h:1', '5', ''],
      ['long-host:1', '16384', 'x'],
    ],
    PLAIN_STYLE,
  )
  expect(table).toBe('Node         Slots\n---------------------\nh:1              5\nlong-host:1  16384  x')
})
