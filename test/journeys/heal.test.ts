/** Slots of a shard that is lost for good are given to others by a watch, and only where that is certain and allowed. */
import {afterAll, beforeAll, expect, test} from 'vitest'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import {digestDataSet, loadDataSet} from '../support/live-load.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const CONSENT = ['--max-slots', '4096', '--accept-data-loss', '--yes']

forEachEngine('heal', (kind) => {
  let servers: TestServers
  let [a, b, c, d, e] = ['', '', '', '', '']

  beforeAll(async () => {
    servers = await startServers(kind, 5, {config: {'cluster-node-timeout': '1500'}})
    ;[a = '', b = '', c = '', d = '', e = ''] = servers.addresses
    await rcluster.ok('create', a, b, c, d, '--yes')
    await rcluster.ok('add-node', e, a)
    await loadDataSet([a], {keys: 2000})
  })
  afterAll(() => servers?.stop())

  const areServing = async (...addresses: readonly string[]): Promise<boolean> => {
    const infos = await Promise.all(addresses.map((address) => rawCommand(address, ['CLUSTER', 'INFO'])))
    return infos.every((text) => String(text).includes('cluster_state:ok'))
  }
  const slotsAt = async (address: string): Promise<string> =>
    /myself,master - \S+ \S+ \S+ connected ?(.*)/.exec(String(await rawCommand(address, ['CLUSTER', 'NODES'])))?.[1] ??
    ''
  const flagsOf = async (address: string): Promise<string> => {
    const lines = String(await rawCommand(a, ['CLUSTER', 'NODES'])).split('\n')
    return lines.find((line) => line.includes(` ${address}@`))?.split(' ')[2] ?? ''
  }
  type Watch = ReturnType<typeof rcluster.start>
  const startWatch = (...words: readonly string[]): Watch => {
    const watch = rcluster.start(['heal', a, '--watch', '--interval', '200ms', ...CONSENT, ...words])
    texts.set(watch, '')
    for (const stream of [watch.child.stdout, watch.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => texts.set(watch, `${texts.get(watch)}${chunk}`))
    }
    return watch
  }
  const texts = new Map<Watch, string>()
  const said = (watch: Watch): string => texts.get(watch) ?? ''
  const endOf = async (watch: Watch): Promise<string> => {
    watch.child.kill('SIGTERM')
    const {code, stdout} = await watch.ended
    return `${code} ${stdout}`
  }
  const told = ({code, stderr}: RunResult): string => `${code} ${stderr}`

  test('takes nothing from a node that only we do not reach, and wants to be allowed what it does', async () => {
    expect((await rcluster.ok('heal', a, '--dry-run')).stdout).toContain('Nothing to heal')
    const apart = ['--address-map', `${b}=127.0.0.1:1`]
    expect(told(await rcluster.run(['heal', a, ...CONSENT, ...apart]))).toMatch(
      /^3 [\s\S]*does not answer us, and has not failed for/,
    )
    expect((await rcluster.run(['heal', a, '--watch', '--accept-data-loss', '--yes'])).code).toBe(2)
    expect((await rcluster.run(['heal', a, '--watch', '--max-slots', '4096', '--yes'])).code).toBe(2)
  })

  test('puts a spare node in the place of a lost one, once an hour, and ends when it is told to', async () => {
    const slots = await slotsAt(d)
    const [first = 0, last = 0] = slots.split('-').map(Number)
    const before = await digestDataSet([a])
    const isLost = (key: string): boolean => {
      const slot = keySlot(Buffer.from(key, 'latin1'))
      return slot >= first && slot <= last
    }
    const watch = startWatch('--grace', '2s', '--spare', e)
    await servers.kill(3)
    const killedAt = performance.now()
    await eventually('the spare node serves the slots', async () => (await slotsAt(e)) === slots, 30_000)
    expect(performance.now() - killedAt).toBeGreaterThan(2000)
    await eventually('all is served', () => areServing(a, b, c, e))
    const after = await digestDataSet([a])
    expect([...before.keys].filter(([key, digest]) => !isLost(key) && after.keys.get(key) !== digest)).toEqual([])
    expect([...after.keys.keys()].filter(isLost)).toEqual([])

    await eventually('it is told', async () => said(watch).includes('have new owners'))
    await servers.kill(2)
    await eventually('there is no other spare node', async () => said(watch).includes('no spare node is left'), 30_000)
    expect(await endOf(watch)).toMatch(/^0 [\s\S]*saved in \S+before-heal-[\s\S]*have new owners/)
    const second = startWatch('--grace', '1ms')
    await eventually('it counts the acts', async () => said(second).includes('--max-acts-per-hour'), 30_000)
    expect(await endOf(second)).not.toContain('have new owners')
    expect(await slotsAt(e)).toBe(slots)
  })

  test('acts once without a watch, and never by the word of a minority', async () => {
    const planned = await rcluster.ok('heal', a, '--dry-run', '--json')
    expect(JSON.parse(planned.stdout).result).toMatchObject({outcome: 'planned', lost: [{address: c}], doubts: []})
    expect(told(await rcluster.run(['heal', a, '--yes']))).toMatch(/^3 [\s\S]*--accept-data-loss only/)
    expect(told(await rcluster.run(['heal', a, '--max-slots', '100', '--accept-data-loss', '--yes']))).toMatch(
      /^3 [\s\S]*more than/,
    )
    await rcluster.ok('heal', a, ...CONSENT)
    await eventually('all is served', () => areServing(a, b, e))

    await Promise.all([servers.kill(1), servers.kill(4)])
    await eventually('they are suspected', async () =>
      (await Promise.all([b, e].map(flagsOf))).every((flags) => flags.includes('fail')),
    )
    expect(told(await rcluster.run(['heal', a, '--accept-data-loss', '--yes']))).toMatch(
      /^3 [\s\S]*nothing was changed/,
    )
  })
})
