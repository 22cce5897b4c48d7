/**
 * What servers refuse, and what clients and other tools do, while slots travel key by key: passed over, waited for, or the
 * run stops, says what is true, and the command that it prints goes on.
 */
import {Cluster} from 'ioredis'
import {afterAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {FaultScene, useScene, type Watched} from '../support/fault-scene.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand, splitAddress} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

forEachEngine('a move key by key', (kind) => {
  const scene = useScene(() => FaultScene.open(kind, rcluster))

  let turn = 0
  /** To and fro, so that no test leaves the next one without slots. */
  const ends = (): [string, string] =>
    turn++ % 2 === 0 ? [scene().at(0), scene().at(1)] : [scene().at(1), scene().at(0)]
  const config = (address: string, name: string, value: string | number): Promise<unknown> =>
    rawCommand(address, ['CONFIG', 'SET', name, value])
  const inTheMiddle = (run: Watched): Promise<void> => run.until('keys-moved', 5)

  async function expectDone(result: RunResult): Promise<void> {
    expect(result.code, result.stderr).toBe(0)
    expect(result.stdout).toMatch(/Moved \d+ slots? .* all nodes agree/)
    await scene().expectWhole()
  }

  /** Stopped with `reason`; every slot that is open has keys on both sides, as far as both can be asked. */
  async function expectStopped(result: RunResult, reason: RegExp): Promise<void> {
    expect([result.code, result.stdout.includes('Moved')], result.stderr).toEqual([5, false])
    expect(result.stderr).toMatch(reason)
    const told = /; open: ([\d,-]+)/.exec(result.stderr)?.[1] ?? ''
    const open = await scene().openSlots()
    if (open.length > 0) expect(told).not.toBe('')
  }

  async function expectHalfMoved([a, b]: readonly [string, string]): Promise<void> {
    for (const slot of await scene().openSlots()) {
      const counts = await Promise.all(
        [a, b].map(async (address) => Number(await rawCommand(address, ['CLUSTER', 'COUNTKEYSINSLOT', slot]))),
      )
      expect(Math.min(...counts), `keys of the open slot ${slot}`).toBeGreaterThan(0)
    }
  }

  test('waits for a source that is away, stops when it stays away, and goes on when it is back', async () => {
    const [a, b] = ends()
    const source = scene().indexOf(a)
    const run = scene().move(a, b, '--patience', '3s')
    await inTheMiddle(run)
    scene().writer.freeze()
    await scene().servers.kill(source)
    const stopped = await run.ended
    expect(stopped.code, stopped.stderr).toBe(5)
    expect(stopped.stderr).toMatch(/\d+ of 250 slots moved, then: .*(refused|does not answer|closed)/)
    expect(stopped.stderr).toContain(a)
    expect(stopped.stderr).toContain('Bring the node back')
    await scene().servers.restart(source)
    scene().writer.thaw()
    await eventually('the cluster serves', async () =>
      String(await rawCommand(a, ['CLUSTER', 'INFO'])).includes('cluster_state:ok'),
    )
    await expectDone(await scene().goOn(stopped))
  })

  test('outlasts ends that are frozen for longer than cluster-node-timeout', async () => {
    const [a, b] = ends()
    const run = scene().move(a, b)
    for (const frozen of [b, a]) {
      await inTheMiddle(run)
      scene().servers.signal(scene().indexOf(frozen), 'SIGSTOP')
      await eventually('it is missed', async () =>
        String(await rawCommand(scene().at(2), ['CLUSTER', 'INFO'])).includes('cluster_state:fail'),
      )
      scene().servers.signal(scene().indexOf(frozen), 'SIGCONT')
    }
    await expectDone(await run.ended)
  })

  test('waits while the cluster is down because of a node that has no part in it', async () => {
    const [a, b] = ends()
    const run = scene().move(a, b)
    await inTheMiddle(run)
    await scene().servers.kill(2)
    await run.until('retry')
    await scene().servers.restart(2)
    await expectDone(await run.ended)
  })

  test.each(['source', 'target'] as const)('waits while the %s has too few replicas to write', async (end) => {
    const [a, b] = ends()
    const short = end === 'source' ? a : b
    const run = scene().move(a, b)
    await inTheMiddle(run)
    await config(short, 'min-replicas-to-write', 1)
    await run.until('retry', 3)
    await config(short, 'min-replicas-to-write', 0)
    await expectDone(await run.ended)
  })

  test('stops when its target has no memory left, closes what it can, and goes on when there is more', async () => {
    const pair = ends()
    const [a, b] = pair
    const run = scene().move(a, b)
    await inTheMiddle(run)
    await config(b, 'maxmemory', '1mb')
    const stopped = await run.ended
    await expectStopped(stopped, /keys on their way to .* OOM command not allowed/)
    expect(stopped.stderr).toContain('Raise maxmemory on the target')
    await expectHalfMoved(pair)
    await config(b, 'maxmemory', 0)
    await expectDone(await scene().goOn(stopped))
  })

  test('stops when a right is taken away, closes what it can, and goes on when it is back', async () => {
    for (const words of [['-restore-asking'], ['-cluster|setslot']]) {
      const pair = ends()
      const [a, b] = pair
      const run = scene().move(a, b)
      await inTheMiddle(run)
      await rawCommand(b, ['ACL', 'SETUSER', 'default', ...words])
      const stopped = await run.ended
      await rawCommand(b, ['ACL', 'SETUSER', 'default', '+@all'])
      await expectStopped(stopped, /NOPERM/)
      expect(stopped.stderr).toContain('rights')
      if (words[0] === '-restore-asking') await expectHalfMoved(pair)
      await expectDone(await scene().goOn(stopped))
    }
  })

  test('goes on when its marks are taken away by hand', async () => {
    const [a, b] = ends()
    const run = scene().move(a, b)
    for (const end of [a, b]) {
      await inTheMiddle(run)
      for (const slot of await scene().openSlots()) await rawCommand(end, ['CLUSTER', 'SETSLOT', slot, 'STABLE'])
    }
    const result = await run.ended
    // Between the hand and our next look clients may write a key anew that had moved.
    if (result.code === 5 && result.stderr.includes('has different values on')) {
      await expectDone(await scene().goOn(result, '--on-conflict', 'source'))
    } else await expectDone(result)
  })

  test('stops when another tool takes a slot of the plan, and leaves nothing open', async () => {
    const [a, b] = ends()
    const c = scene().at(2)
    const run = scene().move(a, b)
    await inTheMiddle(run)
    // It would go on, and be done with the slot, while we look for one.
    run.child.kill('SIGSTOP')
    const plan = await rcluster.run(['reshard', a, b, '250', '--mover', 'migrate', '--dry-run', '--json'])
    const ranges = JSON.parse(plan.stdout) as {result: {plan: {moves: {slot: number}[]}}}
    const open = new Set(await scene().openSlots())
    const slot = ranges.result.plan.moves.map((move) => move.slot).findLast((one) => !open.has(one)) ?? 0
    await scene().takeSlot(slot, a, c)
    run.child.kill('SIGCONT')
    const stopped = await run.ended
    await expectStopped(stopped, new RegExp(`slot ${slot} is no longer as planned`))
    expect(stopped.stderr).toContain('rcluster check')
    await scene().expectWhole()
    await scene().takeSlot(slot, c, a)
  })

  test('is not disturbed by clients that delete, expire and rename keys', async () => {
    const [a, b] = ends()
    const client = new Cluster(scene().servers.addresses.map(splitAddress))
    client.on('error', () => {})
    try {
      const names = Array.from({length: 300}, (_, n) => `{${tagForSlot((n * 97) % 16_384)}}fleeting:${n}`)
      await Promise.all(names.map((name) => client.set(name, name)))
      const run = scene().move(a, b)
      const isOver = run.ended.then(() => true)
      await inTheMiddle(run)
      const deeds = names.map(async (name, n) => {
        await Promise.race([isOver, run.until('keys-moved', n % 30)])
        if (n % 3 === 0) await client.del(name)
        else if (n % 3 === 1) await client.pexpire(name, 1 + (n % 50))
        // TRYAGAIN while the one is here and the other there.
        else await client.rename(name, `${name}:renamed`).catch(() => {})
      })
      await Promise.all(deeds)
      const result = await run.ended
      expect(result.code, result.stderr).toBe(0)
      for (const [n, name] of names.entries()) {
        const [here, there] = [await client.get(name), await client.get(`${name}:renamed`)]
        if (n % 3 === 2) expect([here ?? there, here === null || there === null]).toEqual([name, true])
        else expect([here, there]).toEqual([null, null])
        await client.del(name)
        await client.del(`${name}:renamed`)
      }
      await scene().expectWhole()
    } finally {
      client.disconnect()
    }
  })

  test('comes to its end when everything is flushed on the way', async () => {
    await scene().endWriter()
    const [a, b] = ends()
    const run = scene().move(a, b)
    for (const flushed of [b, a, b]) {
      await inTheMiddle(run)
      await rawCommand(flushed, ['FLUSHALL'])
    }
    const result = await run.ended
    expect(result.code, result.stderr).toBe(0)
    expect(await scene().openSlots()).toEqual([])
    expect((await scene().run('check', a)).code).toBeLessThan(2)
  })
})
