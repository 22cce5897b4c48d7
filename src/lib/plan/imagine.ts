/**
 * What would the cluster look like after a step of a plan? So that the next step can be planned before anything is done.
 * Pure. Only what planners go by is imagined: the owners of slots, and members without any.
 */
import {type ClusterNode, formatAddress, type NodeId, type NodeView, type Topology} from '../topology/model.ts'
import {ownersAfter} from './move-plan.ts'
import type {SlotMove} from './plan.ts'

/** All `moves` done and closed. */
export function imagineMoved(topology: Topology, moves: readonly SlotMove[]): Topology {
  const moved = new Set(moves.map(({slot}) => slot))
  return {
    ...topology,
    owners: ownersAfter(topology, moves),
    openSlots: topology.openSlots.filter(({slot}) => !moved.has(slot)),
  }
}

/** Empty primaries that have joined, each as it reports itself. */
export function imagineJoined(topology: Topology, views: readonly NodeView[]): Topology {
  const newcomers = views.flatMap((view): ClusterNode[] => {
    const own = view.entries.find(({isMyself}) => isMyself)
    if (!own || topology.nodesById.has(view.id)) return []
    const {isMyself: _, isLinked: __, migrating: ___, importing: ____, ...facts} = own
    const reach = {kind: 'reached', view} as const
    return [
      {...facts, id: view.id, address: view.dialled, linkedAt: undefined, primaryId: undefined, ranges: [], reach},
    ]
  })
  const nodes = [...topology.nodes, ...newcomers].sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    ...topology,
    nodes,
    nodesById: new Map<NodeId, ClusterNode>(nodes.map((node) => [node.id, node])),
    shards: [
      ...topology.shards,
      ...newcomers
        .sort((a, b) => (formatAddress(a.address) < formatAddress(b.address) ? -1 : 1))
        .map((primary) => ({primary, replicas: []})),
    ],
  }
}
