/**
 * Are these two clusters that were joined by mistake? One MEET between members of two is enough: within a second or so
 * everybody knows everybody, of two primaries with the same slots the one with the lower epoch gives up its own, becomes a
 * replica of the other, and throws its keys away. What can be seen before that: primaries that claim the same slots and do
 * not know each other. Reads a Topology, changes nothing.
 */
import {rangesFromSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import type {ClusterNode, NodeId, Topology} from './model.ts'
import {primaries} from './queries.ts'

export interface MergedClusters {
  /** Slots that primaries of both groups claim for themselves. */
  readonly slots: SlotRanges
  /** Primaries that answer and claim slots that somebody in the other group claims. The second one loses the first slot. */
  readonly groups: readonly [readonly ClusterNode[], readonly ClusterNode[]]
}

/**
 * undefined where all claimants know one another: a claim that is left over from a failover or a repair by hand. A node that
 * was removed and does not know it looks like a cluster of its own.
 */
export function mergedClusters(topology: Topology): MergedClusters | undefined {
  const claimants = primaries(topology).filter(({reach, ranges}) => reach.kind === 'reached' && ranges.length > 0)
  const owners = new Map<number, ClusterNode[]>()
  for (const node of claimants) {
    for (const slot of slotsInRanges(node.ranges)) {
      const others = owners.get(slot)
      if (others) others.push(node)
      else owners.set(slot, [node])
    }
  }
  const contested = [...owners].filter(([, nodes]) => nodes.length > 1)
  if (contested.length === 0) return undefined
  const rivals = new Map<ClusterNode, Set<ClusterNode>>()
  for (const [, nodes] of contested) {
    for (const one of nodes) {
      const others = rivals.get(one) ?? new Set()
      rivals.set(one, others)
      for (const other of nodes) if (other !== one) others.add(other)
    }
  }
  const areStrangers = [...rivals].some(([one, others]) => [...others].some((other) => !knows(one, other.id)))
  if (!areStrangers) return undefined
  const groups = inTwo(rivals)
  return {slots: rangesFromSlots(contested.map(([slot]) => slot)), groups}
}

function knows({reach}: ClusterNode, id: NodeId): boolean {
  return (
    reach.kind === 'reached' && reach.view.entries.some((entry) => entry.id === id && !entry.flags.has('handshake'))
  )
}

/** Rivals are on different sides, as far as that goes; the side with the higher epoch first. */
function inTwo(rivals: ReadonlyMap<ClusterNode, ReadonlySet<ClusterNode>>): [ClusterNode[], ClusterNode[]] {
  const sides = new Map<ClusterNode, 0 | 1>()
  const byStrength = [...rivals.keys()].sort((a, b) => b.configEpoch - a.configEpoch || (a.id < b.id ? -1 : 1))
  for (const first of byStrength) {
    if (sides.has(first)) continue
    sides.set(first, 0)
    const open = [first]
    for (let node = open.pop(); node; node = open.pop()) {
      const across = sides.get(node) === 0 ? 1 : 0
      for (const rival of rivals.get(node) ?? []) {
        if (sides.has(rival)) continue
        sides.set(rival, across)
        open.push(rival)
      }
    }
  }
  const side = (wanted: 0 | 1): ClusterNode[] => byStrength.filter((node) => sides.get(node) === wanted)
  return [side(0), side(1)]
}
