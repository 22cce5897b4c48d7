/** Two operators on two machines: who is at work is seen, named, respected, and can be made to give way. */
import type {ChildProcess} from 'node:child_process'
import os from 'node:os'
import {setTimeout as sleep} from 'node:timers/promises'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type ClusterLock, findLockHolder, takeLock} from '../../src/lib/engine/cluster-lock.ts'
import type {ClusterPort} from '../../src/lib/engine/cluster-port.ts'
import {openClusterPort} from '../../src/lib/redis/connect.ts'
import {compareDigests, digestDataSet, loadDataSet} from '../support/live-load.ts'
import {openRcluster, type Rcluster} from '../support/rcluster.ts'
import {
  eventually,
  forEachEngine,
  rawCommand,
  splitAddress,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}
/** Slow enough that it is still at work when the other one comes. */
const slowly = (bandwidth: string): string[] => [
  ...['--mover', 'migrate', '--max-bandwidth', bandwidth, '--yes', '--progress', 'ndjson'],
]
const SLOWLY = slowly('300kb')

/** Resolves when `child` tells that it moves slots. */
async function untilMoving(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let told = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      told += chunk.toString()
      if (told.includes('keys-moved')) resolve()
    })
    child.on('close', () => reject(new Error(`it has ended: ${told}`)))
  })
}

/** Two that know nothing of each other but what the servers tell. */
const [here, there] = [openRcluster(), openRcluster()] as [Rcluster, Rcluster]
afterAll(() => {
  here.close()
  there.close()
})

