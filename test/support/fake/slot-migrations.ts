/**
 * How do fake servers move whole slots by themselves? The rules and the wording of Valkey 9 ('push') and Redis 8.4
 * ('pull'); test/contract holds them against real servers. A migration goes on by one step whenever somebody asks how
 * far it is, so that tests decide when it ends.
 */
import type {AtomicFamily, SlotMigration} from '../../../src/lib/engine/cluster-port.ts'
import {rangesFromSlots, type SlotRanges, slotsInRanges} from '../../../src/lib/slots/slot-ranges.ts'
import type {NodeId} from '../../../src/lib/topology/model.ts'
import type {FakeServer} from './fake-server.ts'

interface Migration extends SlotMigration {
  stepsLeft: number
  status: SlotMigration['status']
  stage: string
  reason: string
}

export class FakeMigrations {
  readonly #all: Migration[] = []
  readonly #serverOf: (id: NodeId) => FakeServer | undefined
  readonly #broadcast: (server: FakeServer) => void
  /** How many times one has to ask until a migration has ended. */
  steps = 2
  /** The next so many migrations fail with this reason, half way. */
  failing: {count: number; reason: string} = {count: 0, reason: ''}

  constructor(serverOf: (id: NodeId) => FakeServer | undefined, broadcast: (server: FakeServer) => void) {
    this.#serverOf = serverOf
    this.#broadcast = broadcast
  }

  start(family: AtomicFamily, asked: FakeServer, ranges: SlotRanges, target: NodeId): string {
    const slots = slotsInRanges(ranges)
    const source = family === 'push' ? asked.id : this.#soleOwner(asked, slots)
    const isBusy = this.#all.some((one) => one.status === 'running' && [one.source, one.target].includes(asked.id))
    if (family === 'push') {
      if (slots.some((slot) => asked.owners[slot] !== asked.id)) {
        throw asked.says('ERR Slots are not served by this node.')
      }
      if (!asked.peers.has(target)) throw asked.says(`ERR Unknown node name: ${target}`)
    } else if (isBusy) throw asked.says('ERR another ASM task is already in progress')
    const id = (this.#all.length + 1).toString(16).padStart(4, 'a').repeat(10)
    this.#all.push({
      id,
      ranges: rangesFromSlots(slots),
      source,
      target: family === 'push' ? target : asked.id,
      status: 'running',
      stage: 'snapshotting',
      reason: '',
      writePauseMs: undefined,
      stepsLeft: this.steps,
    })
    return id
  }

  #soleOwner(asked: FakeServer, slots: readonly number[]): NodeId {
    const owners = new Set(slots.map((slot) => asked.owners[slot]))
    const [owner] = owners
    if (owners.size !== 1 || owner === undefined) throw asked.says('ERR slots belong to different source nodes')
    if (owner === asked.id) throw asked.says('ERR this node is already the owner of the slot range')
    return owner
  }

  list(asked: FakeServer): SlotMigration[] {
    const own = this.#all.filter(({source, target}) => source === asked.id || target === asked.id)
    for (const one of own) if (one.status === 'running') this.#advance(one)
    return own.map((one) => ({...one}))
  }

  cancel(family: AtomicFamily, asked: FakeServer, id: string): void {
    for (const one of this.#all) {
      const isMeant = family === 'push' ? one.source === asked.id : one.id === id
      if (isMeant && one.status === 'running') one.status = 'cancelled'
    }
  }

  #advance(one: Migration): void {
    const source = this.#serverOf(one.source)
    const target = this.#serverOf(one.target)
    if (!source || !target || source.down || target.down || source.isReplica) {
      this.#fail(one, 'the other end went away')
      return
    }
    if (--one.stepsLeft > 0) return
    if (this.failing.count > 0) {
      this.failing.count--
      this.#fail(one, this.failing.reason)
      return
    }
    const slots = slotsInRanges(one.ranges)
    if (slots.some((slot) => source.owners[slot] !== source.id)) {
      this.#fail(one, 'slots are not served by the source any more')
      return
    }
    this.#handOver(source, target, slots)
    one.status = 'done'
    one.stage = 'success'
  }

  #handOver(source: FakeServer, target: FakeServer, slots: readonly number[]): void {
    for (const slot of slots) {
      for (let database = 0; database < source.keyspace.databaseCount; database++) {
        for (const key of source.keyspace.keysIn(slot, database)) {
          const value = source.keyspace.get(key, database)
          if (value) target.keyspace.set(key, value, database)
        }
      }
      source.keyspace.deleteSlot(slot)
      target.assign(slot, target.id)
      source.assign(slot, target.id)
    }
    target.currentEpoch = Math.max(target.currentEpoch, source.currentEpoch, source.me.configEpoch)
    target.bumpEpoch()
    this.#broadcast(target)
  }

  #fail(one: Migration, reason: string): void {
    one.status = 'failed'
    one.stage = 'failed'
    one.reason = reason
  }
}
