import {describe, expect, it} from 'vitest'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {renderImportCounts, renderImportPlan, renderNamedKeys} from '../../src/lib/render/import.ts'
import {quoteKey} from '../../src/lib/render/key-name.ts'

describe('the name of a key', () => {
  const table: [string | Buffer, string][] = [
    ['user:1', '"user:1"'],
    ['café', '"café"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['a\u0000b\r\n\u001b[31m', '"a\\x00b\\x0d\\x0a\\x1b[31m"'],
    ['right\u202eleft', '"right\\xe2\\x80\\xaeleft"'],
    [Buffer.from([0x61, 0xff, 0x00, 0xc3]), '"a\\xff\\x00\\xc3"'],
    ['x'.repeat(100), `"${'x'.repeat(60)}..."`],
  ]
  it.each(table)('%j is shown as %s', (key, shown) => {
    expect(quoteKey(Buffer.from(key as string))).toBe(shown)
  })
})

describe('an import', () => {
  const source = {address: '10.0.0.9:6379', server: 'redis 7.0.15', primaries: undefined}
  const target = {address: '10.0.0.1:7000', primaries: 3, keys: 1200}

  it('tells before what goes where, and what stays', () => {
    const plan = {
      routes: [{from: 3, to: 0, keys: 12_345}],
      left: [{database: 0, keys: 1}],
      warnings: ['Look out.'],
    }
    expect(renderImportPlan(plan, source, target, PLAIN_STYLE)).toBe(
      [
        'From database    Keys  To database',
        '----------------------------------',
        '            3  12,345            0',
        '',
        '12,345 keys from 10.0.0.9:6379 (redis 7.0.15)',
        'into the cluster at 10.0.0.1:7000: 3 primaries, 1,200 keys there.',
        'Not taken: database 0 (1 key).',
        'Warning: Look out.',
      ].join('\n'),
    )
  })

  it('tells afterwards what became of every key, and nothing of what did not happen', () => {
    const none = {copied: 0, identical: 0, expired: 0, skipped: 0, failed: 0, deleted: 0, changed: 0, bytes: 0}
    expect(renderImportCounts({...none, copied: 3, bytes: 300}, 100)).toBe('Copied 3 keys (300 B) in 0.1 s.')
    const all = {copied: 1, identical: 2, expired: 1, skipped: 3, failed: 1, deleted: 2, changed: 1, bytes: 10}
    expect(renderImportCounts(all, 2000).split('\n')).toEqual([
      'Copied 1 key (10 B) in 2.0 s.',
      '2 keys were there already, with the same value.',
      '1 key expired or was deleted before its turn came.',
      '3 keys were skipped: the cluster has them with another value.',
      '1 key failed.',
      '2 keys were deleted at the source.',
      '1 key was changed at the source meanwhile, and left there.',
    ])
  })

  it('names the first few keys that failed', () => {
    const keys = [
      {key: Buffer.from('a'), database: 0, reason: 'why'},
      {key: Buffer.from('b'), database: 3, reason: 'be\u001bcause'},
    ]
    expect(renderNamedKeys(keys, 5)).toBe('  "a": why\n  "b" (database 3): because\n  and 3 more')
  })
})
