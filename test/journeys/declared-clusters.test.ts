/** Does a cluster become what a file declares, from nothing, in any state, and again after a kill? */
import {createHash} from 'node:crypto'
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

    test('users and functions are made so, before slots bring clients, and are known again', async () => {
      const [first = '', , third = '', , , , seventh = ''] = servers.addresses
      writeFileSync(path.join(folder, 'reader.txt'), 'of-the-reader\n')
      writeFileSync(path.join(folder, 'tools.lua'), library('1'))
      await rawCommand(first, ['ACL', 'SETUSER', 'former', 'on', 'nopass'])
      const contents = (rules: string, more = ''): string => `users:
  app:
    rules: "${rules}"
    passwords: [{env: APP_PASSWORD}]
  reader: {rules: "on %R~app:* resetchannels +@read -@dangerous (+ping)", passwords: [{file: reader.txt}]}
  former: absent
functions: [tools.lua]
${more}`
      const rules = 'on ~app:* &* +@all -@dangerous -@admin +fcall'
      const env = {APP_PASSWORD: 'of-the-app'}
      const file = declare(servers, [...THREE, '6 7'], contents(rules))
      const result = await rcluster.run(['apply', file, '--yes', '--json'], {env})
      expect(result, result.stderr).toMatchObject({code: 0})
      expect(result.stdout + result.stderr).not.toMatch(
        new RegExp(`of-the-app|of-the-reader|${createHash('sha256').update('of-the-app').digest('hex')}`),
      )
      const {stages} = JSON.parse(result.stdout).result
      expect(stages.map(({stage}: {stage: string}) => stage)).toEqual(['join', 'join', 'users', 'functions', 'move'])
      expect(stages[2].plan.changes).toMatchObject([
        {user: 'app', passwords: 1, nodes: {length: 8}},
        {user: 'reader', passwords: 1, nodes: {length: 8}},
        {user: 'former', passwords: 0, nodes: [first]},
      ])
      for (const address of servers.addresses) {
        expect(await login(address, 'app', 'of-the-app')).toBe('OK')
        expect(await login(address, 'reader', 'of-the-reader')).toBe('OK')
        expect(String(await rawCommand(address, ['ACL', 'USERS']))).not.toContain('former')
      }
      for (const address of [first, seventh]) expect(await rawCommand(address, ['FCALL', 'edition', 0])).toBe('1')
      const again = await rcluster.run(['apply', file, '--dry-run', '--detailed-exitcode'], {env})
      expect(again, again.stdout).toMatchObject({code: 0, stdout: expect.stringContaining('Nothing to do')})

      // Another password, other code, and a user whom somebody has given more on one node.
      writeFileSync(path.join(folder, 'tools.lua'), library('2'))
      await rawCommand(third, ['ACL', 'SETUSER', 'reader', '+@write'])
      const changed = await rcluster.run(['apply', file, '--yes', '--json'], {env: {APP_PASSWORD: 'another'}})
      expect(changed, changed.stderr).toMatchObject({code: 0})
      expect(JSON.parse(changed.stdout).result.stages).toMatchObject([
        {
          stage: 'users',
          plan: {
            changes: [
              {user: 'app', nodes: {length: 8}},
              {user: 'reader', nodes: [third]},
            ],
          },
        },
        {stage: 'functions', plan: {changes: [{library: 'tools', isReplacing: true, nodes: {length: 4}}]}},
      ])
      expect(await login(third, 'app', 'another')).toBe('OK')
      expect(await login(third, 'app', 'of-the-app')).toMatch(/WRONGPASS/)
      for (const address of [first, seventh]) expect(await rawCommand(address, ['FCALL', 'edition', 0])).toBe('2')

      // What a server refuses reaches none.
      declare(servers, [...THREE, '6 7'], contents(`${rules} +nonsense`))
      const refused = await rcluster.run(['apply', file, '--yes', '--json'], {env: {APP_PASSWORD: 'another'}})
      expect(refused).toMatchObject({code: 4, stdout: expect.stringContaining('nonsense')})
      expect(await login(first, 'app', 'another')).toBe('OK')
      declare(servers, [...THREE, '6 7'], contents(rules))
      writeFileSync(path.join(folder, 'tools.lua'), '#!lua name=tools\nthis is no Lua')
      expect(await rcluster.run(['apply', file, '--yes'], {env: {APP_PASSWORD: 'another'}})).toMatchObject({code: 4})
      for (const address of [first, seventh]) expect(await rawCommand(address, ['FCALL', 'edition', 0])).toBe('2')

      // Nobody deletes whom he is logged in as.
      for (const address of servers.addresses) {
        await rawCommand(address, ['ACL', 'SETUSER', 'op', 'on', 'nopass', '~*', '&*', '+@all'])
      }
      declare(servers, [...THREE, '6 7'], 'users: {op: absent}\n')
      const suicide = await rcluster.run(['apply', file, '--yes', '--user', 'op'], {env: {RCLUSTER_PASSWORD: 'any'}})
      expect(suicide).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('op is to be absent, and is the user of'),
      })
      expect(await login(first, 'op', 'any')).toBe('OK')
      await rcluster.ok('apply', file, '--yes')
      expect(await login(first, 'op', 'any')).toMatch(/WRONGPASS/)
      await rcluster.ok('check', first, '--fail-on', 'error')
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

function library(edition: string): string {
  return `#!lua name=tools\nredis.register_function('edition', function() return '${edition}' end)\n`
}

async function login(address: string, user: string, password: string): Promise<string> {
  try {
    return String(await rawCommand(address, ['AUTH', user, password]))
  } catch (error) {
    return String(error)
  }
}

async function countShards(address: string): Promise<number> {
  const nodes = String(await rawCommand(address, ['CLUSTER', 'NODES']))
  return nodes.split('\n').filter((line) => /master/.test(line) && line.split(' ').length > 8).length
}
