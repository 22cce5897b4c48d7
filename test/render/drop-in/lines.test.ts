import {describe, expect, test} from 'vitest'
import {ClusterError, NodeError, RefusedError, UsageError} from '../../../src/lib/errors.ts'
import {nodesInSeedOrder, primariesInSeedOrder} from '../../../src/lib/plan/redis-cli/node-order.ts'
import {furtherErrors, passesCheck, renderCheck} from '../../../src/lib/render/drop-in/check.ts'
import {renderDropInFailure} from '../../../src/lib/render/drop-in/failure.ts'
import {renderMultipleOwners} from '../../../src/lib/render/drop-in/multiple-owners.ts'
import {bracketed, renderSummary} from '../../../src/lib/render/drop-in/nodes.ts'
import {dropInChalk, paint} from '../../../src/lib/render/drop-in/paint.ts'
import {parseRanges} from '../../../src/lib/slots/slot-ranges.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../../topology/cluster-views.ts'

const SEED = {host: '127.0.0.1', port: 7000}
const KEYS = {keysByDatabase: new Map([[0, 8192]])}
const LOADED: ClusterSpec = Object.fromEntries(
  Object.entries(HEALTHY).map(([name, node]) => [name, {...node, info: KEYS}]),
)

describe('the summary', () => {
  test('has a line a primary and the sums', () => {
    const lines = renderSummary(topologyOf(LOADED)).split('\n')
    expect(lines).toHaveLength(5)
    expect(lines[0]).toBe(`127.0.0.1:7000 (${idOf('a').slice(0, 8)}...) -> 8192 keys | 5461 slots | 1 slaves.`)
    expect(lines.slice(-2)).toEqual(['[OK] 24576 keys in 3 masters.', '1.50 keys per slot on average.'])
  })

  test('speaks of primaries where the server is Valkey', () => {
    const spec: ClusterSpec = Object.fromEntries(
      Object.entries(HEALTHY).map(([name, node]) => [name, {...node, info: {flavour: 'valkey' as const}}]),
    )
    const summary = renderSummary(topologyOf(spec))
    expect(summary).toContain('| 1 replicas.')
    expect(summary).toContain('[OK] 0 keys in 3 primaries.')
  })
})

describe('the check', () => {
  test('of a healthy cluster passes in the lines that scripts look for', () => {
    const topology = topologyOf(HEALTHY)
    const text = renderCheck(topology, SEED)
    expect(text).toContain('>>> Performing Cluster Check (using node 127.0.0.1:7000)')
    expect(text).toContain(
      `M: ${idOf('a')} 127.0.0.1:7000\n   slots:[0-5460] (5461 slots) master\n   1 additional replica(s)`,
    )
    expect(text).toMatch(
      new RegExp(`S: [0-9a-f]{40} \\S+\\n   slots: \\(0 slots\\) slave\\n   replicates ${idOf('a')}`),
    )
    expect(
      text.endsWith(
        [
          '[OK] All nodes agree about slots configuration.',
          '>>> Check for open slots...',
          '>>> Check slots coverage...',
          '[OK] All 16384 slots covered.',
        ].join('\n'),
      ),
    ).toBe(true)
    expect(passesCheck(topology)).toBe(true)
    expect(furtherErrors(topology)).toEqual([])
  })

  test('names open slots by node and all together', () => {
    const topology = topologyOf({
      ...HEALTHY,
      a: {slots: '0-5460', epoch: 1, migrating: {7: 'b', 9: 'b'}},
      b: {slots: '5461-10922', epoch: 2, importing: {7: 'a'}},
    })
    const text = renderCheck(topology, SEED)
    expect(text).toContain('[WARNING] Node 127.0.0.1:7000 has slots in migrating state 7,9.')
    expect(text).toContain('[WARNING] Node 127.0.0.1:7001 has slots in importing state 7.')
    expect(text).toContain('[WARNING] The following slots are open: 7,9.')
    expect(passesCheck(topology)).toBe(false)
  })

  test('of uncovered slots and disagreement fails', () => {
    const uncovered = topologyOf({...HEALTHY, c: {slots: '10923-16000', epoch: 3}})
    expect(renderCheck(uncovered, SEED)).toContain('[ERR] Not all 16384 slots are covered by nodes.')
    expect(passesCheck(uncovered)).toBe(false)
    const split = topologyOf({...HEALTHY, b: {slots: '5461-10922', epoch: 2, sees: {a: {slots: '0-5000'}}}})
    expect(renderCheck(split, SEED)).toContain("[ERR] Nodes don't agree about configuration!")
    expect(passesCheck(split)).toBe(false)
  })

  test('tells of a dead replica, which redis-cli does not', () => {
    const topology = topologyOf({...HEALTHY, a1: {replicaOf: 'a', unreachable: 'nothing listens there'}})
    expect(passesCheck(topology)).toBe(true)
    expect(furtherErrors(topology).join('\n')).toMatch(/^\[ERR\] .*cannot be reached/)
  })
})

