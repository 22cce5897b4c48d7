/**
 * Whatever comes from a server, a file or a keyboard: is it read, or refused with an error that can be shown, in time and
 * without telling a secret? CLUSTER NODES, RDB, RESP, addresses and plan files are tried beside their own tests.
 */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {isIP} from 'node:net'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import {afterAll, describe, expect, test} from 'vitest'
import {parseAddressMap} from '../../src/lib/cli/address-rules.ts'
import {parseDropInArgv, toNativeArgv} from '../../src/lib/cli/drop-in/parse-argv.ts'
import {
  parseDecimal,
  parseDurationMs,
  parseInteger,
  parsePositiveInteger,
  parseSizeBytes,
} from '../../src/lib/cli/numbers.ts'
import {formatManifest, parseManifest} from '../../src/lib/engine/backup-manifest.ts'
import {formatLockName, LOCK_PREFIX, type LockEntry, parseLockName} from '../../src/lib/engine/lock-entry.ts'
import {ClusterError} from '../../src/lib/errors.ts'
import {parseLocalAddress} from '../../src/lib/redis/connect.ts'
import type {Reply} from '../../src/lib/redis/replies.ts'
import {replyError} from '../../src/lib/redis/reply-errors.ts'
import {parsePullMigrations, parsePushMigrations} from '../../src/lib/redis/slot-migrations.ts'
import {formatRanges, parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import {knownAddresses} from '../../src/lib/state/known-addresses.ts'
import {readRuns} from '../../src/lib/state/run-journal.ts'
import {parseClusterInfo, parseServerInfo} from '../../src/lib/topology/parse-info.ts'
import {buildTopology} from '../support/topology-builder.ts'

/** Multiplies how much is tried. */
const TIMES = Number(process.env['RCLUSTER_TEST_FUZZ'] ?? 1)
const options = {numRuns: 300 * TIMES}
/** No input here is longer than some kilobytes: what takes longer than this goes over it again and again. */
const SOON_MS = 1000

/** Any text, or one that `whole` becomes by a few cuts, copies and wrong bytes. */
function spoiled(whole: string): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.nat(whole.length),
    length: fc.nat(20),
    text: fc.oneof(fc.string({maxLength: 12}), fc.string({unit: 'binary', maxLength: 6}), fc.constant('9'.repeat(400))),
  })
  const changed = fc.array(change, {minLength: 1, maxLength: 5}).map((changes) => {
    let text = whole
    for (const {at, length, text: put} of changes) text = text.slice(0, at) + put + text.slice(at + length)
    return text
  })
  return fc.oneof(
    {weight: 3, arbitrary: changed},
    {weight: 1, arbitrary: fc.nat(whole.length).map((end) => whole.slice(0, end))},
    {weight: 1, arbitrary: fc.string({unit: 'binary', maxLength: 300})},
  )
}

/** Passes, or says no in a way that can be shown. `refusals`: what a parser of server text throws is told by its caller. */
function expectCalm(read: () => unknown, {mayThrowPlain = false} = {}): void {
  const startedAt = performance.now()
  try {
    read()
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    if (error instanceof ClusterError) expect([2, 3, 4]).toContain(error.exitCode)
    else if (!mayThrowPlain || (error as Error).constructor !== Error) throw error
    expect((error as Error).message.length).toBeLessThan(8000)
  }
  expect(performance.now() - startedAt).toBeLessThan(SOON_MS)
}

const INFO = [
  '# Server\r\nredis_version:7.0.15\r\nrun_id:0123456789abcdef0123456789abcdef01234567\r\ntcp_port:7000',
  '# Memory\r\nused_memory:1953680\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n# Replication\r\nrole:master',
  'connected_slaves:2\r\nslave0:ip=127.0.0.1,port=7003,state=online,offset=14,lag=0\r\nmaster_repl_offset:14',
  '# Cluster\r\ncluster_enabled:1\r\n# Keyspace\r\ndb0:keys=33,expires=3,avg_ttl=86399999\r\n',
].join('\r\n')
const CLUSTER_INFO =
  'cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_known_nodes:6\r\ncluster_current_epoch:6\r\ncluster_my_epoch:1\r\n'

