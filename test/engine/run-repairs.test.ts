import {describe, expect, it} from 'vitest'
import type {RunRepairsOptions} from '../../src/lib/engine/run-repairs.ts'
import {parseRanges, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {carryKeys, mend, putStray, unassign} from '../support/mending.ts'
import {expectNothingLost, expectWhole, fill, keyIn} from '../support/moving.ts'

const SLOT = 5

interface Break {
  readonly name: string
  /** Slot 5 belongs to server 0, with four keys. */
  readonly doIt: (cluster: FakeCluster) => void
  /** Index of the server that is to own the slot in the end. */
  readonly owner: number
  readonly options?: Partial<RunRepairsOptions>
  readonly acts: readonly string[]
}

function open(cluster: FakeCluster, slot: number = SLOT): void {
  cluster.server(1).importing.set(slot, cluster.server(0).id)
  cluster.server(0).migrating.set(slot, cluster.server(1).id)
  for (const server of cluster.servers) server.version++
}

const breaks: readonly Break[] = [
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

function scene(one: Break): {cluster: FakeCluster; contents: ReadonlyMap<string, string>} {
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

describe.each(breaks)('$name', (one) => {
  const ends = (cluster: FakeCluster) => [{slot: SLOT, from: '', to: cluster.server(one.owner).id}]

  it('is planned for what it is, and mended without losing a key', async () => {
    const {cluster, contents} = scene(one)
    const {plan, outcome} = await mend(cluster, one.options)
    expect(plan.repairs.map(({act}) => act.kind)).toEqual(one.acts)
    expect(outcome.failures.map(({error}) => error.message)).toEqual([])
    expect(outcome.isInOrder).toBe(true)
    expectWhole(cluster, ends(cluster), contents)
  })

  it('is mended by a second run, wherever the first was killed', async () => {
    const {cluster: model} = scene(one)
    await mend(model, one.options)
    const numbers = model.script.changes.map(({number}) => number)
    await Promise.all(
      numbers.map(async (number) => {
        const {cluster, contents} = scene(one)
        const crashed = cluster.script.crashAt(number)
        const first = mend(cluster, one.options)
        first.catch(() => undefined)
        expect(await Promise.race([first, crashed]), `killed at command ${number}`).toBe('crashed')
        cluster.revive()
        await mend(cluster, one.options)
        expectWhole(cluster, [], contents)
      }),
    )
  })

  it.each(['before', 'after'] as const)(
    'is mended in spite of a passing failure, told %s the command took effect',
    async (when) => {
      const {cluster: model} = scene(one)
      await mend(model, one.options)
      const calls = model.script.changes.filter(({isCopying}) => !isCopying)
      await Promise.all(
        calls.map(async ({number}) => {
          const {cluster, contents} = scene(one)
          const failure = (['timeout', 'try-again', 'closed'] as const)[number % 3] as 'timeout'
          cluster.script.failAt(number, when, failure)
          const {outcome} = await mend(cluster, one.options)
          expect(outcome.isInOrder, `${failure} at command ${number}`).toBe(true)
          expectWhole(cluster, [], contents)
        }),
      )
    },
  )

  it('loses nothing to a failure that cannot be helped, and is mended afterwards', async () => {
    const {cluster: model} = scene(one)
    await mend(model, one.options)
    await Promise.all(
      model.script.changes.map(async ({number}) => {
        const {cluster, contents} = scene(one)
        cluster.script.failAt(number, 'before', 'permission')
        await mend(cluster, one.options)
        await mend(cluster, one.options)
        expectWhole(cluster, [], contents)
      }),
    )
  })
})

describe('keys that two nodes hold with different values', () => {
  const withTwins = (): FakeCluster => {
    const cluster = new FakeCluster()
    fill(cluster, '0-7', 6)
    putStray(cluster.server(2), SLOT, 0, 'another value')
    putStray(cluster.server(2), SLOT, 9, 'only here')
    putStray(cluster.server(2), 6, 9, 'only here')
    return cluster
  }

  it('stay both when nobody decided, and hold up no other slot', async () => {
    const cluster = withTwins()
    const {outcome} = await mend(cluster, {search: 'hints'})
    expect(outcome).toMatchObject({isInOrder: false, failures: [{repair: {slots: '5'}}]})
    expect(outcome.failures[0]?.error.message).toContain('has different values')
    expect(cluster.server(0).keyspace.get(keyIn(SLOT, 0), 0)?.payload.toString()).toBe(`value ${SLOT} 0 0`)
    expect(cluster.server(2).keyspace.get(keyIn(SLOT, 0), 0)?.payload.toString()).toBe('another value')
    expect(cluster.server(0).keyspace.countIn(6, 0)).toBe(7)
    expect(cluster.server(2).keyspace.countIn(6, 0)).toBe(0)
  })

  it.each([
    {conflicts: 'source', value: 'another value'},
    {conflicts: 'target', value: `value ${SLOT} 0 0`},
  ] as const)('take the value of the $conflicts where that was asked for', async ({conflicts, value}) => {
    const cluster = withTwins()
    const contents = new Map(cluster.contents())
    contents.set(`0/${keyIn(SLOT, 0).toString('latin1')}`, value)
    for (const slot of [SLOT, 6]) contents.set(`0/${keyIn(slot, 9).toString('latin1')}`, 'only here')
    const {outcome} = await mend(cluster, {search: 'hints', conflicts})
    expect(outcome.isInOrder).toBe(true)
    expectWhole(cluster, [], contents)
  })
})

describe('a primary that is gone', () => {
  const lost = (replicas: number): {cluster: FakeCluster; contents: ReadonlyMap<string, string>} => {
    const cluster = new FakeCluster({replicas})
    fill(cluster, '0-7', 3)
    const contents = cluster.contents()
    cluster.stop(0)
    return {cluster, contents}
  }

  it('is taken over from by its replica, where that is allowed', async () => {
    const {cluster, contents} = lost(1)
    const {plan, outcome} = await mend(cluster, {isAllowed: ({risk}) => risk !== 'data-loss'})
    expect(plan.repairs).toMatchObject([{act: {kind: 'take-over'}, risk: 'disruptive', slots: '0-5461'}])
    expect(outcome.isInOrder).toBe(true)
    expect(Object.fromEntries(cluster.contents())).toEqual(Object.fromEntries(contents))
  })

  it('is let be where it is not', async () => {
    const {cluster} = lost(1)
    const changes = cluster.script.changes.length
    const {outcome} = await mend(cluster)
    expect(outcome).toMatchObject({isInOrder: false, done: []})
    expect(cluster.script.changes).toHaveLength(changes)
  })

  it('gives up its slots only where the loss was accepted, and cannot take them back', async () => {
    const {cluster} = lost(0)
    const {plan, outcome} = await mend(cluster)
    expect(plan.repairs).toMatchObject([{act: {kind: 'assign'}, risk: 'data-loss'}, {risk: 'data-loss'}])
    expect(outcome).toMatchObject({isInOrder: false, done: []})
    expect((await mend(cluster, {isAllowed: () => true})).outcome.isInOrder).toBe(true)
    cluster.set(keyIn(0, 1), 'new')
    cluster.start(0)
    cluster.settle()
    expect(cluster.contents().get(`0/${keyIn(0, 1).toString('latin1')}`)).toBe('new')
  })

  it('gives up just those of its slots for which the loss was accepted', async () => {
    const {cluster} = lost(0)
    const isAllowed = ({slots}: {slots: string}): boolean =>
      slotsInRanges(parseRanges(slots)).every((slot) => slot < 10)
    const {outcome} = await mend(cluster, {isAllowed})
    expect(outcome).toMatchObject({isInOrder: false, failures: []})
    expect(cluster.server(1).owners.slice(0, 10)).not.toContain(cluster.server(0).id)
    expect(cluster.server(1).owners[10]).toBe(cluster.server(0).id)
  })

  it('blocks repairs of other slots, unless it is let be', async () => {
    const {cluster} = lost(1)
    cluster.server(2).setImporting(6000, cluster.server(1).id)
    const {plan} = await mend(cluster)
    expect(plan.obstacles).toMatchObject([{slots: '6000'}])
    const {outcome} = await mend(cluster, {withUnreachablePrimaries: true})
    expect(outcome.done).toMatchObject([{act: {kind: 'close'}, slots: '6000'}])
  })
})

it('keeps a key that a client wrote at a rival after its keys were counted', async () => {
  const cluster = new FakeCluster()
  fill(cluster, '0-7', 3)
  const [rival, owner, third] = [cluster.server(0), cluster.server(1), cluster.server(2)]
  rival.keyspace.deleteSlot(SLOT)
  const contents = new Map(cluster.contents())
  // No packet has arrived yet, and a third node takes the rival for stronger than it is.
  cluster.gossip = 'manual'
  owner.assign(SLOT, owner.id)
  third.learn(rival.id, rival.address, rival.busPort).configEpoch = 9
  cluster.script.failWhen(({kind, number}) => {
    if (number === 1) putStray(rival, SLOT, 9, 'just written')
    if (kind === 'bumpEpoch') cluster.gossip = 'at-once'
    return undefined
  })
  contents.set(`0/${keyIn(SLOT, 9).toString('latin1')}`, 'just written')
  await mend(cluster)
  expectNothingLost(cluster, contents)
})

it('mends keys of every database', async () => {
  const cluster = new FakeCluster({databases: 3})
  fill(cluster, '0-7', 3)
  const contents = new Map(cluster.contents())
  putStray(cluster.server(1), SLOT, 9, 'only here', 2)
  contents.set(`2/${keyIn(SLOT, 9).toString('latin1')}`, 'only here')
  cluster.server(0).setMigrating(6, cluster.server(1).id)
  await mend(cluster, {search: 'hints'})
  expectWhole(cluster, [], contents)
})

it('finishes a marked move that a run of ours meant, though no key has moved yet', async () => {
  const cluster = new FakeCluster()
  fill(cluster, '0-7', 3)
  const contents = cluster.contents()
  const [from, to] = [cluster.server(0).id, cluster.server(1).id]
  cluster.server(1).setImporting(SLOT, from)
  const moves = [{slot: SLOT, from, to}]
  await mend(cluster, {intended: moves})
  expectWhole(cluster, moves, contents)
})

it('stops between two stages at a signal, and the next run goes on', async () => {
  const cluster = new FakeCluster()
  fill(cluster, '0-7', 3)
  const contents = cluster.contents()
  cluster.server(2).setImporting(SLOT, cluster.server(0).id)
  open(cluster, 6)
  const stop = new AbortController()
  const {outcome} = await mend(cluster, {
    stop: stop.signal,
    listener: () => stop.abort(),
  })
  expect(outcome).toMatchObject({isStopped: true, isInOrder: false})
  expectNothingLost(cluster, contents)
  await mend(cluster)
  expectWhole(cluster, [], contents)
})
