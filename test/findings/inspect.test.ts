import fc from 'fast-check'
import {expect, test} from 'vitest'
import {compareFindings, type Finding} from '../../src/lib/findings/finding.ts'
import {inspect} from '../../src/lib/findings/inspect.ts'
import {formatRanges} from '../../src/lib/slots/slot-ranges.ts'
import {mergeViews} from '../../src/lib/topology/merge-views.ts'
import type {NodeView, Topology} from '../../src/lib/topology/model.ts'
import {parseClusterInfo, parseServerInfo} from '../../src/lib/topology/parse-info.ts'
import {parseNodes} from '../../src/lib/topology/parse-nodes.ts'
import {captured, VERSIONS} from '../topology/captured.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const [a, b, c] = [HEALTHY.a, HEALTHY.b, HEALTHY.c]
const B = idOf('b')

/** "error open-slot a,b 0-9" */
function brief({severity, id, nodes, slots}: Finding): string {
  const names = nodes.map((node) => (node[0] === node[1] ? node[0] : node.slice(0, 2)))
  return [severity, id, names.join(','), formatRanges(slots)].filter((part) => part !== '').join(' ')
}

function only(spec: ClusterSpec, id: Finding['id']): Finding {
  const found = inspect(topologyOf(spec)).filter((finding) => finding.id === id)
  expect(found).toHaveLength(1)
  return found[0]!
}

const REFUSED = 'nothing listens there'

