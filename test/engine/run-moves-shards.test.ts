import {describe, expect, it} from 'vitest'
import type {EngineListener} from '../../src/lib/engine/events.ts'
import {InterruptedError} from '../../src/lib/errors.ts'
import type {Value} from '../support/fake/keyspace.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryOut, expectWhole, fill, keyIn, leftOf, movesOf} from '../support/moving.ts'

const WANDERING = 'cluster-allow-replica-migration'

describe('a source that gives up its last slot', () => {
  function scene(): FakeCluster {
    const cluster = new FakeCluster({replicas: 1, shares: ['0-9', '10-8000', '8001-16383']})
    fill(cluster, '0,9', 2)
    return cluster
  }

  it('stays a primary, keeps its replica, and has its setting back', async () => {
    const cluster = scene()
    const contents = cluster.contents()
    const moves = [...movesOf(cluster, '0-6', 0, 1), ...movesOf(cluster, '7-9', 0, 2)]
    await carryOut(cluster, moves)
    expectWhole(cluster, moves, contents)
    const [source, replica] = [cluster.server(0), cluster.server(3)]
    expect(source.ownSlots).toEqual([])
    expect([source.isReplica, replica.me.primaryId]).toEqual([false, source.id])
    expect([source, replica].map(({settings}) => settings.get(WANDERING))).toEqual(['yes', 'yes'])
  })

  it('follows who took it, where it is let be', async () => {
    const cluster = scene()
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0-9', 0, 1)
    expect(await carryOut(cluster, moves, {mayFollow: true})).toMatchObject({kind: 'done', slotsMoved: 10})
    expectWhole(cluster, moves, contents)
    expect([cluster.server(0).isReplica, cluster.server(0).me.primaryId]).toEqual([true, cluster.server(1).id])
  })

  it('has its setting back after a failure, too', async () => {
    const cluster = scene()
    const moves = movesOf(cluster, '0-9', 0, 1)
    cluster.script.failWhen(({kind, isCopying}) =>
      kind === 'migrateKeys' && !isCopying ? {when: 'before', failure: 'permission'} : undefined,
    )
    await expect(carryOut(cluster, moves)).rejects.toThrow(InterruptedError)
    expect(cluster.servers.map(({settings}) => settings.get(WANDERING))).toEqual(cluster.servers.map(() => 'yes'))
  })

  it('tells what it changed before it changes it', async () => {
    const cluster = scene()
    const told: string[] = []
    await carryOut(cluster, movesOf(cluster, '0-9', 0, 1), {
      onHeld: (held) => {
        for (const {id, name, before} of held) {
          expect(cluster.serverById(id).settings.get(name)).toBe(before)
          told.push(id)
        }
      },
    })
    expect(new Set(told)).toEqual(new Set([cluster.server(0).id, cluster.server(3).id]))
  })

  it('moves on without the setting where CONFIG is forbidden', async () => {
    const cluster = scene()
    const contents = cluster.contents()
    cluster.script.failWhen(({kind}) => (kind === 'readConfig' ? {when: 'before', failure: 'permission'} : undefined))
    const moves = movesOf(cluster, '0-9', 0, 1)
    expect(await carryOut(cluster, moves)).toMatchObject({kind: 'done'})
    expectWhole(cluster, moves, contents)
  })
})

describe('a replica that is away when the run begins, and back before it ends', () => {
  it('keeps no mark of a slot that has moved: its primary tells it once more', async () => {
    const cluster = new FakeCluster({replicas: 1})
    const [source, target, , replica] = cluster.servers
    if (!source || !target || !replica) throw new Error('there are six')
    fill(cluster, '0,3', 2)
    const moves = movesOf(cluster, '0-3', 0, 1)
    replica.down = 'timeout'
    cluster.script.failWhen(({kind, at, slot}) => {
      if (kind === 'migrateKeys' && replica.down && source.migrating.size > 0) {
        // As Valkey's replicas: the copy that it begins with has the marks of that moment, and nobody tells it of their end.
        replica.down = undefined
        for (const [open, to] of source.migrating) replica.migrating.set(open, to)
      }
      // What a primary of Valkey is told, it passes on.
      if (kind === 'setStable' && at === source.id && slot !== undefined && replica.migrating.delete(slot))
        replica.version++
      return undefined
    })
    expect(await carryOut(cluster, moves)).toMatchObject({kind: 'done', slotsMoved: 4})
    expect([...replica.migrating.keys()]).toEqual([])
  })
})

