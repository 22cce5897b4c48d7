/** Every command on a cluster of which the nodes begin to lie in the middle of it: it ends, and does not fall over. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {mapBounded} from '../../src/lib/engine/waiting.ts'
import {COMMAND_LINES, MEMBER_LINES} from '../support/command-lines.ts'
import {type Impostor, kindOf, openImpostor} from '../support/impostor.ts'
import {captureRuns, runWithin} from '../support/in-process.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-hostile-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))
beforeAll(() => {
  process.env['XDG_STATE_HOME'] = folder
  process.env['XDG_CONFIG_HOME'] = folder
  process.env['NO_COLOR'] = '1'
  writeFileSync(path.join(folder, 'empty.rdb'), Buffer.from('REDIS0011\xff\0\0\0\0\0\0\0\0', 'latin1'))
  captureRuns()
})

/** Of the cases one in so many is tried; all of them with RCLUSTER_TEST_LIES=all. */
const ONE_IN = process.env['RCLUSTER_TEST_LIES'] === 'all' ? 1 : 31
const AT_ONCE = 12
/** The drop-in form waits for nodes that come back as long as redis-cli's users are used to. */
const LIMIT_MS = {native: 20_000, dropIn: 60_000}

interface Lie {
  readonly name: string
  readonly reply: string | Buffer
  /** Then the connection ends. */
  readonly isLast?: boolean
  /** Costs a deadline each time, or passes by itself as far as one can tell. */
  readonly isSlow?: boolean
}

const LIES: readonly Lie[] = [
  {name: 'a number', reply: ':5\r\n'},
  {name: 'a negative number', reply: ':-5\r\n'},
  {name: 'a number that is too large', reply: ':99999999999999999999\r\n'},
  {name: 'a status', reply: '+WAT\r\n'},
  {name: 'OK', reply: '+OK\r\n'},
  {name: 'nothing', reply: '$-1\r\n'},
  {name: 'no list', reply: '*-1\r\n'},
  {name: 'an empty list', reply: '*0\r\n'},
  {name: 'a list of this and that', reply: '*4\r\n*1\r\n:1\r\n$-1\r\n$3\r\nabc\r\n*0\r\n'},
  {name: 'a word', reply: '$5\r\nabcde\r\n'},
  {name: 'an empty word', reply: '$0\r\n\r\n'},
  {name: 'lines of nonsense', reply: `$1800\r\n${'x:y z=1,2 [0-5] \r\n'.repeat(100)}\r\n`},
  {name: 'bytes', reply: Buffer.from(`$256\r\n${String.fromCharCode(...Array(256).keys())}\r\n`, 'latin1')},
  {name: 'an error', reply: '-ERR no\r\n'},
  {name: 'an error with controls', reply: '-ERR \u001b]0;pwned\u0007 at\r\n'},
  {name: 'NOPERM', reply: "-NOPERM User default has no permissions to run the 'x' command\r\n"},
  {name: 'LOADING', reply: '-LOADING Redis is loading the dataset in memory\r\n', isSlow: true},
  {name: 'MOVED', reply: '-MOVED 1 127.0.0.1:1\r\n', isSlow: true},
  {name: '1 TB', reply: '$1000000000000\r\n'},
  {name: 'a deep list', reply: '*1\r\n'.repeat(100)},
  {name: 'HTTP', reply: 'HTTP/1.1 400 Bad Request\r\n\r\n', isLast: true},
  {name: 'two answers', reply: '+OK\r\n+OK\r\n'},
  {name: 'the end', reply: '', isLast: true, isSlow: true},
  {name: 'half and the end', reply: '$100\r\nhalf', isLast: true, isSlow: true},
  {name: 'half', reply: '$100\r\nhalf', isSlow: true},
  {name: 'silence', reply: '', isSlow: true},
]

/** Who lies, and when. */
const MOODS = ['all', 'one', 'later'] as const

