/** Which nodes are behind, near a limit, badly linked, or would not outlive a restart? */
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type ServerInfo, type Topology} from '../topology/model.ts'
import {movedNodes} from '../topology/moved-nodes.ts'
import {type ClusterDetails, toldValue} from '../topology/node-details.ts'
import {labelNode, listNodes, replicaLagBytes, replicaLagSeconds, seedAddress, slotsOf} from '../topology/queries.ts'
import {settingOf} from './drift-rules.ts'
import type {Finding} from './finding.ts'
import {primariesWithSlots} from './shard-rules.ts'
import {nameSlots} from './slot-rules.ts'

/** As min-replicas-max-lag has it: replicas acknowledge every second, primaries ping every ten. */
const MOST_SILENT_SECONDS = 10
/** Two pings missed, and a half. */
const MOST_IDLE_SECONDS = 25
/** The two ends are not asked at the same instant: at 100 MB/s of writes this is two thirds of a second. */
const MOST_BYTES_BEHIND = 64 * 2 ** 20

export function laggingReplicas(topology: Topology): readonly Finding[] {
  return topology.nodes.flatMap((node) => {
    const [own, primary] = [infoOf(node), topology.nodesById.get(node.primaryId ?? '')]
    const [lagSeconds, lagBytes] = [replicaLagSeconds(node, topology), replicaLagBytes(node, topology)]
    if (!own || !primary || own.isPrimaryLinkUp !== true) return []
    const idle = own.primaryLastIoSeconds ?? 0
    const why =
      (lagSeconds ?? 0) > MOST_SILENT_SECONDS
        ? `has acknowledged nothing for ${lagSeconds} s`
        : idle > MOST_IDLE_SECONDS
          ? `has heard nothing from it for ${idle} s`
          : (lagBytes ?? 0) > MOST_BYTES_BEHIND
            ? `is ${Math.round((lagBytes ?? 0) / 2 ** 20)} MB behind`
            : undefined
    if (why === undefined) return []
    return [
      {
        id: 'lagging-replica',
        severity: 'warning',
        message: `replica ${labelNode(node)} of ${labelNode(primary)} ${why}: a failover to it loses what it does not have`,
        nodes: [node.id],
        slots: [],
        suggestions: [
          `See whether it catches up: rcluster info ${seedAddress(topology)}; if not, look at its load, its disk and the network to ${formatAddress(primary.address)}`,
        ],
        lagSeconds: Math.max(lagSeconds ?? 0, idle),
        lagBytes,
      } satisfies Finding,
    ]
  })
}

/** One finding a node that lacks a link to others that answer us; not where it suspects them already, or knows them elsewhere. */
export function busLinksDown(topology: Topology): readonly Finding[] {
  const moved = new Set(movedNodes(topology).map(({node}) => node.id))
  return topology.nodes.flatMap((node) => {
    if (node.reach.kind === 'unreachable') return []
    const unlinked = node.reach.view.entries.flatMap(({id, isLinked, isMyself, flags}) => {
      const other = topology.nodesById.get(id)
      const isToldElsewhere = flags.size > 0 || moved.has(id) || moved.has(node.id)
      return isLinked || isMyself || isToldElsewhere || other?.reach.kind !== 'reached' ? [] : [other]
    })
    if (unlinked.length === 0) return []
    return [
      {
        id: 'bus-link-down',
        severity: 'warning',
        message: `node ${labelNode(node)} has no link on the cluster bus to ${listNodes(unlinked)}`,
        nodes: [node.id],
        slots: [],
        suggestions: [
          `A link that broke is built again within a second: rcluster check ${seedAddress(topology)}; if not, see that ${formatAddress(node.address)} reaches the bus port${unlinked.length === 1 ? '' : 's'} ${unlinked
            .slice(0, 3)
            .map(({announced, busPort}) => formatAddress({host: announced.host, port: busPort}))
            .join(', ')}`,
        ],
        unlinkedTo: unlinked.map(({id}) => id).sort(),
      } satisfies Finding,
    ]
  })
}

const NEAR = 0.9

/** Not where any key may be evicted: such a node is meant to be full. */
export function memoryNearLimit(topology: Topology): readonly Finding[] {
  return topology.nodes.flatMap((node) => {
    const info = infoOf(node)
    if (!info?.maxMemoryBytes || info.usedMemoryBytes === undefined) return []
    if (info.maxMemoryPolicy?.startsWith('allkeys-')) return []
    const usedBytes = Math.max(0, info.usedMemoryBytes - (info.uncountedMemoryBytes ?? 0))
    const share = usedBytes / info.maxMemoryBytes
    if (share < NEAR) return []
    const outcome =
      info.maxMemoryPolicy === 'noeviction' || info.maxMemoryPolicy === undefined
        ? 'writes are refused'
        : 'writes are refused once no key with an end is left to evict'
    return [
      {
        id: 'memory-near-limit',
        severity: 'warning',
        message: `${node.role} ${labelNode(node)} uses ${Math.floor(share * 100)} % of its maxmemory: at the limit ${outcome}`,
        nodes: [node.id],
        slots: slotsOf(topology, node.id),
        suggestions: [
          `Raise it: rcluster call ${seedAddress(topology)} -- CONFIG SET maxmemory BYTES`,
          `Or give slots to other primaries: rcluster rebalance ${seedAddress(topology)}`,
        ],
        usedBytes,
        limitBytes: info.maxMemoryBytes,
      } satisfies Finding,
    ]
  })
}

