/** What happens to source and target while the servers move slots by themselves: the run goes on, or says how to. */
import {randomBytes} from 'node:crypto'
import {afterAll, expect, test} from 'vitest'
import {FaultScene, useScene, type Watched} from '../support/fault-scene.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, type ServerName} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

const ATOMIC: readonly ServerName[] = ['redis-8.6', 'valkey-9.1']
/** They go to and fro between the first two shards, which keep slots 200 and 5461. */
const SLOTS = '0-99'
const [STAYS_IN_A, STAYS_IN_B] = [200, 5461]
/** Of the hash tag 06S, in slot 0, incompressible: their snapshot takes a good second. */
const BIG_KEYS = 10
const BIG_BYTES = 10_000_000

forEachKind(
  'an atomic move',
  (kind) => {
    const scene = useScene(() =>
      FaultScene.open(kind, rcluster, {
        replicas: 1,
        keys: 3000,
        config: {appendfsync: 'everysec'},
        load: async ([first = '']) => {
          for (let n = 0; n < BIG_KEYS; n++) await rawCommand(first, ['SET', `{06S}${n}`, randomBytes(BIG_BYTES)])
        },
      }),
    )

    /** The end that is asked for a migration, and knows how it goes. */
    const starterOf = ({from, to}: Ends): string => (kind.family === 'valkey' ? from : to)

    interface Ends {
      readonly from: string
      readonly to: string
    }

    async function ends(): Promise<Ends> {
      const [leaderA, leaderB, from] = await Promise.all(
        [STAYS_IN_A, STAYS_IN_B, 0].map((slot) => scene().ownerOf(slot)),
      )
      return {from: from!, to: from === leaderA ? leaderB! : leaderA!}
    }

    async function migrationsAt(address: string): Promise<string> {
      const words = kind.family === 'valkey' ? ['GETSLOTMIGRATIONS'] : ['MIGRATION', 'STATUS', 'ALL']
      return JSON.stringify(await rawCommand(address, ['CLUSTER', ...words]).catch(() => []))
    }

    const FIRST_STATES =
      kind.family === 'valkey'
        ? /"(snapshotting|streaming|waiting[a-z-]*|connecting|authenticating)"/
        : /"state","(?!completed|failed|canceled)[a-z-]+"/

    async function underWay(more: readonly string[] = []): Promise<{run: Watched; at: Ends}> {
      const at = await ends()
      const run = scene().start(
        'reshard',
        at.from,
        '--from',
        at.from,
        '--to',
        at.to,
        '--slots-list',
        SLOTS,
        '--yes',
        ...more,
      )
      let isOver = false
      void run.ended.then(() => {
        isOver = true
      })
      await eventually(
        'a migration is under way',
        async () => isOver || FIRST_STATES.test(await migrationsAt(starterOf(at))),
        30_000,
      )
      return {run, at}
    }

    /** Done, or cut short with a command that does the rest. Then all is as before, but for the owner of the slots. */
    async function settle(result: RunResult, to?: string): Promise<void> {
      if (result.code !== 0) {
        expect([4, 5], result.stderr).toContain(result.code)
        await eventually(
          'all answer',
          async () => (await scene().run('wait', scene().at(2), '--for', 'healthy', '--timeout', '30s')).code === 0,
          60_000,
        )
        const again = await scene().goOn(result)
        expect(again.code, `${result.stderr}\n${again.stderr}`).toBe(0)
      }
      await scene().expectWhole()
      for (const address of scene().servers.addresses) {
        expect(await migrationsAt(address), `left at ${address}`).not.toMatch(FIRST_STATES)
      }
      if (to !== undefined) expect(await scene().ownerOf(0)).toBe(to)
    }

    test.each(['from', 'to'] as const)('outlasts a freeze of a moment (%s)', async (end) => {
      const {run, at} = await underWay()
      const index = scene().indexOf(at[end])
      await scene().atRest(run, at[end], async () => scene().servers.signal(index, 'SIGSTOP'), {isClientBack: false})
      await new Promise((resolve) => setTimeout(resolve, 700))
      scene().servers.signal(index, 'SIGCONT')
      await rawCommand(at[end], ['PING'])
      scene().writer.thaw()
      await settle(await run.ended, at.to)
    })

    test.each(['from', 'to'] as const)('outlasts a crash and a restart (%s)', async (end) => {
      const {run, at} = await underWay()
      await scene().atRest(run, at[end], () => scene().servers.restart(scene().indexOf(at[end])))
      await settle(await run.ended)
    })

    test.each(['from', 'to'] as const)('follows the replica that takes over (%s)', async (end) => {
      const {run, at} = await underWay()
      const lost = at[end]
      await scene().atRest(run, lost, () => scene().servers.kill(scene().indexOf(lost)))
      const result = await run.ended
      await scene().servers.restart(scene().indexOf(lost))
      await eventually('it has come back', async () =>
        String(await rawCommand(lost, ['CLUSTER', 'INFO'])).includes('cluster_state:ok'),
      )
      await settle(result)
    })

    test('begins again when somebody cancels it', async () => {
      const {run, at} = await underWay()
      const words = kind.family === 'valkey' ? ['CANCELSLOTMIGRATIONS'] : ['MIGRATION', 'CANCEL', 'ALL']
      await rawCommand(starterOf(at), ['CLUSTER', ...words])
      const result = await run.ended
      expect(result.stderr).toContain('"kind":"retry"')
      await settle(result, at.to)
    })

    test('begins again when a buffer runs over', async () => {
      const {from} = await ends()
      const limit = 'client-output-buffer-limit'
      const [, before = ''] = (await rawCommand(from, ['CONFIG', 'GET', limit])) as string[]
      await rawCommand(from, ['CONFIG', 'SET', limit, 'replica 1mb 1mb 1'])
      const {run, at} = await underWay()
      // Before that nothing is buffered for the target.
      if (kind.family === 'valkey') {
        await eventually('keys are on their way', async () =>
          /"(snapshotting|streaming)"/.test(await migrationsAt(starterOf(at))),
        )
      }
      const target = scene().indexOf(at.to)
      scene().writer.freeze()
      scene().servers.signal(target, 'SIGSTOP')
      for (let n = 0; n < 6; n++) {
        await rawCommand(from, ['SET', '{06S}flood', randomBytes(2_000_000)])
        await rawCommand(from, ['DEL', '{06S}flood'])
      }
      await new Promise((resolve) => setTimeout(resolve, 1000))
      scene().servers.signal(target, 'SIGCONT')
      await rawCommand(at.to, ['PING'])
      scene().writer.thaw()
      const result = await run.ended
      // Redis begins again by itself, within the same migration.
      if (kind.family === 'valkey') expect(result.stderr).toContain('"kind":"retry"')
      await rawCommand(from, ['CONFIG', 'SET', limit, before])
      await settle(result, at.to)
    })

    test('is taken over by the same command after kill -9', async () => {
      const {run, at} = await underWay()
      run.child.kill('SIGKILL')
      await run.ended
      const again = await scene().run(
        'reshard',
        at.from,
        '--from',
        at.from,
        '--to',
        at.to,
        '--slots-list',
        SLOTS,
        '--yes',
      )
      expect(again.code, again.stderr).toBe(0)
      await settle(again, at.to)
    })

    test('is finished at the first Ctrl-C', async () => {
      const {run, at} = await underWay()
      run.child.kill('SIGINT')
      const result = await run.ended
      expect([0, 130], result.stderr).toContain(result.code)
      await scene().expectWhole()
      expect(await scene().ownerOf(0)).toBe(at.to)
    })

    test('loses nothing where the target runs out of memory, and goes on when it has more', async () => {
      const {run, at} = await underWay()
      const [, before = '0'] = (await rawCommand(at.to, ['CONFIG', 'GET', 'maxmemory'])) as string[]
      await rawCommand(at.to, ['CONFIG', 'SET', 'maxmemory', '20mb'])
      const result = await run.ended
      await rawCommand(at.to, ['CONFIG', 'SET', 'maxmemory', before])
      await settle(result)
    })

    test('loses nothing where the target wants replicas that it may lose', async () => {
      // Redis's own migration leaves out what its target refuses: it is not used where that can be.
      const isByHand = kind.family === 'redis'
      const {to, from} = await ends()
      if (isByHand) await rawCommand(to, ['CONFIG', 'SET', 'min-replicas-to-write', '1'])
      const begun = isByHand ? undefined : await underWay(['--patience', '5s'])
      if (begun) await rawCommand(to, ['CONFIG', 'SET', 'min-replicas-to-write', '5'])
      const words = ['--from', from, '--to', to, '--slots-list', SLOTS, '--yes']
      const result = await (begun?.run.ended ?? scene().run('reshard', from, ...words))
      await rawCommand(to, ['CONFIG', 'SET', 'min-replicas-to-write', '0'])
      if (isByHand) expect(result.stdout).toContain('has min-replicas-to-write')
      await settle(result, to)
    })

    test('tells which right was taken away on the way, and goes on when it is back', async () => {
      const right = kind.family === 'valkey' ? 'cluster|getslotmigrations' : 'cluster|migration'
      const {run, at} = await underWay()
      await rawCommand(starterOf(at), ['ACL', 'SETUSER', 'default', `-${right}`])
      const result = await run.ended
      await rawCommand(starterOf(at), ['ACL', 'SETUSER', 'default', '+@all'])
      if (result.code !== 0) expect(result.stderr).toContain(`'${right}'`)
      await settle(result, at.to)
    })

    test('is not disturbed by another tool, which the servers turn away', async () => {
      const {run, at} = await underWay()
      const taken = await scene()
        .takeSlot(99, at.from, scene().at(2))
        .then(
          () => 'taken',
          (error: unknown) => (error as Error).message,
        )
      expect(taken).toMatch(/active atomic slot migration|Slot (export|import) in progress/)
      await rawCommand(scene().at(2), ['CLUSTER', 'SETSLOT', '99', 'STABLE'])
      await settle(await run.ended, at.to)
    })

    test('does not bring back what FLUSHALL took', async () => {
      await scene().endWriter()
      const {run, at} = await underWay()
      await rawCommand(at.from, ['FLUSHALL'])
      const result = await run.ended
      if (result.code !== 0) await scene().goOn(result)
      await eventually('all is well', async () => (await scene().run('check', scene().at(2))).code !== 1, 30_000)
      expect(await scene().openSlots()).toEqual([])
      expect(await scene().ownerOf(0)).toBe(at.to)
      expect(await rawCommand(at.to, ['CLUSTER', 'COUNTKEYSINSLOT', '0'])).toBe(0)
    })
  },
  ATOMIC,
)
