import fc from 'fast-check'
import {expect, test} from 'vitest'
import {formatRanges} from '../../src/lib/slots/slot-ranges.ts'
import {mergeViews} from '../../src/lib/topology/merge-views.ts'
import type {Topology} from '../../src/lib/topology/model.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf, viewsOf} from './cluster-views.ts'

const [A, B, C] = [idOf('a'), idOf('b'), idOf('c')]

/** Opinions as "owner@epoch: sayers". */
function opinions(topology: Topology): string[] {
  return topology.disagreements.map(({ranges, opinions: all}) => {
    const said = all.map(
      ({owner, configEpoch, saidBy}) =>
        `${owner?.slice(0, 2) ?? 'nobody'}@${configEpoch ?? '-'}: ${saidBy.map((id) => id.slice(0, 2)).join(' ')}`,
    )
    return `${formatRanges(ranges)} | ${said.join(' | ')}`
  })
}

test('a healthy cluster is all there, agreed and frozen', () => {
  const topology = topologyOf(HEALTHY)
  expect(Object.isFrozen(topology)).toBe(true)
  expect(topology.nodes.map(({id}) => id)).toEqual(['a', 'a1', 'b', 'b1', 'c', 'c1'].map(idOf).sort())
  expect(topology.shards.map(({primary, replicas}) => [primary.id, ...replicas.map(({id}) => id)])).toEqual([
    [A, idOf('a1')],
    [B, idOf('b1')],
    [C, idOf('c1')],
  ])
  expect([0, 5460, 5461, 16383].map((slot) => topology.owners[slot])).toEqual([A, A, B, C])
  expect(topology.owners).toHaveLength(16384)
  expect(topology).toMatchObject({
    seedId: A,
    uncovered: [],
    openSlots: [],
    disagreements: [],
    membershipGaps: [],
    handshakes: [],
  })
})

test('shards are sorted by first slot, slotless ones last by ID', () => {
  const topology = topologyOf({d: {}, c: {slots: '0-99', epoch: 1}, b: {}, a: {slots: '100-16383', epoch: 2}})
  expect(topology.shards.map(({primary}) => primary.id)).toEqual(['c', 'a', 'b', 'd'].map(idOf))
})

test('a replica of an unknown primary, or of a replica, is in no shard', () => {
  const topology = topologyOf({...HEALTHY, d: {replicaOf: 'a1'}, e: {replicaOf: 'f'}})
  expect(topology.shards.flatMap(({replicas}) => replicas).map(({id}) => id)).toEqual(['a1', 'b1', 'c1'].map(idOf))
})

test('slots of an unreachable node are its own, and uncovered', () => {
  const topology = topologyOf({...HEALTHY, b: {...HEALTHY.b, flags: 'fail', unreachable: 'connection refused'}})
  expect(topology.owners[6000]).toBe(B)
  expect(formatRanges(topology.uncovered)).toBe('5461-10922')
  expect(topology.nodesById.get(B)).toMatchObject({
    reach: {kind: 'unreachable', failure: 'refused', message: 'connection refused'},
    address: {host: '127.0.0.1', port: 7001},
    role: 'primary',
    configEpoch: 2,
    flags: new Set(['failed']),
  })
  expect(topology.disagreements).toEqual([])
})

test('slots of nobody are uncovered', () => {
  const topology = topologyOf({a: {slots: '0-9,20-16383', epoch: 1}, b: {}})
  expect(formatRanges(topology.uncovered)).toBe('10-19')
  expect(topology.owners[15]).toBeUndefined()
})

test('of two that claim a slot for themselves the higher epoch owns it, and the dispute is told', () => {
  const topology = topologyOf({
    a: {slots: '0-99', epoch: 4, sees: {b: {slots: '100-16383'}}},
    b: {slots: '50-16383', epoch: 5, sees: {a: {slots: '0-49'}}},
    c: {sees: {b: {slots: '100-16383', epoch: 3}}},
  })
  expect([49, 50, 99, 100].map((slot) => topology.owners[slot])).toEqual([A, B, B, B])
  expect(topology.uncovered).toEqual([])
  expect(opinions(topology)).toEqual(['50-99 | aa@4: aa cc | bb@5: bb'])
})

test('of two equal epochs the smaller ID owns the slot, as the servers settle it', () => {
  const topology = topologyOf({
    b: {slots: '0-16383', epoch: 4, sees: {a: {slots: ''}}},
    a: {slots: '0-16383', epoch: 4, sees: {b: {slots: ''}}},
  })
  expect(topology.owners[0]).toBe(A)
})

