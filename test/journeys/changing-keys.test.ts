/** Keys that clients write, delete and let expire while their slot moves, and keys that are too big for one breath. */
import {Cluster, Redis} from 'ioredis'
import {afterAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {openRcluster} from '../support/rcluster.ts'
import {anyKind, eventually, forEachKind, rawCommand, splitAddress, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const SLOTS = 100
const LANES = 8
const LIFE_MS = 40

/** One client's keys: nobody else writes them, so what must be there in the end is known. */
async function runLane(cluster: Cluster, lane: number, isStopping: () => boolean): Promise<() => Promise<string[]>> {
  const strings = new Map<string, string | null>()
  const counts = new Map<string, number>()
  const lists = new Map<string, string[]>()
  const briefs = new Set<string>()
  for (let turn = 0; !isStopping(); turn++) {
    const at = (turn * 7 + lane) % SLOTS
    const name = `{${tagForSlot(at)}}:${lane}`
    const value = `${lane}:${turn}`
    await cluster.set(`${name}:string`, value)
    strings.set(`${name}:string`, value)
    await cluster.set(`${name}:brief`, value, 'PX', LIFE_MS)
    briefs.add(`${name}:brief`)
    counts.set(`${name}:count`, await cluster.incr(`${name}:count`))
    await cluster.rpush(`${name}:list`, value)
    lists.set(`${name}:list`, [...(lists.get(`${name}:list`) ?? []), value])
    if (turn % 3 === 0) {
      await cluster.del(`${name}:string`)
      strings.set(`${name}:string`, null)
    }
  }
  return async () => {
    const wrong: string[] = []
    const compare = (key: string, is: unknown, wanted: unknown): void => {
      if (JSON.stringify(is) !== JSON.stringify(wanted)) wrong.push(`${key}: ${JSON.stringify([is, wanted])}`)
    }
    for (const [key, wanted] of strings) compare(key, await cluster.get(key), wanted)
    for (const [key, wanted] of counts) compare(key, Number(await cluster.get(key)), wanted)
    for (const [key, wanted] of lists) compare(key, await cluster.lrange(key, 0, -1), wanted)
    for (const key of briefs) compare(key, await cluster.exists(key), 0)
    return wrong
  }
}

forEachKind('keys that change while their slot moves', (kind) => {
  test('are in the end as the last client left them', async () => {
    const servers = await startServers(kind, 3)
    const cluster = new Cluster(servers.addresses.map(splitAddress), {retryDelayOnClusterDown: 0})
    cluster.on('error', () => {})
    try {
      const [a = '', b = ''] = servers.addresses
      await rcluster.ok('create', ...servers.addresses, '--yes')
      const ballast = new Redis({...splitAddress(a), protocol: 2})
      const pipeline = ballast.pipeline()
      for (let n = 0; n < SLOTS * 200; n++) pipeline.set(`{${tagForSlot(n % SLOTS)}}:ballast:${n}`, 'x'.repeat(200))
      await pipeline.exec()
      ballast.disconnect()

      let isStopping = false
      const working = Promise.all(Array.from({length: LANES}, (_, lane) => runLane(cluster, lane, () => isStopping)))
      // An error of a client is the failure of the test; it is looked at when the moves are done.
      working.catch(() => {})
      for (const [from, to] of [
        [a, b],
        [b, a],
        [a, b],
        [b, a],
      ]) {
        await rcluster.ok('reshard', a, '--from', from!, '--to', to!, '--slots-list', `0-${SLOTS - 1}`, '--yes')
      }
      isStopping = true
      const lanes = await working
      await new Promise((resolve) => setTimeout(resolve, 2 * LIFE_MS))
      const wrong = await Promise.all(lanes.map((verify) => verify()))
      expect(wrong.flat()).toEqual([])
      for (const other of servers.addresses.slice(1)) {
        await eventually(`${other} holds nothing of slot 0`, async () => {
          return (await rawCommand(other, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])) === 0
        })
      }
      expect((await rcluster.run(['check', a])).code).toBe(0)
    } finally {
      cluster.disconnect()
      await servers.stop()
    }
  })
})

test('a string of 50 MB and a hash of a million fields travel whole', async () => {
  // Such a key silences its node for seconds, on a busy machine for longer than the usual time-out of these tests.
  const servers = await startServers(anyKind(), 3, {config: {'cluster-node-timeout': '60000'}})
  const [a = '', b = ''] = servers.addresses
  const client = new Redis({...splitAddress(a), protocol: 2, lazyConnect: true})
  try {
    await rcluster.ok('create', ...servers.addresses, '--yes')
    const tag = `{${tagForSlot(0)}}`
    await client.call('SETRANGE', `${tag}string`, 50 * 2 ** 20 - 5, 'the end')
    for (let chunk = 0; chunk < 100; chunk++) {
      const fields = Array.from({length: 10_000}, (_, n) => [`field:${chunk}:${n}`, `value ${n}`])
      await client.hset(`${tag}hash`, ...fields.flat())
    }
    const digestsOn = (address: string): Promise<unknown> =>
      rawCommand(address, ['DEBUG', 'DIGEST-VALUE', `${tag}string`, `${tag}hash`], {timeoutMs: 30_000})
    const before = await digestsOn(a)
    const moved = await rcluster.ok('reshard', a, '--from', a, '--to', b, '--slots-list', '0', '--yes')
    expect(moved.stdout).toContain('Moved 1 slot with 2 keys')
    expect(await digestsOn(b)).toEqual(before)
    expect(await rawCommand(b, ['HLEN', `${tag}hash`])).toBe(1_000_000)
    expect(await rawCommand(a, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])).toBe(0)
    expect((await rcluster.run(['check', a])).code).toBe(0)
  } finally {
    client.disconnect()
    await servers.stop()
  }
})