test.each<{name: string; spec: ClusterSpec; finds: string[]}>([
  {name: 'a healthy cluster', spec: HEALTHY, finds: []},
  {
    name: 'a dead replica, flagged failed: named once',
    spec: {...HEALTHY, c1: {...HEALTHY.c1, flags: 'fail', unreachable: REFUSED}},
    finds: ['error unreachable-node c1'],
  },
  {
    name: 'a dead primary',
    spec: {
      ...HEALTHY,
      b: {...b, flags: 'fail', unreachable: REFUSED},
      b1: {...HEALTHY.b1, info: {isPrimaryLinkUp: false}},
    },
    finds: ['error replica-link-down b1', 'error uncovered-slots b 5461-10922', 'error unreachable-node b 5461-10922'],
  },
  {
    name: 'what a failover leaves behind',
    spec: {...HEALTHY, b: {epoch: 2, flags: 'fail', unreachable: REFUSED}, b1: {slots: '5461-10922', epoch: 4}},
    finds: ['error unreachable-node b', 'warning orphaned-primary b1 5461-10922'],
  },
  {
    name: 'a node that answers us, and is out for the others',
    spec: {
      ...HEALTHY,
      a: {...a, sees: {b1: {flags: 'fail'}}},
      c: {...c, sees: {b1: {flags: 'fail?'}}},
    },
    finds: ['error failed-node b1'],
  },
  {
    name: 'a node that one other cannot reach',
    spec: {...HEALTHY, a: {...a, sees: {b: {flags: 'fail?'}}}},
    finds: ['warning suspected-node b 5461-10922'],
  },
  {
    name: 'a move that did not end',
    spec: {...HEALTHY, a: {...a, migrating: {1: 'b', 2: 'b', 9: 'c'}}, b: {...b, importing: {1: 'a', 2: 'a'}}},
    finds: ['error open-slot a,b 1-2', 'error open-slot a,c 9'],
  },
  {
    name: 'two owners',
    spec: {
      ...HEALTHY,
      b: {...b, slots: '5460-10922', epoch: 5, sees: {a: {slots: '0-5459'}}},
      a: {...a, sees: {b: {slots: '5461-10922'}}},
    },
    finds: ['error disagreement a,b 5460'],
  },
  {
    name: 'slots of nobody',
    spec: {...HEALTHY, a: {...a, slots: '0-99,200-5460'}},
    finds: ['error uncovered-slots 100-199'],
  },
  {
    name: 'nodes that serve nothing',
    spec: {...HEALTHY, a: {...a, state: 'fail'}, a1: {...HEALTHY.a1, state: 'fail'}},
    finds: ['error cluster-down a1,a'],
  },
  {
    name: 'a replica without a link',
    spec: {...HEALTHY, a1: {...HEALTHY.a1, info: {isPrimaryLinkUp: false}}},
    finds: ['error replica-link-down a1'],
  },
  {
    name: 'a replica of a replica, and one of nobody we know',
    spec: {...HEALTHY, d1: {replicaOf: 'a1'}, d2: {replicaOf: 'f'}},
    finds: ['error stray-replica d1', 'error stray-replica d2'],
  },
  {
    name: 'a node that loads',
    spec: {...HEALTHY, a1: {...HEALTHY.a1, info: {isLoading: true}}},
    finds: ['warning loading-node a1'],
  },
  {
    name: 'one primary without a replica',
    spec: {...HEALTHY, c1: {...HEALTHY.c1, replicaOf: 'b'}},
    finds: ['warning orphaned-primary c 10923-16383'],
  },
  {name: 'no replicas at all: one warning', spec: {a, b, c}, finds: ['warning no-replicas a,b,c']},
  {
    name: 'one primary',
    spec: {a: {slots: '0-16383', epoch: 1}},
    finds: ['warning few-primaries a', 'warning no-replicas a'],
  },
  {
    name: 'two primaries',
    spec: {a: {slots: '0-99', epoch: 1}, b: {slots: '100-16383', epoch: 2}, a1: {replicaOf: 'a'}, b1: {replicaOf: 'b'}},
    finds: ['warning few-primaries a,b'],
  },
  {name: 'a newcomer', spec: {...HEALTHY, d: {}}, finds: ['warning empty-primary d']},
  {
    name: 'a fresh node by itself',
    spec: {a: {host: '', state: 'fail'}},
    finds: ['error cluster-down a', 'error uncovered-slots 0-16383'],
  },
  {
    name: 'a node that one does not know',
    spec: {...HEALTHY, d: {}, a1: {...HEALTHY.a1, sees: {d: {isAbsent: true}}}},
    finds: ['error membership-gap d', 'warning empty-primary d'],
  },
  {
    name: 'a handshake',
    spec: {...HEALTHY, d: {flags: 'handshake', unreachable: ''}},
    finds: ['warning handshake a1,a,b1,b,c1,c'],
  },
  {
    name: 'a ghost',
    spec: {...HEALTHY, d: {flags: 'fail,noaddr', unreachable: 'no node knows its address'}},
    finds: ['warning ghost-node d'],
  },
  {
    name: 'a replica whose address nobody knows is a dead replica',
    spec: {...HEALTHY, c1: {...HEALTHY.c1, flags: 'noaddr', unreachable: 'no node knows its address'}},
    finds: ['error unreachable-node c1'],
  },
  {
    name: 'equal epochs',
    spec: {...HEALTHY, b: {...b, epoch: 1}},
    finds: ['error epoch-collision a,b 0-10922'],
  },
  {
    name: 'two versions',
    spec: {...HEALTHY, c: {...c, info: {flavour: 'valkey', version: '8.1.1'}}},
    finds: ['warning mixed-versions a1,a,b1,b,c1,c'],
  },
  {
    name: 'versions that could not be asked',
    spec: {...HEALTHY, c: {...c, info: {version: ''}}},
    finds: [],
  },
])('$name', ({spec, finds}) => {
  expect(inspect(topologyOf(spec)).map(brief)).toEqual(finds)
})

test('an unreachable node is named with address, role, slots and cause', () => {
  const finding = only({...HEALTHY, b: {...b, flags: 'fail', unreachable: REFUSED}}, 'unreachable-node')
  expect(finding).toMatchObject({failure: 'refused'})
  expect(finding.message).toBe(
    'node 127.0.0.1:7001 (bbbbbbbb) cannot be reached: nothing listens there ' +
      '(primary of 5462 slots 5461-10922; the cluster holds it for failed)',
  )
  const replica = only({...HEALTHY, b1: {...HEALTHY.b1, unreachable: REFUSED}}, 'unreachable-node')
  expect(replica.message).toContain('(replica of 127.0.0.1:7001 (bbbbbbbb))')
  expect(replica.suggestions.join()).toContain(`rcluster del-node 127.0.0.1:7000 ${idOf('b1')}`)
})

