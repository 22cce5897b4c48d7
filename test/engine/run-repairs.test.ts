import {describe, expect, it} from 'vitest'
import {parseRanges, slotsInRanges} from '../../src/lib/slots/slot-ranges.ts'
import {breakSlot, brokenSlots, open, SLOT} from '../support/broken-slots.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {mend, putStray} from '../support/mending.ts'
import {expectNothingLost, expectWhole, fill, keyIn} from '../support/moving.ts'

describe.each(brokenSlots)('$name', (one) => {
  const ends = (cluster: FakeCluster) => [{slot: SLOT, from: '', to: cluster.server(one.owner).id}]

  it('is planned for what it is, and mended without losing a key', async () => {
    const {cluster, contents} = breakSlot(one)
    const {plan, outcome} = await mend(cluster, one.options)
    expect(plan.repairs.map(({act}) => act.kind)).toEqual(one.acts)
    expect(outcome.failures.map(({error}) => error.message)).toEqual([])
    expect(outcome.isInOrder).toBe(true)
    expectWhole(cluster, ends(cluster), contents)
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