test('a slot that its supposed owner disclaims is uncovered and disputed', () => {
  const topology = topologyOf({
    a: {slots: '0-16383', epoch: 1, sees: {a: {slots: '1-16383'}, b: {slots: '0'}}},
    b: {epoch: 2},
    c: {},
  })
  expect(topology.owners[0]).toBeUndefined()
  expect(formatRanges(topology.uncovered)).toBe('0')
  expect(opinions(topology)).toEqual(['0 | aa@1: bb cc | bb@2: aa'])
})

test('equal opinion sets are one disagreement, wherever their slots lie', () => {
  const topology = topologyOf({
    a: {slots: '0-16383', epoch: 1},
    b: {sees: {a: {slots: '0-99,200-299,400-16383'}}},
    c: {sees: {a: {slots: '0-299,400-16383'}}},
  })
  expect(opinions(topology)).toEqual(['100-199 | aa@1: aa cc | nobody@-: bb', '300-399 | aa@1: aa | nobody@-: bb cc'])
})

test('an unreachable node owns what most views assign to it', () => {
  const gone = {slots: '0-16383', epoch: 3, unreachable: 'timeout'}
  const topology = topologyOf({
    a: {sees: {e: {slots: '0-9'}, d: {slots: '10-16383'}}},
    b: {},
    c: {},
    d: gone,
    e: {epoch: 9, unreachable: 'timeout'},
  })
  expect(topology.owners[0]).toBe(idOf('d'))
  expect(formatRanges(topology.uncovered)).toBe('0-16383')
  expect(opinions(topology)).toEqual(['0-9 | dd@3: bb cc | ee@9: aa'])
})

test('open slots tell both ends and the owner', () => {
  const topology = topologyOf({
    ...HEALTHY,
    a: {...HEALTHY.a, migrating: {5: 'b', 7: 'c'}},
    b: {...HEALTHY.b, importing: {5: 'a'}},
    c: {...HEALTHY.c, importing: {9: 'f'}},
  })
  expect(topology.openSlots).toEqual([
    {slot: 5, owner: A, migrating: [{node: A, to: B}], importing: [{node: B, from: A}]},
    {slot: 7, owner: A, migrating: [{node: A, to: C}], importing: []},
    {slot: 9, owner: A, migrating: [], importing: [{node: C, from: idOf('f')}]},
  ])
})

test('a node that only some know is a member with a gap', () => {
  const topology = topologyOf({...HEALTHY, d: {}, a1: {...HEALTHY.a1, sees: {d: {isAbsent: true}}}})
  expect(topology.nodesById.has(idOf('d'))).toBe(true)
  expect(topology.membershipGaps).toEqual([
    {id: idOf('d'), knownBy: ['a', 'b', 'b1', 'c', 'c1', 'd'].map(idOf).sort(), unknownTo: [idOf('a1')]},
  ])
})

test('a handshake is no member; a node without address is known all the same', () => {
  const topology = topologyOf({
    ...HEALTHY,
    d: {flags: 'handshake', unreachable: ''},
    e: {flags: 'noaddr', unreachable: ''},
  })
  expect(topology.nodesById.has(idOf('d'))).toBe(false)
  expect(topology.handshakes).toEqual([
    {address: {host: '127.0.0.1', port: 7006}, seenBy: ['a', 'a1', 'b', 'b1', 'c', 'c1'].map(idOf).sort()},
  ])
  expect(topology.nodesById.get(idOf('e'))).toMatchObject({address: {host: '', port: 0}, flags: new Set(['noaddr'])})
  expect(topology.membershipGaps).toEqual([])
})

test('an unreachable ID that no view knows is left out', () => {
  const views = viewsOf(HEALTHY)
  const unreachable = new Map([[idOf('f'), {failure: 'timeout', message: ''}]])
  expect(mergeViews({seedId: A, views, unreachable}).nodesById.has(idOf('f'))).toBe(false)
})

