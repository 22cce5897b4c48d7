/** How does redis-cli list the nodes of a cluster? */
import {nodesInSeedOrder, primariesInSeedOrder} from '../../plan/redis-cli/node-order.ts'
import {SLOT_COUNT} from '../../slots/slot.ts'
import {countSlots, type SlotRanges} from '../../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../../topology/model.ts'
import {vocabularyFor} from './vocabulary.ts'

/** "127.0.0.1:7000 (07c37dfe...) -> 12 keys | 5461 slots | 1 slaves.", a line a primary, and the sums. */
export function renderSummary(topology: Topology): string {
  const {primaries, replicas} = vocabularyFor(topology)
  const followers = countReplicas(topology)
  const leaders = primariesInSeedOrder(topology)
  const lines = leaders.map((node) => {
    const counts = `${keysOf(node)} keys | ${countSlots(node.ranges)} slots | ${followers.get(node.id) ?? 0} ${replicas}.`
    return `${formatAddress(node.address)} (${node.id.slice(0, 8)}...) -> ${counts}`
  })
  const keys = leaders.reduce((sum, node) => sum + keysOf(node), 0)
  return [
    ...lines,
    `[OK] ${keys} keys in ${leaders.length} ${primaries}.`,
    `${(keys / SLOT_COUNT).toFixed(2)} keys per slot on average.`,
  ].join('\n')
}

/** Three lines a node: "M: ID ADDRESS", its slots and role (in the old words with valkey-cli, too), and its followers or whom it follows. */
export function renderNodes(topology: Topology): string {
  const followers = countReplicas(topology)
  return nodesInSeedOrder(topology)
    .map((node) => {
      const isPrimary = node.role === 'primary'
      const slots = `slots:${bracketed(node.ranges)} (${countSlots(node.ranges)} slots) ${isPrimary ? 'master' : 'slave'}`
      const lines = [`${isPrimary ? 'M' : 'S'}: ${node.id} ${formatAddress(node.address)}`, `   ${slots}`]
      if (!isPrimary) lines.push(`   replicates ${node.primaryId ?? ''}`)
      else if (followers.has(node.id)) lines.push(`   ${followers.get(node.id)} additional replica(s)`)
      return lines.join('\n')
    })
    .join('\n')
}

/** "[0-5460],[5462]" */
export function bracketed(ranges: SlotRanges): string {
  return ranges.map(({start, end}) => (start === end ? `[${start}]` : `[${start}-${end}]`)).join(',')
}

function countReplicas(topology: Topology): ReadonlyMap<NodeId, number> {
  const counts = new Map<NodeId, number>()
  for (const {role, primaryId} of nodesInSeedOrder(topology)) {
    if (role === 'replica' && primaryId !== undefined) counts.set(primaryId, (counts.get(primaryId) ?? 0) + 1)
  }
  return counts
}

function keysOf({reach}: ClusterNode): number {
  if (reach.kind !== 'reached') return 0
  return [...reach.view.serverInfo.keysByDatabase.values()].reduce((sum, count) => sum + count, 0)
}
