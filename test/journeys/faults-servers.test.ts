/** Source and target that crash, freeze and fail over while slots travel key by key: the run goes on by itself. */
import {afterAll, expect, test} from 'vitest'
import {FaultScene, useScene} from '../support/fault-scene.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

forEachEngine('a move key by key', (kind) => {
  const scene = useScene(() => FaultScene.open(kind, rcluster, {replicas: 1}))

  const isUp = (index: number) => async (): Promise<boolean> =>
    String(await rawCommand(scene().at(index), ['CLUSTER', 'INFO'])).includes('cluster_state:ok')

  async function failOver(address: string): Promise<void> {
    const replica = await scene().replicaOf(address)
    // A replica that has not heard of the primary's youngest slot takes over without it. The primary of before then has
    // keys to delete while it is paused, at which Redis 8.6.3 falls over (server.c, isPausedActions(PAUSE_ACTION_REPLICA)).
    await scene().allKnowSlotsOf(address)
    let askedAt = Number.NEGATIVE_INFINITY
    await eventually(
      `${replica} leads`,
      async () => {
        if (String(await rawCommand(replica, ['INFO', 'replication'])).includes('role:master')) return true
        // On a busy machine the server gives it up, after 5 s.
        if (performance.now() - askedAt < 6000) return false
        askedAt = performance.now()
        await rawCommand(replica, ['CLUSTER', 'FAILOVER'])
        return false
      },
      30_000,
    )
    // Until it hears of that, it takes a slot that it is given, and stays a primary for it.
    await eventually(`${address} follows`, async () =>
      String(await rawCommand(address, ['INFO', 'replication'])).includes('role:slave'),
    )
  }

  /**
   * Redis forgets the marks of a source that fails over: until its heir has them again, clients that write a key that had
   * moved write it anew. Such a key has two values, of which the source's is the younger.
   */
  async function settle(result: RunResult): Promise<void> {
    if (result.code === 5 && /has different values on/.test(result.stderr)) {
      expect(result.stderr).toContain('--on-conflict source')
      const again = await scene().goOn(result, '--on-conflict', 'source')
      expect(again.code, again.stderr).toBe(0)
    } else {
      expect(result.code, result.stderr).toBe(0)
      expect(result.stdout).toMatch(/Moved 250 slots .* all nodes agree/)
    }
    await scene().expectWhole()
  }

  test('outlasts ends that freeze for a moment, and a source that crashes and comes back', async () => {
    const [a, b] = [await scene().leaderOf(0), await scene().leaderOf(1)]
    const run = scene().move(a, b)
    for (const [place, frozen] of [b, a].entries()) {
      await run.until('keys-moved', 5 + place)
      const freeze = async (): Promise<void> => scene().servers.signal(scene().indexOf(frozen), 'SIGSTOP')
      await scene().atRest(run, frozen, freeze, {isClientBack: false})
      // Shorter than cluster-node-timeout, unless the machine is very busy; long enough to be noticed.
      await new Promise((resolve) => setTimeout(resolve, 700))
      scene().servers.signal(scene().indexOf(frozen), 'SIGCONT')
      await rawCommand(frozen, ['PING'])
      scene().writer.thaw()
    }
    await run.until('keys-moved', 5)
    await scene().atRest(run, a, () => scene().servers.restart(scene().indexOf(a)))
    await settle(await run.ended)
  })

  test('follows source and target when each is failed over by hand', async () => {
    const [a, b] = [await scene().leaderOf(0), await scene().leaderOf(1)]
    const run = scene().move(a, b)
    await run.until('keys-moved', 5)
    // A slot that is given to a primary in the millisecond in which its replica takes over stays with the one of before:
    // Redis then has two primaries of one shard, and copies of that slot's keys on the one that does not own it.
    for (const end of [b, a]) {
      run.child.kill('SIGSTOP')
      await failOver(end)
      run.child.kill('SIGCONT')
      await run.until('slots-moved', 2)
    }
    await settle(await run.ended)
  })

  test.each(['source', 'target'] as const)('follows the %s when it dies and its replica takes over', async (end) => {
    const [a, b] = [await scene().leaderOf(0), await scene().leaderOf(1)]
    const lost = end === 'source' ? a : b
    const run = scene().move(a, b)
    await run.until('keys-moved', 5)
    await scene().atRest(run, lost, () => scene().servers.kill(scene().indexOf(lost)))
    // A primary of Valkey that comes back and remembers importing a slot that its source has no more takes the whole shard
    // back, if the source is the first that it hears: those slots wait for it.
    if (kind.family === 'valkey' && end === 'target') await run.untilTold('which is down, may take slots')
    else await run.ended
    await scene().servers.restart(scene().indexOf(lost))
    await eventually('it is up', isUp(scene().indexOf(lost)))
    const result = await run.ended
    // A primary that comes back and finds its slots gone follows whoever took the last of them: that may be the target.
    const said = `${result.code} ${result.stdout}${result.stderr}`
    await eventually(`it follows its shard, after ${said}`, async () => {
      const leader = await scene().leaderOf(end === 'source' ? 0 : 1)
      await rawCommand(lost, ['CLUSTER', 'REPLICATE', String(await rawCommand(leader, ['CLUSTER', 'MYID']))])
      return true
    })
    await settle(result)
  })

  test('follows a source that is frozen until it is replaced, and is not led astray when it thaws', async () => {
    const [a, b] = [await scene().leaderOf(0), await scene().leaderOf(1)]
    const frozen = scene().indexOf(a)
    const run = scene().move(a, b)
    await run.until('keys-moved', 5)
    await scene().atRest(run, a, async () => scene().servers.signal(frozen, 'SIGSTOP'), {isClientBack: false})
    await eventually('its replica leads', async () => (await scene().leaderOf(0)) !== a)
    scene().servers.signal(frozen, 'SIGCONT')
    await eventually('it follows', async () =>
      String(await rawCommand(a, ['INFO', 'replication'])).includes('role:slave'),
    )
    scene().writer.thaw()
    await settle(await run.ended)
  })
})
