/** Backup and restore on every server: keys of every type, functions and users, into clusters of other sizes. */
import {cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {openClusterClient, readSpecimens, writeSpecimens} from '../support/cluster-client.ts'
import {specimens} from '../support/every-type.ts'
import {compareDigests, digestDataSet, loadDataSet} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-backup-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

const KEYS = 2000
const LIBRARY = "#!lua name=mylib\nredis.register_function('answer', function() return 42 end)"
const SAME = {missing: [], changed: [], added: [], duplicates: []}

/** Every file whole under its name, nobody else's to read. */
function expectWhole(backup: string): void {
  expect(statSync(backup).mode & 0o777).toBe(0o700)
  const names = readdirSync(backup)
  expect(names.filter((name) => name.endsWith('.part'))).toEqual([])
  for (const name of names) expect(statSync(path.join(backup, name)).mode & 0o777).toBe(0o600)
}

forEachKind('a backup', (kind) => {
  test('holds every type, and brings all of it back into clusters of other sizes', async () => {
    const backup = path.join(folder, kind.name)
    const servers = await startServers(kind, 12)
    try {
      const {addresses} = servers
      const [old, three, five] = [addresses.slice(0, 4), addresses.slice(4, 7), addresses.slice(7)]
      const [a = ''] = old
      await Promise.all([
        rcluster.ok('create', ...old, '--primaries', '2', '--yes'),
        rcluster.ok('create', ...three, '--yes'),
        rcluster.ok('create', ...five, '--yes'),
      ])
      const before = await openClusterClient(a)
      const all = specimens(kind, (command) => before.has(command))
      await writeSpecimens(before, all)
      await loadDataSet(old, {keys: KEYS})
      for (const primary of old.slice(0, 2)) {
        await rawCommand(primary, ['FUNCTION', 'LOAD', LIBRARY])
        expect(Number(await rawCommand(primary, ['WAIT', '1', '5000']))).toBe(1)
      }
      const users = old.map((address) =>
        rawCommand(address, ['ACL', 'SETUSER', 'app', 'on', '>secret', '~app:*', '+@read', '(+@write ~mine:*)']),
      )
      await Promise.all(users)
      const seen = await readSpecimens(before, all)
      const digest = await digestDataSet(old)

      const taken = await rcluster.ok('backup', a, backup, '--json')
      const {result, warnings} = JSON.parse(taken.stdout)
      expect(warnings).toEqual([])
      expect(result).toMatchObject({outcome: 'taken', complete: true, functions: ['mylib'], users: 2})
      expect(result.keys).toBe(all.length + KEYS)
      expect(result.shards.map((shard: {takenFrom: string}) => shard.takenFrom).sort()).toEqual(old.slice(2).sort())
      expectWhole(backup)

      for (const target of [three, five]) {
        const [first = ''] = target
        const restored = await rcluster.ok('restore', backup, ...target, '--verify', '--with-acl', '--yes', '--json')
        const report = JSON.parse(restored.stdout).result
        expect(report).toMatchObject({outcome: 'restored', origin: 'rcluster', functions: ['mylib'], users: 2})
        expect(report.keys).toMatchObject({copied: all.length + KEYS, expired: 0, failed: 0, skipped: 0})
        // The order of a vector set's nodes is the server's own.
        const vectors = before.has('vadd') ? 1 : 0
        expect(report.verified).toEqual({same: all.length + KEYS - vectors, expired: 0, present: vectors})
        const client = await openClusterClient(first)
        expect(await readSpecimens(client, all)).toEqual(seen)
        client.close()
        expect(compareDigests(digest, await digestDataSet(target))).toEqual(SAME)
        for (const address of target) {
          expect(await rawCommand(address, ['FCALL', 'answer', '0'])).toBe(42)
          expect(await usersOf(address)).toEqual(await usersOf(a))
        }
      }

      // Once more: what is there with the same value is no conflict, and what is gone comes back.
      const [first = ''] = three
      const full = await rcluster.run(['restore', backup, first, '--yes'])
      expect(`${full.code} ${full.stderr}`).toMatch(/^3 [\s\S]*the cluster is not empty/)
      const gone = ['hash large', ...(before.has('vadd') ? ['vectors'] : [])].map((name) => Buffer.from(name))
      const client = await openClusterClient(first)
      for (const key of gone) await client.call(key, ['DEL', key])
      client.close()
      const again = await rcluster.ok('restore', backup, first, '--on-conflict', 'fail', '--yes', '--json')
      expect(JSON.parse(again.stdout).result.keys).toMatchObject({
        copied: gone.length,
        identical: all.length + KEYS - gone.length,
        failed: 0,
      })
      before.close()
    } finally {
      await servers.stop()
    }
  })
})

forEachKind(
  'a backup that is not as it was written',
  (kind) => {
    test('is refused when it is damaged, cut or unfinished, and nothing is written', async () => {
      const backup = path.join(folder, `${kind.name} damaged`)
      const servers = await startServers(kind, 2)
      try {
        const [a = '', b = ''] = servers.addresses
        await Promise.all([rcluster.ok('create', a, '--yes'), rcluster.ok('create', b, '--yes')])
        await loadDataSet([a], {keys: 200})
        await rcluster.ok('backup', a, backup, '--no-acl')
        const [file = ''] = readdirSync(backup).filter((name) => name.endsWith('.rdb'))
        const data = readFileSync(path.join(backup, file))
        const damages: {
          name: string
          damage: (copy: string) => void
          words?: (copy: string) => string
          says: RegExp
        }[] = [
          {
            name: 'a bit',
            damage: (copy) => {
              const bent = Buffer.from(data)
              bent[Math.floor(bent.length / 2)]! ^= 4
              writeFileSync(path.join(copy, file), bent)
            },
            says: /\.rdb/,
          },
          {
            name: 'the end',
            damage: (copy) => writeFileSync(path.join(copy, file), data.subarray(0, -9)),
            says: /bytes, where the backup was made with/,
          },
          {
            name: 'the end of a lone file',
            damage: (copy) => writeFileSync(path.join(copy, file), data.subarray(0, -9)),
            words: (copy) => path.join(copy, file),
            says: /ends/,
          },
          {name: 'a file', damage: (copy) => rmSync(path.join(copy, file)), says: /is missing/},
          {name: 'the manifest', damage: (copy) => rmSync(path.join(copy, 'manifest.json')), says: /no whole backup/},
          {
            name: 'slots of the manifest',
            damage: (copy) => {
              const text = readFileSync(path.join(copy, 'manifest.json'), 'utf8')
              writeFileSync(path.join(copy, 'manifest.json'), text.replaceAll('"0-16383"', '"0-16000"'))
            },
            says: /16001 of 16384/,
          },
        ]
        for (const {name, damage, words = (copy: string) => copy, says} of damages) {
          const copy = path.join(folder, `${kind.name} ${name}`)
          cpSync(backup, copy, {recursive: true})
          damage(copy)
          const {code, stderr} = await rcluster.run(['restore', words(copy), b, '--yes'])
          expect(`${code} ${stderr}`, name).toMatch(/^3 /)
          expect(stderr, name).toMatch(says)
        }
        expect(await rawCommand(b, ['DBSIZE'])).toBe(0)

        const {stdout} = await rcluster.ok('restore', path.join(backup, file), b, '--yes', '--verify')
        expect(stdout).toContain('Restored 200 keys (')
        expect(compareDigests(await digestDataSet([a]), await digestDataSet([b]))).toEqual(SAME)
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0'],
)

forEachKind(
  'a backup that does not come to its end',
  (kind) => {
    test('leaves nothing behind when it is stopped, and no manifest when it is killed', async () => {
      const servers = await startServers(kind, 2, {config: {'rdb-key-save-delay': '2000', rdbcompression: 'no'}})
      try {
        const [a = '', b = ''] = servers.addresses
        await rcluster.ok('create', a, b, '--yes')
        await loadDataSet([a, b], {keys: 3000})
        const stopped = path.join(folder, `${kind.name} stopped`)
        const first = rcluster.start(['backup', a, stopped])
        await until(() => existsSync(stopped) && readdirSync(stopped).length === 2)
        first.child.kill('SIGINT')
        expect((await first.ended).code).toBe(130)
        expect(existsSync(stopped)).toBe(false)

        const killed = path.join(folder, `${kind.name} killed`)
        const second = rcluster.start(['backup', a, killed])
        await until(() => existsSync(killed) && readdirSync(killed).length === 2)
        second.child.kill('SIGKILL')
        await second.ended
        const refused = await rcluster.run(['restore', killed, a, '--yes'])
        expect(`${refused.code} ${refused.stderr}`).toMatch(/^3 [\s\S]*no whole backup/)
        const notEmpty = await rcluster.run(['backup', a, killed])
        expect(`${notEmpty.code} ${notEmpty.stderr}`).toMatch(/^3 [\s\S]*cut off/)

        const silent = path.join(folder, `${kind.name} silent`)
        const frozen = rcluster.start(['backup', a, silent, '--stall-timeout', '1s', '--command-timeout', '1s'])
        await until(() => existsSync(silent) && readdirSync(silent).length === 2)
        servers.signal(1, 'SIGSTOP')
        const stalled = await frozen.ended
        servers.signal(1, 'SIGCONT')
        expect(`${stalled.code} ${stalled.stderr}`).toMatch(/^4 [\s\S]*(sent nothing for|did not answer within) 1 s/)
        expect(stalled.stderr).toContain(b)
        expect(existsSync(silent)).toBe(false)

        const lost = path.join(folder, `${kind.name} lost`)
        const third = rcluster.start(['backup', a, lost])
        await until(() => existsSync(lost) && readdirSync(lost).length === 2)
        await servers.kill(1)
        const {code, stderr} = await third.ended
        expect(`${code} ${stderr}`).toMatch(/^4 /)
        expect(stderr).toContain(b)
        expect(existsSync(lost)).toBe(false)

        const partial = path.join(folder, `${kind.name} partial`)
        expect((await rcluster.run(['backup', a, partial])).code).toBe(3)
        expect(existsSync(partial)).toBe(false)
        const some = await rcluster.ok('backup', a, partial, '--allow-partial', '--json')
        expect(JSON.parse(some.stdout).result).toMatchObject({complete: false, shards: [{slots: '0-8191'}]})
        expect(JSON.parse(readFileSync(path.join(partial, 'manifest.json'), 'utf8'))).toMatchObject({
          complete: false,
          missingSlots: '8192-16383',
        })
        const unsaid = await rcluster.run(['restore', partial, a, '--yes'])
        expect(`${unsaid.code} ${unsaid.stderr}`).toMatch(/^3 [\s\S]*partial backup: slots 8192-16383 are not in it/)
      } finally {
        await servers.stop()
      }
    })
  },
  ['valkey-9.1'],
)

/** Redis 7.0 tells of a default only once it was set. */
async function usersOf(address: string): Promise<string[]> {
  const lines = (await rawCommand(address, ['ACL', 'LIST'])) as string[]
  return lines.map((line) => line.replace(' sanitize-payload', ''))
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('it did not come about')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