describe('a failover in mid-move', () => {
  const limits = {maxKeys: 1, maxBytes: 1000}

  it.each([
    {name: 'the source', lost: 0},
    {name: 'the target', lost: 1},
    {name: 'a primary that has no part in it', lost: 2},
  ])(
    'is followed: $name',
    async ({lost}) => {
      const cluster = new FakeCluster({replicas: 1, databases: 2})
      for (const server of cluster.servers) server.infoOverrides = {flavour: 'redis'}
      fill(cluster, '0-2', 4)
      const contents = cluster.contents()
      const moves = movesOf(cluster, '0-3', 0, 1)
      const heirs = [0, 1, 2].map((index) => cluster.server(index).id)
      let moved = 0
      const outcome = await carryOut(cluster, moves, {
        limits,
        listener: (event) => {
          if (event.kind === 'keys-moved' && ++moved === 5) heirs[lost] = cluster.failOver(lost).id
        },
      })
      expect(outcome.kind).toBe('done')
      expectWhole(
        cluster,
        moves.map((move) => ({...move, to: heirs[1] as string})),
        contents,
      )
    },
    30_000,
  )

  /** Of Valkey: its target dies in the middle of the move of slots 0 to 3. */
  function valkeyScene() {
    const cluster = new FakeCluster({replicas: 1})
    for (const server of cluster.servers) server.infoOverrides = {flavour: 'valkey', version: '9.1.2'}
    fill(cluster, '0-2', 4)
    let [moved, heir] = [0, '']
    const listener: EngineListener = (event) => {
      if (event.kind === 'keys-moved' && ++moved === 2) heir = cluster.failOver(1).id
    }
    return {cluster, moves: movesOf(cluster, '0-3', 0, 1), contents: cluster.contents(), listener, heir: () => heir}
  }

  it('of a target of Valkey: slots that it remembers importing move when it is back, as a replica', async () => {
    const {cluster, moves, contents, listener, heir} = valkeyScene()
    const reasons = new Set<string>()
    const outcome = await carryOut(cluster, moves, {
      limits,
      listener: (event) => {
        listener(event)
        if (event.kind !== 'retry' || !event.reason.includes('which is down, may take slots')) return
        reasons.add(event.reason)
        cluster.rejoin(1, heir())
      },
    })
    expect(reasons.size).toBeGreaterThan(0)
    expect(outcome.kind).toBe('done')
    expectWhole(
      cluster,
      moves.map((move) => ({...move, to: heir()})),
      contents,
    )
  })

  it('of a target of Valkey that stays away: they stay with their source, and move when it is forgotten', async () => {
    const {cluster, moves, contents, listener, heir} = valkeyScene()
    const run = carryOut(cluster, moves, {limits, patienceMs: 100, listener})
    await expect(run).rejects.toMatchObject({
      code: 'E_INCOMPLETE',
      message: expect.stringContaining('start it, or give it up with rcluster forget'),
    })
    const fallen = cluster.server(1)
    const remembered = [0, 1, 2, 3].filter((slot) => cluster.server(0).owners[slot] === cluster.server(0).id)
    expect(remembered).not.toEqual([])
    for (const server of cluster.servers) server.peers.delete(fallen.id)
    cluster.settle()
    const rest = remembered.map((slot) => ({slot, from: cluster.server(0).id, to: heir()}))
    expect(await carryOut(cluster, rest, {limits})).toMatchObject({kind: 'done'})
    expectWhole(
      cluster,
      moves.map((move) => ({...move, to: heir()})),
      contents,
    )
  })

  it('to a replica that lagged behind leaves the newer value at the target alone', async () => {
    const cluster = new FakeCluster({replicas: 1})
    fill(cluster, '0', 4)
    const key = keyIn(0, 0)
    const holding = (text: string): Value => ({payload: Buffer.from(text), expiresAtMs: undefined})
    let moved = 0
    const run = carryOut(cluster, movesOf(cluster, '0', 0, 1), {
      limits,
      listener: (event) => {
        if (event.kind !== 'keys-moved' || ++moved !== 2) return
        const heir = cluster.failOver(0)
        heir.keyspace.set(key, holding('of before'), 0)
        cluster.server(1).keyspace.set(key, holding('written since'), 0)
      },
    })
    await expect(run).rejects.toMatchObject({code: 'E_INCOMPLETE', details: {slot: 0, openSlots: [0]}})
    expect(cluster.server(1).keyspace.get(key, 0)?.payload.toString()).toBe('written since')
  })

  it('of the target leaves the source the owner of what it still has', async () => {
    const cluster = new FakeCluster({replicas: 1})
    fill(cluster, '0', 4)
    const contents = cluster.contents()
    let moved = 0
    let twin = ''
    const moves = movesOf(cluster, '0', 0, 1)
    const outcome = await carryOut(cluster, moves, {
      limits,
      listener: (event) => {
        if (event.kind !== 'keys-moved' || ++moved !== 2) return
        const heir = cluster.failOver(1)
        // A MIGRATE whose answer got lost with the target; a client has written the key at its source since.
        const [key] = cluster.server(0).keyspace.keysIn(0, 0)
        twin = key!.toString('latin1')
        heir.keyspace.set(key!, {payload: Buffer.from('of before'), expiresAtMs: undefined}, 0)
      },
    })
    expect(outcome.kind).toBe('done')
    const heir = cluster.servers.find((server) => server.owners[0] === server.id)
    expect(heir?.keyspace.get(Buffer.from(twin, 'latin1'), 0)?.payload.toString()).toBe(contents.get(`0/${twin}`))
    expectWhole(cluster, [{...moves[0]!, to: heir?.id ?? ''}], contents)
  })

  it('is not needed to doubt a source: one that restarted with keys that had moved is not believed', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0', 4)
    const holding = (text: string): Value => ({payload: Buffer.from(text), expiresAtMs: undefined})
    let moved = 0
    let back: Buffer | undefined
    const run = carryOut(cluster, movesOf(cluster, '0', 0, 1), {
      limits,
      listener: (event) => {
        if (event.kind !== 'keys-moved' || ++moved !== 2) return
        const [source, target] = [cluster.server(0), cluster.server(1)]
        ;[back] = target.keyspace.keysIn(0, 0)
        source.runId = 'the next run'
        source.keyspace.set(back!, holding('of before'), 0)
        target.keyspace.set(back!, holding('written since'), 0)
      },
    })
    await expect(run).rejects.toMatchObject({code: 'E_INCOMPLETE', details: {slot: 0, openSlots: [0]}})
    expect(cluster.server(1).keyspace.get(back!, 0)?.payload.toString()).toBe('written since')
  })

  it('that has no heir is waited for; the run goes on when the node is back', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-2', 4)
    const contents = cluster.contents()
    const moves = movesOf(cluster, '0-3', 0, 1)
    let moved = 0
    const run = carryOut(cluster, moves, {
      limits,
      listener: (event) => {
        if (event.kind === 'keys-moved' && ++moved === 2) cluster.stop(1, 'refused')
        if (event.kind === 'retry' && event.attempt === 2) cluster.start(1)
      },
    })
    expect(await run).toMatchObject({kind: 'done'})
    expect(await leftOf(cluster, moves)).toEqual([])
    expectWhole(cluster, moves, contents)
  })

  it('that takes the shard of the target apart leaves the slots of the other half to be brought home', async () => {
    const cluster = new FakeCluster({replicas: 1})
    fill(cluster, '0-3', 4)
    const [target, heir] = [cluster.server(1), cluster.server(4)]
    let moved = 0
    const run = carryOut(cluster, movesOf(cluster, '0-3', 0, 1), {
      limits,
      patienceMs: 100,
      listener: (event) => {
        if (event.kind !== 'keys-moved' || ++moved !== 2) return
        for (const server of cluster.servers) {
          server.peers.get(heir.id)!.primaryId = undefined
          server.assign(3, heir.id)
          server.migrating.delete(3)
        }
        heir.bumpEpoch()
      },
    })
    const error = await run.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(InterruptedError)
    expect((error as InterruptedError).details['left']).toContainEqual({slot: 3, from: heir.id, to: target.id})
  })
})
