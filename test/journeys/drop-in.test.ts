/** redis-cli and valkey-cli, word for word: the lines that scripts wait for, where they wait for them, and exit codes. */
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {pictureOf} from '../support/cluster-picture.ts'
import {openRcluster, type RunOptions, type RunResult} from '../support/rcluster.ts'
import {anyKind, forEachFamily, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

/** One that looks like a flag of ours. */
const PASSWORD = '--yes open sesame'
const YES = ['--cluster-yes', '--cluster']
const FUNCTION = "#!lua name=mylib\nredis.register_function('one', function() return \"it's one\" end)"

/** Ends with `code`, and with nothing on stderr unless `stderr` is given. */
async function run(
  args: readonly string[],
  {code = 0, stderr = '', ...options}: RunOptions & {code?: number; stderr?: string | RegExp} = {},
): Promise<string> {
  const result: RunResult = await rcluster.run(args, options)
  expect(`${result.code}\n${result.stderr}\n${result.stdout.slice(-2000)}`).toMatch(new RegExp(`^${code}\n`))
  if (stderr instanceof RegExp) expect(result.stderr).toMatch(stderr)
  else expect(result.stderr).toBe(stderr)
  return result.stdout
}

async function idOf(address: string): Promise<string> {
  return String(await rawCommand(address, ['CLUSTER', 'MYID']))
}

async function knownNodes(address: string): Promise<number> {
  return Number(/cluster_known_nodes:(\d+)/.exec(String(await rawCommand(address, ['CLUSTER', 'INFO'])))?.[1])
}

forEachFamily('the life of a cluster in the form of redis-cli', (kind) => {
  let servers: TestServers
  let [a, b, c, d, e, f] = ['', '', '', '', '', '']
  beforeAll(async () => {
    servers = await startServers(kind, 6)
    ;[a = '', b = '', c = '', d = '', e = '', f = ''] = servers.addresses
    return () => servers.stop()
  })

  test('create asks, and a yes without newline on an open pipe is enough', async () => {
    const stdout = await run(['--cluster', 'create', a, b, c], {input: 'yes', isInputOpen: true})
    expect(stdout).toContain('>>> Performing hash slots allocation on 3 node')
    expect(stdout).toContain("Can I set the above configuration? (type 'yes' to accept): ")
    expect(stdout).toContain('[OK] All nodes agree about slots configuration.')
    expect(stdout).toContain('[OK] All 16384 slots covered.')
    for (const [address, slots] of [
      [a, '0-5460'],
      [b, '5461-10922'],
      [c, '10923-16383'],
    ]) {
      expect(stdout).toMatch(new RegExp(`M: [0-9a-f]{40} ${address}\n   slots:\\[${slots}\\] `))
    }
    const [first] = await pictureOf([a, b, c])
    expect(first).toEqual({
      role: 'primary',
      slots: '0-5460',
      epoch: 1,
      follows: undefined,
      keys: 0,
      knows: [0, 1, 2],
      open: 0,
      nodeTimeoutMs: 5000,
    })
  })

  test('a new primary gets the functions of the cluster, and joins only without any of its own', async () => {
    // One argument, with newlines and quotes.
    expect(await run([...YES, 'call', a, 'FUNCTION', 'LOAD', FUNCTION])).toContain(`${c}: mylib\n`)
    const stdout = await run([...YES, 'add-node', d, a])
    expect(stdout).toContain('[OK] New node added correctly.')
    expect(JSON.stringify(await rawCommand(d, ['FUNCTION', 'LIST']))).toContain('mylib')
    expect(await knownNodes(d)).toBe(4)

    await rawCommand(e, ['FUNCTION', 'LOAD', FUNCTION])
    const refused = await run([...YES, 'add-node', e, a], {code: 1})
    expect(refused).toContain(
      '>>> New node already contains functions and can not be added to the cluster. Use FUNCTION FLUSH and try again.',
    )
    expect(await knownNodes(e)).toBe(1)
  })

  test('a new replica follows whom it should', async () => {
    await rawCommand(e, ['FUNCTION', 'FLUSH'])
    const primary = await idOf(b)
    const stdout = await run(['--cluster', 'add-node', e, a, '--cluster-slave', '--cluster-master-id', primary])
    expect(stdout).toContain(`>>> Configure node as replica of ${b}.`)
    const chosen = await run(['--cluster', 'add-node', f, a, '--cluster-replica'])
    expect(chosen).toMatch(/Automatically selected (master|primary) /)
    const picture = await pictureOf([a, b, c, d, e, f])
    expect(picture.map(({role}) => role)).toEqual([...Array(4).fill('primary'), 'replica', 'replica'])
    expect(picture[4]?.follows).toBe(1)
    expect(picture[5]?.follows).not.toBe(1)
    const unknown = await run(['--cluster', 'add-node', f, a, '--cluster-slave', '--cluster-master-id', 'f00'], {
      code: 1,
    })
    expect(unknown).toMatch(/\[ERR\] No such (master|primary) ID f00/)
  })

  test('check and info are what redis-cli prints', async () => {
    const [host = '', port = ''] = a.split(':')
    const check = await run(['--cluster', 'check', host, port])
    expect(check).toContain('[OK] All nodes agree about slots configuration.')
    expect(check).toContain('[OK] All 16384 slots covered.')
    expect(await run(['-p', port, '--cluster', 'check', `${a}@17000`])).toBe(check)
    expect(check.startsWith(await run(['--cluster', 'info', a]))).toBe(true)
    const search = ['--cluster', 'check', a, '--cluster-search-multiple-owners']
    expect(await run(search)).toContain('[OK] No multiple owners found.')
    await rawCommand(a, ['CLUSTER', 'SETSLOT', '7', 'MIGRATING', await idOf(b)])
    const open = await run(['--cluster', 'check', a], {code: 1})
    expect(open).toContain(`[WARNING] Node ${a} has slots in migrating state 7.`)
    expect(open).toContain('[WARNING] The following slots are open: 7.')
    expect(await run([...YES, 'add-node', f, a], {code: 1})).toContain('*** Please fix your cluster problems')
    await rawCommand(a, ['CLUSTER', 'SETSLOT', '7', 'STABLE'])
  })

  test('what is in use is not created or added again, what has slots is not removed', async () => {
    const why =
      'Either the node already knows other nodes (check with CLUSTER NODES) or contains some key in database 0.'
    expect(await run([...YES, 'create', a, b, c], {code: 1})).toContain(`[ERR] Node ${a} is not empty. ${why}`)
    expect(await run([...YES, 'add-node', b, a], {code: 1})).toContain(`[ERR] Node ${b} is not empty. ${why}`)
    const full = await run(['--cluster', 'del-node', a, await idOf(b)], {code: 1})
    expect(full).toContain(`[ERR] Node ${b} is not empty! Reshard data away and try again.`)
    expect(await run(['--cluster', 'del-node', a, 'f00'], {code: 1})).toContain('[ERR] No such node ID f00')
  })

  test('call and set-timeout reach every node, and fail when one does', async () => {
    const bytes = Buffer.from([0x61, 0x0a, 0x22, 0x27, 0x20])
    const echoed = await run(['-x', '--cluster', 'call', a, 'ECHO'], {input: bytes})
    for (const address of [a, b, c, d, e, f]) expect(echoed).toContain(`${address}: ${bytes}\n`)
    const replicas = await run(['--cluster', 'call', a, 'PING', '--cluster-only-replicas'])
    expect(replicas.split('\n').filter((line) => line.endsWith(': PONG'))).toHaveLength(2)
    expect(await run(['--cluster', 'call', a, 'SET', '{06S}', 'v'], {code: 1})).toContain(`${a}: OK\n`)
    expect(await run(['--cluster', 'set-timeout', a, '4321'])).toContain('>>> New node timeout set. 6 OK, 0 ERR.')
    expect(await rawCommand(f, ['CONFIG', 'GET', 'cluster-node-timeout'])).toEqual(['cluster-node-timeout', '4321'])
    await run(['--cluster', 'set-timeout', a, '99'], {code: 1, stderr: /less than 100 milliseconds is a bad idea/})
  })

  test('nodes are removed, alive or dead', async () => {
    const empty = await idOf(d)
    const stdout = await run(['--cluster', 'del-node', a, empty.toUpperCase()])
    expect(stdout).toContain('>>> Sending CLUSTER FORGET messages to the cluster...')
    expect(stdout).toContain('>>> Sending CLUSTER RESET SOFT to the deleted node.')
    expect(stdout).toMatch(/\[OK\] Node \S+ removed from the cluster\./)
    expect(await knownNodes(d)).toBe(1)

    const replica = await idOf(e)
    await servers.kill(4)
    const refused = new RegExp(`^Could not connect to Redis at ${e}: Connection refused\n$`)
    expect(await run(['--cluster', 'check', a], {code: 1, stderr: refused})).toMatch(/\[ERR\] .*cannot be reached/)
    const dead = await run(['--cluster', 'del-node', a, replica], {stderr: refused})
    expect(dead).toContain('unable to send CLUSTER RESET')
    expect(dead).toContain(`[OK] Node ${replica} removed from the cluster.`)
    expect(await knownNodes(a)).toBe(4)
    await run(['--cluster', 'check', a])
  })
})

describe('questions', () => {
  let servers: TestServers
  beforeEach(async () => {
    servers = await startServers(anyKind(), 2)
  })
  afterEach(() => servers.stop())

  test('of which there are two below three primaries end the command without a yes', async () => {
    const create = ['--cluster', 'create', ...servers.addresses]
    const first =
      "cluster requires at least 3 master nodes for automatic failover. Are you sure? (type 'yes' to accept): "
    for (const input of [undefined, '', 'no\n', 'yes\nno\n', 'yes\n']) {
      const stdout = await run(create, {code: 1, ...(input === undefined ? {} : {input})})
      expect(stdout).toContain(first.replace('master', anyKind().family === 'valkey' ? 'primary' : 'master'))
      expect(stdout.includes('Can I set the above configuration?')).toBe(input?.startsWith('yes') ?? false)
    }
    expect(await knownNodes(servers.addresses[0] ?? '')).toBe(1)
    await run(create, {input: 'yes\nyes\n'})
    expect((await pictureOf(servers.addresses)).map(({slots, epoch}) => `${slots} ${epoch}`)).toEqual([
      '0-8191 1',
      '8192-16383 2',
    ])
  })

  test('are answered by the environment, exactly 1', async () => {
    const create = ['--cluster', 'create', ...servers.addresses]
    await run(create, {code: 1, env: {REDISCLI_CLUSTER_YES: 'yes'}})
    await run(create, {env: {REDISCLI_CLUSTER_YES: '1'}})
  })
})

describe('addresses and logins', () => {
  test('localhost and bus ports of their own', async () => {
    const servers = await startServers(anyKind(), 5, {config: {'cluster-port': 'PORT+11000'}})
    try {
      const [a = '', b = '', c = '', d = '', e = ''] = servers.addresses.map((one) =>
        one.replace('127.0.0.1', 'localhost'),
      )
      await run([...YES, 'create', a, b, c])
      await run([...YES, 'add-node', d, a])
      await run([...YES, 'add-node', e, a, '--cluster-slave'])
      expect(await run(['--cluster', 'check', b])).toContain('[OK] All nodes agree about slots configuration.')
      expect((await pictureOf(servers.addresses)).map(({knows}) => knows.length)).toEqual([5, 5, 5, 5, 5])
    } finally {
      await servers.stop()
    }
  })

  test('a password comes by option, environment, URL or stdin, and shows nowhere', async () => {
    const servers = await startServers(anyKind(), 3, {config: {requirepass: PASSWORD, masterauth: PASSWORD}})
    try {
      const [a = ''] = servers.addresses
      const ok = async (args: readonly string[], options: RunOptions = {}): Promise<void> => {
        expect(await run(args, options)).not.toContain('sesame')
      }
      await ok(['-a', PASSWORD, ...YES, 'create', ...servers.addresses])
      await ok(['--cluster', 'check', a, '--no-auth-warning', '--pass', PASSWORD])
      await ok(['--cluster', 'check', a], {env: {REDISCLI_AUTH: PASSWORD}})
      await ok(['--user', 'default', '--cluster', 'check', a], {env: {VALKEYCLI_AUTH: PASSWORD}})
      await ok(['--askpass', '--cluster', 'info', a], {input: `${PASSWORD}\n`})
      await ok(['-u', `redis://default:${encodeURIComponent(PASSWORD)}@${a}`, '--cluster', 'info'])
      const refused = await rcluster.run(['-a', '-awrong sesame', '--cluster', 'check', a])
      expect(refused.code).toBe(1)
      expect(`${refused.stdout}${refused.stderr}`).toMatch(/\[ERR\] .*WRONGPASS/)
      expect(`${refused.stdout}${refused.stderr}`).not.toContain('sesame')
    } finally {
      await servers.stop()
    }
  })

  test('words that make no sense are told on stderr, with exit code 1, and help with 0', async () => {
    const stderr = /Wrong number of arguments for specified --cluster sub command/
    expect(await run(['--cluster', 'add-node', 'a:1'], {code: 1, stderr})).toBe('')
    await run(['--cluster', 'nonsense'], {code: 1, stderr: /Unknown --cluster subcommand/})
    await run(['--cluster', 'check', 'a:1', '--cluster-slots', 'abc'], {code: 1, stderr: /--cluster-slots .*"abc"/})
    expect(await run(['--cluster', 'help'])).toContain('Cluster Manager Commands:')
  })
})
