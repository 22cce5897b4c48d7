/** Keys of other servers come into a cluster: all of them, as they were, and it is told what became of each. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {Redis} from 'ioredis'
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import {openRcluster} from '../support/rcluster.ts'
import {
  anyKind,
  forEachKind,
  rawCommand,
  type ServerKind,
  splitAddress,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const ALONE = {config: {'cluster-enabled': 'no'}}
/** Of the import that is cut off. */
const KEYS = 30_000
const BINARY = Buffer.from([0x6e, 0x00, 0xff, 0x0d, 0x0a, 0x7b])

const tables = new Map<string, Promise<readonly (string | undefined)[]>>()

/** The node of `addresses` that owns the key's slot; no slots move here. */
async function ownerOf(key: Buffer | string, addresses: readonly string[]): Promise<string> {
  const name = addresses.join()
  const table = tables.get(name) ?? slotTable(addresses)
  tables.set(name, table)
  const owner = (await table)[keySlot(key)]
  if (owner === undefined) throw new Error(`nobody owns slot ${keySlot(key)}`)
  return owner
}

async function slotTable(addresses: readonly string[]): Promise<readonly (string | undefined)[]> {
  const owners = new Array<string | undefined>(16_384).fill(undefined)
  for (const address of addresses) {
    const nodes = String(await rawCommand(address, ['CLUSTER', 'NODES']))
    const ranges = (nodes.split('\n').find((line) => line.includes('myself')) ?? '').split(' ').slice(8)
    for (const range of ranges) {
      const [start = 0, end = start] = range.split('-').map(Number)
      owners.fill(address, start, end + 1)
    }
  }
  return owners
}

interface Report {
  readonly outcome: string
  readonly counts: Record<string, number>
  readonly failures: {key: string; keyHex: string; database: number; reason: string}[]
  readonly verification?: {compared: number; same: number; differing: number; differences: {keyHex: string}[]}
}

interface Failure {
  readonly code: string
  readonly suggestions: readonly string[]
}

/** With --json and --yes. */
async function importing(
  ...args: readonly string[]
): Promise<{code: number | undefined; report: Report; error: Failure}> {
  const {code, stdout} = await rcluster.run(['import', ...args, '--yes', '--json'])
  const document = JSON.parse(stdout)
  return {code, report: document.result ?? document.error.details.report, error: document.error}
}

