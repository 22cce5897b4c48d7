import {describe, expect, it} from 'vitest'
import {chooseMovers} from '../../src/lib/engine/choose-movers.ts'
import type {AtomicFamily} from '../../src/lib/engine/cluster-port.ts'
import type {EngineEvent} from '../../src/lib/engine/events.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {InterruptedError, RefusedError} from '../../src/lib/errors.ts'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryOut, expectNothingLost, expectWhole, fill, leftOf, movesOf, openSlotsOf} from '../support/moving.ts'

interface Scene {
  readonly cluster: FakeCluster
  readonly moves: SlotMove[]
  readonly contents: ReadonlyMap<string, string>
}

function scene(atomicFamily: AtomicFamily | undefined, replicas = 0): Scene {
  const cluster = new FakeCluster({replicas, ...(atomicFamily ? {atomicFamily} : {})})
  fill(cluster, '0,2,11000', 3)
  const moves = [...movesOf(cluster, '0-3', 0, 1), ...movesOf(cluster, '11000', 2, 1)]
  return {cluster, moves, contents: cluster.contents()}
}

const kindsOf = (cluster: FakeCluster): string[] => cluster.script.changes.map(({kind}) => kind)
const notesOf = (events: readonly EngineEvent[]): string[] =>
  events.flatMap((event) => (event.kind === 'note' ? [event.text] : []))

