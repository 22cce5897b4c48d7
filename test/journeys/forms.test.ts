/** The forms in which people name nodes and write commands, and what goes with passwords, functions and databases. */
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {
  anyKind,
  eventually,
  forEachEngine,
  forEachKind,
  rawCommand,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}

async function idOf(address: string): Promise<string> {
  return String(await rawCommand(address, ['CLUSTER', 'MYID']))
}

/** Without the replicas: one that has just joined becomes known in its own time. */
async function ownersAt(address: string): Promise<string[]> {
  const rows = (await rawCommand(address, ['CLUSTER', 'SLOTS'])) as [number, number, unknown][]
  return rows.map(([start, end, primary]) => `${start}-${end} ${String(primary)}`).sort()
}

async function slotCount(seed: string, address: string): Promise<number | undefined> {
  const {result} = JSON.parse((await rcluster.ok('info', seed, '--json')).stdout)
  const nodes: {address: string; slotCount: number}[] = result.nodes
  return nodes.find((node) => node.address === address)?.slotCount
}

describe('the forms of the tutorials', () => {
  let servers: TestServers
  let seeded: {env: NodeJS.ProcessEnv}
  beforeAll(async () => {
    servers = await startServers(anyKind(), 7)
    seeded = {env: {RCLUSTER_SEED: servers.addresses[0]}}
    return () => servers.stop()
  })

  test('work as written, one after another', async () => {
    const [a = '', b = '', c = '', d = '', e = '', f = ''] = servers.addresses
    const run = async (...args: string[]): Promise<string> => {
      const {code, stdout, stderr} = await rcluster.run(args, seeded)
      expect(`${code} ${stderr}`).toMatch(/^0/)
      return stdout
    }
    await run('create', '--nodes', a, b, c, '--yes')
    await run('add-nodes', d)
    await run('add-nodes', await idOf(a), e)
    await run('reshard', await idOf(a), await idOf(d), '100', '--yes')
    await run('reshard', b, e, '100', '--yes')
    expect(await run('info')).toContain(d)
    await run('reshard', a, '--from', 'all', '--to', c, '--slots', '10', '--yes')
    await run('reshard', '--from', `${d},${e}`, '--to', a, '--slots', '50', '--yes')
    const [host = '', port = ''] = a.split(':')
    expect(await run('check', host, port)).toContain('5 of 5 nodes answered')
    expect(await run('check', `localhost:${port}`)).toContain('5 of 5 nodes answered')
    expect(await run('info', `redis://${a}`)).toContain('5 nodes')
    await run('rebalance', a, '--cluster-threshold', '1', '--yes')
    await run('del-nodes', await idOf(d), '--drain', '--yes')
    await run('del-node', a, (await idOf(e)).slice(0, 10), '--drain', '--yes')
    await run('add-node', f, a, '--cluster-slave', '--cluster-master-id', await idOf(b))
    expect(await run('check')).toContain('4 of 4 nodes answered')
  })

  test('a second create with --if-missing finds its cluster, and a dry run changes nothing', async () => {
    const spare = servers.addresses[6] ?? ''
    await rcluster.ok('create', spare, '--if-missing', '--yes')
    const again = await rcluster.ok('create', spare, '--if-missing', '--yes', '--json')
    expect(JSON.parse(again.stdout).result.outcome).toBe('already-there')

    const [a = '', b = ''] = servers.addresses
    const before = await ownersAt(a)
    const plan = JSON.parse((await rcluster.ok('reshard', a, b, '7', '--dry-run', '--json')).stdout)
    expect(plan).toMatchObject({version: 1, ok: true, result: {outcome: 'planned'}})
    expect(plan.result.plan.moves).toHaveLength(7)
    await rcluster.ok('rebalance', a, '--weight', `${a}=3`, '--dry-run')
    await rcluster.ok('del-node', a, b, '--drain', '--dry-run')
    expect(await ownersAt(a)).toEqual(before)
  })
})

test('one primary makes a cluster, with a warning', async () => {
  const servers = await startServers(anyKind(), 2)
  try {
    const created = await rcluster.ok('create', ...servers.addresses, '--primaries', '1', '--yes')
    expect(`${created.stdout}${created.stderr}`).toMatch(/Warning: .*1 primary/)
    const check = await rcluster.run(['check', servers.addresses[0] ?? ''])
    expect(check.code).toBe(0)
  } finally {
    await servers.stop()
  }
})

