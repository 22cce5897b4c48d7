/** Contexts against a guarded cluster, and against a listener that writes down what it is told; completion in shells that are real. */
import {spawn, spawnSync} from 'node:child_process'
import {existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {type AddressInfo, createServer, type Server} from 'node:net'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, startServers, type TestServers} from '../support/servers.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SECRET = 'pa55-of-prod'
const home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-habits-'))
const passwordFile = path.join(home, 'password')
const env = {XDG_CONFIG_HOME: home, XDG_STATE_HOME: home, PATH: `${home}/bin:${process.env['PATH']}`}
const seenFile = path.join(home, 'rcluster', 'seen-nodes.json')
const rcluster = openRcluster()
const run = (...args: string[]) => rcluster.run(args, {env})

let heard = ''
let listener: Server
let stranger = ''

beforeAll(async () => {
  writeFileSync(passwordFile, `${SECRET}\n`, {mode: 0o600})
  mkdirSync(path.join(home, 'bin'))
  symlinkSync(path.join(ROOT, 'bin/run.js'), path.join(home, 'bin', 'rcluster'))
  listener = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString()
      socket.end('-ERR nobody\r\n')
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  stranger = `127.0.0.1:${(listener.address() as AddressInfo).port}`
})

afterAll(() => {
  listener.close()
  rcluster.close()
  rmSync(home, {recursive: true, force: true})
})

forEachKind(
  'contexts and completion',
  (kind) => {
    let servers: TestServers
    let [a, b, c] = ['', '', '']

    beforeAll(async () => {
      servers = await startServers(kind, 3, {config: {requirepass: SECRET, masterauth: SECRET}})
      ;[a = '', b = '', c = ''] = servers.addresses
      const added = await run('context', 'add', 'prod', '--seed', a, '--password-command', `cat '${passwordFile}'`)
      expect(added).toMatchObject({code: 0, stderr: ''})
      const created = await run('create', a, b, c, '--yes', '--context', 'prod')
      expect(created.stderr).not.toContain('context')
      expect(created.code).toBe(0)
    })

    afterAll(async () => servers.stop())

    test('the default context is used where no cluster is named, and said', async () => {
      expect((await run('check')).code).toBe(4)
      expect((await run('context', 'use', 'prod')).code).toBe(0)
      const checked = await run('check')
      expect(checked.stderr).toContain(`Using context prod (${a})\n`)
      expect(checked).toMatchObject({code: 0, stdout: expect.stringContaining('Healthy')})
      const file = readFileSync(path.join(home, 'rcluster', 'contexts.json'), 'utf8')
      expect(file + readFileSync(seenFile, 'utf8')).not.toContain(SECRET)
    })

    test('its password goes to no address that is none of its seeds, unless it is said', async () => {
      const aside = await run('check', stranger, '--connect-timeout', '1s')
      expect(aside.stderr).toContain(`Not using the default context prod: ${stranger} is none of its seeds`)
      const moved = await run('reshard', '--from', a, '--to', stranger, '--slots', '1', '--dry-run')
      expect(moved).toMatchObject({code: 2, stderr: expect.stringContaining('no node of this cluster is called')})
      expect((await run('add-node', stranger)).code).not.toBe(0)
      expect(heard).not.toContain(SECRET)
      await run('check', stranger, '--context', 'prod')
      expect(heard).toContain(SECRET)
    })

    test('a member that is no seed of it turns us away, and the way out is named', async () => {
      const {code, stderr} = await run('check', b)
      expect(code).toBe(4)
      expect(stderr).toContain('If this is the cluster of the default context prod, add --context prod')
      expect((await run('check', b, '--context', 'prod')).code).toBe(0)
      const refused = await run('forget', b, '--context', 'prod', '--yes')
      expect(refused).toMatchObject({code: 3, stderr: expect.stringMatching(/→ rcluster del-node .*--drain/)})
      expect(refused.stderr).toContain('→ Each of these commands needs --context prod, too')
      expect((await run('failover', b.slice(0, -1), '--dry-run')).stderr).not.toContain(SECRET)
    })

    test('bash completes what the last command saw', async () => {
      const script = `
        eval "$(rcluster completion bash)"
        at() { COMP_LINE=$1 COMP_POINT=\${#1}; _rcluster rcluster; (IFS=' '; printf '%s\\n' "\${COMPREPLY[*]}"); }
        at 'rcluster chec'; at 'rcluster check ${a.slice(0, -1)}'; at 'rcluster check --fail-on='; at 'rcluster context use '`
      const {stdout, stderr} = spawnSync('bash', ['-c', script], {env: {...process.env, ...env}, encoding: 'utf8'})
      expect(stderr).toBe('')
      const [command, nodes = '', values, contexts] = stdout.split('\n')
      expect({command, values, contexts}).toEqual({command: 'check', values: 'error warning', contexts: 'prod'})
      // Bash has begun a new word after the colon.
      expect(nodes.split(' ')).toContain(a.split(':')[1])
    })

    test('bash completes at a terminal, too', async () => {
      const lines = [
        'eval "$(rcluster completion bash)"',
        // What is typed is told instead of run.
        'rcluster() { printf "<%s>" "$@"; echo; }',
        `rcluster chec\t--fail-on=w\t${a}`,
        'exit',
      ]
      const said = await atTerminal('bash --norc -i', `${lines.join('\n')}\n`)
      expect(said).toContain(`<check><--fail-on=warning><${a}>`)
    })

    test.runIf(isInstalled('zsh'))('zsh is told the same', () => {
      const script = `
        compdef() { : }
        eval "$(rcluster completion zsh)"
        compadd() { print -r -- "$values" }
        _files() { print -r -- "paths $*" }
        compset() { : }
        at() { words=("$@"); CURRENT=$#; PREFIX=$words[-1]; _rcluster }
        at rcluster chec; at rcluster check ${a.slice(0, -1)}; at rcluster check --fail-on=; at rcluster check --cacertdir=`
      const {stdout, stderr} = spawnSync('zsh', ['-f', '-c', script], {env: {...process.env, ...env}, encoding: 'utf8'})
      expect(stderr).toBe('')
      const [command, nodes = '', values, paths] = stdout.split('\n')
      expect({command, values, paths}).toEqual({
        command: 'check',
        values: '--fail-on=error --fail-on=warning',
        paths: 'paths -/',
      })
      expect(nodes.split(' ')).toContain(a)
    })

    test.runIf(isInstalled('fish'))('fish is told the same', () => {
      const script = `rcluster completion fish | source
        complete -C 'rcluster chec'; complete -C 'rcluster check ${a}'; complete -C 'rcluster check --fail-on='`
      const {stdout, stderr} = spawnSync('fish', ['-N', '-c', script], {
        env: {...process.env, ...env},
        encoding: 'utf8',
      })
      expect(stderr).toBe('')
      const said = stdout.split('\n').map((line) => line.split('\t')[0])
      expect(said).toEqual(['check', a, '--fail-on=error', '--fail-on=warning', ''])
    })

    test('nothing is remembered where that is not wanted', async () => {
      rmSync(seenFile)
      await run('check', '--no-remember')
      await rcluster.run(['check'], {env: {...env, RCLUSTER_REMEMBER: '0'}})
      expect(existsSync(seenFile)).toBe(false)
    })
  },
  ['redis-7.0'],
)

