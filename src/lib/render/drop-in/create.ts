/** How does redis-cli show what it is about to create? */
import type {RedisCliCreatePlan} from '../../plan/redis-cli/create.ts'
import {countSlots, parseRanges} from '../../slots/slot-ranges.ts'
import {formatAddress} from '../../topology/model.ts'
import {bracketed} from './nodes.ts'
import type {Vocabulary} from './vocabulary.ts'

/** The plan as a table of who leads, who follows whom, and the nodes in the order in which they were named. */
export function renderCreatePlan(planned: RedisCliCreatePlan, addresses: readonly string[], words: Vocabulary): string {
  const {plan, given, isOptimised, shared} = planned
  const Primary = `${words.primary.charAt(0).toUpperCase()}${words.primary.slice(1)}`
  const lines = [`>>> Performing hash slots allocation on ${addresses.length} ${words.nodes}...`]
  for (const [index, {slots}] of plan.primaries.entries()) {
    const [range] = parseRanges(slots)
    if (range) lines.push(`${Primary}[${index}] -> Slots ${range.start} - ${range.end}`)
  }
  for (const [index, {replica, primary, isExtra}] of given.entries()) {
    if (isExtra && !given[index - 1]?.isExtra) lines.push('Adding extra replicas...')
    lines.push(`Adding replica ${formatAddress(replica.address)} to ${formatAddress(primary.address)}`)
  }
  if (isOptimised) {
    lines.push(`>>> Trying to optimize ${words.replicas} allocation for anti-affinity`)
    lines.push(
      {
        none: '[OK] Perfect anti-affinity obtained!',
        replicas: `[WARNING] Some ${words.replicas} of the same ${words.primary} are in the same host`,
        primary: `[WARNING] Some ${words.replicas} are in the same host as their ${words.primary}`,
      }[shared],
    )
  }
  return [...lines, ...addresses.flatMap((address) => nodeLines(planned, address))].join('\n')
}

function nodeLines({plan}: RedisCliCreatePlan, address: string): string[] {
  for (const primary of plan.primaries) {
    if (primary.address === address) {
      const ranges = parseRanges(primary.slots)
      const slots = `slots:${bracketed(ranges)} (${countSlots(ranges)} slots) master`
      return [`M: ${primary.id} ${address}`, `   ${slots}`]
    }
    const replica = primary.replicas.find((one) => one.address === address)
    if (replica) return [`S: ${replica.id} ${address}`, `   replicates ${primary.id}`]
  }
  return []
}
