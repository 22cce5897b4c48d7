/** What a cluster was can be kept, compared with what it is, and its slots can go back there, under live writes. */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-snapshots-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

forEachKind(
  'a snapshot of',
  (kind) => {
    test('is what is gone back to, and no key is lost on the way', {timeout: 240_000}, async () => {
      const servers = await startServers(kind, 5, {config: {'cluster-node-timeout': '2000'}})
      const [a = '', b = '', c = '', d = '', e = ''] = servers.addresses
      const diff = (...words: string[]): Promise<RunResult> => rcluster.run(['diff', ...words])
      try {
        await rcluster.ok('create', a, b, c, '--yes')
        await rcluster.ok('add-node', e, a, '--replica', '--primary', b, '--yes')
        await rcluster.ok('wait', a, '--for', 'healthy')
        await loadDataSet([a, b, c], {keys: 3000})
        const before = await digestDataSet([a, b, c])
        const file = path.join(folder, `${kind.name}.json`)
        const {stdout} = await rcluster.ok('snapshot', a, '--out', file)
        expect(stdout).toContain('4 nodes, 3 of them primaries, 16384 slots')
        expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({format: 'rcluster-snapshot', version: 1})
        expect((await rcluster.run(['snapshot', a, '--out', file])).code).toBe(2)
        expect(await diff(file, a)).toMatchObject({code: 0})
        expect(await diff(a, b)).toMatchObject({code: 0})

        await rcluster.ok('add-node', d, a, '--yes')
        await rcluster.ok('reshard', a, d, '500', '--yes')
        await rcluster.ok('reshard', b, c, '200', '--yes')
        await rcluster.ok('failover', e, '--yes')
        const changed = await diff(file, a)
        expect(changed.code).toBe(1)
        expect(changed.stdout).toMatch(new RegExp(`new +${d} .*a primary of 500 slots 4961-5460`))
        expect(changed.stdout).toMatch(new RegExp(`role +${b} .*: primary, now replica of ${e}`))
        expect(changed.stdout).toMatch(new RegExp(`slots +4961-5460 \\(500\\) from ${a} .* to ${d}`))
        expect(changed.stdout).toMatch(new RegExp(`slots +10723-10922 \\(200\\) from ${b} .* to ${c}`))

        const dry = await rcluster.ok('reshard', a, '--like', file, '--dry-run')
        expect(dry.stdout).toContain('700 slots to move')
        const plan = path.join(folder, `${kind.name} plan.json`)
        await rcluster.ok('reshard', a, '--like', file, '--out', plan)
        const writer = await startWriter([a, e, c])
        await rcluster.ok('apply', plan, '--yes')
        expect((await rcluster.ok('reshard', a, '--like', file, '--yes')).stdout).toContain('Nothing to do')
        const written = await writer.stop()
        expect(written).toMatchObject({lost: [], errorCount: 0})
        expect(written.ops).toBeGreaterThan(100)
        expect(compareDigests(before, await digestDataSet([a, e, c]))).toEqual({
          missing: [],
          changed: [],
          added: [],
          duplicates: [],
        })
        const {difference} = JSON.parse((await diff(file, a, '--json')).stdout).result
        expect(difference.slots.map(({count}: {count: number}) => count)).toEqual([5462])
        expect(difference.joined).toHaveLength(1)
        expect(String(await rawCommand(d, ['CLUSTER', 'NODES']))).toMatch(/myself,(master|slave) /)
      } finally {
        await servers.stop()
      }
    })

    test('names owners that are gone, and does the rest where that is asked for', async () => {
      const servers = await startServers(kind, 3)
      const [a = '', b = '', c = ''] = servers.addresses
      try {
        await rcluster.ok('create', a, b, c, '--yes')
        const file = path.join(folder, `${kind.name} three.json`)
        await rcluster.ok('snapshot', a, '--out', file)
        await rcluster.ok('reshard', a, b, '100', '--yes')
        await rcluster.ok('del-node', '--seed', a, c, '--drain', '--yes')
        const refused = await rcluster.run(['reshard', a, '--like', file, '--yes'])
        expect(refused.code).toBe(3)
        expect(refused.stderr).toMatch(
          new RegExp(`${c} \\(\\w+\\), no member any more, who had 5461 slots 10923-16383`),
        )
        const {stdout} = await rcluster.ok('reshard', a, '--like', file, '--where-possible', '--yes')
        expect(stdout).toMatch(/Moved 100 slots/)
        const left = await rcluster.run(['diff', file, a])
        expect([left.code, left.stdout.match(/^slots/gm)?.length]).toEqual([1, 2])
        expect(left.stdout).toMatch(new RegExp(`gone +${c}`))
        expect((await rcluster.run(['reshard', c, '--like', file, '--yes'])).code).toBeGreaterThan(1)
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
