/** May nodes leave, as far as slots on their way are concerned? Throws a refusal that tells which are, and what next. */
import {RefusedError} from '../errors.ts'
import {openSlotFindings} from '../findings/slot-rules.ts'
import {formatRanges, rangesFromSlots} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'

/**
 * Keys of a slot that is half moved lie on both ends, and at the target they are nobody's as far as the slot map tells:
 * they would go with the node.
 * @throws RefusedError 'open-slots' when a slot is on its way to one of `leaving`.
 */
export function requireNothingOnTheWay(topology: Topology, leaving: ReadonlySet<NodeId>): void {
  const incoming = topology.openSlots.filter(
    ({migrating, importing}) =>
      migrating.some(({to}) => leaving.has(to)) || importing.some(({node}) => leaving.has(node)),
  )
  const findings = openSlotFindings(topology, incoming)
  const [first] = findings
  if (!first) return
  const more = findings.length === 1 ? '' : ` (and ${findings.length - 1} more like this)`
  throw new RefusedError('open-slots', `keys are on their way to a node that is to leave: ${first.message}${more}`, {
    details: {
      slots: formatRanges(rangesFromSlots(incoming.map(({slot}) => slot))),
      nodes: [...new Set(findings.flatMap(({nodes}) => nodes))].sort(),
    },
    suggestions: [...new Set(findings.flatMap(({suggestions}) => suggestions))].slice(0, 4),
  })
}
