/**
 * What does the cluster look like, when every reached node has told its view?
 * Many views make one frozen Topology, with what the views differ on. The order of the views does not matter.
 */

import {SLOT_COUNT} from '../slots/slot.ts'
import {rangesFromSlots} from '../slots/slot-ranges.ts'
import {findDisagreements, groupByOwnerMap, type OwnerMap} from './disagreements.ts'
import {type Hearsay, mergeNode, mergeUnreachedNode} from './merge-node.ts'
import {
  type ClusterNode,
  formatAddress,
  type Handshake,
  type MembershipGap,
  type NodeEntry,
  type NodeId,
  type NodeView,
  type OpenSlot,
  type Shard,
  type StaleMark,
  type Topology,
  type WhyUnreachable,
} from './model.ts'

export interface MergeInput {
  readonly seedId: NodeId
  readonly views: readonly NodeView[]
  /** Nodes that were asked and did not answer. An ID that no view knows is left out. */
  readonly unreachable: ReadonlyMap<NodeId, WhyUnreachable>
}

/**
 * A slot belongs to the reached node that claims it for itself; of several, to the one with the highest config epoch,
 * then the smallest ID (as the servers settle equal epochs). A slot that no reached node claims belongs to the unreached
 * node that most views assign it to (then highest epoch, smallest ID), and is uncovered all the same.
 */
export function mergeViews(input: MergeInput): Topology {
  const views = inOrder(input.views)
  const hearsayById = collectHearsay(views)
  const viewsById = new Map(views.map((view) => [view.id, view]))
  const ids = [...new Set([...viewsById.keys(), ...hearsayById.keys()])].sort()
  const nodes = ids.map((id) => {
    const hearsay = hearsayById.get(id) ?? {knownByCount: 0, countByEntry: new Map()}
    const view = viewsById.get(id)
    if (view) return mergeNode(view, ownEntry(view), hearsay)
    const why = input.unreachable.get(id) ?? {failure: 'unresolved', message: 'it was not asked'}
    return mergeUnreachedNode(id, hearsay, why)
  })
  const nodesById = new Map(nodes.map((node) => [node.id, node]))

  const maps = groupByOwnerMap(views)
  const owners = settleOwners(views, maps, nodesById)
  const isReached = (id: NodeId | undefined) => id !== undefined && viewsById.has(id)

  return Object.freeze({
    seedId: input.seedId,
    nodes,
    nodesById,
    shards: shardsOf(nodes),
    owners,
    uncovered: rangesFromSlots(owners.flatMap((owner, slot) => (isReached(owner) ? [] : [slot]))),
    openSlots: openSlotsOf(views, owners),
    staleMarks: staleMarksOf(views),
    disagreements: findDisagreements(maps),
    membershipGaps: membershipGapsOf(views, hearsayById),
    handshakes: handshakesOf(views),
  })
}

