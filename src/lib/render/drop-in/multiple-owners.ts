/** Which slots has more than one node, by its word or by the keys that it holds? As --cluster-search-multiple-owners tells it. */
import {primariesInSeedOrder} from '../../plan/redis-cli/node-order.ts'
import type {KeyEvidence} from '../../plan/repair-facts.ts'
import {slotsInRanges} from '../../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type Topology} from '../../topology/model.ts'

export interface OwnersTold {
  readonly text: string
  readonly isClean: boolean
}

export function renderMultipleOwners(topology: Topology, {keysBySlot, hiddenKeys}: KeyEvidence): OwnersTold {
  const owners = new Map<number, ClusterNode[]>()
  const nodes = primariesInSeedOrder(topology)
  for (const node of nodes) {
    const held = [...keysBySlot].filter(([, holders]) => (holders.get(node.id) ?? 0) > 0).map(([slot]) => slot)
    for (const slot of new Set([...slotsInRanges(node.ranges), ...held])) {
      owners.set(slot, [...(owners.get(slot) ?? []), node])
    }
  }
  const contested = [...owners].filter(([, claimants]) => claimants.length > 1).sort(([a], [b]) => a - b)
  const lines = contested.flatMap(([slot, claimants]) => [
    `[WARNING] Slot ${slot} has ${claimants.length} owners:`,
    ...claimants.map(({address}) => `    ${formatAddress(address)}`),
  ])
  for (const node of nodes) {
    const hidden = hiddenKeys.get(node.id)
    if (hidden === undefined) continue
    lines.push(
      `[WARNING] Node ${formatAddress(node.address)} has ${hidden} keys more than it shows, of slots that are not its own.`,
    )
  }
  if (lines.length === 0) lines.push('[OK] No multiple owners found.')
  return {
    text: ['>>> Check for multiple slot owners...', ...lines].join('\n'),
    isClean: lines[0]?.startsWith('[OK]') ?? true,
  }
}
