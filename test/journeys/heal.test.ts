/** Slots of a shard that is lost for good are given to others by a watch, and only where that is certain and allowed. */
import {afterAll, beforeAll, expect, test} from 'vitest'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import {digestDataSet, loadDataSet} from '../support/live-load.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const CONSENT = ['--max-slots', '4096', '--accept-data-loss', '--yes']

forEachKind(
  'heal',
  (kind) => {
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

    const stateAt = async (address: string): Promise<string> =>
      /cluster_state:(\w+)/.exec(String(await rawCommand(address, ['CLUSTER', 'INFO'])))?.[1] ?? ''
    const slotsAt = async (address: string): Promise<string> =>
      /myself,master - \S+ \S+ \S+ connected ?(.*)/.exec(
        String(await rawCommand(address, ['CLUSTER', 'NODES'])),
      )?.[1] ?? ''
    const flagsOf = async (address: string): Promise<string> => {
      const lines = String(await rawCommand(a, ['CLUSTER', 'NODES'])).split('\n')
      return lines.find((line) => line.includes(` ${address}@`))?.split(' ')[2] ?? ''
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
      const watch = rcluster.start([
        ...['heal', a, '--watch', '--grace', '2s', '--interval', '200ms', '--spare', e, ...CONSENT],
      ])
      await servers.kill(3)
      const killedAt = performance.now()
      await eventually('the spare node serves the slots', async () => (await slotsAt(e)) === slots, 30_000)
      expect(performance.now() - killedAt).toBeGreaterThan(2000)
      await eventually('all is served', async () => (await stateAt(a)) === 'ok')
      const after = await digestDataSet([a])
      expect([...before.keys].filter(([key, digest]) => !isLost(key) && after.keys.get(key) !== digest)).toEqual([])
      expect([...after.keys.keys()].filter(isLost)).toEqual([])

      await servers.kill(2)
      await eventually('it has failed', async () => /fail(?!\?)/.test(await flagsOf(c)))
      await new Promise((resolve) => setTimeout(resolve, 3000))
      expect(await stateAt(a)).toBe('fail')
      watch.child.kill('SIGTERM')
      const {code, stdout, stderr} = await watch.ended
      expect(code).toBe(0)
      expect(stdout).toContain('have new owners')
      expect(stdout).toMatch(/saved in \S+before-heal-/)
      expect(stderr).toMatch(/not acting: (1 act in an hour|no spare node is left)/)
    })

    test('acts once without a watch, and never by the word of a minority', async () => {
      const planned = await rcluster.ok('heal', a, '--dry-run', '--json')
      expect(JSON.parse(planned.stdout).result).toMatchObject({outcome: 'planned', lost: [{address: c}], doubts: []})
      expect(told(await rcluster.run(['heal', a, '--yes']))).toMatch(/^3 [\s\S]*--accept-data-loss only/)
      expect(told(await rcluster.run(['heal', a, ...CONSENT, '--max-slots', '100']))).toMatch(/^3 [\s\S]*more than/)
      await rcluster.ok('heal', a, ...CONSENT)
      await eventually('all is served', async () => (await stateAt(a)) === 'ok')

      await Promise.all([servers.kill(1), servers.kill(4)])
      await eventually('they are suspected', async () =>
        (await Promise.all([b, e].map(flagsOf))).every((flags) => flags.includes('fail')),
      )
      expect(told(await rcluster.run(['heal', a, '--accept-data-loss', '--yes']))).toMatch(
        /^3 [\s\S]*nothing was changed/,
      )
    })
  },
  ['redis-8.6'],
)
