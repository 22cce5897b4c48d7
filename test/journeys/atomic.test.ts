/** Slots that the servers move by themselves, on the servers that can: under load, cut short, forbidden, and mixed. */
import {randomBytes} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
import {afterAll, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {
  forEachKind,
  rawCommand,
  type ServerKind,
  type ServerName,
  serverKinds,
  startServers,
} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const ATOMIC: readonly ServerName[] = ['redis-8.6', 'valkey-9.1']
const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}

/** What an end tells of its migrations, as one text. */
async function migrationsOf(kind: ServerKind, address: string): Promise<string> {
  const words = kind.family === 'valkey' ? ['GETSLOTMIGRATIONS'] : ['MIGRATION', 'STATUS', 'ALL']
  return String(await rawCommand(address, ['CLUSTER', ...words]))
}

forEachKind(
  'slots that move by themselves',
  (kind) => {
    test('keep every key, disturb no client, and the screen says which way they went', async () => {
      const servers = await startServers(kind, 8)
      try {
        const members = servers.addresses.slice(0, 6)
        const [a = '', b = ''] = members
        const newcomers = servers.addresses.slice(6)
        await rcluster.ok('create', ...members, '--replicas', '1', '--yes')
        await loadDataSet(members, {keys: 60_000})
        const before = await digestDataSet(members)
        const writer = await startWriter(members.slice(0, 3), {opsPerSecond: 500})
        const moved = await rcluster.ok('reshard', a, b, '1000', '--mover', 'atomic', '--yes', '--json')
        expect(JSON.parse(moved.stdout).result).toMatchObject({slotsMoved: 1000, slotsMovedAtomically: 1000})
        await rcluster.ok('add-node', ...newcomers, a)
        const spread = await rcluster.ok('rebalance', a, '--use-empty', '--yes')
        expect(spread.stdout).toContain('All of them by atomic slot migration.')
        await rcluster.ok('del-node', a, ...newcomers, '--drain', '--yes')
        expect(await writer.stop()).toMatchObject({errors: [], errorCount: 0, lost: []})
        expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
        expect((await rcluster.run(['check', a])).code).toBe(0)
      } finally {
        await servers.stop()
      }
    })

    test('are called back by the second signal, and the next run moves them', async () => {
      const servers = await startServers(kind, 3)
      try {
        const [a = '', b = ''] = servers.addresses
        await rcluster.ok('create', ...servers.addresses, '--yes')
        // Slot 0 belongs to the hash tag 06S. Random bytes: a second or two of snapshot.
        for (let n = 0; n < 12; n++) await rawCommand(a, ['SET', `{06S}${n}`, randomBytes(20_000_000)])
        const args = ['reshard', a, '--from', a, '--to', b, '--slots-list', '0-99', '--yes', '--progress', 'ndjson']
        const {child, ended} = rcluster.start(args)
        child.stderr?.on('data', (chunk: Buffer) => {
          if (!chunk.toString().includes('moves-started')) return
          setTimeout(() => {
            child.kill('SIGINT')
            child.kill('SIGTERM')
          }, 100)
        })
        const {code, stdout} = await ended
        expect(stdout).not.toContain('Moved')
        expect(code).toBe(130)
        const told = `${await migrationsOf(kind, a)} ${await migrationsOf(kind, b)}`
        expect(told).toMatch(/cancell?ed/)
        expect(await rawCommand(a, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])).toBe(12)
        await rcluster.ok(...args)
        expect(await rawCommand(b, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])).toBe(12)
        expect((await rcluster.run(['check', a])).code).toBe(0)
      } finally {
        await servers.stop()
      }
    })

    test('need a login for one another on Valkey: without it they go key by key, and the reason is told', async () => {
      const servers = await startServers(kind, 2, {config: {requirepass: 'secret'}})
      try {
        const [a = '', b = ''] = servers.addresses
        const env = {RCLUSTER_PASSWORD: 'secret'}
        const login = {password: 'secret'}
        expect((await rcluster.run(['create', a, b, '--primaries', '2', '--yes'], {env})).code).toBe(0)
        for (let n = 0; n < 50; n++) await rawCommand(a, ['SET', `{06S}${n}`, 'value'], login)
        const args = ['reshard', a, '--from', a, '--to', b, '--slots-list', '0-9', '--yes', '--json']
        if (kind.family === 'redis') {
          // Its nodes know one another by a secret of their own.
          const {stdout} = await rcluster.run(args, {env})
          expect(JSON.parse(stdout).result).toMatchObject({slotsMovedAtomically: 10, keysMoved: 50})
          return
        }
        const refused = await rcluster.run([...args, '--mover', 'atomic'], {env})
        expect(refused.code).toBe(5)
        expect(JSON.parse(refused.stdout).error.message).toContain('atomic slot migration failed')
        const {code, stdout, stderr} = await rcluster.run([...args, '--progress', 'plain'], {env})
        expect(code, stderr).toBe(0)
        expect(JSON.parse(stdout).result).toMatchObject({slotsMoved: 10, slotsMovedAtomically: 0, keysMoved: 50})
        expect(stderr).toContain('Going on key by key')
        expect(await rawCommand(b, ['CLUSTER', 'COUNTKEYSINSLOT', '0'], login)).toBe(50)
      } finally {
        await servers.stop()
      }
    })

    test('are done before another run begins: one that was killed leaves nothing half way', async () => {
      const servers = await startServers(kind, 3)
      try {
        const [a = '', b = '', c = ''] = servers.addresses
        await rcluster.ok('create', ...servers.addresses, '--yes')
        for (let n = 0; n < 12; n++) await rawCommand(a, ['SET', `{06S}${n}`, randomBytes(20_000_000)])
        const args = ['reshard', a, '--from', a, '--to', b, '--slots-list', '0-99', '--yes', '--progress', 'ndjson']
        const {child, ended} = rcluster.start(args)
        child.stderr?.on('data', (chunk: Buffer) => {
          if (chunk.toString().includes('moves-started')) setTimeout(() => child.kill('SIGKILL'), 100)
        })
        await ended
        await rcluster.ok('reshard', a, '--from', a, '--to', c, '--slots-list', '100-199', '--yes')
        await rcluster.ok(...args)
        await sleep(100)
        expect(await rawCommand(b, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])).toBe(12)
        expect((await rcluster.run(['check', a])).code).toBe(0)
      } finally {
        await servers.stop()
      }
    })
  },
  ATOMIC,
)

