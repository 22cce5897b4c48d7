/** Which role does each newcomer get? Pure. */
import {UsageError} from '../errors.ts'
import {formatAddress, type NodeAddress, type NodeId, type Topology} from '../topology/model.ts'
import {primaries, replicasOf, slotsOf} from '../topology/queries.ts'
import type {JoinPlan} from './plan.ts'
import {quietestPrimary} from './quietest-primary.ts'
import {requirePrimary} from './reshard.ts'

export interface JoinOptions {
  readonly newcomers: readonly {readonly id: NodeId; readonly address: NodeAddress}[]
  readonly role: 'primary' | 'replica'
  /** Whose replicas they become; otherwise each goes to the primary with the fewest. */
  readonly primaryId?: NodeId
}

/** @throws UsageError when `primaryId` is a replica, or no primary answers that could get a replica. */
export function planJoin(topology: Topology, {newcomers, role, primaryId}: JoinOptions): JoinPlan {
  const reached = primaries(topology).filter(({reach}) => reach.kind === 'reached')
  const withSlots = reached.filter(({id}) => slotsOf(topology, id).length > 0)
  const homes = withSlots.length > 0 ? withSlots : reached
  const load = new Map<NodeId, number>(homes.map(({id}) => [id, replicasOf(topology, id).length]))
  const chosen = primaryId === undefined ? undefined : requirePrimary(topology, primaryId, 'have replicas')
  return {
    version: 1,
    kind: 'add-node',
    newcomers: newcomers.map(({id, address}) => {
      if (role === 'primary') return {id, address: formatAddress(address), role, primaryId: undefined}
      const home = chosen ?? quietestPrimary(homes, load, address.host)
      if (!home) throw new UsageError('no primary answers that could get a replica')
      load.set(home.id, (load.get(home.id) ?? 0) + 1)
      return {id, address: formatAddress(address), role, primaryId: home.id}
    }),
    warnings: [],
  }
}
