import {describe, expect, test} from 'vitest'
import {countSlotEverywhere} from '../../src/lib/engine/count-slot.ts'
import {measureHeat} from '../../src/lib/engine/measure-heat.ts'
import {openSession} from '../../src/lib/engine/session.ts'
import {NodeError, RefusedError} from '../../src/lib/errors.ts'
import {countSlots} from '../../src/lib/slots/slot-ranges.ts'
import {heatBetween, type SlotHeat} from '../../src/lib/topology/slot-heat.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {fill, keyIn} from '../support/moving.ts'

const SETTING = 'cluster-slot-stats-enabled'

const openOn = (cluster: FakeCluster) => openSession(cluster, [cluster.server(0).address])

async function failureOf(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => new Error('no failure'),
    (error: Error) => error,
  )
}

function withStats(setting: 'yes' | 'no', servers = [0, 1, 2], options = {}): FakeCluster {
  const cluster = new FakeCluster(options)
  for (const index of servers) cluster.server(index).settings.set(SETTING, setting)
  return cluster
}

describe('the load of slots', () => {
  test('is told by the servers where they measure it, in a few calls', async () => {
    const cluster = withStats('yes')
    fill(cluster, '0-9', 3)
    fill(cluster, '16383-16383', 7)
    const session = await openOn(cluster)
    for (const [kind, each] of [
      ['keys', 1],
      ['memory', 100],
      ['cpu', 10],
      ['network', 40],
    ] as const) {
      const {values, sources, gaps} = await measureHeat(session, kind)
      expect([values[0], values[9], values[10], values[16383]]).toEqual([3 * each, 3 * each, 0, 7 * each])
      expect([...sources]).toEqual(['measured'])
      expect(gaps).toEqual([])
    }
    expect(cluster.script.log.filter(({kind}) => kind === 'readSlotStats').length).toBeLessThan(4 * 12)
    expect(cluster.script.log.filter(({kind}) => kind === 'countKeys')).toEqual([])
    expect(cluster.script.changes).toEqual([])
  })

  test('is counted in all databases where they do not', async () => {
    const cluster = new FakeCluster({databases: 3})
    fill(cluster, '5-5', 2)
    cluster.set(keyIn(5, 90), 'v', 2)
    const {values, sources} = await measureHeat(await openOn(cluster), 'keys')
    expect([values[5], values[6]]).toEqual([7, 0])
    expect([...sources]).toEqual(['counted'])
  })

  test.each(['none', 'no'] as const)('in bytes is estimated from a few keys of each slot: stats %s', async (stats) => {
    const cluster = stats === 'no' ? withStats('no') : new FakeCluster()
    for (let n = 0; n < 40; n++) cluster.set(keyIn(7, n), 'v'.repeat(1000))
    const {values, sources} = await measureHeat(await openOn(cluster), 'memory')
    expect(values[7]).toBeGreaterThan(40_000)
    expect(values[7]).toBeLessThan(50_000)
    expect([...sources]).toEqual(['estimated'])
    const measured = cluster.script.log.filter(({kind}) => kind === 'measureKeys')
    expect(measured.reduce((sum, {keys = 0}) => sum + keys, 0)).toBe(5)
  })

  test('of a mixed cluster comes from both', async () => {
    const cluster = withStats('yes', [0])
    fill(cluster, '0-0', 4)
    fill(cluster, '16000-16000', 5)
    const {values, sources, gaps} = await measureHeat(await openOn(cluster), 'keys')
    expect([values[0], values[16000]]).toEqual([4, 5])
    expect([...sources].sort()).toEqual(['counted', 'measured'])
    expect(gaps).toEqual([])
  })

  test.each(['cpu', 'network'] as const)(
    'in %s is refused where no server measures it, naming the setting',
    async (kind) => {
      const off = await failureOf(measureHeat(await openOn(withStats('no')), kind))
      expect(off).toBeInstanceOf(RefusedError)
      expect(off.message).toContain(`${SETTING} is off on`)
      expect((off as RefusedError).suggestions.join()).toContain(
        `CONFIG SET ${SETTING} ${kind === 'cpu' ? 'cpu' : 'net'}`,
      )
      const unsupported = await failureOf(measureHeat(await openOn(new FakeCluster()), kind))
      expect(unsupported).toBeInstanceOf(RefusedError)
      expect(unsupported.message).toContain('have no CLUSTER SLOT-STATS')
    },
  )

  test('in cpu is told as far as it is measured, and who does not is named', async () => {
    const cluster = withStats('yes', [0, 1])
    const {values, gaps} = await measureHeat(await openOn(cluster), 'cpu')
    expect(values[0]).toBe(0)
    expect(gaps).toMatchObject([{node: cluster.server(2).id, reason: 'unsupported'}])
    expect(countSlots(gaps[0]?.slots ?? [])).toBe(5461)
  })

  test('of a dead node, and of one that dies meanwhile, is not known, and both are named', async () => {
    const cluster = withStats('yes')
    cluster.server(1).down = 'refused'
    const session = await openOn(cluster)
    cluster.script.failWhen((call) =>
      call.at === cluster.server(2).id && call.kind === 'readSlotStats'
        ? {when: 'before', failure: 'timeout'}
        : undefined,
    )
    const {values, gaps} = await measureHeat(session, 'keys')
    expect(gaps.map(({node, reason}) => [node, reason])).toEqual([
      [cluster.server(1).id, 'unreachable'],
      [cluster.server(2).id, 'failed'],
    ])
    expect(values.filter((value) => value === undefined)).toHaveLength(
      16384 - countSlots(session.topology.shards[0]?.primary.ranges ?? []),
    )
  })

  test('of slots that nobody owns is not known', async () => {
    const cluster = withStats('yes', [0, 1], {primaries: 2, shares: ['0-99', '200-16383']})
    const {gaps} = await measureHeat(await openOn(cluster), 'keys')
    expect(gaps).toMatchObject([{node: undefined, slots: [{start: 100, end: 199}], reason: 'uncovered'}])
  })

  test('that takes too long to count stays unknown, and that is said', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-9', 1)
    const {gaps} = await measureHeat(await openOn(cluster), 'keys', {budgetMs: -1})
    // Empty nodes need no count.
    expect(gaps).toMatchObject([{node: cluster.server(0).id, reason: 'late'}])
  })

  test('without the right to count is a failure that names it', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '0-9', 1)
    const session = await openOn(cluster)
    cluster.script.failWhen((call) =>
      call.kind === 'countKeys' || call.kind === 'readSlotStats' ? {when: 'before', failure: 'permission'} : undefined,
    )
    for (const kind of ['keys', 'memory', 'cpu'] as const) {
      const error = await failureOf(measureHeat(session, kind))
      expect(error).toBeInstanceOf(NodeError)
      expect(error).toMatchObject({failure: 'permission', exitCode: 4})
    }
  })

  test('over a time is what came in between', async () => {
    const cluster = withStats('yes')
    fill(cluster, '3-3', 4)
    const {values, overMs} = await measureHeat(await openOn(cluster), 'cpu', {overMs: 10})
    expect(values[3]).toBe(0)
    expect(overMs).toBeGreaterThanOrEqual(10)
  })
})

