/**
 * Servers in containers, and a host that reaches nothing of them but the client ports that they publish: can everything
 * be done from there, with those addresses alone? A client on the host writes and watches over its keys meanwhile.
 */
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, describe, expect} from 'vitest'
import {type DockerHost, openDockerHost, WAYS} from '../support/docker-host.ts'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {networkTest} from '../support/network.ts'
import {openRcluster, type Rcluster} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, {recursive: true, force: true})
})

function folderFor(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-docker-'))
  folders.push(folder)
  return folder
}

forEachKind(
  'from a host with published ports',
  (kind) => {
    describe.each(WAYS)('by %s', (way) => {
      let host: DockerHost
      let servers: TestServers
      let rcluster: Rcluster

      beforeAll(async () => {
        host = await openDockerHost(way, 8)
        servers = await startServers(kind, 8, {hosts: host.containers})
        rcluster = openRcluster({prefix: host.prefix})
      })
      afterAll(async () => {
        await servers?.stop()
        await host?.close()
        rcluster?.close()
      })

      networkTest('the main job with replicas, one address of any node at a time', async () => {
        const [a = '', b = '', c = '', d = '', e = '', f = '', g = '', h = ''] = host.published
        const created = await rcluster.ok('create', a, b, c, d, e, f, '--replicas', '1', '--yes')
        expect(created.stderr).toContain('remembered')
        await loadDataSet(servers.addresses.slice(0, 3), {keys: 1000})
        const before = await digestDataSet(servers.addresses.slice(0, 3))
        // On the host as well, by the published ports alone.
        const {prefix, natMap} = host
        const writer = await startWriter([a, b, c], {prefix, natMap, opsPerSecond: 200, keys: 500})

        await rcluster.ok('add-node', g, b, '--yes')
        await rcluster.ok('add-node', h, f, '--replica', '--primary', g)
        await rcluster.ok('reshard', c, '--from', a, '--to', g, '--slots', '500', '--yes')
        await rcluster.ok('rebalance', d, '--use-empty', '--weight', `${g}=0.2`, '--yes')
        await rcluster.ok('failover', e, '--yes')
        const folder = path.join(folderFor(), way)
        await rcluster.ok('backup', c, folder)
        await rcluster.ok('del-node', e, g, h, '--drain', '--yes')
        expect(await writer.stop()).toMatchObject({errors: [], lost: []})

        const manifest = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8'))
        expect([manifest.complete, manifest.files.length]).toEqual([true, 4])
        await rcluster.ok('check', f)
        const {stdout} = await rcluster.ok('call', d, '--', 'PING')
        for (const address of [a, b, c, d, e, f]) expect(stdout).toContain(address)
        expect(compareDigests(before, await digestDataSet(servers.addresses.slice(0, 6)))).toEqual({
          missing: [],
          changed: [],
          added: [],
          duplicates: [],
        })
      })
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

forEachKind(
  'from a host with published ports',
  (kind) => {
    networkTest('addresses that lead elsewhere are found out before anything is changed', async () => {
      const host = await openDockerHost('no-route', 6)
      const servers = await startServers(kind, 6, {hosts: host.containers})
      const rcluster = openRcluster({prefix: host.prefix})
      try {
        const [a = '', b = '', c = '', d = '', e = '', f = ''] = host.published
        const [, insideB = ''] = servers.addresses
        const slots = (): Promise<unknown> => rawCommand(servers.addresses[0] ?? '', ['CLUSTER', 'SLOTS'])
        await rcluster.ok('create', a, b, c, '--yes', '--no-remember')
        await rcluster.ok('create', d, e, f, '--yes', '--no-remember')
        const before = await slots()
        const move = ['reshard', '--from', a, '--to', b, '--slots', '10', '--yes', '--seed', a]

        // Nothing is known of the others: that they run is, and the slots of nobody are given up.
        const blind = await rcluster.run([...move, '--no-remember'])
        expect(blind).toMatchObject({
          code: 3,
          stderr: expect.stringContaining(`there is no route from this machine to ${insideB}`),
        })
        expect(blind.stderr).toMatch(new RegExp(`It runs: .*--address-map ${insideB}=HOST:PORT`))
        const repair = await rcluster.run(['fix', a, '--dry-run', '--accept-data-loss', 'all'])
        expect(repair.stdout).toMatch(/^blocked/m)
        for (const words of [
          ['del-node', a, insideB],
          ['forget', a, insideB],
        ]) {
          const removal = await rcluster.run([...words, '--yes', '--no-remember'])
          expect(removal).toMatchObject({
            code: 3,
            stderr: expect.stringContaining('cannot be reached from this machine'),
          })
          expect(removal.stderr).toMatch(new RegExp(`It runs: .*--address-map ${insideB}=HOST:PORT`))
        }

        for (const wrong of [c, f]) {
          const misled = await rcluster.run([...move, '--address-map', `${insideB}=${wrong}`])
          expect(misled).toMatchObject({
            code: 3,
            stderr: expect.stringMatching(new RegExp(`${wrong} is node \\w+, where`)),
          })
        }
        expect(await rcluster.run([...move, '--seed', d])).toMatchObject({
          code: 3,
          stderr: expect.stringContaining(`the seeds ${a} and ${d} belong to different clusters`),
        })
        expect(await slots()).toEqual(before)

        // All seeds once; afterwards one is enough, until it is forgotten.
        const found = await rcluster.ok(...move, '--seed', b, '--seed', c)
        expect(found.stderr).toContain('is remembered')
        await rcluster.ok('check', c)
        expect((await rcluster.run(['check', c], {env: {RCLUSTER_REMEMBER: '0'}})).code).toBe(1)
        // Ports that have changed places since then: what is remembered leads to another node, or into another cluster.
        const both = (): Promise<unknown> =>
          Promise.all([0, 3].map((index) => rawCommand(servers.addresses[index] ?? '', ['CLUSTER', 'SLOTS'])))
        const then = await both()
        const idOf = (index: number) => rawCommand(servers.addresses[index] ?? '', ['CLUSTER', 'MYID']).then(String)
        const [idA, idB] = [await idOf(0), await idOf(1)]
        for (const {order, ends, says} of [
          {order: [1, 2, 0, 3, 4, 5], ends: [idA, idB], says: /where it was before, \S+ is node \w+, where/},
          {order: [0, 4, 2, 3, 1, 5], ends: [idA, idB], says: /where it was before, \S+ is node \w+, where/},
          {order: [0, 4, 2, 3, 1, 5], ends: [a, b], says: /is not a node of the cluster at/},
          {order: [3, 4, 5, 0, 1, 2], ends: [idA, idB], says: /no node of this cluster is called/},
        ]) {
          await host.republish(order)
          const misled = await rcluster.run(['reshard', ...ends, '10', '--yes', '--seed', a])
          expect([2, 3], misled.stderr).toContain(misled.code)
          expect(misled.stderr).toMatch(says)
          expect(await both()).toEqual(then)
        }
        await host.republish([0, 1, 2, 3, 4, 5])
        const listed = await rcluster.ok('addresses', '--json')
        const [known] = JSON.parse(listed.stdout).result.clusters
        expect(known.nodes.map(({dialled}: {dialled: string}) => dialled).sort()).toEqual([a, b, c])
        await rcluster.ok('addresses', a, '--forget')
        expect((await rcluster.run(['check', c])).code).toBe(1)
        expect((await rcluster.run(['addresses', a])).code).toBe(2)
        expect((await rcluster.ok('addresses')).stdout).toContain('No addresses are remembered')

        // Maps do as well: pairs, from a file, and for this layout none shorter.
        const map = path.join(folderFor(), 'map')
        writeFileSync(
          map,
          servers.addresses.map((address, index) => `${address} = ${host.published[index]}\n`).join(''),
        )
        await rcluster.ok('check', c, '--address-map', `@${map}`, '--no-remember')
      } finally {
        await servers.stop()
        await host.close()
        rcluster.close()
      }
    })
  },
  ['redis-7.0'],
)
