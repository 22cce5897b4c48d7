/** Signals, lost terminals and full disks: the work ends well, and the exit code tells what became of it. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachEngine, startServers, type TestServers} from '../support/servers.ts'

/** script(1) of util-linux, and a disk that is always full. */
const HAS_TERMINALS = process.platform === 'linux' && existsSync('/usr/bin/script')
const HAS_FULL_DISK = existsSync('/dev/full')
const TELLING = 'kill -HUP $!'
const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}
const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-interruptions-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

/** In a shell, with a state folder of its own: `redirection` follows the command. */
function inShell(args: readonly string[], redirection: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
  const words = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ')
  return spawn('sh', ['-c', `${words} ${redirection}`], {
    env: {...process.env, XDG_STATE_HOME: path.join(folder, 'state'), ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/**
 * On a terminal of its own; the exit code goes to `file`, whatever becomes of the terminal. The shell learns of its end, and
 * does `onHangup` then: login shells tell their children.
 */
function onTerminal(
  args: readonly string[],
  file: string,
  onHangup: string,
  prefix: string,
  env: NodeJS.ProcessEnv,
): ChildProcess {
  const words = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ')
  const line = `${prefix} ${words} & trap "${onHangup}" HUP; wait $!; wait $!; echo $? >'${file}'`
  return spawn('script', ['-qfc', line, '/dev/null'], {
    env: {...process.env, XDG_STATE_HOME: path.join(folder, 'state'), TERM: 'xterm', SHELL: '/bin/sh', ...env},
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

async function untilSaid(child: ChildProcess, pattern: RegExp): Promise<void> {
  let said = ''
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString()
      if (pattern.test(said)) resolve()
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('close', () => reject(new Error(`it has ended: ${said}`)))
  })
}

async function codeIn(file: string): Promise<number> {
  await eventually(
    'it has ended',
    async () => {
      try {
        return readFileSync(file, 'utf8').trim() !== ''
      } catch {
        return false
      }
    },
    90_000,
  )
  return Number(readFileSync(file, 'utf8'))
}

forEachEngine('a reshard whose output is lost', (kind) => {
  let servers: TestServers
  let before: Awaited<ReturnType<typeof digestDataSet>>
  let [a, b] = ['', '']
  beforeAll(async () => {
    servers = await startServers(kind, 3, {config: {'cluster-node-timeout': '2000'}})
    ;[a = '', b = ''] = servers.addresses
    await rcluster.ok('create', ...servers.addresses, '--yes')
    await loadDataSet(servers.addresses, {keys: 8000})
    before = await digestDataSet(servers.addresses)
  })
  afterAll(() => servers?.stop())

  const there = (slots: number): string[] => ['reshard', a, b, String(slots), '--yes']
  const back = (slots: number): string[] => ['reshard', b, a, String(slots), '--yes']
  const slowly = ['--mover', 'migrate', '--max-bandwidth', '1mb']
  const isFine = async (): Promise<void> => {
    await rcluster.ok('check', a)
    expect(compareDigests(before, await digestDataSet(servers.addresses))).toEqual(UNTOUCHED)
  }

  test.skipIf(!HAS_FULL_DISK).each([
    ['the disk for stdout is full', '>/dev/full', () => there(300)],
    ['the disk for all of it is full', '>/dev/full 2>/dev/full', () => [...back(300), '--json']],
    ['nothing is open', '>&- 2>&- <&-', () => there(300)],
  ])('is carried out when %s', async (_, redirection, argsOf) => {
    const args = argsOf()
    const writer = await startWriter(servers.addresses)
    const child = inShell([...args, '--progress', 'ndjson'], redirection)
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const [code] = (await once(child, 'close')) as [number]
    expect(code, said).toBe(0)
    if (!redirection.includes('2>')) expect(said).toContain('Not all of the output could be written: ENOSPC')
    expect(await writer.stop()).toMatchObject({errors: [], errorCount: 0, lost: []})
    await isFine()
  })

  test('is carried out when the reader goes away', async () => {
    const child = inShell([...back(300), ...slowly, '--progress', 'ndjson'], '')
    await untilSaid(child, /keys-moved/)
    child.stdout?.destroy()
    child.stderr?.destroy()
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(0)
    await isFine()
  })

  test.skipIf(!HAS_TERMINALS)(
    'stops after the slots in flight when its terminal is closed, and is finished by the same command',
    async () => {
      const file = path.join(folder, `closed-${kind.name}`)
      const terminal = onTerminal([...there(3000), ...slowly], file, TELLING, '', {})
      await untilSaid(terminal, /keys\/s/)
      terminal.kill('SIGKILL')
      expect(await codeIn(file)).toBe(130)
      await isFine()
      const [code] = (await once(inShell(there(3000), ''), 'close')) as [number]
      expect(code).toBe(0)
      await rcluster.ok('rebalance', a, '--threshold', '0', '--yes')
      await isFine()
    },
  )

  test.skipIf(!HAS_TERMINALS).each([
    ['no signal comes', ':', 'setsid', {}],
    ['it runs under nohup', TELLING, '', {_: '/usr/bin/nohup'}],
  ])('is carried out when its terminal is closed and %s', async (_, onHangup, prefix, env) => {
    const file = path.join(folder, `${prefix}-${kind.name}`)
    const terminal = onTerminal([...there(1000), ...slowly], file, onHangup, prefix, env)
    await untilSaid(terminal, /keys\/s/)
    terminal.kill('SIGKILL')
    expect(await codeIn(file)).toBe(0)
    await rcluster.ok(...back(1000))
    await isFine()
  })
})

forEachEngine('a command that is interrupted', (kind) => {
  test('ends soon, tells the truth, and is finished by the same command or the one that it names', async () => {
    const servers = await startServers(kind, 6, {config: {'cluster-node-timeout': '1000'}})
    try {
      const [a = '', b = '', c = '', d = '', e = '', f = ''] = servers.addresses
      const backup = path.join(folder, `backup-${kind.name}`)
      /** Signalled at its first stage, and so many milliseconds later. */
      const rounds: {args: string[]; after: number[]; isOnce?: true; prepare?: () => Promise<unknown>}[] = [
        {args: ['create', a, b, c, d, '--primaries', '3', '--if-missing', '--yes'], after: [0, 200]},
        {args: ['add-node', e, a, '--yes'], after: [0]},
        {args: ['add-node', f, a, '--replica', '--primary', a, '--yes'], after: [0, 30]},
        {args: ['reshard', a, e, '400', '--yes'], after: [50], prepare: () => loadDataSet([a], {keys: 2000})},
        {args: ['backup', a, backup], after: [0]},
        {args: ['restore', backup, a, '--on-conflict', 'fail', '--yes'], after: [50]},
        {args: ['del-node', a, e, '--drain', '--yes'], after: [50]},
        {args: ['del-node', a, f, '--yes'], after: [0]},
        // Run again, it would fail over back.
        {args: ['failover', d, '--yes'], after: [0], isOnce: true},
      ]
      for (const {args, after, isOnce, prepare} of rounds) {
        await prepare?.()
        let isDone = false
        for (const ms of after) {
          const {child, ended} = rcluster.start([...args, '--progress', 'ndjson'])
          await untilSaid(child, /"phase"/).catch(() => undefined)
          await sleep(ms)
          const at = performance.now()
          child.kill('SIGTERM')
          const {code, stderr, stdout} = await ended
          const what = `${args.join(' ')}, ${ms} ms after its first stage: ${code}, ${stderr}`
          expect(performance.now() - at, what).toBeLessThan(15_000)
          isDone = code === 0
          if (isDone) break
          expect([3, 130], what).toContain(code)
          if (code === 130) expect(stderr, what).toContain('Stopped by SIGTERM')
          expect(stdout, what).not.toMatch(/Created|Joined|Removed|Wrote/)
        }
        if (!isDone && !isOnce) await finish(args)
        await eventually('the cluster is healthy', async () => (await rcluster.run(['check', a])).code === 0)
      }
    } finally {
      await servers.stop()
    }
  })
})

/** Again, and if that is refused what it says instead. */
async function finish(args: readonly string[]): Promise<void> {
  const again = await rcluster.run(args)
  if (again.code === 0) return
  const [, named] = /rcluster (replicate .*)$/m.exec(again.stderr) ?? []
  if (named === undefined) throw new Error(`${args.join(' ')}: ${again.code}, ${again.stderr}`)
  await rcluster.ok(...named.split(' '), '--yes')
}