describe('what came between two looks', () => {
  const heat = (values: (number | undefined)[], gaps: SlotHeat['gaps'] = []): SlotHeat => ({
    ...{kind: 'cpu', values, gaps, overMs: undefined},
    sources: new Set(['measured']),
  })

  test.each([
    {name: 'grows', before: 10, after: 25, expected: 15},
    {name: 'was set back to zero meanwhile', before: 100, after: 7, expected: 7},
    {name: 'was not known before', before: undefined, after: 7, expected: undefined},
    {name: 'is not known any more', before: 7, after: undefined, expected: undefined},
  ])('where the counter $name', ({before, after, expected}) => {
    expect(heatBetween(heat([before]), heat([after]), 1000)).toMatchObject({values: [expected], overMs: 1000})
  })
})

describe('keys of one slot', () => {
  test('are counted on all primaries and on the replicas of the owner', async () => {
    const cluster = new FakeCluster({replicas: 1})
    fill(cluster, '5-5', 3)
    const counts = await countSlotEverywhere(await openOn(cluster), 5)
    const named = new Map(counts.map(({node, keys}) => [node, keys]))
    expect(named.size).toBe(4)
    expect([0, 1, 2].map((index) => named.get(cluster.server(index).id))).toEqual([3, 0, 0])
    expect(cluster.script.changes).toEqual([])
  })

  test('are not known of nodes that cannot be asked, which say why', async () => {
    const cluster = new FakeCluster()
    fill(cluster, '5-5', 3)
    cluster.server(1).down = 'refused'
    const session = await openOn(cluster)
    cluster.script.failWhen(({kind}) => (kind === 'countKeys' ? {when: 'before', failure: 'permission'} : undefined))
    const counts = await countSlotEverywhere(session, 5)
    expect(
      counts
        .filter(({problem}) => problem !== undefined)
        .map(({node}) => node)
        .sort(),
    ).toEqual([cluster.server(0).id, cluster.server(1).id].sort())
  })
})
