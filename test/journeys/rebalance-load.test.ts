/** Load that is evened out on real servers, while clients write: as even as it can be, for little more than the least. */
import {Redis} from 'ioredis'
import {afterAll, expect, test} from 'vitest'
import {keySlot, tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {compareDigests, digestDataSet, LIVE_PREFIX, randomNumbers, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachEngine, forEachKind, rawCommand, splitAddress} from '../support/servers.ts'
import {startWithShares} from '../support/uneven-cluster.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const THIRDS = ['0-5460', '5461-10922', '10923-16383']
const SETTING = 'cluster-slot-stats-enabled'

interface Key {
  readonly name: string
  readonly bytes: number
}

/** Most of what there is lies in the first third of the slots, and a few slots hold much. */
function skewedKeys(): Key[] {
  const random = randomNumbers(11)
  return Array.from({length: 3000}, (_, n) => {
    const slot = Math.floor(random() ** 3 * 16384)
    return {name: `{${tagForSlot(slot)}}${n}`, bytes: Math.floor(200 / (random() + 0.005))}
  })
}

async function eachOf<T>(
  addresses: readonly string[],
  work: (client: Redis, address: string) => Promise<T>,
): Promise<T[]> {
  const clients = addresses.map((address) => new Redis({...splitAddress(address), disableClientInfo: true}))
  try {
    return await Promise.all(clients.map((client, index) => work(client, addresses[index]!)))
  } finally {
    for (const client of clients) client.disconnect()
  }
}

async function fill(address: string, keys: readonly Key[]): Promise<void> {
  await eachOf([address], async (client) => {
    const pipeline = client.pipeline()
    for (const {name, bytes} of keys) pipeline.set(name, 'x'.repeat(bytes))
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
  })
}

/** Where each key lies, and how large it is: asked of every single one. */
async function weigh(addresses: readonly string[]): Promise<Map<string, {at: string; bytes: number}>> {
  const found = new Map<string, {at: string; bytes: number}>()
  await eachOf(addresses, async (client, at) => {
    const keys = (await client.keys('*')).filter((key) => !key.startsWith(LIVE_PREFIX))
    const pipeline = client.pipeline()
    for (const key of keys) pipeline.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
    for (const [index, [, bytes]] of ((await pipeline.exec()) ?? []).entries()) {
      if (typeof bytes === 'number') found.set(keys[index]!, {at, bytes})
    }
  })
  return found
}

function loadsAt(addresses: readonly string[], keys: ReadonlyMap<string, {at: string; bytes: number}>): number[] {
  return addresses.map((address) =>
    [...keys.values()].reduce((sum, {at, bytes}) => sum + (at === address ? bytes : 0), 0),
  )
}

forEachEngine('by memory', (kind) => {
  test('a skewed data set ends within 5 % of even, for at most 1.2 times the least, and no write is lost', async () => {
    const config: Record<string, string> = kind.name.startsWith('redis-8') ? {[SETTING]: 'yes'} : {}
    const {servers} = await startWithShares(kind, THIRDS, {config})
    try {
      const {addresses} = servers
      const ownerOf = (slot: number) => addresses[slot <= 5460 ? 0 : slot <= 10_922 ? 1 : 2]!
      const keys = skewedKeys()
      for (const address of addresses) {
        await fill(
          address,
          keys.filter(({name}) => ownerOf(keySlot(Buffer.from(name))) === address),
        )
      }
      const [before, digest] = [await weigh(addresses), await digestDataSet(addresses)]
      const even = loadsAt(addresses, before).reduce((sum, load) => sum + load, 0) / 3
      expect(Math.max(...loadsAt(addresses, before))).toBeGreaterThan(1.5 * even)

      const writer = await startWriter(addresses, {opsPerSecond: 200, keys: 500})
      const planned = await rcluster.run(['rebalance', addresses[0]!, '--by', 'memory', '--dry-run'])
      expect(planned.stdout).toMatch(/Off its share by \d+.*% at most now, and by \d\.\d% afterwards/s)
      expect(planned.stdout).toContain(kind.name.startsWith('redis-8') ? 'as the servers measure it' : 'estimated from')
      await rcluster.ok('rebalance', addresses[0]!, '--by', 'memory', '--yes')
      const told = await writer.stop()
      expect({lost: told.lost, errors: told.errors}).toEqual({lost: [], errors: []})
      expect(compareDigests(digest, await digestDataSet(addresses))).toEqual({
        missing: [],
        changed: [],
        added: [],
        duplicates: [],
      })

      const after = await weigh(addresses)
      for (const load of loadsAt(addresses, after)) expect(Math.abs(load / even - 1)).toBeLessThan(0.05)
      const least = loadsAt(addresses, before).reduce((sum, load) => sum + Math.max(0, load - even), 0)
      const moved = [...after].reduce((sum, [key, {at, bytes}]) => sum + (before.get(key)?.at === at ? 0 : bytes), 0)
      expect(moved).toBeLessThan(1.2 * least)
    } finally {
      await servers.stop()
    }
  })
})

forEachEngine('by cpu and network', (kind) => {
  test('is refused where nobody measures it, with the setting that is missing, and works where it is set', async () => {
    const {servers} = await startWithShares(kind, THIRDS)
    try {
      const [a = '', b = ''] = servers.addresses
      const by = kind.name.startsWith('redis') ? 'cpu' : 'network'
      const line = ['rebalance', a, '--by', by, '--over', '1s', '--yes']
      const refused = await rcluster.run(line)
      expect(refused.code).toBe(3)
      if (kind.name === 'redis-7.0') {
        expect(refused.stderr).toContain('have no CLUSTER SLOT-STATS')
        return
      }
      expect(refused.stderr).toContain(`${SETTING} is off on`)
      const [, command] = /rcluster (call .*)/.exec(refused.stderr) ?? []
      await rcluster.ok(...command!.trim().split(/\s+/))
      // Two slots of A get all the work: one of them has to go.
      const [one, other] = [`{${tagForSlot(10)}}`, `{${tagForSlot(20)}}`]
      let isDone = false
      const busy = (async () => {
        await eachOf([a], async (client) => {
          while (!isDone) await Promise.all([one, other].map((key) => client.get(key).catch(() => undefined)))
        })
      })()
      const moved = await rcluster.run(line)
      isDone = true
      await busy
      expect(moved.stderr + moved.stdout).toContain('Moved ')
      const owners = await Promise.all([10, 20].map(async (slot) => ownerOfSlot(b, slot)))
      expect(new Set(owners).size).toBe(2)
    } finally {
      await servers.stop()
    }
  })
})

async function ownerOfSlot(seed: string, slot: number): Promise<string> {
  const rows = (await eachOf([seed], (client) => client.call('CLUSTER', 'SLOTS')))[0] as [
    number,
    number,
    [string, number],
  ][]
  const row = rows.find(([start, end]) => slot >= start && slot <= end)
  return `${row?.[2][0]}:${row?.[2][1]}`
}

forEachKind(
  '--defragment',
  (kind) => {
    test('mends what check finds, while clients write', async () => {
      const stripes: string[][] = [[], [], []]
      for (let start = 0; start < 16384; start += 100) {
        stripes[(start / 100) % 3]!.push(`${start}-${Math.min(start + 99, 16383)}`)
      }
      const {servers} = await startWithShares(
        kind,
        stripes.map((own) => own.join(',')),
      )
      try {
        const {addresses} = servers
        const [a = ''] = addresses
        const writer = await startWriter(addresses, {opsPerSecond: 200, keys: 1000})
        const found = await rcluster.run(['check', a, '--rule', 'fragmented-slots'])
        const [, command] = /rcluster (rebalance .*--defragment)/.exec(found.stdout) ?? []
        const tidied = await rcluster.ok(...command!.split(' '), '--yes')
        expect(tidied.stdout).toMatch(/The slots lie in 16[0-9] ranges now/)
        const told = await writer.stop()
        expect({lost: told.lost, errors: told.errors}).toEqual({lost: [], errors: []})
        expect((await rcluster.ok('check', a, '--rule', 'fragmented-slots')).stdout).not.toContain('--defragment')
        const again = await rcluster.ok('rebalance', a, '--defragment', '--yes')
        expect(again.stdout).toContain('Nothing to do')
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

forEachKind(
  'a plan by memory',
  (kind) => {
    test('is saved, applied, cut off and gone on with, and tells what is left', async () => {
      const {servers} = await startWithShares(kind, THIRDS)
      try {
        const {addresses} = servers
        const [a = ''] = addresses
        const keys = Array.from({length: 400}, (_, n) => ({name: `{${tagForSlot(n)}}`, bytes: 20_000}))
        await fill(a, [...keys, {name: `{${tagForSlot(5000)}}hot`, bytes: 12_000_000}])
        const file = `${servers.folder(0)}/plan.json`
        const saved = await rcluster.ok('rebalance', a, '--by', 'memory', '--max-bytes', '4mb', '--out', file)
        expect(saved.stdout).toContain('Slot 5000 alone bears')
        expect(saved.stdout).toContain('rcluster explain slot 5000')
        expect(saved.stdout).toContain('Without --max-bytes more would move.')
        const {child, ended} = rcluster.start(['apply', file, '--yes', '--max-bandwidth', '1mb'])
        while (
          Number(await rawCommand(addresses[1]!, ['DBSIZE'])) + Number(await rawCommand(addresses[2]!, ['DBSIZE'])) <
          40
        ) {
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        child.kill('SIGKILL')
        await ended
        const rest = await rcluster.ok('apply', file, '--yes')
        expect(rest.stdout).toMatch(/Off its share by/)
        const {plan} = JSON.parse(
          (await rcluster.ok('rebalance', a, '--by', 'memory', '--dry-run', '--json')).stdout,
        ).result
        expect(plan.load.hotSlots).toMatchObject([{slot: 5000}])
        const all = await weigh(addresses)
        expect(all.size).toBe(401)
        const arrived = [...all.values()].filter(({at}) => at !== a).reduce((sum, {bytes}) => sum + bytes, 0)
        expect(arrived).toBeGreaterThan(3.5 * 2 ** 20)
        expect(arrived).toBeLessThanOrEqual(4 * 2 ** 20)
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0'],
)