test('uncovered slots point to a replica that could take over', () => {
  const lost = {...HEALTHY, b: {...b, unreachable: REFUSED}}
  expect(only(lost, 'uncovered-slots').suggestions.join()).toContain('rcluster fix 127.0.0.1:7000 --allow disruptive')
  const alone = only({a, b: {...b, unreachable: REFUSED}, c}, 'uncovered-slots')
  expect(alone.suggestions.join()).not.toContain('failover')
})

test('an open slot gives the command that finishes its move', () => {
  const spec = {...HEALTHY, a: {...a, migrating: {5: 'b'}}, b: {...b, importing: {5: 'a'}}}
  const finding = only(spec, 'open-slot')
  expect(finding.message).toBe('slot 5 is open: on the way from 127.0.0.1:7000 (aaaaaaaa) to 127.0.0.1:7001 (bbbbbbbb)')
  expect(finding.suggestions).toEqual([
    'rcluster reshard 127.0.0.1:7000 --from 127.0.0.1:7000 --to 127.0.0.1:7001 --slots-list 5',
  ])
})

test("a mark that only a replica has is told, and its primary's own marks are not told twice", () => {
  const repeated = {...HEALTHY, a: {...a, migrating: {5: 'b'}}, a1: {...HEALTHY.a1, migrating: {5: 'b'}}}
  expect(inspect(topologyOf(repeated)).map(brief)).toEqual(['error open-slot a,b 5'])
  const finding = only({...HEALTHY, a1: {...HEALTHY.a1, importing: {9000: 'b', 9001: 'b'}}}, 'stale-mark')
  expect(brief(finding)).toBe('error stale-mark a1 9000-9001')
  expect(finding.suggestions).toEqual(['rcluster fix 127.0.0.1:7000'])
})

test.each<{name: string; spec: ClusterSpec}>([
  {name: 'ends that differ', spec: {...HEALTHY, a: {...a, migrating: {5: 'b'}}, c: {...c, importing: {5: 'a'}}}},
  {name: 'a stranger as an end', spec: {...HEALTHY, a: {...a, migrating: {5: 'f'}}}},
  {name: 'a third owner', spec: {...HEALTHY, b: {...b, importing: {5: 'c'}}}},
  {name: 'a node that imports from itself', spec: {...HEALTHY, a: {...a, importing: {5: 'a'}}}},
])('an open slot with $name gives no such command', ({spec}) => {
  expect(only(spec, 'open-slot').suggestions.join()).not.toContain('reshard')
})

test('a disagreement says who says what at which epoch, and who will win', () => {
  const spec: ClusterSpec = {
    a: {slots: '0-99', epoch: 4, sees: {b: {slots: '100-16383'}}},
    b: {slots: '50-16383', epoch: 5, sees: {a: {slots: '0-49'}}},
    c: {sees: {b: {slots: '100-16383', epoch: 3}}},
  }
  const finding = only(spec, 'disagreement')
  expect(finding.message).toBe(
    '50 slots 50-99: nodes disagree on the owner: 127.0.0.1:7000 (aaaaaaaa) and 127.0.0.1:7002 (cccccccc) say ' +
      '127.0.0.1:7000 (aaaaaaaa) at epoch 4; 127.0.0.1:7001 (bbbbbbbb) says 127.0.0.1:7001 (bbbbbbbb) at epoch 5; ' +
      '127.0.0.1:7001 (bbbbbbbb) will win; 127.0.0.1:7000 (aaaaaaaa) throws away its keys of them then',
  )
  expect(finding).toMatchObject({winner: B})
})

