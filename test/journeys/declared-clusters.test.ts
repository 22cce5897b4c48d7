/** Does a cluster become what a file declares, from nothing, in any state, and again after a kill? */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-declared-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

/** "0 3" is a shard of the first and the fourth server. */
function declare({addresses}: TestServers, shards: readonly string[], more = ''): string {
  const file = path.join(folder, 'cluster.yaml')
  const lines = shards.map(
    (shard) =>
      `  - nodes: [${shard
        .split(' ')
        .map((index) => addresses[Number(index)])
        .join(', ')}]`,
  )
  writeFileSync(file, `format: rcluster-cluster\nversion: 1\n${more}shards:\n${lines.join('\n')}\n`)
  return file
}

const THREE = ['0 3', '1 4', '2 5']

forEachKind(
  'a declared cluster',
  (kind) => {
    let servers: TestServers
    beforeAll(async () => {
      servers = await startServers(kind, 8)
    })
    afterAll(() => servers?.stop())

    test('comes from nothing, takes a shard through a kill, gives it back under writes, and loses nothing', async () => {
      const [first = ''] = servers.addresses
      const three = declare(servers, THREE)
      const pending = await rcluster.run(['apply', three, '--dry-run', '--detailed-exitcode'])
      expect(pending, pending.stderr).toMatchObject({code: 2, stdout: expect.stringContaining('Create a cluster of 3')})
      const created = JSON.parse((await rcluster.ok('apply', three, '--yes', '--json')).stdout)
      expect(created.result).toMatchObject({outcome: 'done', undeclared: []})
      await rcluster.ok('check', first, '--fail-on', 'error')
      const again = await rcluster.run(['apply', three, '--dry-run', '--detailed-exitcode'])
      expect(again).toMatchObject({code: 0, stdout: expect.stringContaining('Nothing to do')})

      await loadDataSet(servers.addresses.slice(0, 3), {keys: 5000})
      const before = await digestDataSet(servers.addresses.slice(0, 3))
      const writer = await startWriter(servers.addresses.slice(0, 3), {opsPerSecond: 200, keys: 1000})
      const four = declare(servers, [...THREE, '6 7'])
      const slowly = ['--mover', 'migrate', '--max-bandwidth', '100kb', '--progress', 'ndjson']
      const {child, ended} = rcluster.start(['apply', four, '--yes', ...slowly])
      let told = ''
      child.stderr?.on('data', (chunk: Buffer) => {
        told += chunk.toString()
      })
      await eventually('slots move', async () => told.includes('"kind":"slots-moved"'), 60_000)
      child.kill('SIGKILL')
      await ended
      await rcluster.ok('apply', four, '--yes')
      expect(await countShards(first)).toBe(4)
      expect((await rcluster.ok('apply', four, '--yes')).stdout).toContain('Nothing to do')

      declare(servers, THREE)
      const warned = await rcluster.run(['apply', three, '--yes', '--json'])
      expect(JSON.parse(warned.stdout).result.undeclared).toHaveLength(2)
      expect(await countShards(first)).toBe(4)
      const pruned = JSON.parse((await rcluster.ok('apply', three, '--prune', '--yes', '--json')).stdout)
      expect(pruned.result).toMatchObject({outcome: 'done', slotsMoved: 4096})
      expect(await countShards(first)).toBe(3)
      expect(String(await rawCommand(servers.addresses[6] ?? '', ['CLUSTER', 'NODES'])).trim()).not.toContain('\n')

      expect(await writer.stop()).toMatchObject({errors: [], lost: []})
      const after = await digestDataSet(servers.addresses.slice(0, 3))
      expect(compareDigests(before, after)).toEqual({missing: [], changed: [], added: [], duplicates: []})
      await rcluster.ok('check', first, '--fail-on', 'error')
    })

    test('after a failover nothing is to be done; a mistake in the file is named and nothing is changed', async () => {
      const [, second = '', , , fifth = ''] = servers.addresses
      await rcluster.ok('failover', fifth, '--yes')
      const file = declare(servers, THREE)
      expect((await rcluster.ok('apply', file, '--yes')).stdout).toContain('Nothing to do')

      const [sixth = ''] = servers.addresses.slice(5)
      const settings = 'config:\n  maxmemory-samples: 7\n  masterauth: {env: RCLUSTER_TEST_SECRET}\n'
      declare(servers, THREE, settings)
      const env = {RCLUSTER_TEST_SECRET: 'not-to-be-seen'}
      const set = await rcluster.run(['apply', file, '--yes', '--json'], {env})
      expect(set, set.stderr).toMatchObject({code: 0})
      expect(set.stdout + set.stderr).not.toContain('not-to-be-seen')
      expect(JSON.parse(set.stdout).result.stages).toMatchObject([{stage: 'config'}])
      expect(await rawCommand(sixth, ['CONFIG', 'GET', 'masterauth'])).toEqual(['masterauth', 'not-to-be-seen'])
      expect((await rcluster.run(['apply', file, '--yes'], {env})).stdout).toContain('Nothing to do')

      writeFileSync(file, `format: rcluster-cluster\nversion: 1\nshards:\n  - nodes: [${second}]\n    wieght: 1\n`)
      const wrong = await rcluster.run(['apply', file, '--yes', '--json'])
      expect(wrong.code).toBe(2)
      expect(JSON.parse(wrong.stdout).error).toMatchObject({
        message: expect.stringContaining('line 4: /shards/0 knows no "wieght"'),
        details: {place: '/shards/0', line: 4},
      })
      expect(await rcluster.run(['apply', file, '--dry-run', '--detailed-exitcode'])).toMatchObject({code: 1})
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

async function countShards(address: string): Promise<number> {
  const nodes = String(await rawCommand(address, ['CLUSTER', 'NODES']))
  return nodes.split('\n').filter((line) => /master/.test(line) && line.split(' ').length > 8).length
}
