/** A cluster that is watched: in a pipe, by a program, on a terminal that is left as it was. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, expect, test} from 'vitest'
import type {WatchDocument} from '../../src/lib/render/watch-document.ts'
import {openRcluster} from '../support/rcluster.ts'
import {anyKind, eventually, startServers, type TestServers} from '../support/servers.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
/** script(1) of util-linux. */
const HAS_TERMINALS = process.platform === 'linux' && existsSync('/usr/bin/script')
const [ENTER, LEAVE] = ['\u001b[?1049h', '\u001b[?25h\u001b[?1049l']
const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-watch-'))
let servers: TestServers
let [a, b, c, d] = ['', '', '', '']

beforeAll(async () => {
  servers = await startServers(anyKind(), 4, {config: {'cluster-node-timeout': '2000'}})
  ;[a = '', b = '', c = '', d = ''] = servers.addresses
  await rcluster.ok('create', a, b, c, '--yes')
})
afterAll(async () => {
  await servers?.stop()
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

test('in a pipe a round is a line, and what is found comes once', async () => {
  const {stdout, stderr} = await rcluster.ok('watch', a, '--count', '3', '--interval', '300ms')
  const lines = stdout.trimEnd().split('\n')
  expect(lines.filter((line) => / 3 nodes, 3 shards, 16384 slots, 0 keys, /.test(line))).toHaveLength(3)
  expect(lines.filter((line) => line.includes('[no-replicas]'))).toHaveLength(1)
  expect(lines).toHaveLength(4)
  expect(stdout + stderr).not.toContain('\u001b')
  expect((await rcluster.ok('watch', a, '--once')).stdout).toContain('Ops/s')
})

test('a program is told of who joins, freezes, comes back and is moved to, whoever the seed was', async () => {
  const {child, ended} = rcluster.start(['watch', a, '--json', '--interval', '300ms'])
  const rounds: WatchDocument[] = []
  let rest = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) rounds.push((JSON.parse(line) as {result: WatchDocument}).result)
  })
  const seen = (what: string, holds: (round: WatchDocument) => boolean): Promise<void> =>
    eventually(what, async () => rounds.some(holds), 30_000)
  const nodeAt = (round: WatchDocument | undefined, address: string) =>
    round?.nodes.find((node) => node.address === address)
  await seen('a first round', () => true)
  expect(rounds[0]?.commands).toBeGreaterThanOrEqual(9)
  await rcluster.ok('add-node', d, b, '--yes')
  await seen('it joined', ({events}) => events.some(({kind, text}) => kind === 'joined' && text.includes(d)))

  servers.signal(0, 'SIGSTOP')
  await seen('the seed is silent', (round) => nodeAt(round, a)?.silentSince != null)
  const [before, after] = [rounds.length, Date.now()]
  await eventually('rounds go on', async () => rounds.length >= before + 4)
  expect(Date.now() - after).toBeLessThan(10_000)
  const silent = rounds.at(-1)
  expect(silent?.findings.map(({id}) => id)).toContain('unreachable-node')
  expect(nodeAt(silent, b)?.isReachable).toBe(true)
  servers.signal(0, 'SIGCONT')
  await seen('it is back', ({gone}) => gone.some(({id}) => id === 'unreachable-node'))

  await rcluster.ok('wait', b, '--for', 'healthy')
  await rcluster.ok('reshard', b, d, '500', '--yes')
  await seen('slots moved', ({moves}) => moves.some(({slotsMoved}) => slotsMoved > 0))
  expect(nodeAt(rounds.at(-1), d)?.slotCount).toBeGreaterThan(0)
  child.kill('SIGINT')
  expect(await ended).toMatchObject({code: 0, stderr: ''})
})

test('it ends when nobody reads any more', async () => {
  const {child, ended} = rcluster.start(['watch', b, '--interval', '200ms'])
  child.stdout?.once('data', () => child.stdout?.destroy())
  expect(await ended).toMatchObject({code: 0})
})

/** The terminal's settings before and after, and the exit code, go to files. */
function onTerminal(name: string, args: readonly string[]): ChildProcess {
  const file = (what: string): string => `'${path.join(folder, `${name}-${what}`)}'`
  const words = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ')
  const inner = `echo \\$\\$ >${file('pid')}; exec ${words}`
  const line = `stty cols 80 rows 20; stty -a >${file('before')}; sh -c "${inner}"; echo $? >${file('code')}; stty -a >${file('after')}`
  return spawn('script', ['-qfc', line, '/dev/null'], {
    env: {
      ...process.env,
      XDG_STATE_HOME: path.join(folder, 'state'),
      TERM: 'xterm',
      SHELL: '/bin/sh',
      NODE_OPTIONS: `--import "data:text/javascript,process.on('SIGUSR2',()=>{throw(Error('boom'))})"`,
      CI: '',
      NO_COLOR: '1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
}

const EXITS: {name: string; end: (child: ChildProcess, pid: number) => void; code: number}[] = [
  {name: 'q', end: (child) => child.stdin?.write('s?q'), code: 0},
  {name: 'Ctrl-C', end: (child) => child.stdin?.write('\u0003'), code: 0},
  {name: 'SIGTERM', end: (_, pid) => process.kill(pid, 'SIGTERM'), code: 130},
  {name: 'an exception', end: (_, pid) => process.kill(pid, 'SIGUSR2'), code: 70},
]
test.skipIf(!HAS_TERMINALS).each(EXITS)('a terminal is left as it was by $name', async ({name, end, code}) => {
  const child = onTerminal(name, ['watch', b, '--interval', '300ms'])
  const read = (what: string): string => readFileSync(path.join(folder, `${name}-${what}`), 'utf8')
  let said = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await eventually('it is drawn', async () => said.includes('Ops/s'), 30_000)
  end(child, Number(read('pid')))
  await once(child, 'close')
  expect(Number(read('code'))).toBe(code)
  expect(read('after')).toBe(read('before'))
  expect(said.indexOf(ENTER)).toBeGreaterThanOrEqual(0)
  expect(said.lastIndexOf(LEAVE)).toBeGreaterThan(said.lastIndexOf('Ops/s'))
  // No colours under NO_COLOR: the cursor moves, and lines are cleared.
  expect(said).not.toMatch(/\u001b\[[0-9;]*m/)
  const lastWords = {0: '', 70: 'boom', 130: 'Stopped by SIGTERM'}[code] ?? '?'
  expect(said.slice(said.lastIndexOf(LEAVE))).toContain(lastWords)
})
