/** Shards that are gone: replicas that no server promoted take over, and what is lost is given up only with open eyes. */
import {readFileSync, statSync} from 'node:fs'
import {afterAll, afterEach, expect, test} from 'vitest'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import type {BeforeState} from '../../src/lib/state/before-state.ts'
import {openRcluster} from '../support/rcluster.ts'
import {
  eventually,
  forEachEngine,
  rawCommand,
  type ServerKind,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const KEYS = 60

let servers: TestServers | undefined
afterEach(async () => {
  await servers?.stop()
})

async function start(kind: ServerKind, count: number, config: Readonly<Record<string, string>>): Promise<TestServers> {
  servers = await startServers(kind, count, {config})
  return servers
}

async function idsOf(addresses: readonly string[]): Promise<string[]> {
  return Promise.all(addresses.map(async (address) => String(await rawCommand(address, ['CLUSTER', 'MYID']))))
}

/** Three primaries that share the slots as `create` does. */
function primaryOf(key: string): number {
  return [5460, 10_922, 16_383].findIndex((last) => keySlot(key) <= last)
}

async function fill(primaries: readonly string[], prefix: string): Promise<string[]> {
  const keys = Array.from({length: KEYS}, (_, n) => `${prefix}${n}`)
  for (const key of keys) await rawCommand(primaries[primaryOf(key)] ?? '', ['SET', key, `value of ${key}`])
  return keys
}

/** Not by WAIT, which counts replicas that have what its own connection wrote. */
async function haveSameSize(addresses: readonly string[], indexes: readonly number[]): Promise<boolean> {
  const sizes = await Promise.all(indexes.map((index) => rawCommand(addresses[index] ?? '', ['DBSIZE'])))
  return new Set(sizes).size === 1
}

/** As a client finds them, that follows redirections. */
async function valuesAt(seed: string, keys: readonly string[]): Promise<unknown[]> {
  return Promise.all(
    keys.map(async (key) => {
      try {
        return await rawCommand(seed, ['GET', key])
      } catch (error) {
        const [word, , address = ''] = (error as Error).message.split(' ')
        if (word !== 'MOVED') throw error
        return rawCommand(address, ['GET', key])
      }
    }),
  )
}

function savedIn(output: string): {file: string; state: BeforeState} {
  const file = /saved in (\S+)/.exec(output)?.[1] ?? ''
  return {file, state: JSON.parse(readFileSync(file, 'utf8')) as BeforeState}
}

forEachEngine('most primaries gone at once', (kind) => {
  test('the best replica of each takes over, when that is allowed', {timeout: 90_000}, async () => {
    const {addresses, kill} = await start(kind, 7, {'cluster-node-timeout': '2000'})
    await rcluster.ok('create', ...addresses.slice(0, 6), '--replicas', '1', '--yes')
    const ids = await idsOf(addresses)
    await rcluster.ok('add-node', addresses[6] ?? '', addresses[0] ?? '', '--replica', '--primary', ids[0] ?? '')
    const roles = await Promise.all([3, 4, 5].map((index) => rawCommand(addresses[index] ?? '', ['ROLE'])))
    const [, firstPort] = (addresses[0] ?? '').split(':')
    const heir = 3 + roles.findIndex((role) => String((role as unknown[])[2]) === firstPort)

    const before = await fill(addresses, 'early')
    await eventually('both replicas have them', async () => haveSameSize(addresses, [0, heir, 6]))
    // The one that joined later misses the rest: its link breaks, and it may not come back.
    await rawCommand(addresses[6] ?? '', ['CONFIG', 'SET', 'masteruser', 'nobody'])
    await rawCommand(addresses[6] ?? '', ['CONFIG', 'SET', 'masterauth', 'nothing'])
    await rawCommand(addresses[0] ?? '', ['CLIENT', 'KILL', 'TYPE', 'replica'])
    await eventually(
      'the other one is back',
      async () => (await rawCommand(addresses[0] ?? '', ['WAIT', 1, 100])) === 1,
    )
    const keys = [...before, ...(await fill(addresses, 'late'))]
    await eventually('the replicas have them', async () => {
      const size = Number(await rawCommand(addresses[1] ?? '', ['DBSIZE']))
      const sizes = await Promise.all([3, 4, 5].map((index) => rawCommand(addresses[index] ?? '', ['DBSIZE'])))
      return sizes.includes(size) && haveSameSize(addresses, [0, heir])
    })
    await kill(0)
    await kill(1)
    const seed = addresses[2] ?? ''
    await eventually('the third sees that they are gone', async () => {
      const text = String(await rawCommand(seed, ['CLUSTER', 'NODES']))
      return [0, 1].every((index) => new RegExp(`^${ids[index]} .*fail`, 'm').test(text))
    })

    const refused = await rcluster.run(['fix', seed, '--yes'])
    expect(refused.code, refused.stderr).toBe(3)
    expect(refused.stderr).toContain('--allow disruptive')
    expect(refused.stdout).toMatch(/offset \d+, its link has been down for/)
    const fixed = await rcluster.run(['fix', seed, '--yes', '--allow', 'disruptive'])
    expect(fixed.code, `${fixed.stdout}\n${fixed.stderr}`).toBe(0)
    expect(fixed.stdout).toContain(`replica ${addresses[heir]} takes over from ${addresses[0]}`)
    expect(await valuesAt(seed, keys)).toEqual(keys.map((key) => `value of ${key}`))
    expect((await rcluster.run(['fix', seed, '--yes'])).stdout).toContain('Nothing to repair')
    const {file, state} = savedIn(fixed.stdout)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(state.nodes.find(({id}) => id === ids[0])).toMatchObject({slots: '0-5460', isReachable: false})
  })
})

forEachEngine('a primary without a replica', (kind) => {
  test('is given up only with consent, and its keys are rescued from its disk', {timeout: 90_000}, async () => {
    const {addresses, kill, signal, restart, folder} = await start(kind, 3, {
      'cluster-node-timeout': '15000',
      appendonly: 'yes',
      appendfsync: 'always',
    })
    const [seed = '', , lost = ''] = addresses
    await rcluster.ok('create', ...addresses, '--yes')
    const ids = await idsOf(addresses)
    const keys = await fill(addresses, 'key')
    const lostKeys = keys.filter((key) => primaryOf(key) === 2)

    // A server that only we cannot reach, as far as anybody knows.
    signal(2, 'SIGSTOP')
    const frozen = await rcluster.run(['fix', seed, '--yes', '--accept-data-loss', 'all', '--command-timeout', '1s'])
    expect(frozen.code, frozen.stdout).toBe(3)
    expect(frozen.stderr).toContain('may be alive')

    await kill(2)
    const refused = await rcluster.run(['fix', seed, '--yes'])
    expect(refused.code, refused.stderr).toBe(3)
    expect(refused.stderr).toContain('--accept-data-loss 10923-16383')
    expect(refused.stdout.replaceAll(/\s+/g, ' ')).toContain('throws away the keys of these slots')
    const unknown = await rcluster.run(['fix', seed, '--yes', '--accept-data-loss', '127.0.0.9:1'])
    expect(unknown.code, unknown.stderr).toBe(2)

    const part = await rcluster.run(['fix', seed, '--yes', '--accept-data-loss', '10923-10999'])
    expect(part.code, part.stderr).toBe(5)
    expect(part.stderr).toContain('--accept-data-loss 11000-16383')
    const saved = savedIn(part.stdout).state
    expect(saved.nodes.find(({id}) => id === ids[2])?.slots).toBe('10923-16383')
    expect(saved.nodes.find(({id}) => id === ids[0])?.clusterNodes).toContain(`${ids[2]} `)
    const fixed = await rcluster.run(['fix', seed, '--yes', '--accept-data-loss', (ids[2] ?? '').slice(0, 8)])
    expect(fixed.code, `${fixed.stdout}\n${fixed.stderr}`).toBe(0)
    expect(await valuesAt(seed, lostKeys)).toEqual(lostKeys.map(() => null))

    // As the warning says.
    const copy = await startServers(kind, 1, {
      config: {'cluster-enabled': 'no', appendonly: 'yes'},
      copyOf: folder(2),
    })
    try {
      const imported = await rcluster.run(['import', seed, '--from', copy.addresses[0] ?? '', '--yes'])
      expect(imported.code, `${imported.stdout}\n${imported.stderr}`).toBe(0)
    } finally {
      await copy.stop()
    }
    const values = keys.map((key) => `value of ${key}`)
    expect(await valuesAt(seed, keys)).toEqual(values)

    // It comes back with its old data: nothing of it is served, and it leads no slot.
    await restart(2)
    await eventually('it follows one that has its slots now', async () => {
      const [role] = (await rawCommand(lost, ['ROLE'])) as [string]
      return role === 'slave' && (await rcluster.run(['check', seed])).code === 0
    })
    expect(await valuesAt(seed, keys)).toEqual(values)
  })
})