forEachKind('import from a server alone', (kind) => {
  let source: TestServers
  let target: TestServers
  let [from, a] = ['', '']
  beforeAll(async () => {
    ;[source, target] = await Promise.all([startServers(kind, 1, ALONE), startServers(kind, 3)])
    ;[from = ''] = source.addresses
    ;[a = ''] = target.addresses
    await rcluster.ok('create', ...target.addresses, '--yes')
  })
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()])
  })
  afterEach(async () => {
    await Promise.all([...source.addresses, ...target.addresses].map((address) => rawCommand(address, ['FLUSHALL'])))
  })
  const put = (...words: (string | number | Buffer)[]): Promise<unknown> => rawCommand(from, words)
  const at = async (key: Buffer | string, ...words: (string | number | Buffer)[]): Promise<unknown> =>
    rawCommand(await ownerOf(key, target.addresses), words, {asBuffers: true})

  test('delivers keys with a NUL byte, of another database, and with a life', async () => {
    await put('SET', BINARY, BINARY)
    await put('SET', 'mortal', 'x', 'PX', 600_000)
    await rawCommand(from, ['SET', 'in three', 'y'], {database: 3})
    const {stdout} = await rcluster.ok('import', a, '--from', from, '--verify', '--yes')
    expect(stdout).toContain('Copied 3 keys')
    expect(stdout).toContain('Verified 3 keys')
    expect(await at(BINARY, 'GET', BINARY)).toEqual(BINARY)
    expect(await at('mortal', 'PEXPIRETIME', 'mortal')).toBe(await put('PEXPIRETIME', 'mortal'))
    expect(await at('in three', 'GET', 'in three')).toEqual(Buffer.from('y'))
    expect(await put('DBSIZE')).toBe(2)
  })

  test('delivers every type, and finds what is different afterwards', async () => {
    await fillWithTypes(from)
    const keys = (await put('KEYS', '*')) as string[]
    const {code, report} = await importing(a, '--from', from, '--verify')
    expect({code, counts: report.counts}).toMatchObject({
      code: 0,
      counts: {copied: keys.length, identical: 0, failed: 0, skipped: 0, expired: 0},
    })
    expect(report.verification).toEqual({compared: keys.length, same: keys.length, differing: 0, differences: []})
    for (const key of keys) {
      const digest = ['DEBUG', 'DIGEST-VALUE', key]
      expect(await at(key, ...digest), key).toEqual(await rawCommand(from, digest, {asBuffers: true}))
    }
    // Once more: nothing is written, and large hashes and sets are known to be the same however they are ordered.
    const again = await importing(a, '--from', from)
    expect({code: again.code, counts: again.report.counts}).toMatchObject({
      code: 0,
      counts: {copied: 0, identical: keys.length, failed: 0},
    })

    const planted = ['big-hash', 'big-set', 'big-zset', 'big-list', 'stream', 'string']
    await at('big-hash', 'HSET', 'big-hash', 'field 1234', 'planted')
    await at('big-set', 'SREM', 'big-set', 'member 777')
    await at('big-set', 'SADD', 'big-set', 'planted')
    await at('big-zset', 'ZADD', 'big-zset', 0.5, 'member 1')
    await at('big-list', 'LSET', 'big-list', 2999, 'planted')
    await at('stream', 'XADD', 'stream', '999-1', 'f', 'planted')
    await at('string', 'SETRANGE', 'string', 1_500_000, 'planted')
    await at('mortal', 'PERSIST', 'mortal')
    await at('counter', 'DEL', 'counter')
    const compared = await importing(a, '--from', from, '--dry-run', '--verify')
    expect(compared.code).toBe(5)
    expect(compared.error.code).toBe('E_INCOMPLETE')
    const found = compared.report.verification?.differences.map(({keyHex}) => Buffer.from(keyHex, 'hex').toString())
    expect(found?.sort()).toEqual([...planted, 'mortal', 'counter'].sort())
    expect(await at('counter', 'EXISTS', 'counter')).toBe(0)
  })

  test('leaves, overwrites or names keys that the cluster has with another value', async () => {
    for (let n = 0; n < 20; n++) await put('SET', `key ${n}`, 'ours')
    await at('key 7', 'SET', 'key 7', 'theirs')
    const failed = await importing(a, '--from', from)
    expect(failed.code).toBe(5)
    expect(failed.report.counts).toMatchObject({copied: 19, failed: 1, skipped: 0})
    expect(failed.report.failures).toEqual([
      {key: '"key 7"', keyHex: '6b65792037', database: 0, reason: 'the cluster has it with another value'},
    ])
    expect(failed.error.suggestions.join()).toContain('--on-conflict')
    const skipped = await importing(a, '--from', from, '--on-conflict', 'skip')
    expect({code: skipped.code, counts: skipped.report.counts}).toMatchObject({
      code: 0,
      counts: {copied: 0, identical: 19, skipped: 1},
    })
    expect(await at('key 7', 'GET', 'key 7')).toEqual(Buffer.from('theirs'))
    const replaced = await importing(a, '--from', from, '--replace', '--match', 'key ?')
    expect({code: replaced.code, counts: replaced.report.counts}).toMatchObject({code: 0, counts: {copied: 10}})
    expect(await at('key 7', 'GET', 'key 7')).toEqual(Buffer.from('ours'))
  })

  test('moves: the source keeps what the cluster did not take', async () => {
    for (let n = 0; n < 2000; n++) await put('SET', `key ${n}`, `value ${n}`)
    await at('key 7', 'SET', 'key 7', 'theirs')
    const {code, report} = await importing(a, '--from', from, '--move', '--verify', '--on-conflict', 'skip')
    expect({code, counts: report.counts}).toMatchObject({
      code: 0,
      counts: {copied: 1999, skipped: 1, deleted: 1999, changed: 0},
    })
    expect(report.verification).toMatchObject({compared: 1999, differing: 0})
    expect(await put('KEYS', '*')).toEqual(['key 7'])
    expect(await at('key 1999', 'GET', 'key 1999')).toEqual(Buffer.from('value 1999'))
  })

  test('loses no write of a client while it moves', async () => {
    const names = Array.from({length: 1000}, (_, n) => `counter ${n}`)
    const client = new Redis({...splitAddress(from), protocol: 2})
    await client.mset(...names.flatMap((name) => [name, 0]))
    const acknowledged = new Map(names.map((name) => [name, 0]))
    let isStopping = false
    const writing = (async () => {
      while (!isStopping) {
        for (const name of names) {
          await client.incr(name)
          acknowledged.set(name, (acknowledged.get(name) ?? 0) + 1)
          if (isStopping) break
          // Most keys are to stay as they are between their copy and their deletion.
          await sleep(1)
        }
      }
    })()
    const {code, report} = await importing(a, '--from', from, '--move')
    isStopping = true
    await writing
    expect(code).toBe(report.counts['changed'] === 0 ? 0 : 5)
    expect(report.counts['deleted']).toBeGreaterThan(0)
    const wrong: string[] = []
    for (const name of names) {
      const [here, there] = [Number(await client.get(name)), Number(String(await at(name, 'GET', name)))]
      // Not deleted: all of them are here. Deleted: those up to then are there, and later ones began again from nothing.
      if (![here, here + there].includes(acknowledged.get(name) ?? 0)) wrong.push(`${name}: ${here} and ${there}`)
    }
    client.disconnect()
    expect(wrong).toEqual([])
  })

  test('takes the databases that are named, to where they are to go', async () => {
    for (const database of [0, 3, 5]) await rawCommand(from, ['SET', 'same name', `of ${database}`], {database})
    await rawCommand(from, ['SET', 'other', 'x'], {database: 5})
    const planned = await rcluster.run(['import', a, '--from', from, '--dry-run'])
    expect(planned.stdout).toMatch(/^ *3 +1 +0$/m)
    expect(planned.stdout).toContain('Databases 0, 3 and 5 become database 0')
    const refused = await rcluster.run(['import', a, '--from', from, '--replace', '--yes'])
    expect(`${refused.code} ${refused.stderr}`).toMatch(/^2 Error: .*overwrite each other/)
    const third = await importing(a, '--from', from, '--db', '3')
    expect({code: third.code, counts: third.report.counts}).toMatchObject({code: 0, counts: {copied: 1}})
    expect(await at('same name', 'GET', 'same name')).toEqual(Buffer.from('of 3'))
    const mapped = await importing(a, '--from', from, '--db-map', '0=0,5=0', '--replace')
    expect({code: mapped.code, counts: mapped.report.counts}).toMatchObject({code: 0, counts: {copied: 3}})
    expect(await at('same name', 'GET', 'same name')).toEqual(Buffer.from('of 5'))
  })

  test('goes on where it was killed or stopped', async () => {
    await rawCommand(from, ['DEBUG', 'POPULATE', KEYS, 'key', 100], {timeoutMs: 30_000})
    for (const [moment, signal] of [
      [0.1, 'SIGKILL'],
      [0.6, 'SIGINT'],
    ] as const) {
      const args = ['import', a, '--from', from, '--yes', '--max-bandwidth', '1mb', '--progress', 'ndjson']
      const {child, ended} = rcluster.start(args)
      await new Promise<void>((resolve) => {
        let settled = 0
        child.stderr?.on('data', (chunk: Buffer) => {
          for (const [, keys] of chunk.toString().matchAll(/"kind":"keys-loaded","keys":(\d+)/g))
            settled += Number(keys)
          if (settled > KEYS * moment) resolve()
        })
        child.on('close', () => resolve())
      })
      child.kill(signal)
      const {code, stdout, stderr} = await ended
      expect(stdout).not.toContain('Copied')
      if (signal !== 'SIGINT') continue
      expect(code).toBe(130)
      expect(stderr).toMatch(/Stopped by SIGINT: [\d,]+ of about 30,000 keys copied/)
    }
    const {code, report} = await importing(a, '--from', from, '--verify')
    expect(code).toBe(0)
    expect(report.counts['copied']! + report.counts['identical']!).toBe(KEYS)
    expect(report.counts['identical']).toBeGreaterThan(1000)
    expect(report.verification).toMatchObject({same: KEYS, differing: 0})
    const sizes = await Promise.all(target.addresses.map((address) => rawCommand(address, ['DBSIZE'])))
    expect(sizes.reduce<number>((sum, size) => sum + Number(size), 0)).toBe(KEYS)
  })
})