describe.each(['push', 'pull'] as const)('nodes that %s', (family) => {
  it('move whole slots by themselves, and no key is moved by hand', async () => {
    const {cluster, moves, contents} = scene(family)
    const outcome = await carryOut(cluster, moves)
    expect(outcome).toMatchObject({kind: 'done', slotsMoved: 5, slotsMovedAtomically: 5, keysMoved: 9, left: []})
    expect(new Set(kindsOf(cluster))).toEqual(new Set(['startSlotMigration']))
    expectWhole(cluster, moves, contents)
  })

  it('are left alone with --mover migrate', async () => {
    const {cluster, moves, contents} = scene(family)
    const outcome = await carryOut(cluster, moves, {mover: 'migrate'})
    expect(outcome).toMatchObject({kind: 'done', slotsMovedAtomically: 0})
    expect(kindsOf(cluster)).not.toContain('startSlotMigration')
    expectWhole(cluster, moves, contents)
  })

  it('are asked again when a migration fails once', async () => {
    const {cluster, moves, contents} = scene(family)
    cluster.migrations.failing = {count: 1, reason: 'the buffer ran over'}
    const events: EngineEvent[] = []
    const outcome = await carryOut(cluster, moves, {listener: (event) => events.push(event)})
    expect(outcome).toMatchObject({kind: 'done', slotsMovedAtomically: 5})
    expect(events).toContainEqual(expect.objectContaining({kind: 'retry', reason: 'the buffer ran over'}))
    expectWhole(cluster, moves, contents)
  })

  it('go on key by key when migrations keep failing, and say why', async () => {
    const {cluster, moves, contents} = scene(family)
    cluster.migrations.failing = {count: 100, reason: 'no fork left'}
    const events: EngineEvent[] = []
    const outcome = await carryOut(cluster, moves, {listener: (event) => events.push(event)})
    expect(outcome).toMatchObject({kind: 'done', slotsMoved: 5, slotsMovedAtomically: 0})
    expect(notesOf(events).join()).toContain('no fork left')
    expectWhole(cluster, moves, contents)
  })

  it('end the run with --mover atomic when migrations keep failing, with nothing open', async () => {
    const {cluster, moves, contents} = scene(family)
    cluster.migrations.failing = {count: 100, reason: 'no fork left'}
    const error = await carryOut(cluster, moves, {mover: 'atomic'}).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(InterruptedError)
    expect((error as Error).message).toContain('no fork left')
    expect(openSlotsOf(cluster)).toEqual([])
    expectWhole(cluster, [], contents)
  })

  it('finish slots that were begun key by key in the same way', async () => {
    const {cluster, moves, contents} = scene(family)
    const crashed = cluster.script.crashAt(6)
    const first = carryOut(cluster, moves, {mover: 'migrate'})
    first.catch(() => undefined)
    await Promise.race([first, crashed])
    cluster.revive()
    expect(openSlotsOf(cluster)).not.toEqual([])
    await carryOut(cluster, await leftOf(cluster, moves))
    expect(kindsOf(cluster)).toContain('startSlotMigration')
    expectWhole(cluster, moves, contents)
  })

  it('are told to stop when the run is aborted, and nothing is under way afterwards', async () => {
    const {cluster, moves, contents} = scene(family)
    cluster.migrations.steps = Number.POSITIVE_INFINITY
    const abort = new AbortController()
    const run = carryOut(cluster, moves, {
      abort: abort.signal,
      listener: (event) => {
        if (event.kind === 'moves-started') setTimeout(() => abort.abort(new Error('enough')), 20)
      },
    })
    await expect(run).rejects.toThrow('enough')
    expect(kindsOf(cluster)).toContain('cancelSlotMigration')
    const statuses = cluster.servers.flatMap((server) => cluster.migrations.list(server).map(({status}) => status))
    expect(new Set(statuses)).toEqual(new Set(['cancelled']))
    expectWhole(cluster, [], contents)
  })

  it('finish the migration under way when the run is asked to stop', async () => {
    const {cluster, contents} = scene(family)
    const moves = [...movesOf(cluster, '0-3', 0, 1), ...movesOf(cluster, '11000', 2, 1)]
    const stop = new AbortController()
    const outcome = await carryOut(cluster, moves, {
      stop: stop.signal,
      listener: (event) => {
        if (event.kind === 'slots-moved') stop.abort(new Error('stop'))
      },
    })
    expect(outcome.kind).toBe('stopped')
    expect(outcome.slotsMoved + outcome.left.length).toBe(5)
    expect(outcome.slotsMoved).toBeGreaterThan(0)
    expectWhole(
      cluster,
      moves.filter((move) => !outcome.left.includes(move)),
      contents,
    )
  })

  it('complete what a killed run began, and the next run goes on', async () => {
    for (const number of [1, 2]) {
      const {cluster, moves, contents} = scene(family)
      const crashed = cluster.script.crashAt(number)
      const first = carryOut(cluster, moves)
      first.catch(() => undefined)
      expect(await Promise.race([first, crashed])).toBe('crashed')
      cluster.revive()
      await carryOut(cluster, await leftOf(cluster, moves))
      expectWhole(cluster, moves, contents)
    }
  })

  it.each(['before', 'after'] as const)('survive an answer that is lost, told %s it took effect', async (when) => {
    const {cluster, moves, contents} = scene(family)
    cluster.script.failAt(1, when, 'timeout')
    const outcome = await carryOut(cluster, moves)
    expect(outcome).toMatchObject({kind: 'done', slotsMovedAtomically: 5})
    // One that is under way is watched, not begun a second time.
    const starts = kindsOf(cluster).filter((kind) => kind === 'startSlotMigration')
    expect(starts).toHaveLength(when === 'after' ? 2 : 3)
    expectWhole(cluster, moves, contents)
  })

  it('are followed to the new primary of a shard', async () => {
    const {cluster, moves, contents} = scene(family, 1)
    cluster.migrations.steps = 3
    let hasFailedOver = false
    const outcome = await carryOut(cluster, moves, {
      listener: (event) => {
        if (event.kind !== 'moves-started' || hasFailedOver) return
        hasFailedOver = true
        setTimeout(() => cluster.failOver(0), 5)
      },
    })
    expect(outcome).toMatchObject({kind: 'done', left: []})
    cluster.settle()
    expectNothingLost(cluster, contents)
  })

  it('are waited for while they are at work for somebody else', async () => {
    const {cluster, moves, contents} = scene(family)
    const asked = cluster.server(family === 'push' ? 0 : 1)
    cluster.migrations.start(family, asked, [{start: 100, end: 110}], cluster.server(1).id)
    const texts: string[] = []
    await carryOut(cluster, moves, {listener: (event) => event.kind === 'phase' && texts.push(event.text)})
    expect(texts[0]).toContain('100-110')
    expectWhole(cluster, [...moves, ...movesOf(cluster, '100-110', 0, 1)], contents)
  })
})

