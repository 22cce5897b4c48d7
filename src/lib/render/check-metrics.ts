/** What does `check --openmetrics` measure? Findings by rule and severity, slots, and what each node told. Pure. */
import type {Examination} from '../findings/examine.ts'
import type {Finding} from '../findings/finding.ts'
import {RULE_BOOK} from '../findings/rule-book.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type ServerInfo, type Topology} from '../topology/model.ts'
import {keysOf, replicaLagBytes, replicaLagSeconds, slotsOf, zoneOf} from '../topology/queries.ts'
import {clean} from './clean.ts'
import type {MetricFamily, Sample} from './open-metrics.ts'

/** `fresh`: of what was found, what is in no baseline. */
export function checkMetrics(topology: Topology, examination: Examination, fresh: readonly Finding[]): MetricFamily[] {
  return [...verdictFamilies(examination, fresh), ...slotFamilies(topology), ...nodeFamilies(topology)]
}

function verdictFamilies({findings, rules, notJudged}: Examination, fresh: readonly Finding[]): MetricFamily[] {
  const unjudged = new Set(notJudged.filter(({nodes}) => nodes.length === 0).flatMap((one) => one.rules))
  // A rule that found nothing is 0, one that was not judged is not there at all: an alert can tell them apart.
  const countOf = (among: readonly Finding[]): Sample[] =>
    rules
      .filter((rule) => !unjudged.has(rule))
      .flatMap((rule) =>
        RULE_BOOK[rule].severity.map((severity) => ({
          labels: {rule, severity},
          value: among.filter((finding) => finding.id === rule && finding.severity === severity).length,
        })),
      )
  const known = findings.filter((finding) => !fresh.includes(finding))
  return [
    gauge('rcluster_healthy', 'Whether no finding is an error.', [
      {value: findings.some(({severity}) => severity === 'error') ? 0 : 1},
    ]),
    gauge('rcluster_findings', 'Findings by rule and severity, without those of the baseline.', countOf(fresh)),
    gauge('rcluster_known_findings', 'Findings of the baseline.', known.length === 0 ? [] : countOf(known)),
    gauge(
      'rcluster_rule_unjudged_nodes',
      'Nodes on which a rule could not be judged.',
      notJudged.flatMap(({rules: some, nodes}) =>
        nodes.length === 0 ? [] : some.map((rule) => ({labels: {rule}, value: nodes.length})),
      ),
    ),
  ]
}

function slotFamilies(topology: Topology): MetricFamily[] {
  const {uncovered, openSlots, disagreements, nodes} = topology
  const disputed = disagreements.reduce((sum, {ranges}) => sum + countSlots(ranges), 0)
  const count = (role: ClusterNode['role'], isReached: boolean): Sample => ({
    labels: {role, state: isReached ? 'reached' : 'unreachable'},
    value: nodes.filter((node) => node.role === role && (node.reach.kind === 'reached') === isReached).length,
  })
  return [
    gauge('rcluster_nodes', 'Members by role, and whether they answered.', [
      count('primary', true),
      count('primary', false),
      count('replica', true),
      count('replica', false),
    ]),
    gauge('rcluster_slots_covered', 'Slots whose owner answered.', [{value: SLOT_COUNT - countSlots(uncovered)}]),
    gauge('rcluster_slots_uncovered', 'Slots that nobody serves.', [{value: countSlots(uncovered)}]),
    gauge('rcluster_slots_open', 'Slots on their way between two nodes.', [{value: openSlots.length}]),
    gauge('rcluster_slots_disputed', 'Slots on whose owner the nodes disagree.', [{value: disputed}]),
  ]
}

function nodeFamilies(topology: Topology): MetricFamily[] {
  const labelsOf = (node: ClusterNode) => ({node: node.id, address: clean(formatAddress(node.address))})
  const perNode = (measure: (node: ClusterNode) => number | undefined, role?: ClusterNode['role']): Sample[] =>
    topology.nodes.flatMap((node) => {
      const value = role === undefined || node.role === role ? measure(node) : undefined
      return value === undefined ? [] : [{labels: labelsOf(node), value}]
    })
  const ofInfo = (measure: (info: ServerInfo) => number | undefined, role?: ClusterNode['role']): Sample[] =>
    perNode(({reach}) => (reach.kind === 'reached' ? measure(reach.view.serverInfo) : undefined), role)
  return [
    {
      name: 'rcluster_node',
      type: 'info',
      help: 'What each member is.',
      samples: topology.nodes.map((node) => ({labels: {...labelsOf(node), ...describe(node)}, value: 1})),
    },
    gauge(
      'rcluster_node_reached',
      'Whether the node answered.',
      perNode(({reach}) => Number(reach.kind === 'reached')),
    ),
    gauge(
      'rcluster_node_slots',
      'Slots that the primary owns.',
      perNode(({id}) => countSlots(slotsOf(topology, id)), 'primary'),
    ),
    gauge(
      'rcluster_node_slot_ranges',
      'Ranges in which they lie.',
      perNode(({id}) => slotsOf(topology, id).length, 'primary'),
    ),
    gauge('rcluster_node_keys', 'Keys of all databases.', perNode(keysOf)),
    bytes(
      'rcluster_node_memory_used_bytes',
      'used_memory.',
      ofInfo(({usedMemoryBytes}) => usedMemoryBytes),
    ),
    bytes(
      'rcluster_node_memory_limit_bytes',
      'maxmemory, where there is a limit.',
      ofInfo(({maxMemoryBytes}) => maxMemoryBytes || undefined),
    ),
    gauge(
      'rcluster_node_operations_per_second',
      'instantaneous_ops_per_sec.',
      ofInfo(({opsPerSecond}) => opsPerSecond),
    ),
    gauge(
      'rcluster_replica_link_up',
      'Whether the replica has a link to its primary.',
      ofInfo(({isPrimaryLinkUp}) => (isPrimaryLinkUp === undefined ? undefined : Number(isPrimaryLinkUp)), 'replica'),
    ),
    bytes(
      'rcluster_replica_lag_bytes',
      'What the replica has still to receive of its primary.',
      perNode((node) => replicaLagBytes(node, topology), 'replica'),
    ),
    {
      name: 'rcluster_replica_lag_seconds',
      type: 'gauge',
      unit: 'seconds',
      help: 'Since the replica last acknowledged, by its primary.',
      samples: perNode((node) => replicaLagSeconds(node, topology), 'replica'),
    },
  ]
}

function describe(node: ClusterNode): Record<string, string> {
  const {reach, role, announced, primaryId} = node
  const info = reach.kind === 'reached' ? reach.view.serverInfo : undefined
  const zone = zoneOf(node)
  return {
    role,
    host: clean(announced.host),
    ...(primaryId === undefined ? {} : {primary: primaryId}),
    ...(info?.version ? {server: info.flavour, version: clean(info.version)} : {}),
    ...(zone ? {zone: clean(zone)} : {}),
  }
}

function gauge(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return {name, type: 'gauge', help, samples}
}

function bytes(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return {name, type: 'gauge', unit: 'bytes', help, samples}
}