test('a claim that its owner denies does not win, however high its epoch', () => {
  const denied: ClusterSpec = {
    a: {slots: '0-16383', epoch: 9, sees: {a: {slots: '1-16383'}, b: {slots: '0'}}},
    b: {epoch: 2},
    c: {},
  }
  expect(only(denied, 'disagreement')).toMatchObject({winner: undefined})
  const claimed: ClusterSpec = {...denied, b: {epoch: 2, sees: {a: {slots: '1-16383'}, b: {slots: '0'}}}}
  expect(only(claimed, 'disagreement')).toMatchObject({winner: B})
})

test('errors come first, then rules in order, then first slots', () => {
  const findings = inspect(
    topologyOf({
      a: {...a, slots: '0-99,200-5460', migrating: {300: 'b', 5: 'c'}, state: 'fail'},
      b,
      c,
      d: {},
      c1: {...HEALTHY.c1, unreachable: REFUSED},
    }),
  )
  expect(findings.map(brief)).toEqual([
    'error cluster-down a',
    'error open-slot a,c 5',
    'error open-slot a,b 300',
    'error uncovered-slots 100-199',
    'error unreachable-node c1',
    'warning empty-primary d',
    'warning orphaned-primary a 0-99,200-5460',
    'warning orphaned-primary b 5461-10922',
  ])
  fc.assert(
    fc.property(fc.shuffledSubarray([...findings], {minLength: findings.length}), (shuffled) => {
      expect(shuffled.sort(compareFindings)).toEqual(findings)
    }),
  )
})

test.each([
  {failure: 'auth', says: /--credentials tells it: 127\.0\.0\.1:7001 USER PASSWORD/},
  {failure: 'permission', says: /rcluster acl check/},
  {failure: 'protected', says: /protected mode/},
  {failure: 'tls', says: /^A server runs there\. Trust it\. Or not$/},
])('nobody is told to start a server that answers, or to give up its keys: $failure', ({failure, says}) => {
  const advice = ['Trust it', 'Or not']
  const spec: ClusterSpec = {...HEALTHY, b: {...b, unreachable: 'no', failure, advice}}
  for (const id of ['uncovered-slots', 'unreachable-node'] as const) {
    expect(only(spec, id).suggestions).toEqual([expect.stringMatching(says)])
  }
})

test('every message is one line, and every finding says what next', () => {
  const findings = inspect(
    topologyOf({...HEALTHY, b: {...b, epoch: 1, unreachable: REFUSED}, d: {flags: 'noaddr', unreachable: ''}, e: {}}),
  )
  for (const {message, suggestions} of findings) {
    expect(message).not.toMatch(/\n/)
    expect(suggestions.length).toBeGreaterThan(0)
  }
})

function capturedTopology(
  version: (typeof VERSIONS)[number],
  lost: readonly number[],
  section: (port: number) => string,
): Topology {
  const text = captured(version)
  const views = [21000, 21001, 21002, 21003, 21004, 21005]
    .filter((port) => !lost.includes(port))
    .map((port): NodeView => {
      const entries = parseNodes(text(section(port)))
      return {
        // A node's text stands in for that of a node of which none was captured in that state.
        id: entries.find(({announced}) => announced.port === port)!.id,
        dialled: {host: '127.0.0.1', port},
        entries: entries.map((entry) => ({...entry, isMyself: entry.announced.port === port})),
        clusterInfo: parseClusterInfo(text(`3+3 cluster-info ${port}`)),
        serverInfo: parseServerInfo(text(port < 21003 ? '3+3 info 21000' : '3+3 info 21003')),
      }
    })
  return mergeViews({seedId: views[0]!.id, views, unreachable: new Map()})
}

test.each(VERSIONS)('%s: a real 3+3 cluster is healthy', (version) => {
  expect(inspect(capturedTopology(version, [], (port) => `3+3 nodes ${port}`))).toEqual([])
})

test.each(VERSIONS)('%s: a real dead primary', (version) => {
  const topology = capturedTopology(version, [21001], () => 'failed-primary nodes 21000')
  expect(inspect(topology).map(({id, slots}) => `${id} ${formatRanges(slots)}`)).toEqual([
    'uncovered-slots 5461-10922',
    'unreachable-node 5461-10922',
  ])
})
