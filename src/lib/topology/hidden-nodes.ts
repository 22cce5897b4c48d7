/**
 * Which nodes are alive for the others, and out of reach for us only? Behind published ports and firewalls the addresses
 * that nodes announce may lead nowhere from here. Reads a Topology, changes nothing.
 */
import {isElsewhere, isMapped, passageTo} from './inside-address.ts'
import type {ClusterNode, NodeId, Topology} from './model.ts'

/** What tells that the address leads nowhere from here, whatever the server does. */
const WRONG_ADDRESS: ReadonlySet<string> = new Set(['no-route', 'unresolved', 'wrong-node'])
/** What may come of a dead server as well: it tells something only where another node is not reached as its peers reach it. */
const NOBODY_THERE: ReadonlySet<string> = new Set(['refused', 'timeout', 'closed'])

/** Each with a node that has a link to it. */
export function hiddenNodes(topology: Topology): ReadonlyMap<NodeId, ClusterNode> {
  const reached = topology.nodes.flatMap((node) =>
    node.reach.kind === 'reached' ? [{node, view: node.reach.view}] : [],
  )
  const areMapped = reached.some(
    ({node: {announced}, view}) =>
      (view.internal !== undefined && isMapped(view.dialled, view.internal)) ||
      isElsewhere(passageTo(view).resolved, announced),
  )
  const hidden = new Map<NodeId, ClusterNode>()
  for (const {id, reach} of topology.nodes) {
    if (reach.kind === 'reached') continue
    if (!WRONG_ADDRESS.has(reach.failure) && !(areMapped && NOBODY_THERE.has(reach.failure))) continue
    const friend = reached.find(({view}) =>
      view.entries.some(
        (entry) => entry.id === id && entry.isLinked && !entry.flags.has('suspected') && !entry.flags.has('failed'),
      ),
    )
    if (friend) hidden.set(id, friend.node)
  }
  return hidden
}