/** One key of each type and size that has an encoding of its own. */
async function fillWithTypes(address: string): Promise<void> {
  const client = new Redis({...splitAddress(address), protocol: 2})
  const pipeline = client.pipeline()
  const numbers = (count: number): number[] => Array.from({length: count}, (_, n) => n)
  pipeline.call('SETRANGE', 'string', 2_000_000, 'the end')
  pipeline.set('counter', 12_345)
  pipeline.set('mortal', 'x', 'PX', 600_000)
  pipeline.rpush('list', 'a', 'b')
  pipeline.rpush('big-list', ...numbers(3000).map((n) => `element ${n}`))
  pipeline.sadd('intset', 1, 2, 3)
  pipeline.sadd('big-set', ...numbers(3000).map((n) => `member ${n}`))
  pipeline.hset('hash', 'f', 'v')
  pipeline.hset('big-hash', ...numbers(3000).flatMap((n) => [`field ${n}`, `value ${n}`]))
  pipeline.zadd('zset', 1, 'a')
  pipeline.zadd('big-zset', ...numbers(3000).flatMap((n) => [n / 7, `member ${n}`]))
  pipeline.xadd('stream', '1-1', 'f', 'v')
  pipeline.xadd('stream', '2-1', 'f', 'w')
  pipeline.xgroup('CREATE', 'stream', 'readers', '1-1')
  pipeline.call('XREADGROUP', 'GROUP', 'readers', 'me', 'STREAMS', 'stream', '>')
  pipeline.pfadd('hyperloglog', 'a', 'b')
  pipeline.geoadd('places', 13.4, 52.5, 'Berlin')
  pipeline.setbit('bits', 1000, 1)
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
  client.disconnect()
}