/** One view a node, by ID. */
function inOrder(views: readonly NodeView[]): NodeView[] {
  const byId = new Map<NodeId, NodeView>()
  for (const view of views) {
    const other = byId.get(view.id)
    // A node may have been reached by two addresses; which of them is kept must not depend on who answered first.
    if (!other || formatAddress(view.dialled) < formatAddress(other.dialled)) byId.set(view.id, view)
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function ownEntry(view: NodeView): NodeEntry | undefined {
  return view.entries.find((entry) => entry.isMyself && entry.id === view.id)
}

function collectHearsay(views: readonly NodeView[]): Map<NodeId, Hearsay> {
  const hearsayById = new Map<NodeId, Hearsay>()
  for (const view of views) {
    for (const entry of view.entries) {
      if (entry.flags.has('handshake')) continue
      let hearsay = hearsayById.get(entry.id)
      if (!hearsay) {
        hearsay = {knownByCount: 0, countByEntry: new Map()}
        hearsayById.set(entry.id, hearsay)
      }
      hearsay.knownByCount++
      hearsay.countByEntry.set(entry, (hearsay.countByEntry.get(entry) ?? 0) + 1)
    }
  }
  return hearsayById
}

interface Claim {
  readonly id: NodeId
  readonly configEpoch: number
  /** How many views make this claim. */
  readonly weight: number
}

function settleOwners(
  views: readonly NodeView[],
  maps: readonly OwnerMap[],
  nodesById: ReadonlyMap<NodeId, ClusterNode>,
): (NodeId | undefined)[] {
  const claims = new Array<Claim | undefined>(SLOT_COUNT).fill(undefined)
  for (const view of views) {
    const own = ownEntry(view)
    if (!own) continue
    const claim: Claim = {id: own.id, configEpoch: own.configEpoch, weight: 1}
    for (const {start, end} of own.ranges) {
      for (let slot = start; slot <= end; slot++) claims[slot] = stronger(claims[slot], claim)
    }
  }
  return claims.map((claim, slot) => claim?.id ?? absentOwner(slot, maps, nodesById))
}

/** The unreached node that most views assign the slot to. A reached one has disclaimed it by not claiming it. */
function absentOwner(
  slot: number,
  maps: readonly OwnerMap[],
  nodesById: ReadonlyMap<NodeId, ClusterNode>,
): NodeId | undefined {
  const weights = new Map<NodeId, number>()
  for (const map of maps) {
    const owner = map.owners[slot]
    if (owner !== undefined) weights.set(owner, (weights.get(owner) ?? 0) + map.saidBy.length)
  }
  let best: Claim | undefined
  for (const [id, weight] of weights) {
    const node = nodesById.get(id)
    if (node?.reach.kind === 'unreachable') best = stronger(best, {id, configEpoch: node.configEpoch, weight})
  }
  return best?.id
}

function stronger(a: Claim | undefined, b: Claim): Claim {
  if (!a) return b
  if (a.weight !== b.weight) return a.weight > b.weight ? a : b
  if (a.configEpoch !== b.configEpoch) return a.configEpoch > b.configEpoch ? a : b
  return a.id < b.id ? a : b
}

function shardsOf(nodes: readonly ClusterNode[]): Shard[] {
  const replicasByPrimary = new Map<NodeId, ClusterNode[]>()
  for (const node of nodes) {
    if (node.role !== 'replica' || node.primaryId === undefined) continue
    const replicas = replicasByPrimary.get(node.primaryId) ?? []
    replicas.push(node)
    replicasByPrimary.set(node.primaryId, replicas)
  }
  const firstSlot = (node: ClusterNode) => node.ranges[0]?.start ?? SLOT_COUNT
  return nodes
    .filter((node) => node.role === 'primary')
    .sort((a, b) => firstSlot(a) - firstSlot(b) || (a.id < b.id ? -1 : 1))
    .map((primary) => ({primary, replicas: replicasByPrimary.get(primary.id) ?? []}))
}

function openSlotsOf(views: readonly NodeView[], owners: readonly (NodeId | undefined)[]): OpenSlot[] {
  const bySlot = new Map<number, {migrating: {node: NodeId; to: NodeId}[]; importing: {node: NodeId; from: NodeId}[]}>()
  const at = (slot: number) => {
    const known = bySlot.get(slot)
    if (known) return known
    const marks = {migrating: [], importing: []}
    bySlot.set(slot, marks)
    return marks
  }
  const viewsById = new Map(views.map((view) => [view.id, view]))
  for (const view of views) {
    const own = ownEntry(view)
    // Since Valkey 8 replicas repeat their primary's marks: its own word is enough.
    if (reachedPrimaryOf(view, viewsById)) continue
    for (const {slot, peer} of own?.migrating ?? []) at(slot).migrating.push({node: view.id, to: peer})
    for (const {slot, peer} of own?.importing ?? []) at(slot).importing.push({node: view.id, from: peer})
  }
  return [...bySlot]
    .sort(([a], [b]) => a - b)
    .map(([slot, {migrating, importing}]) => ({slot, owner: owners[slot], migrating, importing}))
}

/** The view of the primary that this one, a replica's, says it follows. */
function reachedPrimaryOf(view: NodeView, viewsById: ReadonlyMap<NodeId, NodeView>): NodeView | undefined {
  const own = ownEntry(view)
  return own?.role === 'replica' && own.primaryId !== undefined ? viewsById.get(own.primaryId) : undefined
}

function staleMarksOf(views: readonly NodeView[]): StaleMark[] {
  const viewsById = new Map(views.map((view) => [view.id, view]))
  const found = views.flatMap((view): StaleMark[] => {
    const primary = reachedPrimaryOf(view, viewsById)
    const slots = markedSlots(view)
    if (!primary || slots.size === 0) return []
    const known = markedSlots(primary)
    return [...slots].filter((slot) => !known.has(slot)).map((slot) => ({slot, replica: view.id, primary: primary.id}))
  })
  return found.sort((a, b) => a.slot - b.slot || (a.replica < b.replica ? -1 : 1))
}

function markedSlots(view: NodeView): ReadonlySet<number> {
  const own = ownEntry(view)
  return new Set([...(own?.migrating ?? []), ...(own?.importing ?? [])].map(({slot}) => slot))
}

function membershipGapsOf(views: readonly NodeView[], hearsayById: ReadonlyMap<NodeId, Hearsay>): MembershipGap[] {
  const ids = [...hearsayById].filter(([, {knownByCount}]) => knownByCount < views.length).map(([id]) => id)
  if (ids.length === 0) return []
  const known = views.map(
    (view) => new Set(view.entries.filter(({flags}) => !flags.has('handshake')).map((entry) => entry.id)),
  )
  return ids.sort().map((id) => ({
    id,
    knownBy: views.filter((_, index) => known[index]!.has(id)).map((view) => view.id),
    unknownTo: views.filter((_, index) => !known[index]!.has(id)).map((view) => view.id),
  }))
}

function handshakesOf(views: readonly NodeView[]): Handshake[] {
  const byAddress = new Map<string, {address: NodeEntry['announced']; seenBy: NodeId[]}>()
  for (const view of views) {
    for (const entry of view.entries) {
      if (!entry.flags.has('handshake')) continue
      const key = formatAddress(entry.announced)
      const handshake = byAddress.get(key) ?? {address: entry.announced, seenBy: []}
      if (handshake.seenBy.at(-1) !== view.id) handshake.seenBy.push(view.id)
      byAddress.set(key, handshake)
    }
  }
  return [...byAddress].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, handshake]) => handshake)
}
