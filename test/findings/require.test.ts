import {expect, test} from 'vitest'
import {RefusedError} from '../../src/lib/errors.ts'
import {requireFitForJoins, requireFitForMoves} from '../../src/lib/findings/require.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const [a, b] = [HEALTHY.a, HEALTHY.b]
const [A, B, C, D] = [idOf('a'), idOf('b'), idOf('c'), idOf('d')]

const HALF_MOVED: ClusterSpec = {...HEALTHY, a: {...a, migrating: {5: 'b'}}, b: {...b, importing: {5: 'a'}}}

function refusalOf(act: () => void): RefusedError | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(RefusedError)
    return error as RefusedError
  }
}

test.each<{name: string; spec: ClusterSpec}>([
  {name: 'a healthy cluster', spec: HEALTHY},
  {name: 'a dead replica', spec: {...HEALTHY, a1: {...HEALTHY.a1, flags: 'fail', unreachable: 'x'}}},
  {name: 'a replica without a link', spec: {...HEALTHY, a1: {...HEALTHY.a1, info: {isPrimaryLinkUp: false}}}},
  {
    name: 'a slotless primary that the cluster holds for failed',
    spec: {...HEALTHY, d: {flags: 'fail', unreachable: 'x'}},
  },
  {name: 'a newcomer', spec: {...HEALTHY, d: {}}},
])('$name does not forbid moves', ({spec}) => {
  expect(refusalOf(() => requireFitForMoves(topologyOf(spec), {resumable: []}))).toBeUndefined()
})

test.each<{name: string; spec: ClusterSpec; reason: string; says: string; suggests: string}>([
  {
    name: 'uncovered slots, whatever else there is',
    spec: {...HALF_MOVED, c: {...HEALTHY.c, unreachable: 'x', state: 'fail'}},
    reason: 'uncovered-slots',
    says: '5461 slots 10923-16383 are uncovered: 127.0.0.1:7002 (cccccccc), the owner, cannot be reached',
    suggests: 'Start 127.0.0.1:7002 (cccccccc) again',
  },
  {
    name: 'a disagreement',
    spec: {...HALF_MOVED, a1: {...HEALTHY.a1, sees: {a: {slots: '0-5459'}}}},
    reason: 'disagreement',
    says: 'slot 5460: nodes disagree on the owner',
    suggests: 'within seconds',
  },
  {
    name: 'an open slot',
    spec: {...HALF_MOVED, c: {...HEALTHY.c, state: 'fail'}},
    reason: 'open-slots',
    says: 'slot 5 is open: on the way from 127.0.0.1:7000',
    suggests: 'rcluster reshard 127.0.0.1:7000 --from 127.0.0.1:7000 --to 127.0.0.1:7001 --slots-list 5',
  },
  {
    name: 'an unreachable primary',
    spec: {...HEALTHY, a: {...a, state: 'fail'}, d: {unreachable: 'no answer'}},
    reason: 'unreachable-nodes',
    says: 'node 127.0.0.1:7006 (dddddddd) cannot be reached: no answer (primary without slots)',
    suggests: 'Start the server at 127.0.0.1:7006 again',
  },
  {
    name: 'a node that serves nothing',
    spec: {...HEALTHY, b: {...b, state: 'fail'}},
    reason: 'unhealthy',
    says: 'cluster_state is fail on 1 of 6 reached nodes',
    suggests: 'up to 5 s',
  },
])('$name forbids moves', ({spec, reason, says, suggests}) => {
  const refusal = refusalOf(() => requireFitForMoves(topologyOf(spec), {resumable: []}))
  expect(refusal).toMatchObject({reason, exitCode: 3, details: {reason}})
  expect(refusal?.message).toContain(says)
  expect(refusal?.suggestions.join('\n')).toContain(suggests)
  expect(refusal?.suggestions.at(-1)).toBe('rcluster check 127.0.0.1:7000')
})

test('details name the slots and nodes of all grounds', () => {
  const spec = {...HEALTHY, a: {...a, migrating: {5: 'b', 6: 'b', 99: 'c'}}}
  const refusal = refusalOf(() => requireFitForMoves(topologyOf(spec), {resumable: []}))
  expect(refusal?.details).toMatchObject({slots: '5-6,99', nodes: [A, B, C]})
  expect(refusal?.message).toContain('(and 1 more like this)')
})

test.each<{name: string; spec: ClusterSpec; move: {slot: number; from: string; to: string}; isFit: boolean}>([
  {name: 'just this move', spec: HALF_MOVED, move: {slot: 5, from: A, to: B}, isFit: true},
  {
    name: 'only marked at the source',
    spec: {...HEALTHY, a: {...a, migrating: {5: 'b'}}},
    move: {slot: 5, from: A, to: B},
    isFit: true,
  },
  {
    name: 'only marked at the target',
    spec: {...HEALTHY, b: {...b, importing: {5: 'a'}}},
    move: {slot: 5, from: A, to: B},
    isFit: true,
  },
  {name: 'another target', spec: HALF_MOVED, move: {slot: 5, from: A, to: C}, isFit: false},
  {name: 'the way back', spec: HALF_MOVED, move: {slot: 5, from: B, to: A}, isFit: false},
  {name: 'another slot', spec: HALF_MOVED, move: {slot: 6, from: A, to: B}, isFit: false},
  {
    name: 'marks of a third node',
    spec: {...HALF_MOVED, c: {...HEALTHY.c, importing: {5: 'a'}}},
    move: {slot: 5, from: A, to: B},
    isFit: false,
  },
  {
    name: 'an owner that is neither end',
    spec: {...HEALTHY, c: {...HEALTHY.c, importing: {5: 'b'}}},
    move: {slot: 5, from: B, to: C},
    isFit: false,
  },
])('a slot that is open for $name: fit is $isFit', ({spec, move, isFit}) => {
  const refusal = refusalOf(() => requireFitForMoves(topologyOf(spec), {resumable: [move]}))
  expect(refusal?.reason).toBe(isFit ? undefined : 'open-slots')
})

test('a tolerated primary may be out of reach, but not with slots', () => {
  const idle = topologyOf({...HEALTHY, d: {unreachable: 'x'}})
  expect(refusalOf(() => requireFitForMoves(idle, {resumable: [], tolerateUnreachable: new Set([D])}))).toBeUndefined()
  const owning = topologyOf({...HEALTHY, b: {...b, unreachable: 'x'}})
  const refusal = refusalOf(() => requireFitForMoves(owning, {resumable: [], tolerateUnreachable: new Set([B])}))
  expect(refusal?.reason).toBe('uncovered-slots')
})

test.each<{name: string; spec: ClusterSpec; reason: string | undefined}>([
  {name: 'a healthy cluster', spec: HEALTHY, reason: undefined},
  {
    name: 'a dead node, open and uncovered slots',
    spec: {...HALF_MOVED, c: {...HEALTHY.c, unreachable: 'x'}},
    reason: undefined,
  },
  {name: 'a disagreement', spec: {...HEALTHY, a1: {...HEALTHY.a1, sees: {a: {slots: ''}}}}, reason: 'disagreement'},
  {
    name: 'a member that one does not know',
    spec: {...HEALTHY, d: {sees: {c1: {isAbsent: true}}}},
    reason: 'disagreement',
  },
  {
    name: 'a dead node that one does not know',
    spec: {...HEALTHY, a: {...a, sees: {d: {isAbsent: true}}}, d: {unreachable: 'x'}},
    reason: undefined,
  },
])('joining $name: $reason', ({spec, reason}) => {
  expect(refusalOf(() => requireFitForJoins(topologyOf(spec)))?.reason).toBe(reason)
})