describe('the search for several owners', () => {
  const nothing = {keysBySlot: new Map(), hiddenKeys: new Map()}

  test('finds none where nobody claims or holds what is another one’s', () => {
    const told = renderMultipleOwners(topologyOf(HEALTHY), {
      ...nothing,
      keysBySlot: new Map([[7, new Map([[idOf('a'), 3]])]]),
    })
    expect(told).toEqual({text: '>>> Check for multiple slot owners...\n[OK] No multiple owners found.', isClean: true})
  })

  test('names who claims a slot and who holds keys of it, and who hides some', () => {
    const told = renderMultipleOwners(topologyOf(HEALTHY), {
      keysBySlot: new Map([[7, new Map([[idOf('b'), 1]])]]),
      hiddenKeys: new Map([[idOf('c'), 2]]),
    })
    expect(told.isClean).toBe(false)
    expect(told.text.split('\n').slice(1)).toEqual([
      '[WARNING] Slot 7 has 2 owners:',
      '    127.0.0.1:7000',
      '    127.0.0.1:7001',
      expect.stringContaining('has 2 keys more than it shows'),
    ])
  })

  test('counts claims alone, too', () => {
    const topology = topologyOf({...HEALTHY, b: {slots: '5460-10922', epoch: 2}})
    expect(renderMultipleOwners(topology, nothing).text).toContain('[WARNING] Slot 5460 has 2 owners:')
  })
})

test('nodes go seed first, then as the seed lists them, without those that do not answer', () => {
  const topology = topologyOf({...HEALTHY, b: {slots: '5461-10922', epoch: 2, unreachable: 'gone'}})
  const ids = nodesInSeedOrder(topology).map(({id}) => id)
  expect(ids[0]).toBe(topology.seedId)
  expect(ids).not.toContain(idOf('b'))
  expect(new Set(ids).size).toBe(ids.length)
  expect(primariesInSeedOrder(topology).map(({id}) => id)).toEqual([idOf('a'), idOf('c')])
})

test.each([
  {text: '', shown: ''},
  {text: '0-5460', shown: '[0-5460]'},
  {text: '0-1,7,9-10', shown: '[0-1],[7],[9-10]'},
])('slots "$text" are shown as $shown', ({text, shown}) => {
  expect(bracketed(parseRanges(text))).toBe(shown)
})

describe('failures', () => {
  test.each([
    {
      name: 'a refused connection, in the words that scripts look for',
      error: new NodeError('refused', '127.0.0.1:7000', 'refused'),
      stderr: 'Could not connect to Redis at 127.0.0.1:7000: Connection refused',
    },
    {
      name: 'a late answer',
      error: new NodeError('timeout', '127.0.0.1:7000', '127.0.0.1:7000 did not answer within 5 s'),
      stderr: 'Could not connect to Redis at 127.0.0.1:7000: did not answer within 5 s',
    },
    {name: 'words that make no sense', error: new UsageError('no such thing'), stderr: '[ERR] no such thing'},
    {
      name: 'an error reply',
      error: new NodeError('auth', '127.0.0.1:7000', '127.0.0.1:7000 answered: NOAUTH'),
      stdout: '[ERR] Node 127.0.0.1:7000 NOAUTH',
    },
    {
      name: 'a server that is not in cluster mode',
      error: new NodeError('not-cluster', '127.0.0.1:7000', '127.0.0.1:7000 answered: ERR no cluster'),
      stdout: '[ERR] Node 127.0.0.1:7000 is not configured as a cluster node.',
    },
    {
      name: 'a refusal, with what to do',
      error: new RefusedError('busy', 'somebody else is at it', {suggestions: ['Wait']}),
      stdout: '[ERR] somebody else is at it\n    Wait',
    },
    {
      name: 'what is marked already is not marked twice',
      error: new UsageError('[ERR] Invalid arguments'),
      stderr: '[ERR] Invalid arguments',
    },
    {
      name: 'control characters do not survive',
      error: new ClusterError('E_REFUSED', 3, 'a\u001b[31mb'),
      stdout: '[ERR] a[31mb',
    },
  ])('$name', ({error, stdout = '', stderr = ''}) => {
    expect(renderDropInFailure(error)).toEqual({stdout, stderr})
  })
})

describe('colours', () => {
  const coloured = dropInChalk({isTTY: true}, {TERM: 'xterm-256color'})

  test.each(['[OK] fine', '[ERR] bad', '[WARNING] hm', '*** hm', '>>> at work'])('%s has one on an xterm', (line) => {
    expect(paint(line, coloured)).not.toBe(line)
    expect(paint(line, coloured)).toContain(line)
  })

  test.each([
    {name: 'a pipe', stream: {}, env: {TERM: 'xterm'}},
    {name: 'another terminal', stream: {isTTY: true}, env: {TERM: 'vt100'}},
    {name: 'no name', stream: {isTTY: true}, env: {}},
    {name: 'NO_COLOR', stream: {isTTY: true}, env: {TERM: 'xterm', NO_COLOR: '1'}},
  ])('none for $name', ({stream, env}) => {
    expect(paint('[OK] fine', dropInChalk(stream, env))).toBe('[OK] fine')
  })

  test('other lines have none', () => {
    expect(paint('M: abc', coloured)).toBe('M: abc')
  })
})
