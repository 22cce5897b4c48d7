/**
 * What operators see, at terminals of script(1): narrow, usual and wide ones, without colour, dumb, without Unicode, in CI,
 * in a pipe. Nothing is torn by the edge, no escape goes where it is not understood.
 */
import {spawn} from 'node:child_process'
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {loadDataSet} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {anyKind, startServers, type TestServers} from '../support/servers.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
/** script(1) of util-linux. */
const HAS_TERMINALS = process.platform === 'linux' && existsSync('/usr/bin/script')
const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-terminals-'))
const [snapshotFile, declaredFile] = [path.join(folder, 'before.json'), path.join(folder, 'cluster.yaml')]
let servers: TestServers
let [a, b, c, d, stranger] = ['', '', '', '', '']

beforeAll(async () => {
  servers = await startServers(anyKind(), 5)
  ;[a = '', b = '', c = '', d = '', stranger = ''] = servers.addresses
  await rcluster.ok('create', a, b, c, '--yes')
  await rcluster.ok('add-node', d, a, '--yes')
  await loadDataSet(servers.addresses.slice(0, 3), {keys: 500})
  await rcluster.ok('snapshot', a, '--out', snapshotFile)
  await rcluster.ok('reshard', a, b, '100', '--yes')
  const shards = [a, b, c, d].map((address) => `  - nodes: ["${address}"]\n`)
  writeFileSync(declaredFile, `format: rcluster-cluster\nversion: 1\nshards:\n${shards.join('')}`)
})
afterAll(async () => {
  rmSync(folder, {recursive: true, force: true})
  await servers?.stop()
  rcluster.close()
})

/** One of every kind of output: findings, tables, maps, plans, errors, help. */
const COMMANDS: readonly (readonly [string, () => string[]])[] = [
  ['check', () => ['check', a]],
  ['info', () => ['info', a]],
  ['info --map', () => ['info', a, '--map']],
  ['info --heat', () => ['info', a, '--heat', 'keys']],
  ['explain slot', () => ['explain', 'slot', 'user:1', '--seed', a]],
  ['clients', () => ['clients', a]],
  ['acl', () => ['acl', 'reshard']],
  ['reshard', () => ['reshard', a, d, '1000', '--dry-run', '--explain']],
  ['rebalance', () => ['rebalance', a, '--use-empty', '--dry-run', '--explain']],
  ['add-node', () => ['add-node', stranger, a, '--replica', '--dry-run']],
  ['del-node', () => ['del-node', a, d, '--dry-run']],
  ['replace-node', () => ['replace-node', b, stranger, '--dry-run']],
  ['rebalance by load', () => ['rebalance', a, '--by', 'keys', '--use-empty', '--dry-run', '--explain']],
  ['roll', () => ['roll', a, '--allow-unserved', '--dry-run']],
  ['heal', () => ['heal', a, '--dry-run']],
  ['apply of a cluster file', () => ['apply', declaredFile, '--dry-run']],
  ['config diff', () => ['config', 'diff', a]],
  ['config set', () => ['config', 'set', 'maxclients', '5000', '--seed', a, '--dry-run']],
  ['acl list', () => ['acl', 'list', a]],
  ['functions list', () => ['functions', 'list', a]],
  ['diff', () => ['diff', snapshotFile, a]],
  ['failover', () => ['failover', d, '--seed', a, '--dry-run']],
  ['fix', () => ['fix', a, '--dry-run']],
  ['call', () => ['call', a, '--', 'DBSIZE']],
  ['wait', () => ['wait', a, '--for', 'healthy']],
  ['a usage error', () => ['reshard', a, d, '99999']],
  ['a refusal', () => ['create', a, stranger, b, '--dry-run']],
  ['help', () => ['reshard', '--help']],
]

interface Terminal {
  readonly columns: number
  readonly env?: Readonly<Record<string, string>>
}

