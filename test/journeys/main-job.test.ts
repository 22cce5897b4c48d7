/** The main job on every server: grow, move, even out and shrink a cluster under live writes, and count every key. */
import {afterAll, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const KEYS = 200_000
const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}

async function idOf(address: string): Promise<string> {
  return String(await rawCommand(address, ['CLUSTER', 'MYID']))
}

forEachKind('the main job', (kind) => {
  test('keeps every key and disturbs no client', {timeout: 300_000}, async () => {
    const servers = await startServers(kind, 8)
    try {
      const [a = '', b = '', , , , , first = '', second = ''] = servers.addresses
      const members = servers.addresses.slice(0, 6)
      await rcluster.ok('create', ...members, '--replicas', '1', '--yes')
      expect((await rcluster.run(['check', a])).code).toBe(0)
      await loadDataSet(members, {keys: KEYS})
      const before = await digestDataSet(members)
      expect(before.keys.size).toBe(KEYS)
      const writer = await startWriter(members.slice(0, 3), {opsPerSecond: 500})

      await rcluster.ok('add-node', first, a)
      await rcluster.ok('add-node', second, a)
      await rcluster.ok('reshard', a, first, '1000', '--yes')
      await rcluster.ok('reshard', await idOf(b), (await idOf(second)).slice(0, 12), '1000', '--seed', a, '--yes')
      await rcluster.ok('rebalance', a, '--use-empty', '--yes')
      const grown = JSON.parse((await rcluster.ok('info', a, '--json')).stdout)
      expect(JSON.stringify(grown)).toContain(first)
      const drained = await rcluster.ok('del-node', a, first, second, '--drain', '--yes')
      expect(drained.stdout).toContain('Removed')

      const seen = await writer.stop()
      expect(seen).toMatchObject({errors: [], errorCount: 0, lost: []})
      expect(seen.ops).toBeGreaterThan(1000)
      expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
      expect((await rcluster.run(['check', a])).code).toBe(0)
      for (const member of members) {
        const nodes = String(await rawCommand(member, ['CLUSTER', 'NODES']))
        expect(nodes.trim().split('\n')).toHaveLength(6)
        // Redis 7 and later: a primary that was emptied was held in place, and only for that time.
        expect(await rawCommand(member, ['CONFIG', 'GET', 'cluster-allow-replica-migration'])).toContain('yes')
      }
    } finally {
      await servers.stop()
    }
  })
})