function isInstalled(shell: string): boolean {
  const isThere = spawnSync(shell, ['-c', 'exit']).error === undefined
  if (!isThere) process.stderr.write(`NOT RUN: completion in ${shell}, which is not installed\n`)
  return isThere
}

/** All that the program writes to its terminal, until it ends. */
function atTerminal(program: string, typed: string): Promise<string> {
  const child = spawn('script', ['-qfc', program, '/dev/null'], {
    env: {...process.env, ...env, TERM: 'dumb'},
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  child.stdin.on('error', () => {})
  // Not ended: that would be the end of what the terminal brings.
  child.stdin.write(typed)
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  return new Promise((resolve) => {
    child.on('close', () => {
      clearTimeout(timer)
      resolve(said)
    })
  })
}

test('what answers at the Tab key loads a small part of the program', () => {
  const files = new Set<string>()
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    const code = readFileSync(file, 'utf8')
    for (const [, next = ''] of code.matchAll(/(?:from|import) ?"(\.[^"]+)"/g))
      visit(path.resolve(path.dirname(file), next))
  }
  visit(path.join(ROOT, 'dist/complete.js'))
  const bytes = [...files].reduce((sum, file) => sum + statSync(file).size, 0)
  expect(files.size).toBeGreaterThan(1)
  // 33 KB when this was written; oclif alone is 200.
  expect(bytes).toBeLessThan(80_000)
})