const TERMINALS: readonly (readonly [string, Terminal])[] = [
  ['40 columns, NO_COLOR', {columns: 40, env: {NO_COLOR: '1'}}],
  ['80 columns', {columns: 80}],
  ['200 columns, in CI', {columns: 200, env: {CI: 'true'}}],
  ['TERM=dumb and LANG=C', {columns: 80, env: {TERM: 'dumb', LANG: 'C', LC_ALL: 'C'}}],
]

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

async function atTerminal(args: readonly string[], {columns, env}: Terminal): Promise<string> {
  const command = [process.execPath, PROGRAM, ...args].map(quoted).join(' ')
  const line = `stty cols ${columns} rows 24; exec ${command}`
  const plain = {
    TERM: 'xterm-256color',
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
  }
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    cwd: path.dirname(PROGRAM),
    env: {...plain, XDG_STATE_HOME: '/nonexistent', XDG_CONFIG_HOME: '/nonexistent', ...env},
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => void chunks.push(chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  await new Promise((resolve) => child.on('close', resolve))
  clearTimeout(timer)
  return Buffer.concat(chunks).toString().replaceAll('\r\n', '\n')
}

/** What is on the screen in the end: escapes taken out, and lines that were drawn over with them. */
function linesOf(output: string): string[] {
  return output
    .replace(/\u001b\[(?:1?G|2K)/g, '\r')
    .replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf('\r') + 1).trimEnd())
}

/** A command to paste, an ACL rule and a single word stay whole, however narrow the terminal. */
function isUnbreakable(line: string): boolean {
  return /\brcluster /.test(line) || line.includes('ACL SETUSER') || /^\W*\S+$/.test(line)
}

/** Settings to paste come below the rule. */
function proseOf(lines: readonly string[]): readonly string[] {
  const settings = lines.findIndex((line) => /^(──|--) ioredis/.test(line))
  return settings < 0 ? lines : lines.slice(0, settings)
}

/** What is wrong with it; empty: nothing. */
function mistakesIn(output: string, command: string, {columns, env = {}}: Terminal): string[] {
  // oclif's own help knows no terminal that is narrower.
  const width = command === 'help' ? Math.max(columns, 80) : columns
  const torn = proseOf(linesOf(output)).filter((line) => [...line].length > width && !isUnbreakable(line))
  const isPlain = env['NO_COLOR'] !== undefined || env['TERM'] === 'dumb'
  return [
    ...(output.trim() === '' ? ['nothing was printed'] : []),
    ...torn.map((line) => `too wide: ${line}`),
    ...(isPlain && /\u001b\[[0-9;]*m/.test(output) ? ['colours'] : []),
    ...((env['TERM'] === 'dumb' || env['CI']) && /\u001b\[[0-9;?]*[A-LN-Za-ln-z]/.test(output) ? ['cursor moves'] : []),
    ...(env['LANG'] === 'C' && !/^[\u0000-\u007f]*$/.test(output) ? ['more than ASCII'] : []),
  ]
}

/** Some at a time: most of it is the start of Node. */
const AT_ONCE = 3

async function forEachCommand(check: (command: string, words: string[]) => Promise<string[]>): Promise<string[]> {
  const left = [...COMMANDS]
  const mistakes: string[] = []
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [command, words] = next
      mistakes.push(...(await check(command, words())).map((mistake) => `${command}: ${mistake}`))
    }
  }
  await Promise.all(Array.from({length: AT_ONCE}, work))
  return mistakes
}

describe.runIf(HAS_TERMINALS)('at a terminal', () => {
  test.each(TERMINALS)('%s', async (_name, terminal) => {
    const mistakes = await forEachCommand(async (command, words) =>
      mistakesIn(await atTerminal(words, terminal), command, terminal),
    )
    expect(mistakes).toEqual([])
  })
})

test('in a pipe there are neither colours nor other escapes', async () => {
  const mistakes = await forEachCommand(async (_command, words) => {
    const {stdout, stderr} = await rcluster.run(words, {env: {NO_COLOR: undefined, FORCE_COLOR: undefined}})
    return (stdout + stderr).includes('\u001b') ? ['escapes'] : []
  })
  expect(mistakes).toEqual([])
})
