/** On what grounds is a repair proposed? What each node that has to do with it says of its slots. Pure. */
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {countKeys, replicasOf} from '../topology/queries.ts'
import {compare} from './move-plan.ts'
import {isReached, type SlotFacts} from './repair-facts.ts'
import type {RepairAct, RepairWitness, ReplicaWitness} from './repair-plan.ts'
import {wasLinked} from './repair-uncovered.ts'

/** Every node that claims, marks or holds any of it, that the repair names, or that is taken for the owner. */
export function witnesses(topology: Topology, facts: readonly SlotFacts[], act: RepairAct): RepairWitness[] {
  const seen = new Map<
    NodeId,
    {keys: number; slotsWithKeys: number; isClaiming: boolean; to: Set<NodeId>; from: Set<NodeId>}
  >()
  const at = (id: NodeId) => {
    const known = seen.get(id) ?? {keys: 0, slotsWithKeys: 0, isClaiming: false, to: new Set(), from: new Set()}
    seen.set(id, known)
    return known
  }
  for (const id of nodesOf(act)) at(id)
  if (act.kind === 'take-over') for (const {id} of replicasOf(topology, act.primary)) at(id)
  for (const one of facts) {
    for (const id of one.claimants) at(id).isClaiming = true
    if (one.owner?.reach.kind === 'unreachable') at(one.owner.id).isClaiming = true
    for (const {node, to} of one.migrating) at(node).to.add(to)
    for (const {node, from} of one.importing) at(node).from.add(from)
    for (const [id, keys] of one.keys) {
      const witness = at(id)
      witness.keys += keys
      witness.slotsWithKeys++
    }
  }
  return [...seen]
    .flatMap(([id, {keys, slotsWithKeys, isClaiming, to, from}]) => {
      const node = topology.nodesById.get(id)
      if (!node) return []
      const isCounted = isReached(node, 'primary')
      return [
        {
          id,
          address: formatAddress(node.address),
          isReachable: node.reach.kind === 'reached',
          keys: isCounted ? keys : undefined,
          slotsWithKeys,
          claimsAtEpoch: isClaiming ? node.configEpoch : undefined,
          migratingTo: [...to].sort(),
          importingFrom: [...from].sort(),
          ...(act.kind === 'take-over' && node.role === 'replica' ? {asReplica: replicaWitness(node)} : {}),
        },
      ]
    })
    .sort((a, b) => compare(a.address, b.address))
}

function replicaWitness(node: ClusterNode): ReplicaWitness {
  const view = node.reach.kind === 'reached' ? node.reach.view : undefined
  return {
    offset: view?.serverInfo.replicationOffset,
    wasLinked: wasLinked(node),
    linkDownSeconds: view?.serverInfo.primaryLinkDownSeconds,
    keys: view ? countKeys(view) : 0,
  }
}

function nodesOf(act: RepairAct): readonly NodeId[] {
  switch (act.kind) {
    case 're-meet':
      return act.nodes
    case 'take-over':
      return [act.replica, act.primary]
    case 'reveal':
      return [act.at]
    case 'assign':
      return [act.owner, ...act.holders]
    case 'tell-owner':
      return [act.owner, ...act.told]
    case 'close':
      return act.at
    case 'correct-mark':
      return [...act.at, act.owner]
    case 'gather':
      return [...act.from, act.to]
    case 'finish-move':
      return [act.from, act.to]
  }
}
