/** fix, import and backup in the form of redis-cli, on real servers. */
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {Redis} from 'ioredis'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {keySlot, tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {pictureOf} from '../support/cluster-picture.ts'
import {openRcluster, type RunOptions} from '../support/rcluster.ts'
import {
  forEachFamily,
  forEachKind,
  rawCommand,
  splitAddress,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

/** Ends with `code`, and with nothing on stderr unless `stderr` is given. */
async function run(
  args: readonly string[],
  {code = 0, stderr = '', ...options}: RunOptions & {code?: number; stderr?: string} = {},
): Promise<string> {
  const result = await rcluster.run(['--cluster', ...args], options)
  expect(`${result.code}\n${result.stderr}${result.code === code ? '' : result.stdout}`).toBe(`${code}\n${stderr}`)
  return result.stdout
}

/** Many commands on one connection. @throws the first error. */
async function pipe(address: string, commands: readonly (readonly (string | number)[])[]): Promise<void> {
  const client = new Redis({...splitAddress(address), protocol: 2, maxRetriesPerRequest: 0, retryStrategy: () => null})
  try {
    await Promise.all(commands.map(([name, ...rest]) => client.call(String(name), ...rest.map(String))))
  } finally {
    client.disconnect()
  }
}

forEachFamily('fix in the form of redis-cli', (kind) => {
  let servers: TestServers
  let [a, b, c] = ['', '', '']
  let ids: string[] = []
  beforeAll(async () => {
    servers = await startServers(kind, 3)
    ;[a = '', b = '', c = ''] = servers.addresses
    await rcluster.ok('--cluster-yes', '--cluster', 'create', a, b, c)
    await pictureOf(servers.addresses)
    ids = await Promise.all(servers.addresses.map(async (at) => String(await rawCommand(at, ['CLUSTER', 'MYID']))))
    return () => servers.stop()
  })

  const KEY = 'aga'
  const SLOT = keySlot(Buffer.from(KEY))
  /** Places of the owner of the key's slot, and of another primary. */
  let [owner, other] = [0, 0]
  beforeEach(async () => {
    const replies = await Promise.all([a, b, c].map((at) => rawCommand(at, ['SET', KEY, 'xyz']).catch(() => 'no')))
    owner = replies.indexOf('OK')
    other = (owner + 1) % 3
  })

  const at = (place: number): string => servers.addresses[place]!
  const setSlot = (place: number, ...words: readonly (string | number)[]): Promise<unknown> =>
    rawCommand(at(place), ['CLUSTER', 'SETSLOT', SLOT, ...words])
  const openBoth = async (): Promise<void> => {
    await setSlot(other, 'IMPORTING', ids[owner]!)
    await setSlot(owner, 'MIGRATING', ids[other]!)
  }
  const moveKey = (): Promise<unknown> => rawCommand(at(owner), ['MIGRATE', ...at(other).split(':'), KEY, 0, 5000])

  test.each<{name: string; breakIt: () => Promise<unknown>; endsAt: () => number}>([
    {name: 'MIGRATING only', breakIt: () => setSlot(owner, 'MIGRATING', ids[other]!), endsAt: () => owner},
    {name: 'IMPORTING only', breakIt: () => setSlot(other, 'IMPORTING', ids[owner]!), endsAt: () => owner},
    {name: 'both', breakIt: openBoth, endsAt: () => other},
    {name: 'both, and the key has moved', breakIt: () => openBoth().then(moveKey), endsAt: () => other},
    {
      name: 'the key has moved, and only the source gave the slot away',
      breakIt: async () => {
        await openBoth()
        await moveKey()
        await setSlot(owner, 'NODE', ids[other]!)
      },
      endsAt: () => other,
    },
    {
      name: 'the key has moved, and only the target took the slot',
      breakIt: async () => {
        await openBoth()
        await moveKey()
        await setSlot(other, 'NODE', ids[other]!)
      },
      endsAt: () => other,
    },
  ])('$name', async ({breakIt, endsAt}) => {
    await breakIt()
    const stdout = await run(['fix', a], {input: 'yes'})
    expect(stdout).toContain('>>> Performing Cluster Check')
    expect(stdout.trimEnd().endsWith('[OK] All 16384 slots covered.')).toBe(true)
    expect(await rawCommand(at(endsAt()), ['GET', KEY])).toBe('xyz')
    expect(await run(['check', a])).toContain('[OK] All nodes agree about slots configuration.')
  })

  test('slots that nobody has are covered by a yes on stdin, not by --cluster-yes', async () => {
    for (const address of [a, b, c]) await pipe(address, [['CLUSTER', 'DELSLOTS', 16_000, 16_001]])
    const asked = await run(['fix', a, '--cluster-yes'], {code: 1})
    expect(asked).toContain('[ERR] Not all 16384 slots are covered by nodes.')
    expect(asked).toContain(
      "The following uncovered slots have no keys across the cluster:\n[16000-16001]\nFix these slots by covering with a random node? (type 'yes' to accept): ",
    )
    const stdout = await run(['fix', ...a.split(':')], {input: 'yes', isInputOpen: true})
    expect(stdout).toContain('>>> Covering slot 16000\n>>> Covering slot 16001\n')
    expect(stdout.trimEnd().endsWith('[OK] All 16384 slots covered.')).toBe(true)
  })

  test('keys of a slot on a node that does not own it are looked for when asked, and brought home', async () => {
    await setSlot(other, 'IMPORTING', ids[owner]!)
    await rawCommand(at(owner), ['MIGRATE', ...at(other).split(':'), KEY, 0, 5000])
    await setSlot(other, 'STABLE')
    const words = ['fix', a, '--cluster-search-multiple-owners']
    const stdout = await run(words)
    expect(stdout).toContain('>>> Check for multiple slot owners...\n[WARNING] ')
    expect(await rawCommand(at(owner), ['GET', KEY])).toBe('xyz')
    expect(await run(words)).toContain('[OK] No multiple owners found.')
  })

  test('a thousand slots with 40,000 keys on their way, in seconds', async () => {
    const [source, target] = [0, 1]
    const view = await pictureOf(servers.addresses)
    const [start] = view[source]!.slots.split(/[-,]/).map(Number) as [number]
    const slots = Array.from({length: 1000}, (_, n) => start + n + 700)
    const keyOf = (slot: number, n: number): string => `{${tagForSlot(slot)}}${n}`
    await pipe(
      at(source),
      slots.flatMap((slot) => Array.from({length: 40}, (_, n) => ['SET', keyOf(slot, n), n])),
    )
    // Some are open at one end only, of some a few keys have moved.
    await pipe(
      at(target),
      slots.filter((_, n) => n % 5 > 0).map((slot) => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[source]!]),
    )
    await pipe(
      at(source),
      slots.filter((_, n) => n % 5 !== 1).map((slot) => ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[target]!]),
    )
    const moving = slots.filter((_, n) => n % 5 > 1)
    await pipe(
      at(source),
      moving.map((slot) => ['MIGRATE', ...at(target).split(':'), '', 0, 5000, 'KEYS', keyOf(slot, 1), keyOf(slot, 2)]),
    )
    const startedAt = performance.now()
    const stdout = await run(['fix', a], {input: 'yes'})
    expect(performance.now() - startedAt).toBeLessThan(30_000)
    expect(stdout.trimEnd().endsWith('[OK] All 16384 slots covered.')).toBe(true)
    const [first, second] = (await pictureOf(servers.addresses)).map(({keys}) => keys) as [number, number]
    // What was there before is in slots of its own.
    expect(first + second).toBeGreaterThanOrEqual(40_000)
    const counts = await Promise.all(
      [slots[0]!, slots[1]!, slots[2]!].map(async (slot) =>
        Promise.all([source, target].map((place) => rawCommand(at(place), ['CLUSTER', 'COUNTKEYSINSLOT', slot]))),
      ),
    )
    expect(counts).toEqual([
      [40, 0],
      [40, 0],
      [0, 40],
    ])
  })
})