test('add-node --rebalance gives the newcomers their share at once, and a second run what is missing', async () => {
  const servers = await startServers(anyKind(), 4)
  try {
    const [a = '', b = '', c = '', d = ''] = servers.addresses
    await rcluster.ok('create', a, b, c, '--yes')
    await loadDataSet([a, b, c], {keys: 5000})
    const before = await digestDataSet([a, b, c])
    await rcluster.ok('add-node', d, a, '--rebalance', '--yes')
    expect(await slotCount(a, d)).toBe(4096)
    // As a run that was cut off would have left it.
    await rcluster.ok('reshard', d, a, '3000', '--yes')
    expect(await rcluster.run(['add-node', d, a, '--yes'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('--if-missing'),
    })
    await rcluster.ok('add-node', d, a, '--if-missing', '--yes')
    await rcluster.ok('add-node', d, a, '--rebalance', '--yes')
    expect(await slotCount(a, d)).toBe(4096)
    expect(compareDigests(before, await digestDataSet(servers.addresses))).toEqual(UNTOUCHED)
  } finally {
    await servers.stop()
  }
})

forEachEngine('passwords and functions', (kind) => {
  test('travel along: nodes that want a login are created, joined, resharded and drained', async () => {
    const servers = await startServers(kind, 4, {config: {requirepass: 'open sesame', masterauth: 'open sesame'}})
    const login = {password: 'open sesame'}
    const env = {RCLUSTER_PASSWORD: 'open sesame'}
    const ok = async (...args: string[]): Promise<string> => {
      const {code, stdout, stderr} = await rcluster.run(args, {env})
      expect(`${code} ${stderr}`).toMatch(/^0/)
      expect(`${stdout}${stderr}`).not.toContain('sesame')
      return stdout
    }
    try {
      const [a = '', b = '', c = '', d = ''] = servers.addresses
      await ok('create', a, b, c, '--yes')
      const code = "#!lua name=mylib\nredis.register_function('one', function() return 1 end)"
      await rawCommand(a, ['FUNCTION', 'LOAD', code], login)
      for (let n = 0; n < 200; n++) await rawCommand(a, ['SET', `{06S}${n}`, 'value'], login)
      await ok('add-node', d, a)
      expect(JSON.stringify(await rawCommand(d, ['FUNCTION', 'LIST'], login))).toContain('mylib')
      await ok('reshard', a, '--from', a, '--to', d, '--slots-list', '0-9', '--yes')
      expect(await rawCommand(d, ['CLUSTER', 'COUNTKEYSINSLOT', '0'], login)).toBe(200)
      await ok('del-node', a, d, '--drain', '--yes')
      expect(await ok('check', a)).toContain('Healthy')
    } finally {
      await servers.stop()
    }
  })

  test('a user with the least rights is enough', async () => {
    const rights =
      '~* +ping +info +dbsize +client|info +migrate +select +restore-asking +memory|usage +type +dump +pttl +asking +del' +
      ' +cluster|myid +cluster|nodes +cluster|info +cluster|addslots +cluster|delslots +cluster|set-config-epoch' +
      ' +cluster|meet +cluster|replicate +cluster|setslot +cluster|countkeysinslot +cluster|getkeysinslot' +
      ' +cluster|forget +cluster|reset +cluster|bumpepoch +function|dump +function|list +function|restore'
    const servers = await startServers(kind, 4)
    const env = {RCLUSTER_PASSWORD: 'least'}
    try {
      const [a = '', b = '', c = '', d = ''] = servers.addresses
      for (const address of servers.addresses) {
        await rawCommand(address, ['ACL', 'SETUSER', 'op', 'on', '>least', ...rights.split(' ')])
      }
      const ok = async (...args: string[]): Promise<void> => {
        const {code, stderr} = await rcluster.run([...args, '--user', 'op'], {env})
        expect(`${code} ${stderr}`).toMatch(/^0/)
      }
      await ok('create', a, b, c, '--yes')
      for (let n = 0; n < 50; n++) await rawCommand(a, ['SET', `{06S}${n}`, 'value'])
      await ok('add-node', d, a)
      await ok('reshard', a, '--from', a, '--to', d, '--slots-list', '0-99', '--yes')
      await ok('del-node', a, d, '--drain', '--yes')
      await ok('check', a)
      await eventually('all 50 keys are there', async () => {
        const counts = await Promise.all([a, b, c].map((at) => rawCommand(at, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])))
        return counts.some((count) => count === 50)
      })
    } finally {
      await servers.stop()
    }
  })
})

// Only Valkey has more than one in a cluster, from 9 on.
forEachKind(
  'databases',
  (kind) => {
    test('move along, all of them', async () => {
      const databases = [0, 1, 3]
      const servers = await startServers(kind, 4, {config: {'cluster-databases': '4'}})
      try {
        const [a = '', b = '', c = '', d = ''] = servers.addresses
        await rcluster.ok('create', a, b, c, '--yes')
        const before = []
        for (const database of databases) {
          await loadDataSet([a, b, c], {keys: 3000, seed: database + 1, database})
          before.push({database, digest: await digestDataSet([a, b, c], database)})
        }
        await rcluster.ok('add-node', d, a)
        await rcluster.ok('reshard', a, d, '500', '--yes')
        await rcluster.ok('rebalance', a, '--use-empty', '--yes')
        await rcluster.ok('del-node', a, d, '--drain', '--yes')
        for (const {database, digest} of before) {
          expect(digest.keys.size).toBe(3000)
          expect(compareDigests(digest, await digestDataSet([a, b, c], database))).toEqual(UNTOUCHED)
        }
      } finally {
        await servers.stop()
      }
    })
  },
  ['valkey-9.1'],
)
