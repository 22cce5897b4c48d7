/** Nodes are placed by their zones, and what is placed badly is mended, while clients write. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {startWriter, type Writer} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-zones-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

interface Found {
  readonly address: string
  readonly id: string
}

const RULES = ['--rule', 'replica-in-primary-zone,quorum-in-one-zone', '--fail-on', 'warning']

forEachKind(
  'zones',
  (kind) => {
    let servers: TestServers
    let writer: Writer
    let zones: string[]
    const zoneOf = new Map<string, string>()
    const file = path.join(folder, `${kind.name}.txt`)
    const check = async (): Promise<number | undefined> =>
      (await rcluster.run(['check', servers.addresses[0]!, ...RULES, ...zones])).code

    beforeAll(async () => {
      // A step by hand leaves a shard bare for a while: the servers are not to send it somebody else's replica meanwhile.
      const config = {'cluster-node-timeout': '3000', 'repl-diskless-sync-delay': '0', 'cluster-migration-barrier': '9'}
      servers = await startServers(kind, 7, {config})
      // Two in each zone, in an order in which the first three nodes are in two zones; the last node is in zone c.
      for (const [index, zone] of ['a', 'a', 'b', 'b', 'c', 'c', 'c'].entries())
        zoneOf.set(servers.addresses[index]!, zone)
      writeFileSync(file, [...zoneOf].map(([address, zone]) => `${address} ${zone}\n`).join(''))
      zones = ['--zones-file', file]
    })
    afterAll(() => servers?.stop())

    test('create and add-node keep shards apart, check and info tell, and rebalance mends', async () => {
      const [seed = '', ...others] = servers.addresses.slice(0, 6)
      const last = servers.addresses[6]!
      await rcluster.ok('create', seed, ...others, '--replicas', '1', ...zones, '--yes')
      expect(await check()).toBe(0)
      const {nodes} = JSON.parse((await rcluster.ok('info', seed, ...zones, '--json')).stdout).result
      const leaders = nodes.filter(({role}: {role: string}) => role === 'primary')
      expect(leaders.map((node: {availabilityZone: string}) => node.availabilityZone).sort()).toEqual(['a', 'b', 'c'])
      writer = await startWriter([seed, ...others], {opsPerSecond: 100, keys: 500})

      // By other zones it is bad: most primaries are in zone x, and two of them in the zone of their replicas.
      const [one, two, three] = leaders as [Found, Found, Found]
      const replicaOf = (primaryId: string): {address: string} =>
        nodes.find((node: {primaryId: string}) => node.primaryId === primaryId)
      const bad = [
        ...['--zone', `${one.address}=x`, '--zone', `${replicaOf(one.id).address}=x`],
        ...['--zone', `${two.address}=y`, '--zone', `${replicaOf(two.id).address}=y`],
        ...['--zone', `${three.address}=x`, '--zone', `${replicaOf(three.id).address}=z`],
      ]
      const checked = await rcluster.run(['check', seed, ...RULES, ...bad])
      expect(checked.stdout).toMatch(/is in zone x, and so is its primary/)
      const plan = path.join(folder, `${kind.name}.json`)
      await rcluster.ok('rebalance', seed, '--replicas', '--primaries', ...bad, '--out', plan)
      // The first step, by hand: the rest is left.
      const {acts} = JSON.parse((await rcluster.ok('apply', plan, '--dry-run', '--json')).stdout).result.plan
      expect(acts.length).toBeGreaterThan(1)
      await rcluster.ok('replicate', acts[0].node.address, acts[0].primary.address, '--yes')
      const applied = JSON.parse((await rcluster.ok('apply', plan, '--yes', '--json')).stdout).result
      expect(applied).toMatchObject({outcome: 'placed', done: acts.slice(1)})
      expect((await rcluster.run(['check', seed, ...RULES, ...bad])).code).toBe(0)
      expect((await rcluster.ok('apply', plan, '--yes')).stdout).toContain('Nothing to do')

      // Back by the real zones, cut off in the middle.
      const {child, ended} = rcluster.start([
        'rebalance',
        seed,
        '--replicas',
        '--primaries',
        ...zones,
        '--yes',
        '--progress',
        'ndjson',
      ])
      child.stderr?.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('Making')) child.kill('SIGKILL')
      })
      await ended
      await rcluster.ok('rebalance', seed, '--replicas', '--primaries', ...zones, '--yes')
      expect(await check()).toBe(0)
      // What the killed run had changed for its time.
      for (const address of servers.addresses) {
        const [, setting] = (await rawCommand(address, [
          'CONFIG',
          'GET',
          'cluster-allow-replica-migration',
        ])) as string[]
        expect(setting).toBe('yes')
      }

      const joined = JSON.parse(
        (await rcluster.ok('add-node', last, seed, '--replica', ...zones, '--json')).stdout,
      ).result
      const shard = String(await rawCommand(last, ['CLUSTER', 'NODES']))
        .trim()
        .split('\n')
        .filter((line) => line.includes(joined.plan.newcomers[0].primaryId))
        .map((line) => zoneOf.get(line.split(' ')[1]!.replace(/@.*/, '')))
      expect(new Set(shard).size).toBe(3)
      expect(await check()).toBe(0)
      await rcluster.ok('check', seed)
      expect(await writer.stop()).toMatchObject({lost: []})
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
