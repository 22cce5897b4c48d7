/** What does `--json` say of a cluster? Plain data, slots as "0-5460,5462", amounts in bytes. */

import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, formatRanges} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {keysOf, replicaLagBytes, replicaLagSeconds, zoneOf} from '../topology/queries.ts'
import {nodeState} from './topology.ts'

export interface NodeDocument {
  readonly id: NodeId
  /** Where it was reached. */
  readonly address: string
  /** What it tells for itself in CLUSTER NODES. */
  readonly announced: string
  /** Where it listens, by its own word; null where it does not tell. */
  readonly internal: string | null
  readonly hostname: string | null
  readonly role: 'primary' | 'replica'
  readonly primaryId: NodeId | null
  readonly slots: string
  readonly slotCount: number
  readonly configEpoch: number
  readonly flags: readonly string[]
  /** In a few words: "ok", "link down", "no answer". */
  readonly state: string
  readonly isReachable: boolean
  /** Why it could not be asked. */
  readonly failure: {readonly kind: string; readonly message: string} | null
  /** null when it could not be asked, here and below. */
  readonly keys: number | null
  readonly memoryBytes: number | null
  readonly lagBytes: number | null
  readonly lagSeconds: number | null
  readonly opsPerSecond: number | null
  readonly server: string | null
  readonly version: string | null
  readonly availabilityZone: string | null
}

export interface TopologyDocument {
  readonly nodes: readonly NodeDocument[]
  readonly shards: readonly {
    readonly primary: NodeId
    readonly replicas: readonly NodeId[]
    readonly slots: string
    readonly slotCount: number
    readonly keys: number | null
  }[]
  readonly coveredSlots: number
  readonly uncovered: string
  readonly openSlots: Topology['openSlots']
  readonly disagreements: readonly {
    readonly slots: string
    readonly opinions: Topology['disagreements'][number]['opinions']
  }[]
  /** IDs of nodes that could not be asked. */
  readonly unreachable: readonly NodeId[]
}

export function topologyDocument(topology: Topology): TopologyDocument {
  return {
    nodes: topology.nodes.map((node) => nodeDocument(node, topology)),
    shards: topology.shards.map(({primary, replicas}) => ({
      primary: primary.id,
      replicas: replicas.map(({id}) => id),
      slots: formatRanges(primary.ranges),
      slotCount: countSlots(primary.ranges),
      keys: keysOf(primary) ?? null,
    })),
    coveredSlots: SLOT_COUNT - countSlots(topology.uncovered),
    uncovered: formatRanges(topology.uncovered),
    openSlots: topology.openSlots,
    disagreements: topology.disagreements.map(({ranges, opinions}) => ({slots: formatRanges(ranges), opinions})),
    unreachable: topology.nodes.filter(({reach}) => reach.kind === 'unreachable').map(({id}) => id),
  }
}

function nodeDocument(node: ClusterNode, topology: Topology): NodeDocument {
  const view = node.reach.kind === 'reached' ? node.reach.view : undefined
  const {internal, serverInfo: info} = view ?? {}
  return {
    id: node.id,
    address: formatAddress(node.address),
    announced: formatAddress(node.announced),
    internal: internal ? formatAddress(internal) : null,
    hostname: node.hostname ?? null,
    role: node.role,
    primaryId: node.primaryId ?? null,
    slots: formatRanges(node.ranges),
    slotCount: countSlots(node.ranges),
    configEpoch: node.configEpoch,
    flags: [...node.flags].sort(),
    state: nodeState(node, topology).text,
    isReachable: node.reach.kind === 'reached',
    failure: node.reach.kind === 'unreachable' ? {kind: node.reach.failure, message: node.reach.message} : null,
    keys: keysOf(node) ?? null,
    memoryBytes: info?.usedMemoryBytes ?? null,
    lagBytes: node.role === 'replica' ? (replicaLagBytes(node, topology) ?? null) : null,
    lagSeconds: node.role === 'replica' ? (replicaLagSeconds(node, topology) ?? null) : null,
    opsPerSecond: info?.opsPerSecond ?? null,
    server: info?.flavour ?? null,
    version: info?.version ?? null,
    availabilityZone: zoneOf(node) ?? null,
  }
}
