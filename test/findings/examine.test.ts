import {describe, expect, test} from 'vitest'
import {detailsFor, examine} from '../../src/lib/findings/examine.ts'
import type {Finding} from '../../src/lib/findings/finding.ts'
import {RULE_IDS, type RuleId} from '../../src/lib/findings/rule-book.ts'
import {formatRanges, parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {ServerInfo} from '../../src/lib/topology/model.ts'
import {type ClusterDetails, NO_DETAILS, type NodeDetails, type Told} from '../../src/lib/topology/node-details.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const NAMES = ['a', 'b', 'c', 'a1', 'b1', 'c1'] as const
type Name = (typeof NAMES)[number]

/** "warning config-drift a,b" */
function brief({severity, id, nodes, slots}: Finding): string {
  const names = nodes.map((node) => NAMES.find((name) => idOf(name) === node) ?? node).sort()
  return [severity, id, names.join(), formatRanges(slots)].filter((part) => part !== '').join(' ')
}

/** HEALTHY with each node on a host of its own, and what else is said of some. */
function cluster(more: Partial<Record<Name, ClusterSpec[string]>> = {}): ClusterSpec {
  return Object.fromEntries(
    NAMES.map((name, index) => [name, {...HEALTHY[name], host: `10.0.0.${index + 1}`, ...more[name]}]),
  )
}

function withInfo(info: Partial<Record<Name, Partial<ServerInfo>>>): ClusterSpec {
  return cluster(
    Object.fromEntries(
      Object.entries(info).map(([name, facts]) => [
        name,
        {...HEALTHY[name as Name], host: `10.0.0.${NAMES.indexOf(name as Name) + 1}`, info: facts},
      ]),
    ),
  )
}

const ON_DISK = {appendonly: 'yes', save: ''}

interface Words {
  readonly settings?: Told<Readonly<Record<string, string>>>
  readonly libraries?: Readonly<Record<string, string>>
  readonly users?: Readonly<Record<string, string>>
}

function details(words: Partial<Record<Name, Words>> = {}): ClusterDetails {
  const mapOf = (told: Told<Readonly<Record<string, string>>>): Told<ReadonlyMap<string, string>> =>
    'unknown' in told ? told : {value: new Map(Object.entries({...ON_DISK, ...told.value}))}
  const nodes = NAMES.map((name): [string, NodeDetails] => {
    const {settings = {value: {}}, libraries = {}, users = {}} = words[name] ?? {}
    return [
      idOf(name),
      {
        settings: mapOf(settings),
        libraries: {value: new Map(Object.entries(libraries))},
        users: {value: new Map(Object.entries(users))},
      },
    ]
  })
  return {...NO_DETAILS, nodes: new Map(nodes), orphanKeys: {value: new Map()}}
}

function everywhere(words: Words, but: Partial<Record<Name, Words>> = {}): ClusterDetails {
  return details({...Object.fromEntries(NAMES.map((name) => [name, words])), ...but})
}

interface Case {
  readonly name: string
  readonly spec?: ClusterSpec
  readonly told?: ClusterDetails
  readonly finds: readonly string[]
}

const CASES: readonly Case[] = [
  {name: 'a cluster that is well, on six hosts', finds: []},
  {
    name: 'all nodes on one host: told once, as a note',
    spec: HEALTHY,
    finds: ['note quorum-on-one-host a,a1,b,b1,c,c1'],
  },
  {
    name: 'most primaries on one host',
    spec: cluster({b: {...HEALTHY.b, host: '10.0.0.1'}}),
    finds: ['warning quorum-on-one-host a,b'],
  },
  {
    name: 'a replica beside its primary',
    spec: cluster({a1: {...HEALTHY.a1, host: '10.0.0.1'}}),
    finds: ['warning replica-on-primary-host a1'],
  },
  {
    name: 'zones: all of a shard in one, most primaries in one',
    spec: withInfo({
      a: {availabilityZone: 'x'},
      a1: {availabilityZone: 'x'},
      b: {availabilityZone: 'x'},
      b1: {availabilityZone: 'y'},
      c: {availabilityZone: 'y'},
      c1: {availabilityZone: 'x'},
    }),
    finds: ['warning quorum-in-one-zone a,b', 'warning replica-in-primary-zone a1'],
  },
  {
    name: 'one zone, of which a dead node cannot tell',
    spec: {
      ...withInfo(
        Object.fromEntries(
          NAMES.map((name) => [name, {availabilityZone: 'x', ...(name.endsWith('1') ? {isPrimaryLinkUp: true} : {})}]),
        ),
      ),
      c1: {...HEALTHY.c1, host: '10.0.0.6', unreachable: 'nothing listens there'},
    },
    finds: ['error unreachable-node c1', 'note quorum-in-one-zone a,a1,b,b1,c'],
  },
  {
    name: 'a replica that acknowledges nothing',
    spec: withInfo({
      a: {attachedReplicas: [{address: {host: '10.0.0.4', port: 7003}, isOnline: true, lagSeconds: 11}]},
      a1: {isPrimaryLinkUp: true},
    }),
    finds: ['warning lagging-replica a1'],
  },
  {
    name: 'replicas that are behind as little as under load',
    spec: withInfo({
      a: {
        attachedReplicas: [{address: {host: '10.0.0.4', port: 7003}, isOnline: true, lagSeconds: 1}],
        replicationOffset: 60_000_000,
      },
      a1: {isPrimaryLinkUp: true, replicationOffset: 1000, primaryLastIoSeconds: 9},
    }),
    finds: [],
  },
  {
    name: 'a replica far behind, and one that hears nothing',
    spec: withInfo({
      a: {replicationOffset: 100_000_000},
      a1: {isPrimaryLinkUp: true, replicationOffset: 1000},
      b1: {isPrimaryLinkUp: true, primaryLastIoSeconds: 40},
    }),
    finds: ['warning lagging-replica a1', 'warning lagging-replica b1'],
  },
  {
    name: 'memory near its limit, but not where all keys may be evicted',
    spec: withInfo({
      a: {usedMemoryBytes: 95, maxMemoryBytes: 100, maxMemoryPolicy: 'noeviction'},
      b: {usedMemoryBytes: 99, maxMemoryBytes: 100, maxMemoryPolicy: 'allkeys-lru'},
      c: {usedMemoryBytes: 89, maxMemoryBytes: 100, maxMemoryPolicy: 'noeviction'},
      c1: {isPrimaryLinkUp: true, usedMemoryBytes: 95, uncountedMemoryBytes: 10, maxMemoryBytes: 100},
    }),
    finds: ['warning memory-near-limit a 0-5460'],
  },
  {
    name: 'a snapshot that failed',
    spec: withInfo({b: {persistenceFaults: ['snapshot']}}),
    finds: ['warning persistence-failing b 5461-10922'],
  },
  {
    name: 'modules that differ, within one version of the server',
    spec: withInfo({
      a: {modules: ['search'], moduleVersions: new Map([['search', '1']])},
      b1: {isPrimaryLinkUp: true, version: '8.0.0', moduleVersions: new Map([['vectorset', '1']])},
    }),
    finds: ['warning mixed-versions a,a1,b,b1,c,c1', 'warning module-drift a'],
  },
  {
    name: 'node timeouts that differ',
    told: everywhere(
      {settings: {value: {'cluster-node-timeout': '15000'}}},
      {c: {settings: {value: {'cluster-node-timeout': '5000'}}}},
    ),
    finds: ['warning node-timeout-drift c'],
  },
  {
    name: 'settings that differ; one that some servers do not have is none',
    told: everywhere(
      {settings: {value: {maxmemory: '100', 'maxmemory-policy': 'noeviction', 'cluster-databases': '1'}}},
      {b: {settings: {value: {maxmemory: '50', 'maxmemory-policy': 'allkeys-lru'}}}},
    ),
    finds: ['warning config-drift b', 'warning config-drift b'],
  },
  {
    name: 'no disk anywhere: a note',
    told: everywhere({settings: {value: {appendonly: 'no'}}}),
    finds: ['note persistence-off a,b,c'],
  },
  {
    name: 'a shard without a disk, and one whose replica has one',
    told: everywhere(
      {},
      {
        a: {settings: {value: {appendonly: 'no'}}},
        a1: {settings: {value: {appendonly: 'no'}}},
        b: {settings: {value: {appendonly: 'no'}}},
      },
    ),
    finds: ['warning persistence-off a'],
  },
  {
    name: 'functions: one missing, one with other code',
    told: everywhere(
      {libraries: {one: '11', two: '22'}},
      {a: {libraries: {one: '11'}}, b: {libraries: {one: '33', two: '22'}}},
    ),
    finds: ['warning function-drift a', 'warning function-drift b'],
  },
  {
    name: 'users: one missing, one with other rules',
    told: everywhere(
      {users: {default: 'd', app: 'x'}},
      {c: {users: {default: 'd'}}, c1: {users: {default: 'e', app: 'x'}}},
    ),
    finds: ['warning acl-drift c1', 'warning acl-drift c'],
  },
  {
    name: 'users of another version are written otherwise, and only missing ones count',
    spec: withInfo({c: {version: '7.2.0'}}),
    told: everywhere({users: {default: 'd', app: 'x'}}, {c: {users: {default: 'of 7.2'}}}),
    finds: ['warning acl-drift c', 'warning mixed-versions a,a1,b,b1,c,c1'],
  },
  {
    name: 'keys of slots of others',
    told: {
      ...details(),
      orphanKeys: {value: new Map([[idOf('b'), {slots: parseRanges('7'), keys: 3, hiddenKeys: 0}]])},
    },
    finds: ['warning orphan-keys b 7'],
  },
  {
    name: 'slots in many ranges',
    spec: cluster({
      a: {slots: Array.from({length: 20}, (_, n) => n * 2).join(), epoch: 1},
      b: {slots: `${Array.from({length: 20}, (_, n) => n * 2 + 1).join()},40-10922`, epoch: 2},
    }),
    finds: ['note fragmented-slots a,b'],
  },
  {
    name: 'a link of the bus that is down, not yet suspected',
    spec: cluster({
      a: {
        ...HEALTHY.a,
        host: '10.0.0.1',
        sees: {c: {link: 'disconnected'}, b1: {link: 'disconnected', flags: 'fail?'}},
      },
    }),
    finds: ['warning bus-link-down a', 'warning suspected-node b1'],
  },
]

test.each(CASES)('$name', ({spec = cluster(), told = details(), finds}) => {
  expect(examine(topologyOf(spec), told).findings.map(brief)).toEqual(finds)
})

test('every rule that needs to be told more says so where nobody told', () => {
  const blind = withInfo(Object.fromEntries(NAMES.map((name) => [name, {version: '', isPrimaryLinkUp: undefined}])))
  const denied = {unknown: 'our user may not'}
  const nodes = new Map(NAMES.map((name) => [idOf(name), {settings: denied, libraries: denied, users: denied}]))
  const {findings, notJudged} = examine(topologyOf(blind), {nodes, orphanKeys: undefined})
  expect(findings).toEqual([])
  expect(notJudged.map(({rules, nodes: where, reason}) => `${reason} (${where.length}): ${rules.join()}`)).toEqual([
    'our user may not INFO (6): replica-link-down,lagging-replica,replica-in-primary-zone,quorum-in-one-zone,mixed-versions,module-drift,memory-near-limit,persistence-failing',
    'our user may not (6): node-timeout-drift,config-drift,persistence-off,function-drift,acl-drift',
    'keys are counted only with --deep (0): orphan-keys',
  ])
})

test('nodes that did not tell are no reason to find that the others differ', () => {
  const told = everywhere(
    {settings: {value: {maxmemory: '100'}}},
    {b: {settings: {unknown: 'our user may not CONFIG GET'}}},
  )
  const {findings, notJudged} = examine(topologyOf(cluster()), told)
  expect(findings).toEqual([])
  expect(notJudged).toEqual([
    {
      rules: ['node-timeout-drift', 'config-drift', 'persistence-off'],
      nodes: [idOf('b')],
      reason: 'our user may not CONFIG GET',
      isOnDemand: false,
    },
  ])
})

describe('a choice of rules', () => {
  const dead = cluster({c1: {...HEALTHY.c1, unreachable: 'nothing listens there'}})

  test('judges by these only', () => {
    const rules: RuleId[] = ['no-replicas', 'orphan-keys']
    expect(examine(topologyOf(dead), NO_DETAILS, rules)).toEqual({
      findings: [],
      rules: ['orphan-keys', 'no-replicas'],
      notJudged: [{rules: ['orphan-keys'], nodes: [], reason: 'keys are counted only with --deep', isOnDemand: true}],
    })
    expect(examine(topologyOf(dead), NO_DETAILS, ['unreachable-node']).findings.map(brief)).toEqual([
      'error unreachable-node c1',
    ])
  })

  test('asks the nodes for no more than it needs', () => {
    expect(detailsFor(['unreachable-node', 'memory-near-limit'])).toBeUndefined()
    expect(detailsFor(['acl-drift'])).toEqual({settings: [], libraries: false, users: true})
    const all = detailsFor(RULE_IDS)
    expect(all).toMatchObject({libraries: true, users: true})
    expect(all?.settings.filter((name) => /auth|pass|user/.test(name))).toEqual([])
  })
})

describe('what mends it', () => {
  const only = (spec: ClusterSpec, told: ClusterDetails, id: RuleId): Finding => {
    const [first, ...more] = examine(topologyOf(spec), told, [id]).findings
    expect(more).toEqual([])
    return first as Finding
  }

  test('the value that most nodes have', () => {
    const told = everywhere(
      {settings: {value: {'cluster-node-timeout': '15000', maxmemory: '100'}}},
      {c: {settings: {value: {'cluster-node-timeout': '5000', maxmemory: '50'}}}},
    )
    expect(only(cluster(), told, 'node-timeout-drift').suggestions).toEqual([
      'rcluster set-timeout 127.0.0.1:7000 15000',
    ])
    const drift = only(cluster(), told, 'config-drift')
    expect(drift.suggestions).toEqual(['rcluster config set 127.0.0.1:7000 maxmemory 100 --rewrite'])
    expect(drift.evidence).toContain('maxmemory 50 on 127.0.0.1:7002 (cccccccc)')
  })

  test('a value that is no plain word is not made part of a command', () => {
    const told = everywhere({settings: {value: {maxmemory: '$(reboot)'}}}, {c: {settings: {value: {maxmemory: '50'}}}})
    expect(only(cluster(), told, 'config-drift').suggestions.join()).not.toContain('reboot')
  })

  test('commands that copy what is missing, and leave to people whose is right', () => {
    const lacking = everywhere({libraries: {one: '11'}}, {a: {libraries: {}}})
    expect(only(cluster(), lacking, 'function-drift').suggestions).toEqual(['rcluster functions sync 127.0.0.1:7000'])
    const differing = everywhere(
      {libraries: {one: '11'}, users: {app: 'x', '$(reboot)': 'y'}},
      {a: {libraries: {one: '22'}}},
    )
    expect(only(cluster(), differing, 'function-drift').suggestions).toEqual([
      'Copy it from the node that has it right: rcluster functions sync 127.0.0.1:7000 --from 127.0.0.1:7001 --replace',
    ])
    const without = everywhere({users: {app: 'x', '$(reboot)': 'y'}}, {c: {users: {}}})
    const found = examine(topologyOf(cluster()), without, ['acl-drift']).findings.flatMap(
      ({suggestions}) => suggestions,
    )
    expect(found).toContain(
      'Make it alike, as on the node that has it right: rcluster acl set 127.0.0.1:7000 app --from 127.0.0.1:7000 --save',
    )
    expect(found.join()).not.toContain('reboot')
  })

  test('who has what, and who has not', () => {
    const told = everywhere(
      {libraries: {one: '11'}, users: {app: 'x'}},
      {a: {users: {app: 'x'}}, b: {libraries: {one: '22'}}},
    )
    expect(only(cluster(), told, 'acl-drift').message).toMatch(/^user app is on .* and not on 127\.0\.0\.1:7001/)
    expect(only(cluster(), told, 'function-drift').message).toMatch(
      /^function library one differs between .* and 127\.0\.0\.1:7001 .*, and is not on 127\.0\.0\.1:7000 \(aaaaaaaa\)$/,
    )
  })

  test('two replicas that change places', () => {
    const spec = cluster({
      a: {...HEALTHY.a, host: '10.0.0.1'},
      b: {...HEALTHY.b, host: '10.0.0.2'},
      a1: {...HEALTHY.a1, host: '10.0.0.1'},
      b1: {...HEALTHY.b1, host: '10.0.0.2'},
    })
    const [first] = examine(topologyOf(spec), details(), ['replica-on-primary-host']).findings
    expect(first?.suggestions).toEqual([
      'rcluster replicate 127.0.0.1:7003 127.0.0.1:7001',
      'rcluster replicate 127.0.0.1:7004 127.0.0.1:7000',
    ])
  })

  test('a takeover elsewhere', () => {
    const spec = cluster({b: {...HEALTHY.b, host: '10.0.0.1'}})
    expect(only(spec, details(), 'quorum-on-one-host').suggestions).toEqual(['rcluster failover 127.0.0.1:7003'])
  })
})
