/** Each guard alone: with the others in place, a slot that went to and fro would not be lost for the lack of one. */
import {describe, expect, it} from 'vitest'
import type {FakeServer} from '../support/fake/fake-server.ts'
import type {Call} from '../support/fake/faults.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryOut, expectWhole, fill, keyIn, movesOf} from '../support/moving.ts'

interface Scene {
  readonly cluster: FakeCluster
  readonly source: FakeServer
  readonly target: FakeServer
  readonly contents: ReadonlyMap<string, string>
  /** Runs the move of slot 0; `watch` sees every call before it is carried out. */
  run(watch: (call: Call) => void): Promise<void>
}

function scene(): Scene {
  const cluster = new FakeCluster()
  fill(cluster, '0', 3)
  const contents = cluster.contents()
  const [source, target] = [cluster.server(0), cluster.server(1)]
  // Packets take so many commands that nobody hears of anything in time who does not wait for it.
  cluster.gossip = 8
  const run = async (watch: (call: Call) => void): Promise<void> => {
    cluster.script.failWhen((call) => {
      watch(call)
      return undefined
    })
    const moves = movesOf(cluster, '0', 0, 1)
    await carryOut(cluster, moves)
    expectWhole(cluster, moves, contents)
  }
  return {cluster, source, target, contents, run}
}

function raise(server: FakeServer, epoch: number): void {
  server.me.configEpoch = epoch
  server.currentEpoch = Math.max(server.currentEpoch, epoch)
  server.version++
}

describe('config epochs', () => {
  it('are known to all before the first mark is set', async () => {
    const {source, target, run} = scene()
    raise(source, 7)
    await run(({kind}) => {
      if (kind === 'setImporting') expect(target.peers.get(source.id)?.configEpoch).toBe(7)
    })
  })

  it('of the source are known to the target when it takes the slot, though they rose in mid-move', async () => {
    const {source, target, run} = scene()
    await run((call) => {
      if (call.kind === 'setMigrating') raise(source, 9)
      if (call.kind === 'assignSlot' && call.at === target.id) expect(target.peers.get(source.id)?.configEpoch).toBe(9)
    })
  })

  it('of the target are above the source’s before the source is told, though they were equal', async () => {
    const {cluster, source, target, run} = scene()
    raise(target, 8)
    await run((call) => {
      if (call.kind === 'setMigrating' && source.me.configEpoch < 8) {
        raise(source, 8)
        const known = target.peers.get(source.id)
        if (known) known.configEpoch = 8
        target.version++
        // Nobody settles it before the first try is over, which ends when both ends are looked at again.
        cluster.gossip = 'manual'
      } else if (call.kind === 'readView' && cluster.gossip === 'manual') {
        cluster.gossip = 8
      }
      if (call.kind === 'assignSlot' && call.at === target.id) {
        expect(target.me.configEpoch).not.toBe(source.me.configEpoch)
      }
      if (call.kind === 'assignSlot' && call.at === source.id) {
        expect(target.me.configEpoch).toBeGreaterThan(source.me.configEpoch)
      }
    })
  })
})

describe('a key that turns up at the source after its slot was drained', () => {
  it('is seen, and moved before the target takes the slot', async () => {
    const {cluster, source, target, contents} = scene()
    cluster.gossip = 'at-once'
    const late = {payload: Buffer.from('late'), expiresAtMs: undefined}
    let [hasDrained, hasCome] = [false, false]
    cluster.script.failWhen((call) => {
      if (call.kind === 'migrateKeys' && !call.isCopying) hasDrained = true
      if (call.kind === 'countKeys' && call.at === source.id && hasDrained && !hasCome) {
        hasCome = true
        source.keyspace.set(keyIn(0, 9), late, 0)
      }
      return undefined
    })
    const moves = movesOf(cluster, '0', 0, 1)
    await carryOut(cluster, moves)
    expectWhole(cluster, moves, new Map(contents).set(`0/${keyIn(0, 9).toString('latin1')}`, 'late'))
    expect([hasCome, target.keyspace.countIn(0, 0)]).toEqual([true, 4])
  })

  it.each(['source', 'target'] as const)('is not lost when the mark of the %s was taken away by hand', async (end) => {
    const {cluster, source, target, contents} = scene()
    cluster.gossip = 'at-once'
    let hasCome = false
    cluster.script.failWhen((call) => {
      // The look that follows the one that found the slot empty.
      const isLast = call.kind === 'readView' && call.at === source.id && source.keyspace.countIn(0, 0) === 0
      if (isLast && !hasCome) {
        hasCome = true
        if (end === 'source') source.migrating.delete(0)
        else target.importing.delete(0)
        for (const server of [source, target]) server.version++
        if (end === 'source')
          source.keyspace.set(keyIn(0, 9), {payload: Buffer.from('late'), expiresAtMs: undefined}, 0)
      }
      return undefined
    })
    const moves = movesOf(cluster, '0', 0, 1)
    await carryOut(cluster, moves)
    const late = end === 'source' ? [[`0/${keyIn(0, 9).toString('latin1')}`, 'late'] as const] : []
    expectWhole(cluster, moves, new Map([...contents, ...late]))
    expect(hasCome).toBe(true)
  })
})