forEachKind(
  'a lost primary in the form of redis-cli',
  (kind) => {
    test('is given up only with the option that says so', async () => {
      const servers = await startServers(kind, 4, {config: {'cluster-node-timeout': '1000'}})
      try {
        const [a = '', b = '', c = '', d = ''] = servers.addresses
        await rcluster.ok('--cluster-yes', '--cluster', 'create', a, b, c, d)
        await pictureOf(servers.addresses)
        await servers.kill(3)
        const gone = `Could not connect to Redis at ${d}: Connection refused\n`
        const refused = await run(['fix', a], {code: 1, input: 'yes', stderr: gone})
        expect(refused).toContain('--cluster-fix-with-unreachable-primaries')
        const words = ['fix', a, '--cluster-fix-with-unreachable-masters']
        const stdout = await run(words, {input: 'yes', stderr: gone})
        expect(stdout).toMatch(/^\[12288-\d+\].* \(data-loss: .* cannot be reached/m)
        expect(stdout.trimEnd().endsWith('[OK] All 16384 slots covered.')).toBe(true)
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

forEachFamily('import and backup in the form of redis-cli', (kind) => {
  let cluster: TestServers
  let lone: TestServers
  let [seed, source] = ['', '']
  beforeAll(async () => {
    cluster = await startServers(kind, 3)
    lone = await startServers(kind, 1, {config: {'cluster-enabled': 'no', requirepass: 'sesame'}})
    ;[seed = ''] = cluster.addresses
    ;[source = ''] = lone.addresses
    await rcluster.ok('--cluster-yes', '--cluster', 'create', ...cluster.addresses)
    await pictureOf(cluster.addresses)
    return async () => {
      await cluster.stop()
      await lone.stop()
    }
  })

  const atSource = (...args: readonly (string | number | Buffer)[]): Promise<unknown> =>
    rawCommand(source, args, {password: 'sesame'})
  const login = ['--cluster-from', '', '--cluster-from-pass', 'sesame']
  const imported = (...more: readonly string[]): readonly string[] => [
    ...['import', seed, '--cluster-from', source, ...login.slice(2)],
    ...more,
  ]
  const find = async (...command: readonly (string | number | Buffer)[]): Promise<unknown> => {
    for (const address of cluster.addresses) {
      const reply = await rawCommand(address, command).catch(() => undefined)
      if (reply !== undefined) return reply
    }
    return undefined
  }
  const BINARY = Buffer.from('k\u0000\u001b[31mey')

  test('copies keys with a NUL byte, of another database and with a life of their own', async () => {
    await atSource('SET', BINARY, 'binary')
    await atSource('SET', 'mortal', 'value', 'EX', 1000)
    await rawCommand(source, ['SET', 'third', 'three'], {password: 'sesame', database: 3})
    const stdout = await run(imported('--cluster-copy'))
    expect(stdout).toContain(`>>> Importing data from ${source} to cluster ${seed}\n`)
    expect(stdout).toContain('*** Importing 2 keys from DB 0\n*** Importing 1 keys from DB 3\n')
    expect(stdout).toMatch(/^Migrating k\[31mey to 127\.0\.0\.1:\d+: OK$/m)
    expect(stdout).toMatch(/^Migrating mortal to 127\.0\.0\.1:\d+: OK$/m)
    expect(await find('GET', BINARY)).toBe('binary')
    expect(await find('GET', 'third')).toBe('three')
    expect(Number(await find('TTL', 'mortal'))).toBeGreaterThan(900)
    expect(await atSource('DBSIZE')).toBe(2)
  })

  test('moves by default, does not overwrite unless told to, and leaves what did not arrive', async () => {
    await atSource('SET', BINARY, 'changed')
    const stdout = await run(imported(), {code: 1})
    expect(stdout).toMatch(/^Migrating k\[31mey to .*: failed: the cluster has it with another value$/m)
    expect(stdout).toContain('[ERR] 1 key did not arrive')
    expect(await atSource('DBSIZE')).toBe(1)
    expect(await find('GET', BINARY)).toBe('binary')
    await run(imported('--cluster-replace'))
    expect(await atSource('DBSIZE')).toBe(0)
    expect(await find('GET', BINARY)).toBe('changed')
  })

  test('refuses what cannot be a source', async () => {
    const required = "[ERR] Option '--cluster-from' is required for subcommand 'import'.\n"
    expect(await run(['import', seed], {code: 1, stderr: required})).toBe('')
    const itself = await run(['import', seed, '--cluster-from', cluster.addresses[1]!], {code: 1})
    expect(itself).toContain('[ERR] The source node should not be a cluster node.')
    await run(['import', seed, '--cluster-from', '127.0.0.1:1'], {
      code: 1,
      stderr: 'Could not connect to Redis at 127.0.0.1:1: Connection refused\n',
    })
  })

  describe('backup', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-drop-in-'))
    afterAll(() => rmSync(folder, {recursive: true, force: true}))

    test('writes what redis-cli writes, where it is told to, over what is there; and restore reads it', async () => {
      writeFileSync(path.join(folder, 'nodes.json'), 'old')
      const stdout = await run(['backup', seed, '.'], {cwd: folder})
      expect(stdout).toContain(`>>> Node ${seed} -> Saving RDB...\n`)
      expect(stdout).toContain('Saving cluster configuration to: nodes.json\n[OK] Backup created into: .\n')
      const ids = await Promise.all(cluster.addresses.map((at) => rawCommand(at, ['CLUSTER', 'MYID'])))
      const names = cluster.addresses.map(
        (at, n) => `${kind.family}-node-${at.replace(':', '-')}-${String(ids[n])}.rdb`,
      )
      expect(readdirSync(folder).sort()).toEqual(['nodes.json', ...names].sort())
      const nodes = JSON.parse(readFileSync(path.join(folder, 'nodes.json'), 'utf8')) as {name: string}[]
      expect(nodes.find(({name}) => name === ids[0])).toMatchObject({
        host: '127.0.0.1',
        replicate: null,
        slots: [[0, 5460]],
        slots_count: 5461,
        flags: 'master',
      })
      const restored = await rcluster.ok('restore', folder, seed, '--on-conflict', 'fail', '--verify', '--yes')
      expect(restored.stdout).toContain('Verified: 3 keys equal to the backup.')
    })

    test('needs a folder, and a whole cluster', async () => {
      expect(await run(['backup', seed, `${folder}/none`], {code: 1})).toContain('none is not a valid directory')
      await rawCommand(seed, ['CLUSTER', 'DELSLOTS', 5])
      const refused = await run(['backup', seed, folder], {code: 1})
      expect(refused).toContain('[ERR] Not all 16384 slots are covered by nodes.')
      expect(refused).not.toContain('[OK] Backup created')
    })
  })
})
