/** Settings, users and functions of a whole cluster: alike on all nodes, or told who differs; and no secret gets out. */
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-admin-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

const SECRET = 'sesame-that-nobody-may-see'
const secretFile = path.join(folder, 'secret.txt')
writeFileSync(secretFile, `${SECRET}\n`, {mode: 0o600})

const library = (name: string, answer: number): string =>
  `#!lua name=${name}\nredis.register_function('${name}_f', function() return ${answer} end)`

forEachKind(
  'a cluster of',
  (kind) => {
    let servers: TestServers
    let [a, b, c, d] = ['', '', '', '']
    const onAll = async (...words: string[]): Promise<string[]> => {
      return Promise.all(servers.addresses.map(async (at) => String(await rawCommand(at, words))))
    }
    const run = async (...words: string[]): Promise<RunResult> => {
      const result = await rcluster.run(words)
      // Neither the password, nor any hash.
      expect(`${result.stdout}${result.stderr}`).not.toMatch(new RegExp(`${SECRET}|[0-9a-f]{64}`))
      return result
    }
    const ok = async (...words: string[]): Promise<RunResult> => {
      const result = await run(...words)
      expect(result.code, `${words.join(' ')}\n${result.stdout}${result.stderr}`).toBe(0)
      return result
    }

    beforeAll(async () => {
      servers = await startServers(kind, 4, {hasConfigFile: true})
      ;[a = '', b = '', c = '', d = ''] = servers.addresses
      await rcluster.ok('create', a, b, c, '--yes')
      await rcluster.ok('add-node', d, a, '--replica', '--primary', a, '--yes')
      await rcluster.ok('wait', a, '--for', 'healthy')
    })
    afterAll(async () => servers?.stop())

    test('settings that differ are named, and set alike on all, in their files too', async () => {
      expect((await ok('config', 'diff', a)).stdout).toMatch(/^\d+ settings: alike on all 4 nodes/)
      await rawCommand(b, ['CONFIG', 'SET', 'maxmemory', '100mb'])
      await rawCommand(c, ['CONFIG', 'SET', 'masterauth', SECRET])
      const {code, stdout} = await run('config', 'diff', a)
      expect(code).toBe(1)
      expect(stdout).toMatch(/^maxmemory +0 /m)
      expect(stdout).toMatch(new RegExp(`^ +104857600 +${b}$`, 'm'))
      expect(stdout).toMatch(/(masterauth|primaryauth) [\s\S]*\(secret, differs\)/)
      expect(stdout).not.toMatch(/^(port|dir|cluster-config-file|logfile)/m)
      expect((await run('config', 'diff', a, 'appendonly')).code).toBe(0)

      await ok('config', 'set', a, 'maxmemory', '64mb', 'maxmemory-policy', 'allkeys-lru', '--rewrite', '--yes')
      expect(await onAll('CONFIG', 'GET', 'maxmemory')).toEqual(Array(4).fill('maxmemory,67108864'))
      for (const index of [0, 1, 2, 3]) {
        const text = readFileSync(path.join(servers.folder(index), 'server.conf'), 'utf8')
        expect(text).toMatch(/^maxmemory-policy "?allkeys-lru"?$/m)
      }
      expect((await ok('config', 'set', a, 'maxmemory', '64mb', '--yes')).stdout).toContain('Nothing to do')

      const open = await rcluster.run(['config', 'set', a, 'masterauth', SECRET, '--yes'])
      expect([open.code, open.stderr.includes(SECRET)]).toEqual([2, false])
      await ok('config', 'set', a, '--secret-file', `masterauth=${secretFile}`, '--yes', '--json')
      expect(await onAll('CONFIG', 'GET', 'masterauth')).toEqual(Array(4).fill(`masterauth,${SECRET}`))
      expect((await ok('config', 'diff', a)).code).toBe(0)
      await ok('config', 'set', a, 'masterauth', '', '--yes')
    })

    test('a setting that one node refuses is what it was on all', async () => {
      for (const at of servers.addresses) {
        await rawCommand(at, [
          'ACL',
          'SETUSER',
          'op',
          'on',
          'nopass',
          '~*',
          '+@all',
          ...(at === b ? ['-config|set'] : []),
        ])
      }
      const {code, stderr} = await run('config', 'set', a, 'maxmemory', '1gb', '--user', 'op', '--yes', '-a', 'x')
      expect(stderr).toMatch(/NOPERM|may not/)
      expect(stderr).toContain('all nodes have what they had before')
      expect(code).toBe(4)
      expect(await onAll('CONFIG', 'GET', 'maxmemory')).toEqual(Array(4).fill('maxmemory,67108864'))
      const wrong = await run('config', 'set', a, 'maxmemory', 'lots', '--yes')
      expect(wrong.code, wrong.stderr).toBe(4)
      expect(await onAll('CONFIG', 'GET', 'maxmemory')).toEqual(Array(4).fill('maxmemory,67108864'))
      expect((await run('config', 'set', a, 'cluster-announce-ip', '10.0.0.1', '--yes')).code).toBe(2)
    })

    test('nothing is set while a node that is meant is away', async () => {
      servers.signal(2, 'SIGSTOP')
      try {
        const {code, stderr} = await run('config', 'set', a, 'maxmemory', '1gb', '--yes', '--command-timeout', '500ms')
        expect(code, stderr).toBe(3)
        expect(stderr).toContain(c)
        expect(String(await rawCommand(a, ['CONFIG', 'GET', 'maxmemory']))).toBe('maxmemory,67108864')
        await ok('config', 'set', a, 'maxmemory', '65mb', '--node', a, '--yes', '--command-timeout', '500ms')
      } finally {
        servers.signal(2, 'SIGCONT')
      }
      await ok('config', 'set', a, 'maxmemory', '64mb', '--node', a, '--yes')
    })

    test('a user is the same everywhere, can log in everywhere, and outlasts a restart', async () => {
      const rules = ['on', '~app:*', '+@read', '+ping', '--new-password-file', secretFile, '--save', '--yes']
      const {stdout} = await ok('acl', 'set', a, 'app', ...rules, '--', '-@dangerous')
      expect(stdout).toContain('User app is so on 4 nodes')
      for (const at of servers.addresses) {
        expect(await rawCommand(at, ['PING'], {username: 'app', password: SECRET})).toBe('PONG')
      }
      await servers.restart(1)
      expect(await rawCommand(b, ['PING'], {username: 'app', password: SECRET})).toBe('PONG')
      await rcluster.ok('wait', a, '--for', 'healthy')

      await ok('acl', 'set', a, 'op', 'reset', '--yes')
      const told = await ok('acl', 'list', a)
      expect(told.stdout).toMatch(/^app\n {2}on .*~app:\*.*\n {2}password a, on all 4 nodes$/m)
      await rawCommand(b, ['ACL', 'SETUSER', 'app', 'resetpass', '>other', '+set'])
      await rawCommand(c, ['ACL', 'DELUSER', 'app'])
      const drift = await run('acl', 'list', a)
      expect(drift.code).toBe(1)
      expect(drift.stdout).toMatch(/password b, on/)
      expect(drift.stdout).toMatch(/acl-drift/)
      const document = JSON.parse((await run('acl', 'list', a, '--json')).stdout).result
      expect(document.users.find(({name}: {name: string}) => name === 'app')).toMatchObject({
        isAlike: false,
        versions: [{passwords: ['a']}, {passwords: ['b']}],
      })

      const partial = await run('acl', 'set', a, 'app', '+get', '--node', a, '--node', b, '--yes')
      expect(partial.code, partial.stderr).toBe(5)
      expect(partial.stderr).toContain('has other rules or passwords of app')
      await ok('acl', 'set', a, 'app', '--from', a, '--yes')
      await ok('acl', 'list', a)
      for (const at of servers.addresses) {
        expect(await rawCommand(at, ['PING'], {username: 'app', password: SECRET})).toBe('PONG')
      }

      const open = await rcluster.run(['acl', 'set', a, 'app', `>${SECRET}`, '--yes'])
      expect([open.code, open.stderr.includes(SECRET)]).toEqual([2, false])
      const wrong = await run('acl', 'set', a, 'app', '+no-such-command', '--yes')
      expect(wrong.code, wrong.stderr).toBe(4)
      await ok('acl', 'delete', a, 'app', '--save', '--yes')
      expect((await onAll('ACL', 'LIST')).filter((list) => list.includes('user app '))).toEqual([])
      expect((await ok('acl', 'delete', a, 'app', '--yes')).stdout).toContain('Nothing to do')
      expect((await run('acl', 'delete', a, 'default', '--yes')).code).toBe(2)
    })

    test('libraries go to the primaries that lack them, and other code is never guessed', async () => {
      expect((await ok('functions', 'list', a)).stdout).toContain('No function library')
      await rawCommand(b, ['FUNCTION', 'LOAD', library('one', 1)])
      await rawCommand(c, ['FUNCTION', 'LOAD', library('two', 2)])
      const drift = await rcluster.run(['functions', 'list', a])
      expect(drift.code).toBe(1)
      expect(drift.stdout).toMatch(/one +[0-9a-f]{12} +.*\n +missing/)
      const {stdout} = await ok('functions', 'sync', a, '--dry-run')
      expect(stdout).toContain('is missing there')
      expect(String(await rawCommand(a, ['FUNCTION', 'LIST']))).toBe('')
      await ok('functions', 'sync', a, '--yes')
      for (const at of [a, b, c]) {
        expect([await rawCommand(at, ['FCALL', 'one_f', 0]), await rawCommand(at, ['FCALL', 'two_f', 0])]).toEqual([
          1, 2,
        ])
      }
      await eventually('the replica has them', async () => (await rcluster.run(['functions', 'list', a])).code === 0)

      await rawCommand(b, ['FUNCTION', 'LOAD', 'REPLACE', library('one', 7)])
      const refused = await run('functions', 'sync', a, '--yes')
      expect(refused.code).toBe(3)
      expect(refused.stderr).toMatch(/the code of one differs[\s\S]*functions sync .* --from .* --replace/)
      expect(await rawCommand(a, ['FCALL', 'one_f', 0])).toBe(1)
      await ok('functions', 'sync', a, '--from', b, '--replace', '--yes')
      for (const at of [a, b, c]) expect(await rawCommand(at, ['FCALL', 'one_f', 0])).toBe(7)
      await rawCommand(c, ['FUNCTION', 'LOAD', 'REPLACE', library('one', 9)])
      await ok('functions', 'sync', a, '--replace', '--yes')
      for (const at of [a, b, c]) expect(await rawCommand(at, ['FCALL', 'one_f', 0])).toBe(7)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
