/** What a run that was cut off leaves behind, and how the next one goes on. */
import {setTimeout as sleep} from 'node:timers/promises'
import {afterAll, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {forEachKind, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}
const ROUNDS = 20
const SLOTS = 400

/** Park and Miller's generator: the same moments in every run. */
function moments(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

async function slotsOf(address: string): Promise<number> {
  const nodes = String(await rawCommand(address, ['CLUSTER', 'NODES']))
  const mine = nodes.split('\n').find((line) => line.includes('myself')) ?? ''
  const ranges = mine
    .split(' ')
    .slice(8)
    .filter((word) => !word.startsWith('['))
  return ranges.reduce((sum, range) => {
    const [start = 0, end = start] = range.split('-').map(Number)
    return sum + end - start + 1
  }, 0)
}

forEachKind('a reshard that is killed', (kind) => {
  test('is finished by the same command, twenty times over', async () => {
    const servers = await startServers(kind, 6)
    try {
      const members = servers.addresses
      const [a = '', b = ''] = members
      await rcluster.ok('create', ...members, '--replicas', '1', '--yes')
      await loadDataSet(members, {keys: 40_000})
      const before = await digestDataSet(members)
      const writer = await startWriter(members.slice(0, 3))
      const random = moments(4711)
      for (let round = 0; round < ROUNDS; round++) {
        const [from, to] = round % 2 === 0 ? [a, b] : [b, a]
        const owned = await slotsOf(to)
        const killAfterMs = Math.round(120 + random() * 900)
        const where = `round ${round}, killed after ${killAfterMs} ms`
        const args = ['reshard', from, to, String(SLOTS), '--yes']
        const {child, ended} = rcluster.start(args)
        const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
        const first: RunResult = await ended
        clearTimeout(timer)
        // What was done before the blow fell, it has said.
        if (!first.stdout.includes('Moved')) await rcluster.ok(...args)
        expect(await slotsOf(to), where).toBe(owned + SLOTS)
        expect((await rcluster.run(['check', a])).code, where).toBe(0)
      }
      expect(await writer.stop()).toMatchObject({errors: [], errorCount: 0, lost: []})
      expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
    } finally {
      await servers.stop()
    }
  })

  test('stops after the slots in flight at the first signal, and names the command that goes on', async () => {
    const servers = await startServers(kind, 3)
    try {
      const members = servers.addresses
      const [a = '', b = ''] = members
      await rcluster.ok('create', ...members, '--yes')
      await loadDataSet(members, {keys: 60_000})
      const before = await digestDataSet(members)
      const args = ['reshard', a, b, '3000', '--yes']
      const {child, ended} = rcluster.start(args)
      await sleep(700)
      child.kill('SIGINT')
      const {code, stderr} = await ended
      expect(code).toBe(130)
      expect(stderr).toMatch(/Stopped by SIGINT: \d+ of 3000 slots moved, no slot is open/)
      expect((await rcluster.run(['check', a])).code).toBe(0)
      const command = /rcluster (reshard .* --slots-list \S+)/.exec(stderr)?.[1] ?? ''
      await rcluster.ok(...command.split(' '), '--yes')
      expect(await slotsOf(b)).toBe(5462 + 3000)
      expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
    } finally {
      await servers.stop()
    }
  })

  test('stops at once at the second signal, names what is open, and is finished by the next run', async () => {
    const servers = await startServers(kind, 3)
    try {
      const members = servers.addresses
      const [a = '', b = ''] = members
      await rcluster.ok('create', ...members, '--yes')
      await loadDataSet(members, {keys: 60_000})
      const before = await digestDataSet(members)
      const args = ['reshard', a, b, '3000', '--yes']
      const {child, ended} = rcluster.start(args)
      await sleep(700)
      child.kill('SIGINT')
      child.kill('SIGTERM')
      const {code} = await ended
      expect(code).toBe(130)
      await rcluster.ok(...args)
      expect(await slotsOf(b)).toBe(5462 + 3000)
      expect((await rcluster.run(['check', a])).code).toBe(0)
      expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
    } finally {
      await servers.stop()
    }
  })
})

forEachKind('a rebalance that is killed', (kind) => {
  test('is finished by the same command, and the drained shard may wander again', async () => {
    const servers = await startServers(kind, 4)
    try {
      const members = servers.addresses
      const [a = '', , , d = ''] = members
      await rcluster.ok('create', ...members, '--yes')
      await loadDataSet(members, {keys: 40_000})
      const before = await digestDataSet(members)
      const args = ['rebalance', a, '--weight', `${d}=0`, '--yes']
      for (const killAfterMs of [350, 600, 900]) {
        const {child, ended} = rcluster.start(args)
        const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
        await ended
        clearTimeout(timer)
      }
      await rcluster.ok(...args)
      expect(await slotsOf(d)).toBe(0)
      expect(await rawCommand(d, ['CONFIG', 'GET', 'cluster-allow-replica-migration'])).toContain('yes')
      expect((await rcluster.run(['check', a])).code).toBe(0)
      expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
    } finally {
      await servers.stop()
    }
  })
})
