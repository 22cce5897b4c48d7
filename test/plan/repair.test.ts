import {describe, expect, it} from 'vitest'
import {coverEmptySlots} from '../../src/lib/plan/cover.ts'
import {planRepairs, type RepairOptions} from '../../src/lib/plan/repair.ts'
import type {KeyEvidence} from '../../src/lib/plan/repair-facts.ts'
import {formatSlots, parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {NodeId, ServerInfo, Topology} from '../../src/lib/topology/model.ts'
import {buildTopology, type ClusterWords, nodeId, nodeName} from '../support/topology-builder.ts'
import {idOf, topologyOf} from '../topology/cluster-views.ts'

/** {A: {5: 3}}: A has three keys of slot 5. */
type Keys = Readonly<Record<string, Readonly<Record<number, number>>>>

function evidence(keys: Keys, hidden: Readonly<Record<string, number>> = {}): KeyEvidence {
  const keysBySlot = new Map<number, Map<NodeId, number>>()
  for (const [name, counts] of Object.entries(keys)) {
    for (const [slot, count] of Object.entries(counts)) {
      const holders = keysBySlot.get(Number(slot)) ?? new Map<NodeId, number>()
      keysBySlot.set(Number(slot), holders.set(nodeId(name), count))
    }
  }
  const hiddenKeys = new Map(Object.entries(hidden).map(([name, count]) => [nodeId(name), count]))
  return {keysBySlot, hiddenKeys}
}

/** "finish-move A>B 5 safe", "gather C>A 5 safe", "assign >A 5 safe". */
function describePlan(topology: Topology, keys: KeyEvidence, options?: RepairOptions): string[] {
  return planRepairs(topology, keys, options).repairs.map(({act, slots, risk}) => {
    const names = (ids: readonly NodeId[]): string => ids.map(nodeName).join('+')
    const ends = {
      're-meet': () => act.kind === 're-meet' && names(act.nodes),
      'take-over': () => act.kind === 'take-over' && names([act.primary, act.replica]),
      reveal: () => act.kind === 'reveal' && names([act.at]),
      close: () => act.kind === 'close' && names(act.at),
      'correct-mark': () => act.kind === 'correct-mark' && names(act.at),
      assign: () => act.kind === 'assign' && `${names(act.holders)}>${names([act.owner])}`,
      'tell-owner': () => act.kind === 'tell-owner' && `${names([act.owner])}>${names(act.told)}`,
      gather: () => act.kind === 'gather' && `${names(act.from)}>${names([act.to])}`,
      'finish-move': () => act.kind === 'finish-move' && names([act.from, act.to]),
    }
    return `${act.kind} ${ends[act.kind]()} ${slots} ${risk}`.replace('  ', ' ')
  })
}

const WHOLE: ClusterWords = {primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'}}
const OPEN: ClusterWords = {...WHOLE, open: [{slots: '5-7', from: 'A', to: 'B'}]}
/** A is gone; R and S follow it. */
const LOST: ClusterWords = {...WHOLE, unreachable: ['A']}

/** Marks that no move explains are put in by hand. */
function withMarks(
  words: ClusterWords,
  slot: number,
  migrating: readonly [string, string][],
  importing: readonly [string, string][],
): Topology {
  const topology = buildTopology(words)
  const open = {
    slot,
    owner: topology.owners[slot],
    migrating: migrating.map(([node, to]) => ({node: nodeId(node), to: nodeId(to)})),
    importing: importing.map(([node, from]) => ({node: nodeId(node), from: nodeId(from)})),
  }
  return {...topology, openSlots: [...topology.openSlots, open]}
}

const rows: readonly {
  name: string
  topology: Topology
  keys?: Keys
  hidden?: Record<string, number>
  options?: RepairOptions
  plan: readonly string[]
}[] = [
  {name: 'nothing for a cluster in order', topology: buildTopology(WHOLE), plan: []},
  {
    name: 'a move that was cut off goes on, where most keys are still at the source',
    topology: buildTopology(OPEN),
    keys: {A: {5: 99}, B: {5: 1}},
    plan: ['finish-move A+B 5-7 safe'],
  },
  {
    name: 'migrating only: goes on',
    topology: withMarks(WHOLE, 5, [['A', 'B']], []),
    keys: {A: {5: 2}},
    plan: ['finish-move A+B 5 safe'],
  },
  {
    name: 'importing only, without keys: the mark goes',
    topology: withMarks(WHOLE, 5, [], [['B', 'A']]),
    keys: {A: {5: 2}},
    plan: ['close B 5 safe'],
  },
  {
    name: 'importing only, without keys, but meant by a run of ours: goes on',
    topology: withMarks(WHOLE, 5, [], [['B', 'A']]),
    options: {intended: [{slot: 5, from: nodeId('A'), to: nodeId('B')}]},
    plan: ['finish-move A+B 5 safe'],
  },
  {
    name: 'importing only, with keys: goes on',
    topology: withMarks(WHOLE, 5, [], [['B', 'A']]),
    keys: {A: {5: 2}, B: {5: 1}},
    plan: ['finish-move A+B 5 safe'],
  },
  {
    name: 'importing only, with keys, marked by ourselves: keys go to the owner',
    topology: withMarks(WHOLE, 5, [], [['B', 'A']]),
    keys: {A: {5: 2}, B: {5: 1}},
    options: {strayMarks: new Map([[nodeId('B'), new Set([5])]])},
    plan: ['gather B>A 5 safe'],
  },
  {
    name: 'importing from somebody else, with keys: the mark is corrected before anything moves',
    topology: withMarks(OPEN, 9, [], [['C', 'B']]),
    keys: {C: {9: 1}},
    plan: ['correct-mark C 9 safe', 'gather C>A 9 safe', 'finish-move A+B 5-7 safe'],
  },
  {
    name: 'several importers of a slot that is migrating: the others hand over to its target first',
    topology: withMarks(
      WHOLE,
      5,
      [['A', 'B']],
      [
        ['B', 'A'],
        ['C', 'A'],
      ],
    ),
    keys: {A: {5: 1}, C: {5: 1}},
    plan: ['gather C>B 5 safe', 'finish-move A+B 5 safe'],
  },
  {
    name: 'only the source kept its mark',
    topology: withMarks(WHOLE, 6000, [['A', 'B']], []),
    plan: ['close A 6000 safe'],
  },
  {
    name: 'stray keys go to the owner',
    topology: buildTopology(WHOLE),
    keys: {A: {5: 1}, B: {5: 1, 6: 1}, C: {5: 1}},
    plan: ['gather B+C>A 5 safe', 'gather B>A 6 safe'],
  },
  {
    name: 'hidden keys are looked for first',
    topology: buildTopology(OPEN),
    hidden: {C: 3},
    plan: ['reveal C safe', 'finish-move A+B 5-7 safe'],
  },
  {
    name: 'slots that nobody has go to their neighbours',
    topology: buildTopology({primaries: {A: '0-99,200-5460', B: '5461-10922', C: '10923-16383'}}),
    plan: ['assign >A 100-199 safe'],
  },
  {
    name: 'slots that nobody has go where their keys are; of several to the highest epoch',
    topology: buildTopology({primaries: {A: '0-99,102-5460', B: '5461-10922', C: '10923-16383'}}),
    keys: {B: {100: 1, 101: 9}, C: {101: 1}},
    plan: ['assign >B 100 safe', 'assign B>C 101 safe'],
  },
  {
    name: 'a slot without an owner goes to the target of its move, which has no keys yet',
    topology: withMarks({primaries: {A: '0-99,101-5460', B: '5461-10922', C: '10923-16383'}}, 100, [], [['C', 'A']]),
    keys: {A: {100: 5}},
    plan: ['assign A>C 100 safe'],
  },
  {
    name: 'the replica of a lost primary takes over',
    topology: buildTopology({...LOST, replicas: {R: 'A'}}),
    plan: ['take-over A+R 0-5460 disruptive'],
  },
  {
    name: 'slots of a lost primary without a replica are given up',
    topology: buildTopology({...LOST, replicas: {R: 'A'}, unreachable: ['A', 'R']}),
    plan: ['assign >B 2731-5460 data-loss', 'assign >C 0-2730 data-loss'],
  },
]

describe('the plan', () => {
  it.each(rows)('$name', ({topology, keys = {}, hidden = {}, options, plan}) => {
    expect(describePlan(topology, evidence(keys, hidden), options).sort()).toEqual([...plan].sort())
  })

  it('tells who claims, marks and holds what', () => {
    const {repairs} = planRepairs(buildTopology(OPEN), evidence({A: {5: 3, 6: 1}, B: {5: 1}}))
    expect(repairs[0]?.evidence).toMatchObject([
      {address: '10.0.0.1:7000', keys: 4, slotsWithKeys: 2, claimsAtEpoch: 1, migratingTo: [nodeId('B')]},
      {address: '10.0.0.1:7001', keys: 1, slotsWithKeys: 1, claimsAtEpoch: undefined, importingFrom: [nodeId('A')]},
    ])
  })

  it('survives JSON', () => {
    const plan = planRepairs(buildTopology(OPEN), evidence({A: {5: 3}}))
    const bare = JSON.parse(JSON.stringify(plan)) as unknown
    expect(bare).toMatchObject({version: 1, kind: 'fix', repairs: [{slots: '5-7'}]})
  })

  it('waits for a silent primary that has slots, unless told not to', () => {
    const topology = withMarks({...LOST, replicas: {R: 'A'}}, 6000, [], [['C', 'B']])
    expect(describePlan(topology, evidence({}))).toEqual(['take-over A+R 0-5460 disruptive'])
    expect(planRepairs(topology, evidence({})).obstacles).toMatchObject([{slots: '6000'}])
    expect(describePlan(topology, evidence({}), {withUnreachablePrimaries: true})).toContain('close C 6000 safe')
  })
})

describe('a primary that does not answer us', () => {
  const lost = (replicas: Record<string, Partial<ServerInfo>>, flags = 'fail'): Topology =>
    topologyOf({
      a: {slots: '0-5460', epoch: 1, flags, unreachable: 'refused'},
      b: {slots: '5461-10922', epoch: 2},
      c: {slots: '10923-16383', epoch: 3},
      ...Object.fromEntries(
        Object.entries(replicas).map(([name, info]) => [name, {replicaOf: 'a', epoch: 1, info: {...DOWN, ...info}}]),
      ),
    })
  const DOWN = {isPrimaryLinkUp: false, primaryLinkDownSeconds: 5, replicationOffset: 100} as const

  it.each<{name: string; replicas: Record<string, Partial<ServerInfo>>; heir: string; risk: string}>([
    {name: 'that has received most', replicas: {a1: {}, a2: {replicationOffset: 101}}, heir: 'a2', risk: 'disruptive'},
    {
      name: 'that has heard of it since it started',
      replicas: {a1: {primaryLinkDownSeconds: undefined, replicationOffset: 900}, a2: {}},
      heir: 'a2',
      risk: 'disruptive',
    },
    {
      name: 'of unknown age, where a loss is accepted',
      replicas: {a1: {primaryLinkDownSeconds: undefined}},
      heir: 'a1',
      risk: 'data-loss',
    },
    {name: 'that is not loading', replicas: {a1: {isLoading: true}, a2: {}}, heir: 'a2', risk: 'disruptive'},
  ])('is replaced by the replica $name', ({replicas, heir, risk}) => {
    const {repairs} = planRepairs(lost(replicas), evidence({}))
    expect(repairs).toMatchObject([{act: {kind: 'take-over', replica: idOf(heir)}, risk, slots: '0-5460'}])
    const told = repairs[0]?.evidence.filter(({asReplica}) => asReplica)
    expect(told).toHaveLength(Object.keys(replicas).length)
  })

  it('is let be while the others are linked to it', () => {
    const plan = planRepairs(lost({}, ''), evidence({}))
    expect(plan.repairs).toEqual([])
    expect(plan.obstacles).toMatchObject([{slots: '0-5460'}])
    expect(planRepairs(lost({}, ''), evidence({}), {withUnreachablePrimaries: true}).repairs).not.toEqual([])
  })

  it('is warned of before its slots are given away: it may come back', () => {
    expect(planRepairs(lost({}), evidence({})).warnings[0]).toContain('comes back after that')
    expect(planRepairs(lost({a1: {}}), evidence({})).warnings).toEqual([])
  })
})

describe('covering empty slots', () => {
  const cover = (empty: string, words: ClusterWords): Record<string, string> => {
    const topology = buildTopology(words)
    const covered = coverEmptySlots(
      parseRanges(empty),
      topology.owners,
      Object.keys(words.primaries).map((name) => nodeId(name)),
    )
    const slotsOf = (id: NodeId): number[] => [...covered].flatMap(([slot, owner]) => (owner === id ? [slot] : []))
    const ids = [...new Set(covered.values())].sort()
    return Object.fromEntries(ids.map((id) => [nodeName(id), formatSlots(slotsOf(id))]))
  }

  it('fills the gap from both sides up to an even share, the rest goes to the poorest', () => {
    expect(cover('4000-11999', {primaries: {A: '0-3999', B: '12000-16383', C: ''}})).toEqual({
      A: '4000-5461',
      B: '10922-11999',
      C: '5462-10921',
    })
  })

  it('covers everything where nobody has a slot', () => {
    expect(cover('0-16383', {primaries: {A: '', B: ''}})).toEqual({A: '0-8191', B: '8192-16383'})
  })
})

it('has a primary close what only its replica marks', () => {
  const topology = buildTopology({...WHOLE, replicas: {R: 'A', S: 'A'}})
  const staleMarks = ['R', 'S'].flatMap((name) =>
    [7, 9].map((slot) => ({slot, replica: nodeId(name), primary: nodeId('A')})),
  )
  const plan = describePlan({...topology, staleMarks}, evidence({}))
  expect(plan).toEqual(['close A 7,9 safe'])
})
