/** Who gets slots that nobody serves? Their keys tell, else the marks of a move, else who has room for them. Pure. */
import {rangesFromSlots} from '../slots/slot-ranges.ts'
import type {ClusterNode, NodeId, Topology} from '../topology/model.ts'
import {countKeys, labelNode, listNodes, replicasOf} from '../topology/queries.ts'
import {coverEmptySlots} from './cover.ts'
import type {SlotMove} from './plan.ts'
import {isReached, reachedPrimaries, type SlotFacts} from './repair-facts.ts'
import type {Verdict} from './repair-open.ts'

/**
 * Of several replicas the one that has received most; one that was linked since it started before one that was not, whose
 * offset may be that of another history.
 */
export function heirOf(topology: Topology, primary: NodeId): ClusterNode | undefined {
  const [best] = replicasOf(topology, primary)
    .filter((replica) => isReached(replica, 'replica') && !isLoading(replica))
    .sort((a, b) => Number(wasLinked(b)) - Number(wasLinked(a)) || offsetOf(b) - offsetOf(a) || compareReplicas(a, b))
  return best
}

/** The servers' own rank is by offset; of equals, more keys, then the smaller ID. */
function compareReplicas(a: ClusterNode, b: ClusterNode): number {
  return keysOf(b) - keysOf(a) || (a.id < b.id ? -1 : 1)
}

/** Has it heard of its primary since it started? Where INFO is forbidden, it is believed to have. */
export function wasLinked({reach}: ClusterNode): boolean {
  if (reach.kind === 'unreachable') return false
  const {isPrimaryLinkUp, primaryLinkDownSeconds} = reach.view.serverInfo
  return isPrimaryLinkUp !== false || primaryLinkDownSeconds !== undefined
}

function keysOf({reach}: ClusterNode): number {
  return reach.kind === 'reached' ? countKeys(reach.view) : 0
}

function isLoading({reach}: ClusterNode): boolean {
  return reach.kind === 'reached' && reach.view.serverInfo.isLoading
}

function offsetOf({reach}: ClusterNode): number {
  return reach.kind === 'reached' ? (reach.view.serverInfo.replicationOffset ?? 0) : 0
}

/**
 * One verdict a slot; `facts`: of slots without an owner that answers. Empty where no primary answers. `heirs`: who may get
 * slots of which no trace tells where they belong, instead of all primaries.
 */
export function repairsOfUncovered(
  topology: Topology,
  facts: readonly SlotFacts[],
  intended: ReadonlyMap<number, SlotMove>,
  heirs?: readonly NodeId[],
): {slot: number; verdict: Verdict}[] {
  const candidates = heirs ?? candidatesFor(topology)
  if (candidates.length === 0) return []
  const placed = new Map<number, {owner: NodeId; why: string}>()
  for (const one of facts) {
    const place = placeByTraces(topology, one, intended.get(one.slot))
    if (place) placed.set(one.slot, place)
  }
  const owners = topology.owners.map((owner, slot) => placed.get(slot)?.owner ?? owner)
  const empty = facts.map(({slot}) => slot).filter((slot) => !placed.has(slot))
  const covered = coverEmptySlots(rangesFromSlots(empty), owners, candidates)
  return facts.flatMap((one) => {
    const {slot, owner: lost, keys} = one
    if (lost && heirOf(topology, lost.id)) return [{slot, verdict: takeOver(topology, lost)}]
    const place = placed.get(slot)
    const owner = place?.owner ?? covered.get(slot)
    if (owner === undefined) return []
    const holders = [...keys.keys()].filter((id) => id !== owner).sort()
    const act = {kind: 'assign', owner, holders} as const
    if (!lost) {
      const why = place?.why ?? 'nobody claims them, and no node that answers has a key of them'
      return [{slot, verdict: {act, risk: 'safe', why}}]
    }
    const dead = replicasOf(topology, lost.id)
    const noHeir =
      dead.length === 0 ? ' and has no replica' : `, and no replica of it can take over: ${listNodes(dead)}`
    const why = `${labelNode(lost)}, their owner, cannot be reached${noHeir}; its keys are given up`
    return [{slot, verdict: {act, risk: 'data-loss', why}}]
  })
}

function takeOver(topology: Topology, lost: ClusterNode): Verdict {
  const heir = heirOf(topology, lost.id) as ClusterNode
  const act = {kind: 'take-over', replica: heir.id, primary: lost.id} as const
  const gone = `${labelNode(lost)}, their owner, cannot be reached`
  if (!wasLinked(heir)) {
    const why = `${gone}; its replica has not heard from it since it started, so what it has is of unknown age`
    return {act, risk: 'data-loss', why}
  }
  const which = replicasOf(topology, lost.id).length === 1 ? 'its replica' : 'the replica that has received most'
  return {act, risk: 'disruptive', why: `${gone}; ${which} takes over, without writes that it has not received`}
}

/** Primaries that may get slots: those that have some, where there are any. */
function candidatesFor(topology: Topology): NodeId[] {
  const reached = reachedPrimaries(topology).filter(({flags}) => !flags.has('failed'))
  const serving = reached.filter(({ranges}) => ranges.length > 0)
  return (serving.length > 0 ? serving : reached).map(({id}) => id)
}

function placeByTraces(
  topology: Topology,
  {migrating, importing, keys, hearsay}: SlotFacts,
  intended: SlotMove | undefined,
): {owner: NodeId; why: string} | undefined {
  const isHere = (id: NodeId): boolean => isReached(topology.nodesById.get(id), 'primary')
  const importers = importing.map(({node}) => node)
  const targets = migrating.map(({to}) => to).filter(isHere)
  const [target] = [
    ...importers.filter((id) => intended?.to === id),
    ...importers.filter((id) => targets.includes(id)),
    ...(importers.length === 1 ? importers : []),
    ...targets,
  ]
  if (target !== undefined) {
    const why = keys.has(target) ? 'is marked as importing them and has their keys' : 'was about to get them'
    return {owner: target, why: `nobody claims them; this node ${why}`}
  }
  const holders = [...keys.keys()]
  if (holders.length === 0) return undefined
  if (holders.length === 1)
    return {owner: holders[0] as NodeId, why: 'nobody claims them, and this node has their keys'}
  const known = holders.filter((id) => hearsay.includes(id))
  const epochOf = (id: NodeId): number => topology.nodesById.get(id)?.configEpoch ?? 0
  const pool = known.length > 0 ? known : holders
  const [owner] = pool.sort((a, b) => epochOf(b) - epochOf(a) || (a < b ? -1 : 1)) as [NodeId]
  const why = known.length > 0 ? 'others take it for their owner' : 'it has the highest config epoch'
  return {owner, why: `nobody claims them; of the nodes that have keys of them, ${why}`}
}
