/** Are two clusters about to become one? */
import {countSlots} from '../slots/slot-ranges.ts'
import {mergedClusters} from '../topology/merged-clusters.ts'
import {type ClusterNode, formatAddress, type Topology} from '../topology/model.ts'
import {labelNode, seedAddress} from '../topology/queries.ts'
import type {Finding} from './finding.ts'
import {nameSlots} from './slot-rules.ts'

export function mergedClustersFound(topology: Topology): readonly Finding[] {
  const merged = mergedClusters(topology)
  if (!merged) return []
  const {slots, groups} = merged
  return [
    {
      id: 'merged-clusters',
      severity: 'error',
      message: `two groups of primaries claim ${nameSlots(slots)}, and do not all know one another: ${groups.map(listClaims).join(' against ')}; they are two clusters that were joined, or a node that was removed and does not know it`,
      nodes: groups.flatMap((group) => group.map(({id}) => id)).sort(),
      slots,
      suggestions: wayApart(topology, groups),
      groups: groups.map((group) => group.map(({id}) => id)),
    },
  ]
}

/** For `fix`, too: nothing that it could do would keep the keys of both. */
export function wayApart(topology: Topology, groups: readonly (readonly ClusterNode[])[]): string[] {
  const [, losing = []] = groups
  const places = losing
    .slice(0, 6)
    .map(({address}) => formatAddress(address))
    .join(', ')
  return [
    `Of two claims the higher epoch wins, and the others throw their keys away as soon as they hear of it: to keep them, stop the servers of one cluster at once (those at ${places} would lose), or cut the bus ports between the two`,
    `Then make each side forget the other's nodes: rcluster forget ${seedAddress(topology)} NODE-ID …, and start the stopped servers without their nodes.conf's lines about the others`,
  ]
}

function listClaims(group: readonly ClusterNode[]): string {
  const shown = group
    .slice(0, 4)
    .map((node) => `${labelNode(node)} (${countSlots(node.ranges)} slots, epoch ${node.configEpoch})`)
  return group.length > shown.length ? `${shown.join(', ')} and ${group.length - shown.length} more` : shown.join(', ')
}
