import {expect, test} from 'vitest'
import {type Arrival, judge, type KeyHistory, type Takeover, type Write} from './history.ts'

const [A, B] = ['10.0.0.1:1', '10.0.0.2:1']
const KEY = 'live:x'

/** Written to A, a second apart, from 10 s on. */
function write(turn: number, more: Partial<Write> = {}): Write {
  const atMs = 10_000 + 1000 * turn
  return {turn, op: 'set', value: `${turn}`, outcome: 'ack', node: A, sentMs: atMs, doneMs: atMs + 5, ...more}
}

function increment(turn: number, reply: number, more: Partial<Write> = {}): Write {
  const {value: _, ...rest} = write(turn)
  return {...rest, op: 'incr', reply, ...more}
}

const takeover: Takeover = {node: A, by: B, fromMs: 12_000, toMs: 13_500}
const arrivals: Arrival[] = [{slots: new Set(Array.from({length: 16_384}, (_, slot) => slot)), to: A, atMs: 12_000}]

interface Row {
  readonly name: string
  readonly writes: readonly Write[]
  readonly kind?: string
  readonly value: string | null
  readonly lifeMs?: number
  readonly readMs?: number
  readonly takeovers?: readonly Takeover[]
  readonly arrivals?: readonly Arrival[]
  readonly verdict: 'kept' | 'attributed' | 'failed'
}

const unknown = {outcome: 'unknown'} as const
const rows: Row[] = [
  {name: 'the last acknowledged value', writes: [write(1), write(2)], value: '2', verdict: 'kept'},
  {name: 'an older value', writes: [write(1), write(2)], value: '1', verdict: 'failed'},
  {name: 'no value', writes: [write(1), write(2)], value: null, verdict: 'failed'},
  {name: 'a value that nobody wrote', writes: [write(1)], value: '7', verdict: 'failed'},
  {name: 'a deleted key that is there', writes: [write(1), write(2, {value: null})], value: '1', verdict: 'failed'},
  {name: 'a deleted key that is gone', writes: [write(1), write(2, {value: null})], value: null, verdict: 'kept'},
  {name: 'a write without an answer came about', writes: [write(1), write(2, unknown)], value: '2', verdict: 'kept'},
  {name: 'a write without an answer did not', writes: [write(1), write(2, unknown)], value: '1', verdict: 'kept'},
  {
    name: 'an older value, and its node was replaced',
    writes: [write(1), write(2)],
    value: '1',
    takeovers: [takeover],
    verdict: 'attributed',
  },
  {
    name: 'an older value, and another node was replaced',
    writes: [write(1), write(2)],
    value: '1',
    takeovers: [{...takeover, node: B, by: A}],
    verdict: 'failed',
  },
  {
    name: 'an older value, and its node was replaced long after',
    writes: [write(1), write(2)],
    value: '1',
    takeovers: [{...takeover, fromMs: 60_000, toMs: 61_000}],
    verdict: 'failed',
  },
  {
    name: 'two writes are gone, and one of them cannot be explained',
    writes: [write(1), write(2, {node: B}), write(3)],
    value: '1',
    takeovers: [takeover],
    verdict: 'failed',
  },
  {
    name: 'an older value, and its slot had just come to a node that was replaced',
    writes: [write(1, {node: B}), write(2, {node: B})],
    value: '1',
    takeovers: [takeover],
    arrivals,
    verdict: 'attributed',
  },
  {
    name: 'an expired key',
    writes: [write(1, {lifeMs: 500})],
    value: null,
    readMs: 12_000,
    verdict: 'kept',
  },
  {
    name: 'a key that outlives its time',
    writes: [write(1, {lifeMs: 500})],
    value: '1',
    lifeMs: 100,
    readMs: 20_000,
    verdict: 'failed',
  },
  {
    name: 'a key that lost its time',
    writes: [write(1, {lifeMs: 60_000})],
    value: '1',
    lifeMs: -1,
    readMs: 20_000,
    verdict: 'failed',
  },
  {
    name: 'a key that kept its time',
    writes: [write(1, {lifeMs: 60_000})],
    value: '1',
    lifeMs: 51_000,
    readMs: 20_000,
    verdict: 'kept',
  },
  {name: 'a key that expires unasked', writes: [write(1)], value: '1', lifeMs: 5000, verdict: 'failed'},
  {name: 'a counter', kind: 'counter', writes: [increment(1, 1), increment(2, 2)], value: '2', verdict: 'kept'},
  {
    name: 'a counter that lost one',
    kind: 'counter',
    writes: [increment(1, 1), increment(2, 2)],
    value: '1',
    verdict: 'failed',
  },
  {
    name: 'a counter that went back on the way',
    kind: 'counter',
    writes: [increment(1, 1), increment(2, 2), increment(3, 2)],
    value: '2',
    verdict: 'failed',
  },
  {
    name: 'a counter that went back when its node was replaced',
    kind: 'counter',
    writes: [increment(1, 1), increment(2, 2), increment(3, 2, {node: B})],
    value: '2',
    takeovers: [takeover],
    verdict: 'attributed',
  },
  {
    name: 'a counter that counted twice',
    kind: 'counter',
    writes: [increment(1, 1), increment(2, 3)],
    value: '3',
    verdict: 'failed',
  },
  {
    name: 'a counter with an increment that was not answered',
    kind: 'counter',
    writes: [increment(1, 1), increment(2, 0, unknown), increment(3, 3)],
    value: '3',
    verdict: 'kept',
  },
]

test.each(rows)('$name: $verdict', (row) => {
  const history: KeyHistory = {key: KEY, kind: row.kind ?? 'string', database: 0, writes: row.writes, reads: []}
  const final = {value: row.value, lifeMs: row.lifeMs ?? -1, readMs: row.readMs ?? 20_000}
  const finals = new Map([[`0/${KEY}`, final]])
  const {failures, attributed} = judge([history], finals, row.takeovers ?? [], row.arrivals ?? [])
  const verdict = failures.length > 0 ? 'failed' : attributed.length > 0 ? 'attributed' : 'kept'
  expect(verdict, [...failures, ...attributed].join('\n')).toBe(row.verdict)
})

test('a key that no client wrote is a failure', () => {
  const finals = new Map([[`0/${KEY}`, {value: '1', lifeMs: -1, readMs: 20_000}]])
  expect(judge([], finals, [], []).failures).toEqual([`0/${KEY} came from nowhere`])
})

test('a stale answer of a node that was replaced is its own', () => {
  const stale = {after: 2, reply: '1', node: A, sentMs: 13_000, doneMs: 13_001}
  const writes = [write(1), write(2, {node: B})]
  const history: KeyHistory = {key: KEY, kind: 'string', database: 0, writes, reads: [stale]}
  const finals = new Map([[`0/${KEY}`, {value: '2', lifeMs: -1, readMs: 20_000}]])
  expect(judge([history], finals, [takeover], []).attributed).toHaveLength(1)
  expect(judge([history], finals, [], []).failures).toHaveLength(1)
})
