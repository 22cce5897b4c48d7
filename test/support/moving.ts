/** How are slots of a fake cluster moved in a test, and what must hold afterwards? */
import {expect} from 'vitest'
import {chooseMovers, type MoverChoice} from '../../src/lib/engine/choose-movers.ts'
import {type MoveOutcome, type RunOptions, runMoves} from '../../src/lib/engine/run-moves.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {buildMovePlan} from '../../src/lib/plan/move-plan.ts'
import type {SlotMove} from '../../src/lib/plan/plan.ts'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {parseRanges, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {FakeCluster} from './fake-cluster.ts'

/** Moves of `slots` ("0-3,7") from one server of the fake to another, by index. */
export function movesOf(cluster: FakeCluster, slots: string, from: number, to: number): SlotMove[] {
  const ends = {from: cluster.server(from).id, to: cluster.server(to).id}
  return slotsInRanges(parseRanges(slots)).map((slot) => ({slot, ...ends}))
}

/** One run of the engine with a session of its own, as one command would. */
export async function carryOut(
  cluster: FakeCluster,
  moves: readonly SlotMove[],
  options: RunOptions & {readonly mover?: MoverChoice} = {},
): Promise<MoveOutcome> {
  const session = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  const {mover = 'auto', ...rest} = options
  const plan = buildMovePlan(session.topology, 'reshard', moves, [])
  const movers = await chooseMovers(session, moves, mover)
  return runMoves(session, {...plan, movers}, {...rest, isAtomicOnly: mover === 'atomic'})
}

/** What a fresh command has still to do of `moves`: slots that are not there yet, or not closed. */
export async function leftOf(cluster: FakeCluster, moves: readonly SlotMove[]): Promise<SlotMove[]> {
  const {topology} = await openSession(
    cluster,
    cluster.servers.map(({address}) => address),
  )
  const open = new Set(topology.openSlots.map(({slot}) => slot))
  return moves.filter(({slot, to}) => topology.owners[slot] !== to || open.has(slot))
}

/** `count` keys in each of `slots`, in every database, some of them binary. */
export function fill(cluster: FakeCluster, slots: string, count: number): void {
  for (const slot of slotsInRanges(parseRanges(slots))) {
    for (let database = 0; database < cluster.server(0).keyspace.databaseCount; database++) {
      for (let n = 0; n < count; n++) cluster.set(keyIn(slot, n), `value ${slot} ${database} ${n}`, database)
    }
  }
}

export function keyIn(slot: number, n: number): Buffer {
  const tail = n % 3 === 1 ? Buffer.from([0x00, 0xff, 0x0d, 0x0a, n]) : Buffer.from(`key ${n}`)
  return Buffer.concat([Buffer.from(`{${tagForSlot(slot)}}`), tail])
}

/** No slot open, everybody agrees, `moves` are done, and every key is there, once, with its value. */
export function expectWhole(
  cluster: FakeCluster,
  moves: readonly SlotMove[],
  contents: ReadonlyMap<string, string>,
): void {
  cluster.settle()
  expectNothingLost(cluster, contents)
  expect(openSlotsOf(cluster), 'open slots').toEqual([])
  const [first, ...others] = cluster.servers.filter((server) => !server.down && server.peers.size > 1)
  for (const other of others) expect(other.owners, `${other.id} agrees`).toEqual(first?.owners)
  for (const {slot, to} of moves) expect(first?.owners[slot], `the owner of slot ${slot}`).toBe(to)
}

export function expectNothingLost(cluster: FakeCluster, contents: ReadonlyMap<string, string>): void {
  expect(Object.fromEntries(cluster.contents())).toEqual(Object.fromEntries(contents))
  for (const label of contents.keys()) {
    const at = label.indexOf('/')
    const copies = cluster.copies(Buffer.from(label.slice(at + 1), 'latin1'), Number(label.slice(0, at)))
    expect(copies, `copies of ${label}`).toHaveLength(1)
  }
}

/** Slots with a mark anywhere, ascending. */
export function openSlotsOf(cluster: FakeCluster): number[] {
  const open = new Set<number>()
  for (const {down, migrating, importing} of cluster.servers) {
    if (down) continue
    for (const slot of [...migrating.keys(), ...importing.keys()]) open.add(slot)
  }
  return [...open].sort((a, b) => a - b)
}