describe('a pair of nodes that cannot both', () => {
  it.each([
    {name: 'the target cannot', families: ['push', undefined] as const, reason: 'has no atomic slot migration'},
    {name: 'each has its own way', families: ['push', 'pull'] as const, reason: 'different kinds'},
  ])('goes key by key, and says why: $name', async ({families, reason}) => {
    const {cluster, moves, contents} = scene(undefined)
    cluster.server(0).atomicFamily = families[0]
    cluster.server(1).atomicFamily = families[1]
    const session = await openSession(cluster, [cluster.server(0).address])
    const [pair] = await chooseMovers(session, moves, 'auto')
    expect(pair).toMatchObject({mover: 'migrate'})
    expect(pair?.reason).toContain(reason)
    await expect(chooseMovers(session, moves, 'atomic')).rejects.toThrow(RefusedError)
    const outcome = await carryOut(cluster, moves)
    expect(outcome).toMatchObject({kind: 'done', slotsMovedAtomically: 0})
    expectWhole(cluster, moves, contents)
  })

  it('goes key by key with several databases, whose writes Valkey 9 mixes up', async () => {
    const cluster = new FakeCluster({atomicFamily: 'push', databases: 2})
    fill(cluster, '0,2', 3)
    const [moves, contents] = [movesOf(cluster, '0-3', 0, 1), cluster.contents()]
    const session = await openSession(cluster, [cluster.server(0).address])
    const [pair] = await chooseMovers(session, moves, 'auto')
    expect(pair).toMatchObject({mover: 'migrate', reason: expect.stringContaining('2 databases')})
    await expect(chooseMovers(session, moves, 'atomic')).rejects.toThrow(RefusedError)
    expect(await carryOut(cluster, moves)).toMatchObject({kind: 'done', slotsMovedAtomically: 0})
    expectWhole(cluster, moves, contents)
  })

  it('uses each pair’s own best in a mixed cluster', async () => {
    const {cluster, contents} = scene('push')
    cluster.server(2).atomicFamily = undefined
    const moves = [...movesOf(cluster, '0-3', 0, 1), ...movesOf(cluster, '11000', 2, 1)]
    const outcome = await carryOut(cluster, moves)
    expect(outcome).toMatchObject({kind: 'done', slotsMoved: 5, slotsMovedAtomically: 4})
    expectWhole(cluster, moves, contents)
  })
})

describe('a target that refuses writes for want of replicas', () => {
  const refusing = (cluster: FakeCluster, isTime: () => boolean): void => {
    cluster.script.failWhen(() => {
      if (isTime()) cluster.server(1).refusedWrites = 3
      return undefined
    })
  }
  const hasTaken = (cluster: FakeCluster) => (): boolean => cluster.server(1).owners[0] === cluster.server(1).id

  it.each([
    {family: 'pull', mover: 'migrate'},
    {family: 'push', mover: 'atomic'},
  ] as const)('may do so: nodes that $family go the way $mover', async ({family, mover}) => {
    const {cluster, moves} = scene(family)
    cluster.server(1).infoOverrides = {goodReplicas: 1}
    const session = await openSession(cluster, [cluster.server(0).address])
    const movers = await chooseMovers(session, moves, 'auto')
    expect(new Set(movers.map((pair) => pair.mover))).toEqual(new Set([mover]))
    if (mover === 'migrate') expect(movers[0]?.reason).toContain('min-replicas-to-write')
  })

  it('has its migration cancelled while that may be, and the keys go one by one', async () => {
    const {cluster, moves, contents} = scene('pull')
    cluster.migrations.steps = 50
    refusing(cluster, () => kindsOf(cluster).includes('startSlotMigration'))
    const events: EngineEvent[] = []
    const outcome = await carryOut(cluster, moves, {listener: (event) => events.push(event)})
    expect(outcome).toMatchObject({kind: 'done', slotsMoved: 5})
    expect(kindsOf(cluster)).toContain('cancelSlotMigration')
    expect(notesOf(events).join()).toContain('min-replicas-to-write')
    expectWhole(cluster, moves, contents)
  })

  it('is told, with its slots, where it was too late for that', async () => {
    const {cluster, moves} = scene('pull')
    refusing(cluster, hasTaken(cluster))
    const error = await carryOut(cluster, moves).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(InterruptedError)
    expect((error as InterruptedError).message).toMatch(/took slots 0-3 .* keys of these slots may be lost/)
  })

  it('does not matter to nodes whose migration fails then', async () => {
    const {cluster, moves, contents} = scene('push')
    refusing(cluster, hasTaken(cluster))
    expect(await carryOut(cluster, moves)).toMatchObject({kind: 'done', slotsMovedAtomically: 5})
    expectWhole(cluster, moves, contents)
  })
})
