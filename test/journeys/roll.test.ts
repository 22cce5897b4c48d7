/** A cluster is restarted, and upgraded, node by node, while a client writes; and what is in doubt ends that. */
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {compareDigests, type DataSetDigest, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {openRestartService, type RestartService} from '../support/restart-service.ts'
import {forEachKind, rawCommand, serverKinds, splitAddress, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-roll-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

const KEYS = 3000
let servers: TestServers
let service: RestartService
/** What the hook does; a test may put something else in its place. */
let restart: (index: number) => Promise<void>

const indexOf = (port: number): number => servers.addresses.findIndex((address) => splitAddress(address).port === port)

async function begin(count: number, start: () => Promise<TestServers>, form: readonly string[]): Promise<void> {
  servers = await start()
  service = await openRestartService(folder, (port) => restart(indexOf(port)))
  await rcluster.ok('create', ...servers.addresses.slice(0, count), ...form, '--yes')
}

beforeEach(() => {
  restart = (index) => servers.restart(index)
})

async function end(): Promise<void> {
  service?.close()
  await servers?.stop()
}

async function rolesNow(): Promise<string[]> {
  const text = String(await rawCommand(servers.addresses[0] ?? '', ['CLUSTER', 'NODES']))
  return servers.addresses.map((address) => {
    const line = text.split('\n').find((one) => one.includes(` ${address}@`)) ?? ''
    return /\bmaster\b/.test(line) ? 'primary' : 'replica'
  })
}

async function expectUnharmed(before: DataSetDigest): Promise<void> {
  expect(compareDigests(before, await digestDataSet(servers.addresses))).toEqual({
    missing: [],
    changed: [],
    added: [],
    duplicates: [],
  })
}

forEachKind(
  'a rolling restart',
  (kind) => {
    beforeAll(() =>
      begin(6, () => startServers(kind, 6, {config: {'cluster-node-timeout': '3000'}}), ['--replicas', '1']),
    )
    afterAll(end)

    test('of three primaries and their replicas loses no write and leaves no slot unserved', async () => {
      await loadDataSet(servers.addresses, {keys: KEYS})
      const before = await digestDataSet(servers.addresses)
      const pids = [...servers.pids]
      const roles = await rolesNow()
      const writer = await startWriter(servers.addresses, {opsPerSecond: 300})
      const {stdout} = await rcluster.ok(
        'roll',
        servers.addresses[0] ?? '',
        '--exec',
        service.command,
        '--fail-back',
        '--yes',
        '--json',
      )
      const told = await writer.stop()
      const {result} = JSON.parse(stdout)
      expect(result).toMatchObject({outcome: 'rolled', plan: {skipped: []}})
      const kinds = result.acts.map((act: {kind: string}) => act.kind)
      const shard = ['restarted', 'handed-over', 'restarted', 'handed-back']
      expect(kinds).toEqual([...shard, ...shard, ...shard])
      expect(service.asked.map(indexOf).sort()).toEqual([0, 1, 2, 3, 4, 5])
      expect(servers.pids.filter((pid) => pids.includes(pid))).toEqual([])
      expect(await rolesNow()).toEqual(roles)
      await expectUnharmed(before)
      expect(told).toMatchObject({errors: [], lost: []})
      expect(told.ops).toBeGreaterThan(1000)
    })
  },
  ['redis-8.6', 'valkey-9.1'],
)

describe.each([
  {from: 'redis-8.0', to: 'redis-8.6', until: '8.6'},
  {from: 'valkey-8.1', to: 'valkey-9.1', until: '9.1'},
] as const)('an upgrade from $from to $to', ({from, to, until}) => {
  forEachKind(
    'on',
    (kind) => {
      beforeAll(() =>
        begin(4, () => startServers(kind, 4, {config: {'cluster-node-timeout': '3000'}}), ['--primaries', '2']),
      )
      afterAll(end)

      test('is found out when it is none, is cut off, goes on, and then has nothing left to do', async () => {
        await loadDataSet(servers.addresses, {keys: KEYS})
        const before = await digestDataSet(servers.addresses)
        const seed = servers.addresses[0] ?? ''
        const line = ['roll', seed, '--exec', service.command, '--until-version', until, '--yes']
        const none = await rcluster.run(line)
        expect(`${none.code} ${none.stderr}`).toMatch(
          /^5 [\s\S]*is back as \w+ [\d.]+, and not as [\d.]+; 0 of 4 nodes restarted/,
        )
        expect(none.stderr).toContain(`--until-version ${until}`)

        const next = serverKinds().find(({name}) => name === to)!
        const writer = await startWriter(servers.addresses, {opsPerSecond: 300})
        const cut = rcluster.start(line)
        restart = async (index) => {
          servers.become(index, next)
          await servers.restart(index)
          // Behind the first failover, when the old primary has just been restarted.
          if (service.asked.length === 3) cut.child.kill('SIGKILL')
        }
        await cut.ended
        expect(service.asked).toHaveLength(3)
        const {stdout} = await rcluster.ok(...line)
        const told = await writer.stop()
        expect(stdout).toContain('2 of 2 nodes restarted')
        expect((await rcluster.ok(...line)).stdout).toContain('Nothing to do')
        expect(service.asked).toHaveLength(5)
        const versions = await Promise.all(servers.addresses.map((at) => rawCommand(at, ['INFO', 'server'])))
        expect(versions.filter((text) => String(text).includes(`_version:${next.version}`))).toHaveLength(4)
        await expectUnharmed(before)
        expect(told).toMatchObject({errors: [], lost: []})
      })
    },
    [from],
  )
})

forEachKind(
  'a roll in doubt',
  (kind) => {
    beforeAll(() => begin(4, () => startServers(kind, 4), ['--primaries', '3']))
    afterAll(end)

    const roll = (...words: readonly string[]) => rcluster.run(['roll', servers.addresses[0] ?? '', '--yes', ...words])
    const replica = () => servers.addresses[3] ?? ''

    test('is not begun with a primary that nobody stands in for, by nobody, or without a file', async () => {
      const bare = await roll('--exec', service.command)
      expect(`${bare.code} ${bare.stderr}`).toMatch(/^3 [\s\S]*no replica to take over[\s\S]*--allow-unserved/)
      expect((await roll()).code).toBe(2)
      await loadDataSet(servers.addresses, {keys: 100})
      const unwritten = await roll('--exec', service.command, '--allow-unserved')
      expect(`${unwritten.code} ${unwritten.stderr}`).toMatch(/^3 [\s\S]*writes its keys to no file/)
      expect(service.asked).toEqual([])
    })

    test('ends with a command that fails, with its words and what became of the node', async () => {
      restart = async () => {
        throw new Error('no such unit')
      }
      const {code, stderr} = await roll('--exec', service.command, '--only', replica())
      expect(code).toBe(5)
      expect(stderr).toMatch(
        /the command for 127\.0\.0\.1:\d+ \(\w+\) ended with exit code 3 \(no such unit\); it runs as before/,
      )
      expect(stderr).toMatch(/rcluster roll 127\.0\.0\.1:\d+ --exec '.*' --only 127\.0\.0\.1:\d+ --restarted-since 20/)
    })

    test('ends with a node that was not restarted, or not under its ID', async () => {
      restart = async () => {}
      const same = await roll('--exec', service.command, '--only', replica(), '--back-timeout', '1')
      expect(`${same.code} ${same.stderr}`).toMatch(/^5 [\s\S]*it is the same process as before/)
      restart = async (index) => {
        await servers.kill(index)
        rmSync(path.join(servers.folder(index), 'nodes.conf'))
        await servers.restart(index)
      }
      const other = await roll('--exec', service.command, '--only', replica(), '--back-timeout', '8')
      expect(`${other.code} ${other.stderr}`).toMatch(
        /^5 [\s\S]*was not back and in sync within 8 s: (?:.* is node \w+ now, where node \w+ was before|no node knows an address for it)/,
      )
      // Nor is another one begun.
      const next = await roll('--exec', service.command, '--only', servers.addresses[1] ?? '', '--back-timeout', '1')
      expect(`${next.code} ${next.stderr}`).toMatch(/^3 [\s\S]*only while all is in order/)
    })
  },
  ['redis-7.0'],
)