forEachKind(
  'a cluster of old and new servers',
  (kind) => {
    test('moves each pair as it can', async () => {
      const old = serverKinds().find(({name}) => name === 'redis-7.0')
      if (!old) throw new Error('redis-7.0 is not there: run scripts/servers.sh')
      const [olds, news] = [await startServers(old, 1), await startServers(kind, 2)]
      try {
        const [a = ''] = olds.addresses
        const [b = '', c = ''] = news.addresses
        await rcluster.ok('create', a, b, c, '--yes')
        for (let n = 0; n < 50; n++) await rawCommand(a, ['SET', `{06S}${n}`, 'value'])
        const args = [
          'reshard',
          a,
          '--from',
          `${a},${b}`,
          '--to',
          c,
          '--slots-list',
          '0-99,6000-6099',
          '--yes',
          '--json',
        ]
        const refused = await rcluster.run([...args, '--mover', 'atomic'])
        expect(refused.code).toBe(3)
        const {stdout} = await rcluster.ok(...args)
        const {result} = JSON.parse(stdout)
        expect(result).toMatchObject({slotsMoved: 200, slotsMovedAtomically: 100, keysMoved: 50})
        expect(JSON.stringify(result.plan.movers)).toContain('redis 7.0.')
        expect((await rcluster.run(['check', a])).code).toBe(0)
      } finally {
        await Promise.all([olds.stop(), news.stop()])
      }
    })
  },
  ['redis-8.6'],
)
