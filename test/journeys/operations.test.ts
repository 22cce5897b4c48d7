/** Single operations on a cluster: each says it is done when every node knows, and refuses where data would be lost. */
import {afterAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

interface Line {
  readonly id: string
  readonly flags: readonly string[]
  readonly primaryId: string
}

async function linesOf(address: string): Promise<Line[]> {
  const text = String(await rawCommand(address, ['CLUSTER', 'NODES']))
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [id = '', , flags = '', primaryId = ''] = line.split(' ')
      return {id, flags: flags.split(','), primaryId}
    })
}

async function lineOf(address: string, id: string): Promise<Line | undefined> {
  return (await linesOf(address)).find((line) => line.id === id)
}

async function idOf(address: string): Promise<string> {
  return String(await rawCommand(address, ['CLUSTER', 'MYID']))
}

forEachEngine('single operations', (kind) => {
  test('wait, failover, replicate and forget do it on all nodes, or refuse and change nothing', async () => {
    const servers = await startServers(kind, 7, {config: {'cluster-node-timeout': '2000'}})
    const [a = '', b = '', c = '', d = '', e = '', f = '', g = ''] = servers.addresses
    const members = [a, b, c, d, e, f, g]
    try {
      // Nobody has created it yet.
      const early = await rcluster.run(['wait', a, '--for', 'joined', '--nodes', '6', '--timeout', '500ms'])
      expect(early.code).toBe(5)
      expect(early.stderr).toContain('not joined within 0.5 s: the cluster has 1 of 6 nodes')
      const waiting = rcluster.run(['wait', a, '--for', 'healthy', '--nodes', '6', '--json'])
      await rcluster.ok('create', a, b, c, d, e, f, '--replicas', '1', '--yes')
      expect(JSON.parse((await waiting).stdout)).toMatchObject({ok: true, result: {outcome: 'healthy', nodes: 6}})
      await rcluster.ok('add-node', g, a)
      await rcluster.ok('wait', a, '--for', 'agreed')
      const ids = new Map<string, string>()
      for (const address of members) ids.set(address, await idOf(address))
      const id = (address: string): string => ids.get(address) ?? ''
      const others = (gone: readonly string[]): string[] => members.filter((one) => !gone.includes(one))

      // A replica takes over, and back again by the name of the primary.
      const replica =
        (await lineOf(a, id(d)))?.primaryId === id(a) ? d : (await lineOf(a, id(e)))?.primaryId === id(a) ? e : f
      await rawCommand(a, ['SET', '{06S}key', 'value'])
      expect((await rcluster.run(['failover', replica])).code).toBe(2)
      const over = JSON.parse((await rcluster.ok('failover', replica, '--yes', '--json')).stdout).result
      expect(over).toMatchObject({outcome: 'failed-over', isFollowed: true})
      expect(over.epochAfter).toBeGreaterThan(over.epochBefore)
      for (const member of members) {
        expect((await lineOf(member, id(replica)))?.flags).toContain('master')
        expect(await lineOf(member, id(a))).toMatchObject({primaryId: id(replica)})
      }
      expect(await rawCommand(replica, ['GET', '{06S}key'])).toBe('value')
      await rcluster.ok('failover', replica, '--takeover', '--yes')
      for (const member of members) expect((await lineOf(member, id(a)))?.flags).toContain('master')

      // Without slots there is nothing to elect a replica for.
      const none = await rcluster.run(['failover', g, '--yes'])
      expect(none.code).toBe(3)
      expect(none.stderr).toContain('no replica')

      // A primary with slots cannot follow, one without can, a replica can, and no replica can be followed.
      expect((await rcluster.run(['replicate', a, b, '--yes'])).code).toBe(3)
      expect((await rcluster.run(['replicate', g, replica, '--yes'])).code).toBe(2)
      await rcluster.ok('replicate', g, b, '--yes')
      await rcluster.ok('replicate', g, a, '--yes')
      for (const member of members) expect(await lineOf(member, id(g))).toMatchObject({primaryId: id(a)})
      expect(String(await rawCommand(g, ['INFO', 'replication']))).toContain('master_link_status:up')
      expect((await rcluster.ok('replicate', g, a, '--yes')).stdout).toContain('Nothing to do')

      // What is alive or has slots is not for forget; a replica that is gone is.
      for (const alive of [b, g]) {
        const refused = await rcluster.run(['forget', a, alive, '--yes'])
        expect(refused.code).toBe(3)
        expect(refused.stderr).toContain('del-node')
      }
      await servers.kill(6)
      await eventually('the replica is given up', async () => (await lineOf(b, id(g)))?.flags.includes('fail') ?? false)
      expect((await rcluster.run(['wait', a, '--timeout', '1s'])).stderr).toContain(g)
      await rcluster.ok('forget', a, g, '--yes')
      for (const member of others([g])) expect(await lineOf(member, id(g))).toBeUndefined()
      expect((await rcluster.ok('forget', a, id(g), '--yes')).stdout).toContain('Nothing to do')
      // A handshake lasts as long as cluster-node-timeout: longer than rcluster takes to start.
      const [, timeout = ''] = (await rawCommand(b, ['CONFIG', 'GET', 'cluster-node-timeout'])) as string[]
      await rawCommand(b, ['CONFIG', 'SET', 'cluster-node-timeout', 20_000])
      await rawCommand(b, ['CLUSTER', 'MEET', '127.0.0.1', g.split(':')[1] ?? ''])
      await rcluster.ok('forget', a, g, '--yes')
      await rawCommand(b, ['CONFIG', 'SET', 'cluster-node-timeout', timeout])
      expect((await linesOf(b)).filter(({flags}) => flags.includes('handshake'))).toEqual([])

      // A dead primary hands nothing over: its replica takes over by force.
      await servers.kill(0)
      const dead = await rcluster.run(['failover', replica, '--yes'])
      expect(dead.code).toBe(3)
      expect(dead.stderr).toContain('--force')
      await rcluster.ok('failover', replica, '--force', '--yes').catch(async (error: unknown) => {
        // The servers were quicker.
        if ((await lineOf(b, id(replica)))?.flags.includes('slave')) throw error
      })
      for (const member of others([a, g])) expect((await lineOf(member, id(replica)))?.flags).toContain('master')
      expect(await rawCommand(replica, ['GET', '{06S}key'])).toBe('value')
      await servers.restart(0)
      await rcluster.ok('wait', b, '--for', 'healthy', '--nodes', '6')
    } finally {
      await servers.stop()
    }
  })
})