test('addresses: dialled for the reached, announced for the others, and the best known for a node that cannot tell', () => {
  const spec: ClusterSpec = {
    a: {slots: '0-16383', epoch: 1, host: '10.0.0.1', sees: {a: {host: ''}}},
    b: {host: '10.0.0.2', hostname: 'n2.lab', unreachable: 'timeout'},
    c: {host: '', sees: {a: {host: '10.9.9.9'}, b: {host: '10.8.8.8'}}},
    d: {host: '10.0.0.4'},
  }
  const topology = topologyOf(spec)
  const {nodesById} = topology
  expect(nodesById.get(A)).toMatchObject({
    address: {host: '127.0.0.1', port: 7000},
    announced: {host: '10.0.0.1', port: 7000},
  })
  expect(nodesById.get(B)).toMatchObject({address: {host: '10.0.0.2', port: 7001}, busPort: 17001, hostname: 'n2.lab'})
  expect(nodesById.get(C)!.announced).toEqual({host: '127.0.0.1', port: 7002})
})

test('a node that says nothing of itself is still a node', () => {
  const [view] = viewsOf({a: {slots: '0-16383', epoch: 1}})
  const topology = mergeViews({seedId: A, views: [{...view!, entries: []}], unreachable: new Map()})
  expect(topology.nodes).toMatchObject([{id: A, role: 'primary', announced: {host: '127.0.0.1', port: 7000}}])
  expect(formatRanges(topology.uncovered)).toBe('0-16383')
})

/** Clusters of up to five nodes, whose views differ at will. */
const anySpec: fc.Arbitrary<ClusterSpec> = fc.integer({min: 1, max: 5}).chain((count) => {
  const names = ['a', 'b', 'c', 'd', 'e'].slice(0, count)
  const slots = fc.constantFrom('', '0-99', '50-149', '100-16383', '0-16383', '7')
  const looks = fc.record(
    {
      slots,
      epoch: fc.integer({min: 0, max: 3}),
      flags: fc.constantFrom('', 'fail', 'fail?', 'noaddr', 'handshake'),
      isAbsent: fc.boolean(),
    },
    {requiredKeys: []},
  )
  const node = fc.record(
    {
      slots,
      epoch: fc.integer({min: 0, max: 3}),
      replicaOf: fc.constantFrom(...names),
      unreachable: fc.constant('timeout'),
      sees: fc.dictionary(fc.constantFrom(...names), looks, {noNullPrototype: true}),
      migrating: fc.constant({7: 'a'}),
    },
    {requiredKeys: ['slots', 'epoch']},
  )
  return fc
    .tuple(...names.map(() => node))
    .map((nodes) => Object.fromEntries(names.map((name, index) => [name, {...nodes[index]!}])))
})

test('the order in which views arrive does not matter', () => {
  fc.assert(
    fc.property(anySpec, fc.array(fc.nat(), {minLength: 5, maxLength: 5}), (spec, weights) => {
      const shuffled = topologyOf(spec, (views) =>
        views
          .map((view, index) => ({view, weight: weights[index]!}))
          .sort((a, b) => a.weight - b.weight)
          .map(({view}) => view),
      )
      expect(shuffled).toEqual(topologyOf(spec))
    }),
  )
})

test('every slot is owned by a reached claimant or uncovered, and disputes cover exactly the slots on which views differ', () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const topology = topologyOf(spec)
      const uncovered = new Set(topology.uncovered.flatMap(({start, end}) => range(start, end)))
      const disputed = topology.disagreements.flatMap(({ranges}) => ranges.flatMap(({start, end}) => range(start, end)))
      const views = viewsOf(spec)
      const ownersIn = views.map(({entries}) => {
        const owners = new Map<number, string>()
        for (const {id, ranges} of entries)
          for (const {start, end} of ranges) for (const s of range(start, end)) owners.set(s, id)
        return owners
      })
      expect(new Set(disputed).size).toBe(disputed.length)
      const isDisputed = new Set(disputed)
      for (const slot of [0, 7, 49, 50, 99, 100, 149, 150, 16383]) {
        const owner = topology.owners[slot]
        const reach = topology.nodesById.get(owner ?? '')?.reach
        expect(uncovered.has(slot)).toBe(reach?.kind !== 'reached')
        if (reach?.kind === 'reached') expect(ownersOfItself(reach.view.entries, slot)).toBe(true)
        expect(isDisputed.has(slot)).toBe(new Set(ownersIn.map((owners) => owners.get(slot))).size > 1)
      }
    }),
    {numRuns: 60},
  )
})

function ownersOfItself(
  entries: readonly {isMyself: boolean; ranges: readonly {start: number; end: number}[]}[],
  slot: number,
) {
  return entries.some(({isMyself, ranges}) => isMyself && ranges.some(({start, end}) => start <= slot && slot <= end))
}

function range(start: number, end: number): number[] {
  return Array.from({length: end - start + 1}, (_, index) => start + index)
}