forEachEngine('two operators', (kind) => {
  let servers: TestServers
  let before: Awaited<ReturnType<typeof digestDataSet>>
  let [a, b] = ['', '']
  let port: ClusterPort
  beforeAll(async () => {
    servers = await startServers(kind, 3, {config: {'cluster-node-timeout': '2000'}})
    ;[a = '', b = ''] = servers.addresses
    await here.ok('create', ...servers.addresses, '--yes')
    await loadDataSet(servers.addresses, {keys: 6000})
    before = await digestDataSet(servers.addresses)
    port = openClusterPort({connectTimeoutMs: 2000, commandTimeoutMs: 5000})
  })
  afterAll(async () => {
    port?.close()
    await servers?.stop()
  })

  const nodes = () => Promise.all(servers.addresses.map((address) => port.connect(splitAddress(address))))
  const lockByHand = async (): Promise<ClusterLock> =>
    takeLock(await nodes(), {
      owner: {user: 'eve', host: 'elsewhere', pid: 1, since: '2026-11-23T14:03:12Z', command: 'rcluster fix'},
      isTaking: false,
    })
  const ownName = `${os.userInfo().username}@${os.hostname()}`

  test('the second refuses and names the first, whose end by kill -9 makes it free at once', async () => {
    const {child, ended} = here.start(['reshard', a, b, '600', ...slowly('2kb')], {RCLUSTER_PASSWORD: 'sekret'})
    await untilMoving(child)
    const refused = await there.run(['set-timeout', a, '2000', '--yes'])
    expect(refused.code).toBe(3)
    expect(refused.stderr).toContain(`${ownName} (process ${child.pid}, since`)
    expect(refused.stderr).toContain(`rcluster reshard ${a} ${b} 600`)
    expect(refused.stderr).toContain('--take-lock')
    const asJson = await there.run(['rebalance', a, '--use-empty', '--yes', '--json'])
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      error: {code: 'E_REFUSED', details: {reason: 'busy', holder: {pid: child.pid, host: os.hostname()}}},
    })
    const inTheirWords = await there.run(['--cluster', 'set-timeout', a, '2000'])
    expect(inTheirWords).toMatchObject({code: 1, stderr: ''})
    expect(inTheirWords.stdout).toContain('--cluster-take-lock')
    const dry = await there.run(['set-timeout', a, '2000', '--dry-run'])
    expect(dry).toMatchObject({code: 0, stderr: expect.stringContaining(ownName)})
    const check = await there.run(['check', a])
    expect(check.stderr).toContain(`${ownName} (process ${child.pid}, since`)
    child.kill('SIGKILL')
    expect((await ended).code).toBeUndefined()
    await there.ok('set-timeout', a, '2000', '--yes')
    await here.ok('reshard', a, b, '600', '--yes')
    await here.ok('reshard', b, a, '600', '--yes')
    expect(compareDigests(before, await digestDataSet(servers.addresses))).toEqual(UNTOUCHED)
  })

  test('who takes the lock waits until the other has closed its slots, and that one says how to go on', async () => {
    const {child, ended} = here.start(['reshard', a, b, '600', ...SLOWLY])
    await untilMoving(child)
    const second = await there.run(['rebalance', a, '--take-lock', '--yes'])
    const first = await ended
    expect(second.stderr).toContain(`Taking the lock from ${ownName} (process ${child.pid}`)
    expect(second.code, second.stderr).toBe(0)
    expect(first.code).toBe(5)
    expect(first.stderr).toMatch(
      /Error: \S+ \(process \d+, since .*\)\s+has taken the lock: \d+ of 600 slots\s+moved, no slot is open/,
    )
    expect(first.stderr).toMatch(/rcluster reshard .* --slots-list \S+/)
    expect((await there.run(['check', a])).code).toBe(0)
    expect(await findLockHolder(await nodes())).toBeUndefined()
    expect(compareDigests(before, await digestDataSet(servers.addresses))).toEqual(UNTOUCHED)
  })

  test('a run that was suspended for longer than its lease stops when it finds another at work', async () => {
    const {child, ended} = here.start(['reshard', a, b, '600', ...SLOWLY], {RCLUSTER_LOCK_LEASE_MS: '3000'})
    await untilMoving(child)
    child.kill('SIGTSTP')
    child.kill('SIGSTOP')
    expect((await there.run(['set-timeout', a, '2000', '--yes'])).code).toBe(3)
    await eventually('its lease is over', async () => {
      const done = await there.run(['set-timeout', a, '2000', '--yes'])
      if (done.code === 0) expect(done.stderr).toContain('without a sign of life')
      return done.code === 0
    })
    const lock = await lockByHand()
    child.kill('SIGCONT')
    const {code, stderr} = await ended
    await lock.release()
    expect(code).toBe(5)
    expect(stderr).toContain('eve@elsewhere')
    expect(stderr).toMatch(/rcluster reshard .* --slots-list \S+/)
    await here.ok('fix', a, '--yes')
    await here.ok('rebalance', a, '--yes')
    expect(compareDigests(before, await digestDataSet(servers.addresses))).toEqual(UNTOUCHED)
  })

  test('a run that was suspended and is alone goes on', async () => {
    const {child, ended} = here.start(['reshard', a, b, '100', ...SLOWLY], {RCLUSTER_LOCK_LEASE_MS: '1500'})
    await untilMoving(child)
    child.kill('SIGSTOP')
    await sleep(2500)
    child.kill('SIGCONT')
    const {code, stderr} = await ended
    expect(code, stderr).toBe(0)
    await here.ok('reshard', b, a, '100', '--yes')
  })

  test('a user who may not see others is told so, and works', async () => {
    for (const address of servers.addresses) {
      const rules = ['on', '>sekret', '~*', '&*', '+@all', '-client|list', '-client|setname']
      await rawCommand(address, ['ACL', 'SETUSER', 'narrow', ...rules])
    }
    const login = {RCLUSTER_PASSWORD: 'sekret'}
    const args = ['reshard', a, b, '10', '--yes', '--user', 'narrow']
    const done = await here.run(args, {env: login})
    expect(done).toMatchObject({code: 0, stderr: expect.stringContaining('cannot be seen')})
    await here.ok('reshard', b, a, '10', '--yes')
  })
})
