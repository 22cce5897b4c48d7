/** Half of the primaries leave in one run, under live writes, cut short twice: who stays, follows whom, with what settings? */
import {afterAll, beforeAll, expect, test} from 'vitest'
import {FaultScene} from '../support/fault-scene.ts'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const SETTINGS = ['cluster-allow-replica-migration', 'repl-diskless-sync-delay', 'cluster-node-timeout']
const SLOWLY = ['--mover', 'migrate', '--max-bandwidth', '60kb']

forEachEngine('six primaries become three', (kind) => {
  let scene: FaultScene
  let before: string[]
  const settings = (): Promise<string[]> =>
    Promise.all(
      scene.servers.addresses.map(async (address) =>
        JSON.stringify(await rawCommand(address, ['CONFIG', 'GET', ...SETTINGS])),
      ),
    )
  const primaries = [0, 1, 2, 3, 4, 5]
  const leaving = (): string[] => [3, 4, 5].map((index) => scene.at(index))
  /** "primary" or the address that it follows. */
  async function roleOf(address: string): Promise<string> {
    const text = String(await rawCommand(address, ['INFO', 'replication']))
    const [, host, port] = /master_host:(\S+)\s+master_port:(\d+)/.exec(text) ?? []
    return text.includes('role:master') ? 'primary' : `${host}:${port}`
  }
  const drain = (): string[] => ['del-node', scene.at(0), ...leaving(), '--drain', '--yes']

  beforeAll(async () => {
    scene = await FaultScene.open(kind, rcluster, {primaries: 6, replicas: 1, keys: 4000, config: {appendonly: 'no'}})
    // One that somebody has set for good stays as it is.
    await rawCommand(scene.at(1), ['CONFIG', 'SET', 'cluster-allow-replica-migration', 'no'])
    before = await settings()
  })
  afterAll(() => scene?.close())

  test('a node that is no member is refused, and nothing is changed', async () => {
    const {code} = await scene.run('del-node', scene.at(0), scene.at(3), 'f'.repeat(40), '--drain', '--yes')
    expect(code).toBe(2)
    expect(await settings()).toEqual(before)
  })

  test.each([
    ['the first signal', ['SIGINT']],
    ['the second signal', ['SIGINT', 'SIGTERM']],
    ['the end of its time', []],
  ] as const)('%s leaves everybody in place, with the settings of before', async (_, signals) => {
    const run = scene.start(...drain(), ...SLOWLY, ...(signals.length === 0 ? ['--timeout', '2s'] : []))
    await run.until('slots-moved', 3)
    for (const signal of signals) {
      run.child.kill(signal)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    const {code, stderr} = await run.ended
    expect([5, 130], stderr).toContain(code)
    expect(await settings()).toEqual(before)
    for (const index of primaries) expect(await roleOf(scene.at(index))).toBe('primary')
  })

  test('kill -9 leaves a setting behind, which the next run puts back', async () => {
    const run = scene.start(...drain(), ...SLOWLY)
    await run.until('slots-moved', 3)
    run.child.kill('SIGKILL')
    await run.ended
    expect(await settings()).not.toEqual(before)
  })

  test('the same command goes on: all three leave, their replicas stay and follow those who stay', async () => {
    const homes = await Promise.all(primaries.map((index) => roleOf(scene.at(6 + index))))
    const lost = scene.at(4)
    const index = scene.indexOf(lost)
    // One of them freezes on the way, for less than the others take to notice.
    const run = scene.start(...drain())
    await run.until('slots-moved', 1)
    scene.servers.signal(index, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 600))
    scene.servers.signal(index, 'SIGCONT')
    const {code, stdout, stderr} = await run.ended
    expect(code, stderr).toBe(0)
    expect(stdout).toContain('Removed')

    const staying = [0, 1, 2].map((one) => scene.at(one))
    for (const address of staying) expect(await roleOf(address)).toBe('primary')
    for (const [place, home] of homes.entries()) {
      const replica = scene.at(6 + place)
      if (staying.includes(home)) expect(await roleOf(replica)).toBe(home)
      else expect(staying).toContain(await roleOf(replica))
    }
    const perPrimary = await Promise.all(staying.map((address) => rawCommand(address, ['INFO', 'replication'])))
    for (const text of perPrimary) expect(String(text)).toContain('connected_slaves:2')
    for (const address of leaving()) {
      expect(
        String(await rawCommand(address, ['CLUSTER', 'NODES']))
          .trim()
          .split('\n'),
      ).toHaveLength(1)
    }
    expect(await settings()).toEqual(before)
    await eventually('healthy', async () => (await scene.run('check', scene.at(0))).code === 0)
    await scene.expectWhole()
  })
})
