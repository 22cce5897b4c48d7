import {expect, test} from 'vitest'
import {examine} from '../../src/lib/findings/examine.ts'
import {checkMetrics} from '../../src/lib/render/check-metrics.ts'
import {renderOpenMetrics} from '../../src/lib/render/open-metrics.ts'
import {NO_DETAILS} from '../../src/lib/topology/node-details.ts'
import {type ClusterSpec, HEALTHY, idOf, topologyOf} from '../topology/cluster-views.ts'

const SPEC: ClusterSpec = {
  ...HEALTHY,
  a: {
    ...HEALTHY.a,
    info: {
      usedMemoryBytes: 1000,
      maxMemoryBytes: 0,
      replicationOffset: 700,
      availabilityZone: 'z"1\\\n',
      attachedReplicas: [{address: {host: '127.0.0.1', port: 7003}, isOnline: true, lagSeconds: 2}],
    },
  },
  b: {...HEALTHY.b, unreachable: 'nothing listens there'},
  a1: {...HEALTHY.a1, info: {isPrimaryLinkUp: true, replicationOffset: 600}},
}

function metricsOf(spec: ClusterSpec): string {
  const topology = topologyOf(spec)
  const examination = examine(topology, NO_DETAILS)
  return renderOpenMetrics(checkMetrics(topology, examination, examination.findings))
}

/** The grammar of the format, as far as gauges and info families go. */
function requireGrammar(text: string): void {
  const lines = text.split('\n')
  expect(lines.pop()).toBe('# EOF')
  const seen = new Set<string>()
  const series = new Set<string>()
  let [family, type, unit] = ['', '', '']
  for (const line of lines) {
    const meta = /^# (TYPE|UNIT|HELP) (rcluster_[a-z_]+) (.+)$/.exec(line)
    if (meta) {
      const [, kind, name = '', value = ''] = meta
      if (kind === 'TYPE') {
        expect(seen).not.toContain(name)
        seen.add(name)
        ;[family, type, unit] = [name, value, '']
      }
      if (kind === 'UNIT') unit = value
      expect(name).toBe(family)
      if (unit !== '') expect(name.endsWith(`_${unit}`)).toBe(true)
      continue
    }
    const sample = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[\d.]+)$/.exec(line)
    expect(sample, line).not.toBeNull()
    expect(sample?.[1]).toBe(type === 'info' ? `${family}_info` : family)
    expect(series).not.toContain(line.replace(/ \S+$/, ''))
    series.add(line.replace(/ \S+$/, ''))
  }
}

test('keeps to the grammar, whatever servers call themselves', () => {
  requireGrammar(metricsOf(SPEC))
  requireGrammar(metricsOf(HEALTHY))
})

test('tells findings, slots, nodes, lag and memory', () => {
  const text = metricsOf(SPEC)
  const a1 = `{node="${idOf('a1')}",address="127.0.0.1:7003"}`
  for (const line of [
    'rcluster_healthy 0',
    'rcluster_findings{rule="unreachable-node",severity="error"} 1',
    'rcluster_findings{rule="open-slot",severity="error"} 0',
    'rcluster_nodes{role="primary",state="unreachable"} 1',
    'rcluster_slots_covered 10922',
    'rcluster_slots_uncovered 5462',
    `rcluster_node_reached{node="${idOf('b')}",address="127.0.0.1:7001"} 0`,
    `rcluster_node_memory_used_bytes{node="${idOf('a')}",address="127.0.0.1:7000"} 1000`,
    `rcluster_replica_link_up${a1} 1`,
    `rcluster_replica_lag_bytes${a1} 100`,
    `rcluster_replica_lag_seconds${a1} 2`,
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  expect(text).not.toContain('memory_limit_bytes')
})

test('a rule that could not be judged is not there, so that it is not taken for one that found nothing', () => {
  expect(metricsOf(HEALTHY)).not.toContain('rule="orphan-keys"')
})
