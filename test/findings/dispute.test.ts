import {expect, test} from 'vitest'
import {explainDisagreement} from '../../src/lib/findings/dispute.ts'
import {examine} from '../../src/lib/findings/examine.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'
import {renderFindings} from '../../src/lib/render/findings.ts'
import {NO_DETAILS} from '../../src/lib/topology/node-details.ts'
import {type ClusterSpec, idOf, topologyOf} from '../topology/cluster-views.ts'

const REST = '1-16383'

/** Slot 0 of a (epoch 4); the others as given. */
const CASES: readonly {
  readonly name: string
  readonly spec: ClusterSpec
  readonly winner: string | undefined
  readonly isSettling: boolean
  readonly outlook: RegExp
}[] = [
  {
    name: 'a node that says nobody is told by the owner',
    spec: {a: {slots: '0', epoch: 4}, b: {slots: REST, epoch: 5}, c: {sees: {a: {slots: ''}}}},
    winner: 'a',
    isSettling: true,
    outlook: /^waiting helps: 127\.0\.0\.1:7002 \(cccccccc\) will believe it/,
  },
  {
    name: 'a node that marks the slot as importing believes nobody',
    spec: {a: {slots: '0', epoch: 4}, b: {slots: REST, epoch: 5}, c: {importing: {0: 'a'}, sees: {a: {slots: ''}}}},
    winner: 'a',
    isSettling: false,
    outlook: /^waiting does not help: .*cccccccc.* marks them as importing/,
  },
  {
    name: 'an owner that denies it, at a higher epoch: new servers drop that',
    spec: {a: {slots: '0', epoch: 4}, b: {slots: REST, epoch: 5}, c: {sees: {a: {slots: ''}, b: {slots: `0-16383`}}}},
    winner: 'a',
    isSettling: true,
    outlook: /^waiting helps/,
  },
  {
    name: 'an owner that denies it, at a higher epoch: old servers may keep that',
    spec: {
      a: {slots: '0', epoch: 4},
      b: {slots: REST, epoch: 5},
      c: {sees: {a: {slots: ''}, b: {slots: `0-16383`}}, info: {version: '6.2.16'}},
    },
    winner: 'a',
    isSettling: false,
    outlook: /^waiting does not help: .*at epoch 5, which is not below 4/,
  },
  {
    name: 'two that claim it: the higher epoch wins',
    spec: {
      a: {slots: '0', epoch: 4, sees: {b: {slots: REST}}},
      b: {slots: '0-16383', epoch: 5, sees: {a: {slots: ''}}},
    },
    winner: 'b',
    isSettling: true,
    outlook: /^waiting helps/,
  },
  {
    name: 'two that claim it at one epoch: the smaller ID wins',
    spec: {
      a: {slots: '0', epoch: 5, sees: {b: {slots: REST}}},
      b: {slots: '0-16383', epoch: 5, sees: {a: {slots: ''}}},
    },
    winner: 'a',
    isSettling: true,
    outlook: /^waiting helps/,
  },
  {
    name: 'a loser without a link to the winner does not hear of it',
    spec: {
      a: {slots: '0', epoch: 4, sees: {b: {slots: REST, link: 'disconnected'}}},
      b: {slots: '0-16383', epoch: 5, sees: {a: {slots: ''}}},
    },
    winner: 'b',
    isSettling: false,
    outlook: /^waiting does not help: .*aaaaaaaa.* has no link to .*bbbbbbbb/,
  },
  {
    name: 'a loser that does not know the winner does not either',
    spec: {
      a: {slots: '0', epoch: 4, sees: {b: {isAbsent: true}}},
      b: {slots: '0-16383', epoch: 5, sees: {a: {slots: ''}}},
    },
    winner: 'b',
    isSettling: false,
    outlook: /does not know/,
  },
  {
    name: 'the owner alone says nobody',
    spec: {a: {slots: '0', epoch: 4, sees: {a: {slots: ''}}}, b: {slots: REST, epoch: 5}, c: {}},
    winner: undefined,
    isSettling: false,
    outlook: /^waiting does not help: nodes only believe/,
  },
]

test.each(CASES)('$name', ({spec, winner, isSettling, outlook}) => {
  const topology = topologyOf(spec)
  const about0 = topology.disagreements.filter(({ranges}) => ranges.some(({start}) => start === 0))
  expect(about0).toHaveLength(1)
  const dispute = explainDisagreement(about0[0]!, topology)
  expect(dispute).toMatchObject({winner: winner && idOf(winner), isSettling})
  expect(dispute.outlook).toMatch(outlook)
})

test('the keys that a loser will throw away are not passed over', () => {
  const spec: ClusterSpec = {
    a: {slots: '0-9', epoch: 4, sees: {b: {slots: '10-16383'}}},
    b: {slots: '0-16383', epoch: 5, sees: {a: {slots: ''}}},
    c: {sees: {a: {slots: '0-9', epoch: 3}, b: {slots: '10-16383'}}},
  }
  const topology = topologyOf(spec)
  const examination = examine(topology, NO_DETAILS, ['disagreement'])
  const [finding] = examination.findings
  expect(finding?.message).toMatch(
    /bbbbbbbb\) will win; 127\.0\.0\.1:7000 \(aaaaaaaa\) throws away its keys of them then$/,
  )
  const text = renderFindings({examination, fresh: examination.findings, isSelective: true}, topology, PLAIN_STYLE)
  expect(text).toMatchInlineSnapshot(`
    "error    10 slots 0-9: nodes disagree on the owner [disagreement]
             Owner           Epoch  Own word  Said by
             -----------------------------------------------
             127.0.0.1:7000      4  yes       127.0.0.1:7000
             127.0.0.1:7000      3  no        127.0.0.1:7002
             127.0.0.1:7001      5  yes       127.0.0.1:7001
             127.0.0.1:7001 (bbbbbbbb) has the better claim: of those that claim them for themselves it has the highest epoch
             waiting helps: 127.0.0.1:7000 (aaaaaaaa) and 127.0.0.1:7002 (cccccccc) will believe it at its next heartbeat, within seconds
             127.0.0.1:7000 (aaaaaaaa) throws away its keys of them then
             -> Nodes settle this among themselves within seconds: rcluster check 127.0.0.1:7000

    Not healthy: 1 error, by 1 of 38 rules."
  `)
})
