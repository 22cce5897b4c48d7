/** Does a cluster of thirty nodes come about in seconds, healthy at once, and does it take one more? */
import {afterAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {anyKind, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

async function lines(address: string, ...words: string[]): Promise<string[]> {
  return String(await rawCommand(address, words))
    .trim()
    .split(/\r?\n/)
}

test('thirty nodes become a cluster that is healthy at once, and take another', async () => {
  const servers = await startServers(anyKind(), 31, {readyTimeoutMs: 60_000})
  try {
    const members = servers.addresses.slice(0, 30)
    const [seed = ''] = members
    const newcomer = servers.addresses[30] ?? ''
    const timeouts = await Promise.all(
      members.map((address) => lines(address, 'CONFIG', 'GET', 'cluster-node-timeout')),
    )

    await rcluster.ok('create', ...members, '--replicas', '1', '--yes')
    const tales = await Promise.all(
      members.map(async (address) => {
        const nodes = await lines(address, 'CLUSTER', 'NODES')
        const slots = nodes.map((line) => [line.slice(0, 40), ...line.split(' ').slice(8)].join(' ')).sort()
        return [...slots, (await lines(address, 'CLUSTER', 'INFO'))[0]].join('\n')
      }),
    )
    expect(new Set(tales).size).toBe(1)
    expect(tales[0]?.split('\n')).toHaveLength(31)
    expect(tales[0]).toContain('cluster_state:ok')
    expect(tales[0]).not.toContain('[')
    const after = await Promise.all(members.map((address) => lines(address, 'CONFIG', 'GET', 'cluster-node-timeout')))
    expect(after).toEqual(timeouts)
    const check = await rcluster.run(['check', seed, '--fail-on', 'warning', '--json'])
    expect(JSON.parse(check.stdout).result.findings).toEqual([])
    expect(check.code).toBe(0)

    await rcluster.ok('add-node', newcomer, seed, '--yes')
    const knownTo = await Promise.all(members.map(async (address) => (await lines(address, 'CLUSTER', 'NODES')).length))
    expect(new Set(knownTo)).toEqual(new Set([31]))
    await rcluster.ok('check', seed)
  } finally {
    await servers.stop()
  }
})
