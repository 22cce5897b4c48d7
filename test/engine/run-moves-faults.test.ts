import {describe, expect, it} from 'vitest'
import {InterruptedError, type NodeFailure, RefusedError} from '../../src/lib/errors.ts'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import type {Fault} from '../support/fake/faults.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryOut, expectNothingLost, expectWhole, fill, leftOf, movesOf, openSlotsOf} from '../support/moving.ts'

/** Small, and yet with everything: several batches a slot, two databases, empty slots, two sources, one target. */
function scene(): {cluster: FakeCluster; moves: SlotMove[]; contents: ReadonlyMap<string, string>} {
  const cluster = new FakeCluster({databases: 2})
  fill(cluster, '0', 3)
  fill(cluster, '1,11000', 1)
  const moves = [...movesOf(cluster, '0-2', 0, 1), ...movesOf(cluster, '11000', 2, 1)]
  return {cluster, moves, contents: cluster.contents()}
}
const limits = {maxKeys: 2, maxBytes: 64 * 1024}

/** How many changing commands an undisturbed run takes. */
async function countCommands(): Promise<number> {
  const {cluster, moves} = scene()
  await carryOut(cluster, moves, {limits})
  return cluster.script.changes.length
}
const commands = await countCommands()
const everyCommand = Array.from({length: commands}, (_, index) => index + 1)
/** One MIGRATE with COPY for each pair of nodes proves the way before anything is changed. */
const probes = 2

describe('a run killed at any command', () => {
  it('is completed by the next run, with every key', async () => {
    expect(commands).toBeGreaterThan(20)
    await Promise.all(
      everyCommand.map(async (number) => {
        const {cluster, moves, contents} = scene()
        const crashed = cluster.script.crashAt(number)
        const first = carryOut(cluster, moves, {limits})
        first.catch(() => undefined)
        expect(await Promise.race([first, crashed]), `killed at command ${number}`).toBe('crashed')
        cluster.revive()
        await carryOut(cluster, await leftOf(cluster, moves), {limits})
        expectWhole(cluster, moves, contents)
      }),
    )
  })

  it('loses nothing when it is killed time and again', async () => {
    const {cluster, moves, contents} = scene()
    for (let runs = 0; (await leftOf(cluster, moves)).length > 0; runs++) {
      expect(runs).toBeLessThan(100)
      const crashed = cluster.script.crashAt(cluster.script.changes.length + 8)
      const run = carryOut(cluster, moves, {limits})
      run.catch(() => undefined)
      await Promise.race([run, crashed])
      cluster.revive()
    }
    await carryOut(cluster, moves, {limits})
    expectWhole(cluster, moves, contents)
  })
})

const passing: readonly NodeFailure[] = [
  'timeout',
  'closed',
  'try-again',
  'cluster-down',
  'loading',
  'refused',
  'read-only',
]
const fatal: readonly NodeFailure[] = ['permission', 'out-of-memory', 'auth', 'rejected']
const oneOf = (failures: readonly NodeFailure[], number: number): NodeFailure =>
  failures[number % failures.length] as NodeFailure

describe.each(['before', 'after'] as const)('a failure that passes, told %s the command took effect', (when) => {
  it.each(['no-replicas', 'any other'] as const)('at any command: %s', async (kind) => {
    await Promise.all(
      everyCommand.slice(probes).map(async (number) => {
        const {cluster, moves, contents} = scene()
        cluster.script.failAt(number, when, kind === 'any other' ? oneOf(passing, number) : kind)
        const outcome = await carryOut(cluster, moves, {limits})
        expect([outcome.kind, outcome.left], `failed at command ${number}`).toEqual(['done', []])
        expectWhole(cluster, moves, contents)
      }),
    )
  })

  it.each(['io', 'busy-key', 'moved', 'ask'] as const)('at any MIGRATE: %s', async (failure) => {
    const {cluster: model, moves: modelMoves} = scene()
    await carryOut(model, modelMoves, {limits})
    const migrates = model.script.changes.filter(({kind, isCopying}) => kind === 'migrateKeys' && !isCopying)
    await Promise.all(
      migrates.map(async ({number}) => {
        const {cluster, moves, contents} = scene()
        cluster.script.failAt(number, when, failure)
        const outcome = await carryOut(cluster, moves, {limits})
        expect(outcome.kind, `failed at command ${number}`).toBe('done')
        expectWhole(cluster, moves, contents)
      }),
    )
  })
})

