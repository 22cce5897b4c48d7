/** What makes a move impossible is found before the first slot is marked, all of it at once, and nothing is changed. */
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand, serverKinds, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

/** 1000 keys of 1000 bytes, all in slot 0. */
const KEYS = 1000
const BYTES = 1000

interface Refusal {
  readonly code: number | undefined
  readonly message: string
  readonly obstacles: readonly {readonly about: string; readonly message: string}[]
  readonly suggestions: readonly string[]
}

forEachEngine('before the first move', (kind) => {
  let servers: TestServers
  let [a, b, c, replica] = ['', '', '', '']

  beforeAll(async () => {
    servers = await startServers(kind, 4, {config: {'cluster-node-timeout': '2000'}})
    ;[a = '', b = '', c = '', replica = ''] = servers.addresses
    await rcluster.ok('create', a, b, c, '--yes')
    await rcluster.ok('add-node', replica, a, '--replica', '--primary', b)
    const values = Array.from({length: KEYS}, (_, n) => [`{06S}${n}`, 'x'.repeat(BYTES)]).flat()
    await rawCommand(a, ['MSET', ...values])
  })
  afterAll(async () => servers?.stop())

  const nobodyMoved = async (): Promise<void> => {
    for (const address of [a, b]) {
      expect(String(await rawCommand(address, ['CLUSTER', 'NODES']))).not.toMatch(/\[\d+-[<>]-/)
    }
    expect(await rawCommand(a, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])).toBe(KEYS)
  }
  const move = (more: readonly string[] = []): string[] => [
    ...['reshard', a, '--from', a, '--to', b, '--slots-list', '0-9', '--mover', 'migrate', '--yes', ...more],
  ]
  const refused = async (more: readonly string[] = []): Promise<Refusal> => {
    const {code, stdout} = await rcluster.run([...move(more), '--json'])
    await nobodyMoved()
    const {error} = JSON.parse(stdout) as {
      error: {message: string; details: {obstacles: Refusal['obstacles']}; suggestions: readonly string[]}
    }
    return {code, message: error?.message, obstacles: error?.details.obstacles, suggestions: error?.suggestions}
  }
  const set = (address: string, name: string, value: string): Promise<unknown> =>
    rawCommand(address, ['CONFIG', 'SET', name, value])
  const usedBytes = async (address: string): Promise<number> =>
    Number(/used_memory:(\d+)/.exec(String(await rawCommand(address, ['INFO', 'memory'])))?.[1])

  test('several obstacles are told at once, with every way out, by --dry-run too', async () => {
    await set(b, 'maxmemory', String((await usedBytes(b)) + 200_000))
    await rawCommand(b, ['ACL', 'SETUSER', 'default', '-cluster|setslot', '-restore-asking'])
    try {
      for (const more of [[], ['--dry-run']]) {
        const {code, message, obstacles, suggestions} = await refused(more)
        expect(code).toBe(3)
        expect(obstacles.map(({about}) => about).sort()).toEqual(['memory', 'rights'])
        expect(message).toContain(`user default may not CLUSTER SETSLOT, RESTORE-ASKING on ${b}`)
        expect(message).toMatch(
          new RegExp(`${b} has 0\\.[12] MB left under its maxmemory.*about 1\\.\\d MB would come`),
        )
        expect(suggestions.join('\n')).toContain('ACL SETUSER default +cluster|setslot +restore-asking')
        expect(suggestions.join('\n')).toMatch(/CONFIG SET maxmemory \d+mb/)
      }
      const {stdout, stderr} = await rcluster.run(move())
      expect(stdout).toContain('10 slots to move')
      expect(stderr.match(/^Error: 2 things stand in the way/gm)).toHaveLength(1)
    } finally {
      await set(b, 'maxmemory', '0')
      await rawCommand(b, ['ACL', 'SETUSER', 'default', '+@all'])
    }
  })

  test('a maxmemory that evicts is a warning, and the remedy that is named is enough', async () => {
    await set(b, 'maxmemory', String((await usedBytes(b)) + 200_000))
    const {suggestions} = await refused()
    const needed = /maxmemory (\d+)mb/.exec(suggestions.join('\n'))?.[1]
    await set(b, 'maxmemory-policy', 'allkeys-lru')
    try {
      const {stdout} = await rcluster.ok(...move(['--dry-run']))
      expect(stdout.replace(/\s+/g, ' ')).toMatch(/Warning: .*keys will be evicted there \(allkeys-lru\)/)
      await set(b, 'maxmemory-policy', 'noeviction')
      await set(b, 'maxmemory', `${needed}mb`)
      const again = await rcluster.ok(...move(['--dry-run']))
      expect(again.stdout).not.toContain('maxmemory')
    } finally {
      await set(b, 'maxmemory-policy', 'noeviction')
      await set(b, 'maxmemory', '0')
    }
  })

  test('min-replicas-to-write that is not met at the target', async () => {
    await set(b, 'min-replicas-to-write', '2')
    try {
      const {code, message, suggestions} = await refused()
      expect(`${code} ${message}`).toMatch(
        new RegExp(`^3 ${b} takes no writes: 1 of its replicas is up to date.*asks for 2`),
      )
      expect(suggestions.join('\n')).toContain('min-replicas-to-write 0')
    } finally {
      await set(b, 'min-replicas-to-write', '0')
    }
  })

  test('a frozen replica of the target: an obstacle where SETSLOT waits for it, elsewhere a warning', async () => {
    servers.signal(3, 'SIGSTOP')
    try {
      const {code, stdout} = await rcluster.run([...move(['--dry-run', '--command-timeout', '1s']), '--json'])
      const waits = kind.name === 'valkey-9.1' || kind.name === 'valkey-8.1'
      expect(`${code} ${stdout.replace(/\s+/g, ' ')}`).toMatch(
        waits
          ? new RegExp(`^3 .*the replica ${replica} of ${b} does not answer but is still attached`)
          : new RegExp(`^0 .*${replica} does not follow ${b} now`),
      )
      await nobodyMoved()
    } finally {
      servers.signal(3, 'SIGCONT')
    }
    await eventually('it follows again', async () =>
      /state=online.*lag=[01]\b/.test(String(await rawCommand(b, ['INFO', 'replication']))),
    )
  })
})

