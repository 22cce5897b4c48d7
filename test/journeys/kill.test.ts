/** What a run that was cut off leaves behind, and how the next one goes on. */
import type {ChildProcess} from 'node:child_process'
import {setTimeout as sleep} from 'node:timers/promises'
import {afterAll, expect, test} from 'vitest'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachEngine, moversOf, rawCommand, type ServerKind, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}
const SEED = Number(process.env['RCLUSTER_TEST_SEED'] ?? 4711)
/** 400 slots of this data take about half of it on a quiet machine, key by key or by the servers themselves. */
const MOVING_MS = {migrate: 400, auto: 150}
/** Moments at which a run is killed; RCLUSTER_TEST_ROUNDS=100 for a thorough hour. */
const ASKED = Number(process.env['RCLUSTER_TEST_ROUNDS'] ?? 0)
const ROUNDS = ASKED > 0 ? {migrate: ASKED, auto: ASKED} : {migrate: 8, auto: 6}
const MS_A_ROUND = 15_000
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

/** The marks show on the lines of their own nodes: "[42->-…]" and "[42-<-…]". */
async function openSlotsOf(addresses: readonly string[]): Promise<number[]> {
  const nodes = await Promise.all(addresses.map((address) => rawCommand(address, ['CLUSTER', 'NODES'])))
  const slots = nodes.flatMap((text) => [...String(text).matchAll(/\[(\d+)-[<>]-/g)].map(([, slot]) => Number(slot)))
  return [...new Set(slots)].sort((a, b) => a - b)
}

/** `work` on a new cluster with data, of which every key is there afterwards, as it was. */
async function onLoadedCluster(
  kind: ServerKind,
  {nodes, keys}: {readonly nodes: number; readonly keys: number},
  work: (members: readonly string[]) => Promise<void>,
): Promise<void> {
  const servers = await startServers(kind, nodes)
  try {
    const members = servers.addresses
    await rcluster.ok('create', ...members, '--yes')
    await loadDataSet(members, {keys})
    const before = await digestDataSet(members)
    await work(members)
    expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
  } finally {
    await servers.stop()
  }
}

/** Resolves when `child` tells that it moves slots, or has ended: how long it takes to get there is the machine's affair. */
async function untilMoving(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => {
    let told = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      told += chunk.toString()
      if (told.includes('moves-started')) resolve()
    })
    child.on('close', () => resolve())
  })
}

forEachEngine('a reshard that is killed', (kind) => {
  test.each(moversOf(kind))(
    'is finished by the same command, time and again: --mover %s',
    {timeout: 60_000 + MS_A_ROUND * Math.max(...Object.values(ROUNDS))},
    async (mover) => {
      const servers = await startServers(kind, 6)
      try {
        const members = servers.addresses
        const [a = '', b = ''] = members
        await rcluster.ok('create', ...members, '--replicas', '1', '--yes')
        await loadDataSet(members, {keys: 40_000})
        const before = await digestDataSet(members)
        const writer = await startWriter(members.slice(0, 3))
        const random = moments(SEED)
        let cutOff = 0
        for (let round = 0; round < ROUNDS[mover]; round++) {
          const [from, to] = round % 2 === 0 ? [a, b] : [b, a]
          const owned = await slotsOf(to)
          const args = ['reshard', from, to, String(SLOTS), '--mover', mover, '--yes', '--progress', 'ndjson']
          const {child, ended} = rcluster.start(args)
          await untilMoving(child)
          const killAfterMs = Math.round(random() * MOVING_MS[mover])
          const where = `seed ${SEED}, round ${round}, killed ${killAfterMs} ms after the first move`
          const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
          const first = await ended
          clearTimeout(timer)
          // What was done before the blow fell, it has said.
          if (!first.stdout.includes('Moved')) {
            cutOff++
            await rcluster.ok(...args)
          }
          expect(await slotsOf(to), where).toBe(owned + SLOTS)
          expect(await openSlotsOf(members), where).toEqual([])
          // Half a second each: the last one would see what an earlier round had left.
          if (round % 5 === 4) expect((await rcluster.run(['check', a])).code, where).toBe(0)
        }
        expect(cutOff, 'runs that were cut off').toBeGreaterThan(ROUNDS[mover] / 5)
        expect(await writer.stop()).toMatchObject({errors: [], errorCount: 0, lost: []})
        expect(compareDigests(before, await digestDataSet(members))).toEqual(UNTOUCHED)
      } finally {
        await servers.stop()
      }
    },
  )

  test.each(moversOf(kind))(
    'stops after the slots in flight at the first signal, and names the command that goes on: --mover %s',
    async (mover) => {
      await onLoadedCluster(kind, {nodes: 3, keys: 60_000}, async (members) => {
        const [a = '', b = ''] = members
        const {child, ended} = rcluster.start([
          'reshard',
          a,
          b,
          '3000',
          '--mover',
          mover,
          '--yes',
          '--progress',
          'ndjson',
        ])
        await untilMoving(child)
        child.kill('SIGINT')
        const {code, stderr} = await ended
        expect(code).toBe(130)
        expect(stderr).toMatch(/Stopped by SIGINT: \d+ of 3000 slots moved, no slot is open/)
        expect((await rcluster.run(['check', a])).code).toBe(0)
        // As it was printed: it needs nothing but a yes.
        const command = /rcluster (reshard .* --slots-list \S+.*)$/m.exec(stderr)?.[1] ?? ''
        await rcluster.ok(...command.split(' '), ...(command.includes('--yes') ? [] : ['--yes']))
        expect(await slotsOf(b)).toBe(5462 + 3000)
      })
    },
  )

  test.each(moversOf(kind))(
    'stops at once at the second signal, names what is open, and is finished by the next run: --mover %s',
    async (mover) => {
      await onLoadedCluster(kind, {nodes: 3, keys: 60_000}, async (members) => {
        const [a = '', b = ''] = members
        const args = ['reshard', a, b, '3000', '--mover', mover, '--yes', '--progress', 'ndjson']
        const {child, ended} = rcluster.start(args)
        await untilMoving(child)
        await sleep(20)
        const signalledAt = performance.now()
        child.kill('SIGINT')
        child.kill('SIGTERM')
        const {code, stderr} = await ended
        expect(code).toBe(130)
        expect(performance.now() - signalledAt).toBeLessThan(8000)
        if ((await openSlotsOf(members)).length > 0)
          expect(stderr).toMatch(/open: \d+|rcluster check shows whether slots are open/)
        await rcluster.ok(...args)
        expect(await slotsOf(b)).toBe(5462 + 3000)
        expect((await rcluster.run(['check', a])).code).toBe(0)
      })
    },
  )
})

forEachEngine('a rebalance that is killed', (kind) => {
  test('is finished by the same command, and the drained shard may wander again', async () => {
    await onLoadedCluster(kind, {nodes: 4, keys: 40_000}, async (members) => {
      const [a = '', , , d = ''] = members
      const args = ['rebalance', a, '--weight', `${d}=0`, '--yes', '--progress', 'ndjson']
      for (const killAfterMs of [0, 150, 400]) {
        const {child, ended} = rcluster.start(args)
        await untilMoving(child)
        const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
        await ended
        clearTimeout(timer)
      }
      await rcluster.ok(...args)
      expect(await slotsOf(d)).toBe(0)
      expect(await rawCommand(d, ['CONFIG', 'GET', 'cluster-allow-replica-migration'])).toContain('yes')
      expect((await rcluster.run(['check', a])).code).toBe(0)
    })
  })
})