forEachKind('import from a cluster', (kind) => {
  test('copies and moves the keys of all its primaries', async () => {
    const [source, target] = await Promise.all([startServers(kind, 4), startServers(kind, 2)])
    try {
      const [s1 = '', s2 = ''] = source.addresses
      const [a = ''] = target.addresses
      await rcluster.ok('create', ...source.addresses.slice(0, 2), '--yes')
      await rcluster.ok('add-node', source.addresses[2]!, s1, '--replica', '--primary', s1)
      await rcluster.ok('create', ...target.addresses, '--yes')
      const keys = Array.from({length: 300}, (_, n) => `key ${n}`)
      for (const key of keys) {
        await rawCommand(await ownerOf(key, [s1, s2]), ['SET', key, `value of ${key}`])
      }
      const copied = await importing(a, '--from', source.addresses[2]!, '--verify')
      expect({code: copied.code, counts: copied.report.counts}).toMatchObject({code: 0, counts: {copied: 300}})
      expect(copied.report.verification).toMatchObject({same: 300, differing: 0})
      const moved = await importing(a, '--from', s1, '--move')
      expect({code: moved.code, counts: moved.report.counts}).toMatchObject({
        code: 0,
        counts: {copied: 0, identical: 300, deleted: 300},
      })
      expect(await Promise.all([s1, s2].map((address) => rawCommand(address, ['DBSIZE'])))).toEqual([0, 0])
      const itself = await rcluster.run(['import', a, '--from', target.addresses[1]!, '--yes'])
      expect(`${itself.code} ${itself.stderr}`).toMatch(/^2 Error: .*is a node of the cluster/)
    } finally {
      await Promise.all([source.stop(), target.stop()])
    }
  })
})

forEachKind(
  'import into a cluster of several databases',
  (kind) => {
    test('leaves every key in the database that it was in', async () => {
      const [source, target] = await Promise.all([
        startServers(kind, 1, ALONE),
        startServers(kind, 2, {config: {'cluster-databases': '4'}}),
      ])
      try {
        const [[from = ''], [a = '']] = [source.addresses, target.addresses]
        await rcluster.ok('create', ...target.addresses, '--yes')
        for (const database of [0, 3, 7]) await rawCommand(from, ['SET', 'same name', `of ${database}`], {database})
        const {code, report} = await importing(a, '--from', from, '--db-map', '0=0,3=3,7=1', '--verify', '--move')
        expect({code, counts: report.counts}).toMatchObject({code: 0, counts: {copied: 3, deleted: 3}})
        const owner = await ownerOf('same name', target.addresses)
        const found = [0, 1, 2, 3].map((database) => rawCommand(owner, ['GET', 'same name'], {database}))
        expect(await Promise.all(found)).toEqual(['of 0', 'of 7', null, 'of 3'])
        await rawCommand(from, ['SET', 'other', 'x'], {database: 3})
        await rcluster.ok('import', a, '--from', from, '--yes')
        expect(await rawCommand(await ownerOf('other', target.addresses), ['GET', 'other'], {database: 3})).toBe('x')
      } finally {
        await Promise.all([source.stop(), target.stop()])
      }
    })
  },
  ['valkey-9.1'],
)