describe('a failure that cannot be helped', () => {
  it.each(['io', 'auth', 'permission', 'timeout'] as const)(
    'while the way is being proved refuses the run: %s',
    async (failure) => {
      const {cluster, moves, contents} = scene()
      cluster.script.failAt(1, 'before', failure)
      await expect(carryOut(cluster, moves)).rejects.toThrow(RefusedError)
      expect(cluster.script.changes.filter(({isCopying}) => !isCopying)).toEqual([])
      expectWhole(cluster, [], contents)
    },
  )

  it('ends the run, tells what is open and loses nothing, at any command', async () => {
    await Promise.all(
      everyCommand.map(async (number) => {
        const {cluster, moves, contents} = scene()
        cluster.script.failAt(number, 'before', oneOf(fatal, number))
        const error = await carryOut(cluster, moves, {limits}).catch((reason: unknown) => reason)
        cluster.settle()
        expectNothingLost(cluster, contents)
        if (error instanceof InterruptedError) {
          const told = error.details as {left: SlotMove[]; openSlots: number[]}
          expect(told.openSlots, `open after command ${number}`).toEqual(openSlotsOf(cluster))
          expect(told.left).toEqual(await leftOf(cluster, moves))
        }
        await carryOut(cluster, await leftOf(cluster, moves), {limits})
        expectWhole(cluster, moves, contents)
      }),
    )
  })

  const lasting: readonly {name: string; fault: Fault}[] = [
    {name: 'no permission to MIGRATE', fault: {when: 'before', failure: 'permission'}},
    {name: 'no memory at the target', fault: {when: 'before', failure: 'out-of-memory', isFromTarget: true}},
  ]
  it.each(lasting)('closes every slot of which no key has moved: $name', async ({fault}) => {
    const {cluster, moves, contents} = scene()
    cluster.script.failWhen(({kind, isCopying}) => (kind === 'migrateKeys' && !isCopying ? fault : undefined))
    await expect(carryOut(cluster, moves, {limits})).rejects.toThrow(InterruptedError)
    cluster.settle()
    expectNothingLost(cluster, contents)
    const holdingBoth = openSlotsOf(cluster).filter((slot) => cluster.server(1).keyspace.countInAll(slot) === 0)
    expect(holdingBoth, 'open slots without a moved key').toEqual([])
  })
})

describe('a slot that others take while its group is moved', () => {
  it('ends the run, which closes what it had opened, and says where the slot is', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0,2', 2)
    const [source, target, other] = [cluster.server(0), cluster.server(1), cluster.server(2)]
    const moves = movesOf(cluster, '0-9', 0, 1)
    const contents = cluster.contents()
    cluster.script.failWhen((call) => {
      if (call.kind === 'setImporting' && call.slot === 0 && source.owners[5] === source.id) {
        for (const server of cluster.servers) server.assign(5, other.id)
      }
      return undefined
    })
    const run = carryOut(cluster, moves, {patienceMs: 300})
    await expect(run).rejects.toThrow(/slot 5 is no longer as planned: neither its source nor its target claims it/)
    cluster.settle()
    expect(openSlotsOf(cluster)).toEqual([])
    expectNothingLost(cluster, contents)
    expect([target.importing.size, source.migrating.size]).toEqual([0, 0])
  })
})

describe('a slot that others take after it was moved', () => {
  it('is named at the end, with a command that looks into it, and not called a disagreement', async () => {
    const cluster = new FakeCluster()
    const moves = movesOf(cluster, '0-9', 0, 1)
    const other = cluster.server(2)
    const run = carryOut(cluster, moves, {
      listener: ({kind}) => {
        if (kind === 'slots-moved') for (const server of cluster.servers) server.assign(5, other.id)
      },
    })
    const error = await run.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(InterruptedError)
    expect((error as InterruptedError).message).toContain('somebody else has moved slots on: 5')
    expect((error as InterruptedError).suggestions.join()).toContain('rcluster check ')
  })
})

describe('patience', () => {
  it('ends with an end that stays away, after the time that it was given, and not before', async () => {
    const {cluster, moves} = scene()
    cluster.script.failWhen(({kind, isCopying}) =>
      kind === 'migrateKeys' && !isCopying ? {when: 'before', failure: 'cluster-down'} : undefined,
    )
    const startedAt = performance.now()
    await expect(carryOut(cluster, moves, {limits, patienceMs: 700})).rejects.toThrow(/cluster-down/)
    expect(performance.now() - startedAt).toBeGreaterThan(650)
    expect(performance.now() - startedAt).toBeLessThan(6000)
    cluster.settle()
    expect(openSlotsOf(cluster)).toEqual([])
  })
})
