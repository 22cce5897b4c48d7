/** How does redis-cli tell what it checks? Agreement, open slots, coverage. What it does not look at we add at the end. */
import type {Finding} from '../../findings/finding.ts'
import {inspect} from '../../findings/inspect.ts'
import {nodesInSeedOrder} from '../../plan/redis-cli/node-order.ts'
import {SLOT_COUNT} from '../../slots/slot.ts'
import {formatAddress, type NodeAddress, type Topology} from '../../topology/model.ts'
import {renderNodes} from './nodes.ts'

/** `seed`: as the user named it. */
export function renderCheck(topology: Topology, seed: NodeAddress, {listsNodes = true} = {}): string {
  return [
    `>>> Performing Cluster Check (using node ${formatAddress(seed)})`,
    ...(listsNodes ? [renderNodes(topology)] : []),
    ...agreementLines(topology),
    '>>> Check for open slots...',
    ...openSlotLines(topology),
    '>>> Check slots coverage...',
    topology.uncovered.length === 0
      ? `[OK] All ${SLOT_COUNT} slots covered.`
      : `[ERR] Not all ${SLOT_COUNT} slots are covered by nodes.`,
  ].join('\n')
}

/** Does the cluster pass what redis-cli looks at? */
export function passesCheck({disagreements, openSlots, uncovered}: Topology): boolean {
  return disagreements.length === 0 && openSlots.length === 0 && uncovered.length === 0
}

const TOLD_ABOVE: ReadonlySet<string> = new Set(['disagreement', 'open-slot', 'uncovered-slots'])

/** Errors that redis-cli does not look for: nodes that do not answer, broken replica links … */
export function furtherErrors(topology: Topology): readonly string[] {
  return inspect(topology)
    .filter(({severity, id}) => severity === 'error' && !TOLD_ABOVE.has(id))
    .map(({message}) => `[ERR] ${message}`)
}

/** Is all that is amiss what a replica's first synchronisation brings with it? */
export function isOnlySynchronising(topology: Topology): boolean {
  const errors = inspect(topology).filter(({severity}) => severity === 'error')
  const isPassing = (finding: Finding): boolean =>
    finding.id === 'replica-link-down' || (finding.id === 'unreachable-node' && finding.failure === 'loading')
  return errors.length > 0 && errors.every(isPassing)
}

function agreementLines(topology: Topology): string[] {
  if (topology.disagreements.length === 0) return ['[OK] All nodes agree about slots configuration.']
  const who = inspect(topology).filter(({id}) => id === 'disagreement')
  return ["[ERR] Nodes don't agree about configuration!", ...who.map(({message}) => `    ${message}`)]
}

function openSlotLines(topology: Topology): string[] {
  if (topology.openSlots.length === 0) return []
  const lines = nodesInSeedOrder(topology).flatMap((node) => {
    const own = (kind: 'migrating' | 'importing'): string[] => {
      const slots = topology.openSlots.filter((open) => open[kind].some((mark) => mark.node === node.id))
      if (slots.length === 0) return []
      const list = slots.map(({slot}) => slot).join(',')
      return [`[WARNING] Node ${formatAddress(node.address)} has slots in ${kind} state ${list}.`]
    }
    return [...own('migrating'), ...own('importing')]
  })
  return [...lines, `[WARNING] The following slots are open: ${topology.openSlots.map(({slot}) => slot).join(',')}.`]
}
