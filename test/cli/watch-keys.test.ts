import {expect, test} from 'vitest'
import {pressKey, splitKeys} from '../../src/lib/cli/watch-keys.ts'
import type {WatchView} from '../../src/lib/render/watch-frame.ts'

const VIEW: WatchView = {
  sort: 'slot',
  isReversed: false,
  isPaused: false,
  isHelpShown: false,
  intervalMs: 2000,
  scroll: 0,
}

test('keys that come at once are told apart', () => {
  expect(splitKeys('qs\u001b[C\u001b[5~\u001bOA\u001b\u0003é')).toEqual([
    ...['q', 's', '\u001b[C', '\u001b[5~', '\u001bOA', '\u001b', '\u0003', 'é'],
  ])
})

const rows: {keys: string; expected: Partial<WatchView> | string}[] = [
  {keys: 'q', expected: 'quit'},
  {keys: '\u0003', expected: 'quit'},
  {keys: '\u001a', expected: 'suspend'},
  {keys: '\u000c', expected: 'redraw'},
  {keys: 's', expected: {sort: 'node'}},
  {keys: '\u001b[D', expected: {sort: 'state'}},
  {keys: 'ssssssss', expected: {sort: 'slot'}},
  {keys: 'r', expected: {isReversed: true}},
  {keys: 'rr', expected: {}},
  {keys: 'p', expected: {isPaused: true}},
  {keys: 'p ', expected: {}},
  {keys: '?', expected: {isHelpShown: true}},
  {keys: '?\u001b', expected: {}},
  {keys: '+', expected: {intervalMs: 3000}},
  {keys: '-', expected: {intervalMs: 1000}},
  {keys: '---------', expected: {intervalMs: 500}},
  {keys: '++++++++++', expected: {intervalMs: 60_000}},
  {keys: '\u001b[B\u001b[B\u001b[A', expected: {scroll: 1}},
  {keys: '\u001b[A', expected: {}},
  {keys: '\u001b[6~\u001b[6~', expected: {scroll: 11}},
  {keys: 'x\u001b[99~é', expected: {}},
]
test.each(rows)('$keys', ({keys, expected}) => {
  let view: WatchView | string = VIEW
  for (const key of splitKeys(keys)) if (typeof view !== 'string') view = pressKey(view, key, 12)
  expect(view).toEqual(typeof expected === 'string' ? expected : {...VIEW, ...expected})
})