async function openScene(): Promise<{cluster: Impostor; source: Impostor; close: () => void}> {
  const shards = [
    [0, 5463],
    [5464, 10_922],
    [10_923, 16_383],
    [0, -1],
  ] as const
  const cluster = await openImpostor({shards, replicas: [0], strangers: 3})
  const source = await openImpostor({shards: [[0, -1]], isStandalone: true})
  const close = (): void => {
    cluster.close()
    source.close()
  }
  return {cluster, source, close}
}

function lineOf(
  id: string,
  {cluster: {nodes}, source}: {cluster: Impostor; source: Impostor},
  deadline = '0.2',
): string[] {
  const at = nodes.map(({address}) => address)
  const ids = nodes.map((node) => node.id)
  const words = MEMBER_LINES[id]!(at, ids, folder, source.nodes[0]!.address)
  return id.startsWith('drop-in:')
    ? [...words, '-t', deadline]
    : [
        ...words,
        ...['--connect-timeout', `${deadline}s`, '--command-timeout', `${deadline}s`],
        ...(id === 'wait' ? [] : ['--timeout', '2s']),
        ...(['rebalance', 'reshard', 'del-node'].includes(id) ? ['--patience', '2s'] : []),
      ]
}

test('every command has a line', () => {
  expect(Object.keys(MEMBER_LINES).sort()).toEqual(Object.keys(COMMAND_LINES).sort())
})

test.concurrent.each(Object.keys(MEMBER_LINES))(
  '%s, lied to',
  async (id) => {
    const isDropIn = id.startsWith('drop-in:')
    const honest = await openScene()
    const limitMs = isDropIn ? LIMIT_MS.dropIn : LIMIT_MS.native
    const plain = await runWithin(limitMs, lineOf(id, honest, '5'))
    honest.close()
    // Nobody restarts impostors: a roll ends at the first of them.
    expect(plain.code, `${plain.stdout}${plain.stderr}`).toBeLessThan(id === 'roll' ? 6 : 5)
    const kinds = [
      ...honest.cluster.heard,
      ...[...honest.source.heard].filter((kind) => !honest.cluster.heard.has(kind)),
    ]
    expect(kinds.length).toBeGreaterThan(4)
    // In the drop-in form nothing shortens how long nodes are waited for that do not come together: a minute.
    const cases = kinds
      .flatMap((kind) => LIES.map((lie) => ({kind, lie})))
      .map((one, index) => ({...one, mood: MOODS[index % MOODS.length]!, index}))
      .filter(({lie, kind}) => !isDropIn || !(lie.isSlow || kind === 'CLUSTER MEET'))
      .filter(({index}) => (index * 7 + id.length) % ONE_IN === 0)
    await mapBounded(cases, AT_ONCE, async ({kind, lie, mood}) => {
      const scene = await openScene()
      try {
        let times = 0
        for (const impostor of [scene.cluster, scene.source]) {
          impostor.lie = (words, node, socket) => {
            if (kindOf(words) !== kind) return undefined
            if (mood === 'one' && node !== scene.cluster.nodes[1] && node !== scene.source.nodes[0]) return undefined
            if (mood === 'later' && times++ < 6) return undefined
            if (lie.isLast) socket.end(lie.reply)
            return lie.reply
          }
        }
        const hears = `${id} hears ${lie.name} to ${kind} (${mood})`
        const {code, stdout, stderr} = await runWithin(limitMs, lineOf(id, scene)).catch((error: Error) => {
          throw new Error(`${hears}: ${error.message}`, {cause: error})
        })
        const told = `${hears} and ends with ${code}\n${stdout}\n${stderr}`
        // Where servers tell of no such setting, its name is a word that makes no sense.
        expect([0, 1, 3, 4, 5, ...(id === 'config:set' ? [2] : [])], told).toContain(code)
        expect(told).not.toMatch(/unexpected fault|Connection is closed|\n\s+at |undefined|NaN|\[object|\u001b|\u0007/)
        if (code !== 0 && !isDropIn) expect(stdout + stderr).not.toBe('')
      } finally {
        scene.close()
      }
    })
  },
  600_000,
)
