/** Who leaves, and whom do the replicas follow that stay? Pure. */
import {RefusedError, UsageError} from '../errors.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {labelNode, listNodes, primaries, replicasOf, slotsOf} from '../topology/queries.ts'
import {requireNothingOnTheWay} from './on-the-way.ts'
import {placeable} from './placement.ts'
import type {RemovalPlan} from './plan.ts'
import {homesOf, quietestHome} from './quietest-primary.ts'

/**
 * @throws RefusedError 'node-has-slots' when a victim owns slots, 'open-slots' when one is on its way to a victim that
 *   answers; UsageError when a node is named twice or none would be left.
 */
export function planRemoval(topology: Topology, {victims}: {readonly victims: readonly NodeId[]}): RemovalPlan {
  const leaving = new Set(victims)
  const nodes = victims.map((id) => {
    const node = topology.nodesById.get(id)
    if (!node) throw new UsageError(`node ${id} is not part of the cluster`)
    return node
  })
  if (leaving.size < victims.length) throw new UsageError('a node is named twice')
  if (leaving.size >= topology.nodes.length) throw new UsageError('no node would be left')
  requireSlotless(topology, nodes)
  // A dead node gives no keys back, and the marks that name it must not keep it from being removed.
  requireNothingOnTheWay(topology, new Set(nodes.filter(({reach}) => reach.kind === 'reached').map(({id}) => id)))

  const staying = primaries(topology).filter(({id, reach}) => !leaving.has(id) && reach.kind === 'reached')
  const withSlots = staying.filter(({id}) => slotsOf(topology, id).length > 0)
  const homes = homesOf(topology, withSlots.length > 0 ? withSlots : staying, ({id}) => !leaving.has(id))
  const followers = nodes.flatMap(({id}) => replicasOf(topology, id).filter((replica) => !leaving.has(replica.id)))
  const orphans = followers.filter(({reach}) => reach.kind === 'reached').sort((a, b) => (a.id < b.id ? -1 : 1))
  const lost = followers.filter(({reach}) => reach.kind === 'unreachable')
  const rehomed = orphans.map((replica) => {
    const home = quietestHome(homes, placeable(replica))
    if (!home) {
      throw new UsageError(`no primary is left that ${labelNode(replica)} could follow`, {
        suggestions: ['remove that replica, too'],
      })
    }
    home.replicas.push(placeable(replica))
    return {id: replica.id, address: formatAddress(replica.address), primaryId: home.primary.id}
  })
  return {
    version: 1,
    kind: 'del-node',
    victims: nodes.map((node) => ({
      id: node.id,
      address: formatAddress(node.address),
      isReachable: node.reach.kind === 'reached',
    })),
    rehomed,
    warnings:
      lost.length === 0
        ? []
        : [`${listNodes(lost)} cannot be reached and so will not get a new primary: remove that node, too.`],
  }
}

function requireSlotless(topology: Topology, nodes: readonly ClusterNode[]): void {
  const full = nodes.filter(({id}) => slotsOf(topology, id).length > 0)
  if (full.length === 0) return
  throw new RefusedError(
    'node-has-slots',
    full.map((node) => `${labelNode(node)} owns ${countSlots(slotsOf(topology, node.id))} slots`).join(', '),
    {
      details: {nodes: full.map(({id}) => id)},
      suggestions: ['add --drain to move them to the other primaries first'],
    },
  )
}
