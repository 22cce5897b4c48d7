/** Every way in which a slot of a fake cluster can be broken, and what is to become of it. */
import type {RunRepairsOptions} from '../../src/lib/engine/run-repairs.ts'
import {FakeCluster} from './fake-cluster.ts'
import {carryKeys, putStray, unassign} from './mending.ts'
import {fill, keyIn} from './moving.ts'

/** The slot that is broken. */
export const SLOT = 5

export interface BrokenSlot {
  readonly name: string
  /** Slot 5 belongs to server 0, with four keys. */
  readonly doIt: (cluster: FakeCluster) => void
  /** Index of the server that is to own the slot in the end. */
  readonly owner: number
  readonly options?: Partial<RunRepairsOptions>
  readonly acts: readonly string[]
}

export function open(cluster: FakeCluster, slot: number = SLOT): void {
  cluster.server(1).importing.set(slot, cluster.server(0).id)
  cluster.server(0).migrating.set(slot, cluster.server(1).id)
  for (const server of cluster.servers) server.version++
}

export const brokenSlots: readonly BrokenSlot[] = [
  {
    name: 'migrating only',
    doIt: (c) => c.server(0).setMigrating(SLOT, c.server(1).id),
    owner: 1,
    acts: ['finish-move'],
  },
  {
    name: 'migrating only, taken back where that is asked for',
    doIt: (c) => c.server(0).setMigrating(SLOT, c.server(1).id),
    owner: 0,
    options: {takesBackUnopened: true},
    acts: ['close'],
  },
  {
    name: 'migrating only, and the target has a key: not taken back',
    doIt: (c) => {
      c.server(0).setMigrating(SLOT, c.server(1).id)
      carryKeys(c.server(0), c.server(1), SLOT, 1)
    },
    owner: 1,
    options: {takesBackUnopened: true},
    acts: ['finish-move'],
  },
  {
    name: 'importing only, without keys',
    doIt: (c) => c.server(1).setImporting(SLOT, c.server(0).id),
    owner: 0,
    acts: ['close'],
  },
  {
    name: 'importing only, with a key',
    doIt: (c) => {
      c.server(1).setImporting(SLOT, c.server(0).id)
      carryKeys(c.server(0), c.server(1), SLOT, 1)
    },
    owner: 1,
    acts: ['finish-move'],
  },
  {name: 'both marks, no key moved', doIt: (c) => open(c), owner: 1, acts: ['finish-move']},
  {
    name: 'both marks, one key moved: forward, though the source has more',
    doIt: (c) => {
      open(c)
      carryKeys(c.server(0), c.server(1), SLOT, 1)
    },
    owner: 1,
    acts: ['finish-move'],
  },
  {
    name: 'keys moved, the slot assigned at the source only',
    doIt: (c) => {
      open(c)
      carryKeys(c.server(0), c.server(1), SLOT, 99)
      c.server(0).assignSlot(SLOT, c.server(1).id)
    },
    owner: 1,
    acts: ['assign'],
  },
  {
    name: 'keys moved, the slot assigned at the target only',
    doIt: (c) => {
      open(c)
      carryKeys(c.server(0), c.server(1), SLOT, 99)
      c.server(1).assignSlot(SLOT, c.server(1).id)
      c.settle()
    },
    owner: 1,
    acts: ['close'],
  },
  {
    name: 'two nodes import, and the second has a key',
    doIt: (c) => {
      open(c)
      c.server(2).setImporting(SLOT, c.server(0).id)
      carryKeys(c.server(0), c.server(2), SLOT, 2)
    },
    owner: 1,
    acts: ['gather', 'finish-move'],
  },
  {
    name: 'two nodes import and have keys, and nobody migrates',
    doIt: (c) => {
      for (const n of [1, 2]) {
        c.server(n).setImporting(SLOT, c.server(0).id)
        carryKeys(c.server(0), c.server(n), SLOT, 1)
      }
    },
    owner: 0,
    acts: ['gather'],
  },
  {
    name: 'a node imports from one that does not own the slot, and has a key',
    doIt: (c) => {
      c.server(1).setImporting(SLOT, c.server(2).id)
      carryKeys(c.server(0), c.server(1), SLOT, 1)
    },
    owner: 0,
    acts: ['correct-mark', 'gather'],
  },
  {
    name: 'nobody owns it, and nobody has keys',
    doIt: (c) => {
      c.server(0).keyspace.deleteSlot(SLOT)
      unassign(c, SLOT)
    },
    owner: 0,
    acts: ['assign'],
  },
  {
    name: 'nobody owns it, one node has its keys',
    doIt: (c) => {
      carryKeys(c.server(0), c.server(2), SLOT, 99)
      unassign(c, SLOT)
    },
    owner: 2,
    acts: ['assign'],
  },
  {
    name: 'nobody owns it, several nodes have its keys',
    doIt: (c) => {
      carryKeys(c.server(0), c.server(2), SLOT, 2)
      unassign(c, SLOT)
    },
    options: {search: 'hints'},
    owner: 2,
    acts: ['assign'],
  },
  {
    name: 'its owner disclaims it, the others name it still',
    doIt: (c) => {
      carryKeys(c.server(0), c.server(2), SLOT, 2)
      c.server(0).assign(SLOT, undefined)
    },
    options: {search: 'hints'},
    owner: 0,
    acts: ['assign'],
  },
  {
    name: 'orphan keys, some of which the owner has as well',
    doIt: (c) => {
      putStray(c.server(2), SLOT, 0, `value ${SLOT} 0 0`)
      carryKeys(c.server(0), c.server(2), SLOT, 3)
    },
    options: {search: 'hints'},
    owner: 0,
    acts: ['gather'],
  },
  {
    name: 'one claims it, the other one has keys of it too',
    doIt: (c) => {
      carryKeys(c.server(0), c.server(1), SLOT, 3)
      c.server(0).assign(SLOT, undefined)
      c.server(2).assign(SLOT, c.server(2).id)
      c.server(2).importing.delete(SLOT)
      c.settle()
    },
    options: {search: 'hints'},
    owner: 2,
    acts: ['gather'],
  },
]

export function breakSlot(one: BrokenSlot): {cluster: FakeCluster; contents: ReadonlyMap<string, string>} {
  const cluster = new FakeCluster()
  fill(cluster, '4-6', 4)
  const contents = cluster.contents()
  if (one.name === 'nobody owns it, and nobody has keys') {
    const left = new Map(contents)
    for (let n = 0; n < 4; n++) left.delete(`0/${keyIn(SLOT, n).toString('latin1')}`)
    one.doIt(cluster)
    return {cluster, contents: left}
  }
  one.doIt(cluster)
  return {cluster, contents}
}