/** Shards of which no member that told of it writes its data to disk. A note when that is so everywhere: then it is meant. */
export function persistenceOff(topology: Topology, details: ClusterDetails): readonly Finding[] {
  const [log, save] = [settingOf(details, 'appendonly'), settingOf(details, 'save')]
  const told = topology.shards.flatMap(({primary, replicas}) => {
    const members = [primary, ...replicas].filter((node) => toldValue(details.nodes.get(node.id)?.settings))
    return members.length === 0 ? [] : [{primary, members}]
  })
  const without = told.filter(({members}) => members.every((node) => log(node) === 'no' && save(node) === ''))
  if (without.length === 0) return []
  const isEverywhere = without.length === told.length
  const primaries = without.map(({primary}) => primary)
  return [
    {
      id: 'persistence-off',
      severity: isEverywhere ? 'note' : 'warning',
      message: `${isEverywhere ? 'no node writes' : `${without.length} of ${told.length} shards write`} its keys to ${isEverywhere ? 'disk' : 'no disk'}: a primary that restarts comes back empty, and its replicas throw theirs away`,
      nodes: primaries.map(({id}) => id).sort(),
      slots: [],
      evidence: isEverywhere ? [] : [`appendonly no and save "" on all of the shards of ${listNodes(primaries)}`],
      suggestions: [`rcluster config set ${seedAddress(topology)} appendonly yes --rewrite`],
    },
  ]
}

export function persistenceFailing(topology: Topology): readonly Finding[] {
  return topology.nodes.flatMap((node) => {
    const faults = infoOf(node)?.persistenceFaults ?? []
    if (faults.length === 0) return []
    return [
      {
        id: 'persistence-failing',
        severity: 'warning',
        message: `${node.role} ${labelNode(node)} failed to write its data to disk: the last ${faults.join(' and the last ')}; by its settings it may refuse writes`,
        nodes: [node.id],
        slots: slotsOf(topology, node.id),
        suggestions: ['See its log, the space on its disk, and whether it may fork (vm.overcommit_memory)'],
        faults,
      } satisfies Finding,
    ]
  })
}

/** Of a cluster of equal shares there is one range a primary; reshards leave a few more. */
const MANY_RANGES = 16

/** All of them in one finding. */
export function fragmentedSlots(topology: Topology): readonly Finding[] {
  const scattered = primariesWithSlots(topology).filter(({id}) => slotsOf(topology, id).length > MANY_RANGES)
  const [first] = [...scattered].sort((a, b) => slotsOf(topology, b.id).length - slotsOf(topology, a.id).length)
  if (!first) return []
  const ranges = primariesWithSlots(topology).reduce((sum, {id}) => sum + slotsOf(topology, id).length, 0)
  const most = slotsOf(topology, first.id)
  return [
    {
      id: 'fragmented-slots',
      severity: 'note',
      message: `the slots lie in ${ranges} ranges, of ${labelNode(first)} alone ${countSlots(most)} slots in ${most.length}: every client reads such a list whenever it looks up the cluster`,
      nodes: scattered.map(({id}) => id).sort(),
      slots: [],
      suggestions: [`rcluster rebalance ${seedAddress(topology)} --defragment`],
      ranges,
    },
  ]
}

/** One finding a node. Nobody finds such keys through the cluster, and they come back to life with the slot. */
export function orphanKeys(topology: Topology, details: ClusterDetails): readonly Finding[] {
  return [...(toldValue(details.orphanKeys) ?? [])].flatMap(([id, {slots, keys, hiddenKeys}]) => {
    const node = topology.nodesById.get(id)
    if (!node) return []
    const where = slots.length > 0 ? `in ${nameSlots(slots)}` : 'and does not show which slots'
    return [
      {
        id: 'orphan-keys',
        severity: 'warning',
        message: `node ${labelNode(node)} holds ${keys + hiddenKeys} ${keys + hiddenKeys === 1 ? 'key' : 'keys'} of slots that are not its own, ${where}`,
        nodes: [id],
        slots,
        suggestions: [`rcluster fix ${seedAddress(topology)} --search-multiple-owners`],
        keys,
        hiddenKeys,
      } satisfies Finding,
    ]
  })
}

function infoOf({reach}: ClusterNode): ServerInfo | undefined {
  return reach.kind === 'reached' ? reach.view.serverInfo : undefined
}