describe('what servers say', () => {
  test('INFO', () => {
    fc.assert(
      fc.property(spoiled(INFO), (text) => expectCalm(() => parseServerInfo(text), {mayThrowPlain: true})),
      options,
    )
  })

  test('CLUSTER INFO', () => {
    fc.assert(
      fc.property(spoiled(CLUSTER_INFO), (text) => expectCalm(() => parseClusterInfo(text), {mayThrowPlain: true})),
      options,
    )
  })

  test('CLIENT INFO', () => {
    fc.assert(
      fc.property(spoiled('id=3 addr=10.0.0.1:5 laddr=[fd00::2]:6379 fd=8 name= age=0'), (text) => {
        const found = parseLocalAddress(text)
        if (found) expect(isIP(found.host)).not.toBe(0)
      }),
      options,
    )
  })

  test('error replies: one clean line, whatever is in them', () => {
    const heads = fc.constantFrom('', 'ERR ', 'MOVED 1 ', 'ASK 16383 ', 'NOPERM ', 'IOERR ', 'WRONGPASS ', 'LOADING ')
    fc.assert(
      fc.property(heads, fc.string({unit: 'binary', maxLength: 200}), (head, rest) => {
        const {message, exitCode} = replyError('10.0.0.1:7000', head + rest)
        expect(exitCode).toBe(4)
        expect(message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
      }),
      options,
    )
  })

  test('slot migrations', () => {
    const word = fc.oneof(
      fc.constantFrom('name', 'state', 'success', 'slot_ranges', '0-99', 'operation', 'EXPORT', 'source', '', '-1'),
      fc.string({unit: 'binary', maxLength: 20}),
    )
    const {reply} = fc.letrec<{reply: Reply; list: Reply}>((tie) => ({
      reply: fc.oneof({depthSize: 'small'}, word, fc.integer(), fc.constant(null), tie('list')),
      list: fc.array(tie('reply'), {maxLength: 12}),
    }))
    fc.assert(
      fc.property(reply, (told) => {
        for (const parse of [parsePushMigrations, parsePullMigrations]) {
          try {
            for (const {ranges} of parse(told)) expect(parseRanges(formatRanges(ranges))).toEqual(ranges)
          } catch (error) {
            // Told as garbled by whoever asked.
            expect((error as Error).constructor).not.toBe(TypeError)
          }
        }
      }),
      options,
    )
  })

  test("names that may be another rcluster's lock", () => {
    const entry: LockEntry = {
      ...{host: 'h', user: 'u', pid: 1, since: '2026-01-01T00:00:00.000Z', command: 'rcluster fix'},
      ...{nonce: 'n'.repeat(16), phase: 'held', isTaking: false, leaseMs: 30_000},
    }
    const own = formatLockName(entry)
    const payload = fc.jsonValue({maxDepth: 2}).map((value) => Buffer.from(JSON.stringify(value)).toString('base64url'))
    fc.assert(
      fc.property(
        fc.oneof(
          spoiled(own),
          payload.map((text) => `${LOCK_PREFIX}1:${text}`),
        ),
        (name) => {
          expectCalm(() => parseLockName(name))
          const parsed = parseLockName(name)
          if (parsed) expect(Number.isFinite(parsed.leaseMs)).toBe(true)
        },
      ),
      options,
    )
  })
})

describe('what people write', () => {
  test('numbers, times and sizes', () => {
    const text = fc.oneof(
      fc.string({unit: 'binary', maxLength: 30}),
      fc.stringMatching(/^[-+0-9.eExms kbgKMG]{0,30}$/),
      fc.constantFrom('1e400', '0x10', 'NaN', 'Infinity', '9'.repeat(400), '1'.repeat(20)),
    )
    fc.assert(
      fc.property(text, (word) => {
        for (const parse of [parsePositiveInteger, parseInteger, parseDecimal, parseDurationMs, parseSizeBytes]) {
          expectCalm(() => {
            const value = parse(word, '--flag')
            if (!Number.isFinite(value) || value < 0) throw new TypeError(`${word} became ${value}`)
          })
        }
      }),
      options,
    )
  })

  test('address maps', () => {
    const pair = spoiled('172.17.0.2:6379=127.0.0.1:7000').filter((text) => !text.startsWith('@'))
    fc.assert(
      fc.property(fc.array(pair, {maxLength: 3}), (entries) => expectCalm(() => parseAddressMap(entries))),
      options,
    )
  })

  test('the words of redis-cli, without telling the password', () => {
    const word = fc.oneof(
      fc.constantFrom(
        ...['--cluster', 'create', 'reshard', 'check', 'fix', 'call', 'import', '--cluster-yes', '--cluster-from'],
        ...['--cluster-weight', 'a=1', '-h', '-p', '7000', '127.0.0.1:7000', '-u', '--user', '--tls', '--', '-'],
      ),
      fc.string({unit: 'binary', maxLength: 12}),
    )
    const secret = fc.constantFrom(['-a', 'hunter2'], ['--pass', 'hunter2'], ['-u', 'redis://u:hunter2@h:7000'])
    fc.assert(
      fc.property(secret, fc.array(word, {maxLength: 9}), fc.nat(9), (login, words, at) => {
        const argv = [...words.slice(0, at), ...login, ...words.slice(at)]
        expectCalm(() => {
          try {
            toNativeArgv(parseDropInArgv(argv, {}))
          } catch (error) {
            expect((error as Error).message).not.toContain('hunter2')
            throw error
          }
        })
      }),
      options,
    )
  })
})

describe('what files hold', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-fuzz-'))
  afterAll(() => rmSync(folder, {recursive: true}))
  const env = {XDG_STATE_HOME: folder}
  const state = path.join(folder, 'rcluster')
  mkdirSync(state, {recursive: true})
  const topology = buildTopology({primaries: {A: '0-8191', B: '8192-16383'}})
  const nested = fc.jsonValue({maxDepth: 3}).map((value) => JSON.stringify(value))

  test('journals of runs that were cut off', () => {
    const [a = '', b = ''] = topology.nodes.map(({id}) => id)
    const own = JSON.stringify({
      ...{
        version: 1,
        intent: '["reshard"]',
        pid: 1,
        host: 'h',
        program: 'run.js',
        startedAt: '2026-01-01T00:00:00.000Z',
      },
      plan: {kind: 'reshard', moves: [{slot: 5, from: a, to: b}], before: [], after: [], warnings: []},
    })
    fc.assert(
      fc.property(
        fc.oneof(
          spoiled(own),
          nested,
          nested.map((text) => `{"version":1,"plan":${text}}`),
        ),
        (text) => {
          writeFileSync(path.join(state, 'run-1-00.json'), text)
          expectCalm(() => readRuns(env, topology))
        },
      ),
      options,
    )
  })

  test('remembered addresses', () => {
    const own = JSON.stringify({
      version: 1,
      savedAt: '2026-01-01T00:00:00.000Z',
      nodes: [
        {id: 'a'.repeat(40), dialled: {host: '127.0.0.1', port: 7000}, announced: {host: '10.0.0.2', port: 6379}},
      ],
    })
    fc.assert(
      fc.property(
        fc.oneof(
          spoiled(own),
          nested,
          nested.map((text) => `{"version":1,"nodes":${text}}`),
        ),
        (text) => {
          writeFileSync(path.join(state, 'addresses-00.json'), text)
          expectCalm(() => {
            for (const [id, {host, port}] of knownAddresses(env)) {
              if (!/^[0-9a-f]{40}$/.test(id) || host === '' || !(port > 0)) throw new TypeError(`${id} ${host} ${port}`)
            }
          })
        },
      ),
      options,
    )
  })

  test('manifests of backups', () => {
    const own = formatManifest({version: 1, files: []} as never)
    fc.assert(
      fc.property(fc.oneof(spoiled(own), nested), (text) => expectCalm(() => parseManifest(text, '/backup'))),
      options,
    )
  })
})