const kinds = new Map(serverKinds().map((kind) => [kind.name, kind]))
const [older, newer, valkey] = [kinds.get('redis-7.0'), kinds.get('redis-8.6'), kinds.get('valkey-9.1')]

test.skipIf(!older || !newer || !valkey)('values that a target does not understand stay, and others go', async () => {
  const groups = await Promise.all([older!, newer!, valkey!].map((kind) => startServers(kind, 1)))
  const [old = '', young = '', other = ''] = groups.map(({addresses: [address = '']}) => address)
  try {
    await rcluster.ok('create', old, young, other, '--yes')
    for (const address of [old, young, other]) {
      let isSet = false
      for (let n = 0; !isSet; n++)
        isSet = await rawCommand(address, ['SET', `key ${n}`, 'value']).then(
          () => true,
          () => false,
        )
    }
    const dryRun = async (from: string, to: string): Promise<string> => {
      const {code, stderr} = await rcluster.run([
        'reshard',
        from,
        to,
        '5461',
        '--seed',
        old,
        '--dry-run',
        '--mover',
        'migrate',
      ])
      return `${code} ${stderr}`
    }
    expect(await dryRun(old, young)).toMatch(/^0/)
    expect(await dryRun(young, old)).toMatch(
      /^3 Error: 127\S+ \(redis 7\.0\.\d+\) does not understand the values that .* sends \(RDB version 13, it writes 10\)/,
    )
    expect(await dryRun(young, other)).toMatch(/^3 .*RDB version 13, it writes 80/)
    expect(await dryRun(other, young)).toMatch(/^3 .*RDB version 80, it writes 13/)
    expect(await dryRun(old, other)).toMatch(/^0/)
  } finally {
    await Promise.all(groups.map((servers) => servers.stop()))
  }
})
