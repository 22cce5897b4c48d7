/** Which role does each newcomer get? Pure. */
import {UsageError} from '../errors.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {primaries, slotsOf} from '../topology/queries.ts'
import {improveByRotations, type PlaceableNode} from './placement.ts'
import {warnOfPairs} from './placement-warnings.ts'
import type {JoinPlan} from './plan.ts'
import {homesOf, quietestHome} from './quietest-primary.ts'
import {requirePrimary} from './reshard.ts'

export interface JoinOptions {
  readonly newcomers: readonly PlaceableNode[]
  readonly role: 'primary' | 'replica'
  /** Whose replicas they become; otherwise each goes to the primary with the fewest. */
  readonly primaryId?: NodeId
}

/** @throws UsageError when `primaryId` is a replica, or no primary answers that could get a replica. */
export function planJoin(topology: Topology, {newcomers, role, primaryId}: JoinOptions): JoinPlan {
  const chosen = primaryId === undefined ? undefined : requirePrimary(topology, primaryId, 'have replicas')
  if (role === 'primary') {
    const joining = newcomers.map(({id, address}) => ({
      id,
      address: formatAddress(address),
      role,
      primaryId: undefined,
    }))
    return {version: 1, kind: 'add-node', newcomers: joining, warnings: []}
  }
  const reached = primaries(topology).filter(({reach}) => reach.kind === 'reached')
  const withSlots = reached.filter(({id}) => slotsOf(topology, id).length > 0)
  const homes = homesOf(topology, chosen ? [chosen] : withSlots.length > 0 ? withSlots : reached)
  for (const newcomer of newcomers) {
    const home = quietestHome(homes, newcomer)
    if (!home) throw new UsageError('no primary answers that could get a replica')
    home.replicas.push(newcomer)
  }
  const ids = new Set(newcomers.map(({id}) => id))
  improveByRotations(homes, ({id}) => ids.has(id))
  const homeOf = (id: NodeId): NodeId | undefined =>
    homes.find(({replicas}) => replicas.some((replica) => replica.id === id))?.primary.id
  return {
    version: 1,
    kind: 'add-node',
    newcomers: newcomers.map(({id, address}) => ({id, address: formatAddress(address), role, primaryId: homeOf(id)})),
    warnings: warnOfPairs(homes, ({id}) => ids.has(id)),
  }
}
