/** A cluster as large as a person would make by hand: sixty nodes. */
import {afterAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {anyKind, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

/** Some four seconds on a quiet machine; waiting for gossip would take half a minute and more. */
const DEADLINE_MS = 60_000

test('sixty nodes are made a cluster, agree, and serve when create returns', async () => {
  const servers = await startServers(anyKind(), 60, {readyTimeoutMs: 60_000})
  try {
    const startedAt = performance.now()
    const created = await rcluster.ok('create', ...servers.addresses, '--replicas', '1', '--yes')
    expect(created.stdout).toContain('30 primaries and 30 replicas')
    expect(performance.now() - startedAt).toBeLessThan(DEADLINE_MS)
    const [a = ''] = servers.addresses
    const views = await Promise.all(
      servers.addresses.map(async (address) => {
        const nodes = String(await rawCommand(address, ['CLUSTER', 'NODES']))
          .trim()
          .split('\n')
        const info = String(await rawCommand(address, ['CLUSTER', 'INFO']))
        return `${nodes.length} ${/cluster_state:\w+/.exec(info)?.[0]} ${/cluster_slots_ok:\d+/.exec(info)?.[0]}`
      }),
    )
    expect([...new Set(views)]).toEqual(['60 cluster_state:ok cluster_slots_ok:16384'])
    const check = await rcluster.run(['check', a, '--fail-on', 'warning', '--json'])
    expect(JSON.parse(check.stdout).result.findings).toEqual([])
    expect(check.code).toBe(0)
  } finally {
    await servers.stop()
  }
})
