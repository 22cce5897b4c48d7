/** Which shards would not survive the loss of a node, or are put together wrongly? */
import {rangesFromSlots, slotsInRanges} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelId, labelNode, listNodes, primaries, replicasOf, seedAddress, slotsOf} from '../topology/queries.ts'
import type {Finding} from './finding.ts'
import {nameSlots} from './slot-rules.ts'

export function primariesWithSlots(topology: Topology): readonly ClusterNode[] {
  return primaries(topology).filter(({id}) => slotsOf(topology, id).length > 0)
}

export function replicaLinksDown(topology: Topology): readonly Finding[] {
  return topology.nodes.flatMap((node) => {
    if (node.role !== 'replica' || node.reach.kind === 'unreachable') return []
    if (node.reach.view.serverInfo.isPrimaryLinkUp !== false) return []
    const primary = topology.nodesById.get(node.primaryId ?? '')
    if (!primary) return []
    const isLost = primary.reach.kind === 'unreachable'
    return [
      {
        id: 'replica-link-down',
        severity: 'error',
        message: `replica ${labelNode(node)} has no link to its primary ${labelNode(primary)}${isLost ? ', which cannot be reached' : ''}`,
        nodes: [node.id],
        slots: [],
        suggestions: [
          isLost
            ? `Start the server at ${formatAddress(primary.address)} again`
            : 'A first copy takes a while; otherwise see the log of the replica: a wrong masterauth, or a primary that it cannot reach',
        ],
      } satisfies Finding,
    ]
  })
}

/** Replicas that no shard counts: they follow nobody, or somebody who is no primary. */
export function strayReplicas(topology: Topology): readonly Finding[] {
  return topology.nodes.flatMap((node) => {
    if (node.role !== 'replica' || node.reach.kind === 'unreachable') return []
    const primary = topology.nodesById.get(node.primaryId ?? '')
    if (primary?.role === 'primary') return []
    const follows = node.primaryId === undefined ? 'nobody' : `${labelId(topology, node.primaryId)}, who is no primary`
    return [
      {
        id: 'stray-replica',
        severity: 'error',
        message: `replica ${labelNode(node)} follows ${follows}`,
        nodes: [node.id],
        slots: [],
        suggestions: [`CLUSTER REPLICATE <primary ID> on ${formatAddress(node.address)} gives it a primary`],
      } satisfies Finding,
    ]
  })
}

/** Not for a shard that has replicas: dead and unlinked ones are errors of their own. */
export function orphanedPrimaries(topology: Topology): readonly Finding[] {
  if (!hasReplicas(topology)) return []
  return primariesWithSlots(topology)
    .filter(({id, reach}) => reach.kind === 'reached' && replicasOf(topology, id).length === 0)
    .map((node) => ({
      id: 'orphaned-primary',
      severity: 'warning',
      message: `primary ${labelNode(node)} with ${nameSlots(slotsOf(topology, node.id))} has no replica`,
      nodes: [node.id],
      slots: slotsOf(topology, node.id),
      suggestions: [`rcluster add-node NEW ${seedAddress(topology)} --replica --primary ${node.id}`],
    }))
}

export function noReplicas(topology: Topology): readonly Finding[] {
  const owners = primariesWithSlots(topology)
  if (hasReplicas(topology) || owners.length === 0) return []
  return [
    {
      id: 'no-replicas',
      severity: 'warning',
      message: `the cluster has no replicas: ${owners.length === 1 ? 'its primary' : `each of its ${owners.length} primaries`} takes its keys along when it dies`,
      nodes: sortedIds(owners),
      slots: [],
      suggestions: [`rcluster add-node NEW ${seedAddress(topology)} --replica`],
    },
  ]
}

function hasReplicas(topology: Topology): boolean {
  return topology.nodes.some(({role}) => role === 'replica')
}

export function emptyPrimaries(topology: Topology): readonly Finding[] {
  // Where nobody has slots that is said of the slots.
  if (topology.owners.every((owner) => owner === undefined)) return []
  return primaries(topology)
    .filter(({id, reach}) => reach.kind === 'reached' && slotsOf(topology, id).length === 0)
    .map((node) => ({
      id: 'empty-primary',
      severity: 'warning',
      message: `primary ${labelNode(node)} has no slots`,
      nodes: [node.id],
      slots: [],
      suggestions: [
        `rcluster rebalance ${seedAddress(topology)} --use-empty`,
        `rcluster del-node ${seedAddress(topology)} ${node.id}`,
      ],
    }))
}

/** Two claims at one epoch cannot outdo each other: slots may go back to a former owner, and lose their keys. */
export function epochCollisions(topology: Topology): readonly Finding[] {
  const byEpoch = new Map<number, ClusterNode[]>()
  for (const node of primariesWithSlots(topology)) {
    const same = byEpoch.get(node.configEpoch)
    if (same) same.push(node)
    else byEpoch.set(node.configEpoch, [node])
  }
  return [...byEpoch]
    .filter(([, nodes]) => nodes.length > 1)
    .map(([configEpoch, nodes]) => ({
      id: 'epoch-collision',
      severity: 'error',
      message: `${nodes.length} primaries share config epoch ${configEpoch}: ${listNodes(nodes)}`,
      nodes: sortedIds(nodes),
      slots: rangesFromSlots(nodes.flatMap(({id}) => slotsInRanges(slotsOf(topology, id)))),
      suggestions: [
        `Nodes settle this among themselves within seconds: rcluster check ${seedAddress(topology)}`,
        `CLUSTER BUMPEPOCH on ${formatAddress(nodes[0]!.address)} settles it at once`,
      ],
      configEpoch,
    }))
}

/** A failover needs the votes of a majority of the primaries with slots: of one or two, no majority survives a loss. */
export function fewPrimaries(topology: Topology): readonly Finding[] {
  const owners = primariesWithSlots(topology)
  if (owners.length === 0 || owners.length > 2) return []
  return [
    {
      id: 'few-primaries',
      severity: 'warning',
      message: `${owners.length === 1 ? '1 primary owns' : '2 primaries own'} slots: no automatic failover with fewer than 3`,
      nodes: sortedIds(owners),
      slots: [],
      suggestions: [`rcluster add-node NEW ${seedAddress(topology)}`],
    },
  ]
}

function sortedIds(nodes: readonly ClusterNode[]): NodeId[] {
  return nodes.map(({id}) => id).sort()
}