describe('a source with TLS and users of its own', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-import-'))
  const file = (name: string): string => path.join(folder, name)
  let kind: ServerKind
  let source: TestServers
  let target: TestServers
  beforeAll(async () => {
    kind = anyKind()
    const words = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=source -addext subjectAltName=IP:127.0.0.1'
    execFileSync('openssl', [...words.split(' '), '-keyout', 'key.pem', '-out', 'cert.pem'], {
      cwd: folder,
      stdio: 'pipe',
    })
    const tls = {
      'tls-ca-cert-file': file('cert.pem'),
      'tls-cert-file': file('cert.pem'),
      'tls-key-file': file('key.pem'),
    }
    source = await startServers(kind, 1, {
      config: {'cluster-enabled': 'no', port: '0', 'tls-port': 'PORT', 'tls-auth-clients': 'no', ...tls},
    })
    target = await startServers(kind, 1, {config: {requirepass: 'of the cluster'}})
  })
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()])
    rmSync(folder, {recursive: true, force: true})
  })

  test('is read with them, and never told the password of the cluster', async () => {
    const [from = ''] = source.addresses
    const [a = ''] = target.addresses
    const client = new Redis({...splitAddress(from), protocol: 2, tls: {ca: [readFileSync(file('cert.pem'))]}})
    await client.set('key', 'value')
    const rights = '+info +time +scan +dump +pexpiretime +memory|usage +select'
    await client.call('ACL', 'SETUSER', 'reader', 'on', '>secret of the reader', '~*', ...rights.split(' '))
    await client.call('CONFIG', 'SET', 'requirepass', 'of the source')
    const writing =
      '+cluster|myid +cluster|nodes +cluster|info +info +ping +config|get +time +restore +dump +pexpiretime'
    const admin = {password: 'of the cluster'}
    await rawCommand(a, ['ACL', 'SETUSER', 'writer', 'on', '>of the writer', '~*', ...writing.split(' ')], admin)
    const env = {RCLUSTER_PASSWORD: 'of the cluster', RCLUSTER_FROM_PASSWORD: 'secret of the reader'}
    await rcluster.run(['create', a, '--yes'], {env})
    const login = ['--from', `rediss://${from}`, '--from-user', 'reader', '--from-cacert', file('cert.pem')]
    const run = (...args: string[]) => rcluster.run(['import', a, '--yes', ...args], {env})
    const copied = await run(...login)
    expect(`${copied.code} ${copied.stdout} ${copied.stderr}`).toMatch(/^0 [\s\S]*Copied 1 key/)
    expect(await rawCommand(a, ['GET', 'key'], {password: 'of the cluster'})).toBe('value')

    const again = await rcluster.run(['import', a, '--yes', '--user', 'writer', '--verify', ...login], {
      env: {...env, RCLUSTER_PASSWORD: 'of the writer'},
    })
    expect(`${again.code} ${again.stdout} ${again.stderr}`).toMatch(
      /^0 [\s\S]*1 key was there already[\s\S]*Verified 1 key/,
    )

    const untrusted = await run(...login.slice(0, 4))
    expect(`${untrusted.code} ${untrusted.stderr}`).toMatch(/^4 Error: TLS to .*[\s\S]*--from-cacert/)
    const nobody = await rcluster.run(['import', a, '--yes', ...login.slice(0, 2), ...login.slice(4)], {
      env: {RCLUSTER_PASSWORD: 'of the cluster'},
    })
    expect(`${nobody.code} ${nobody.stderr}`).toMatch(/^4 Error: .*NOAUTH[\s\S]*RCLUSTER_FROM_PASSWORD/)
    const forbidden = await run(...login, '--move')
    expect(`${forbidden.code} ${forbidden.stderr}`).toMatch(/^5 [\s\S]*NOPERM[\s\S]*--from-user/)
    expect(await client.exists('key')).toBe(1)
    client.disconnect()
  })
})
