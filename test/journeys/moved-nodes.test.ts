/** Nodes that come back at other addresses, with their nodes.conf and their keys: as containers and pods do. */
import {afterAll, afterEach, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
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

let servers: TestServers | undefined
afterEach(async () => {
  await servers?.stop()
})

async function startAt(kind: ServerKind, count: number): Promise<TestServers> {
  servers = await startServers(kind, count, {
    hostOf: (index) => `127.0.2.${index + 1}`,
    // A bus port that nobody could guess.
    config: {'cluster-node-timeout': '1500', appendonly: 'yes', 'protected-mode': 'no', 'cluster-port': 'PORT+7000'},
  })
  await rcluster.ok('create', ...servers.addresses, '--replicas', count > 3 ? '1' : '0', '--yes')
  return servers
}

async function moveAll({addresses, kill, restart}: TestServers): Promise<void> {
  await Promise.all(addresses.map((_, index) => kill(index)))
  await Promise.all(addresses.map((_, index) => restart(index, `127.0.3.${index + 1}`)))
}

async function keysIn(addresses: readonly string[]): Promise<number[]> {
  return Promise.all(addresses.map(async (address) => Number(await rawCommand(address, ['DBSIZE']))))
}

forEachEngine('nodes at new addresses', (kind) => {
  test('all of them find one another again, with their IDs, slots and keys', {timeout: 90_000}, async () => {
    const cluster = await startAt(kind, 6)
    for (const address of cluster.addresses.slice(0, 3)) {
      const own = String(await rawCommand(address, ['CLUSTER', 'NODES']))
        .split('\n')
        .find((line) => /myself/.test(line))
      const slot = Number(/ (\d+)-\d+$/.exec(own ?? '')?.[1])
      await rawCommand(address, ['SET', `{${tagForSlot(slot)}}`, 'x'])
    }
    await eventually('the replicas have them', async () =>
      (await keysIn(cluster.addresses)).every((keys) => keys === 1),
    )
    await moveAll(cluster)
    const [seed = '', ...others] = cluster.addresses

    // One is not enough: the others are not given up for that.
    await eventually('it misses the others', async () =>
      (await rcluster.run(['check', seed])).stdout.includes('--seed NEW'),
    )
    const lonely = await rcluster.run(['fix', seed, '--yes', '--accept-data-loss', 'all', '--allow', 'disruptive'])
    expect(lonely.code, lonely.stdout).toBe(3)
    expect(lonely.stderr).toContain(`rcluster fix ${seed} --seed NEW --seed NEW`)

    const found = await rcluster.run(['check', seed, ...others])
    expect(found.code).toBe(1)
    expect(found.stdout).toContain('moved-node')
    const command = /→ rcluster (fix .*)/.exec(found.stdout)?.[1] ?? ''
    for (const address of others) expect(command).toContain(`--seed ${address}`)
    const fixed = await rcluster.run([...command.split(' '), '--yes'])
    expect(fixed.code, `${fixed.stdout}\n${fixed.stderr}`).toBe(0)
    expect(fixed.stdout).not.toContain('data-loss')
    for (const address of cluster.addresses) {
      const text = String(await rawCommand(address, ['CLUSTER', 'NODES']))
      expect(text).not.toContain('127.0.2.')
      expect(text.trim().split('\n')).toHaveLength(6)
    }
    expect((await keysIn(cluster.addresses)).reduce((sum, keys) => sum + keys, 0)).toBe(6)
    await eventually('all is well', async () => (await rcluster.run(['check', others[2] ?? ''])).code === 0)
  })
})
