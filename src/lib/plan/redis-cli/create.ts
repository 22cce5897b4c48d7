/**
 * What would redis-cli make of these nodes? Hosts take turns, the first nodes lead, each replica goes to the first primary
 * of another host. Where redis-cli then swaps replicas at random until they stand better, we do it by rule. Pure.
 */
import {UsageError} from '../../errors.ts'
import {formatAddress, type NodeId} from '../../topology/model.ts'
import {slotsOfShare} from '../create.ts'
import {costOf, improveByRotations, interleave, type PlaceableNode} from '../placement.ts'
import type {CreatePlan} from '../plan.ts'

export interface RedisCliCreatePlan {
  readonly plan: CreatePlan
  /** In the order in which redis-cli gives replicas away. */
  readonly given: readonly {
    readonly replica: PlaceableNode
    readonly primary: PlaceableNode
    readonly isExtra: boolean
  }[]
  /** The first distribution put nodes of one shard on one host, so that a better one was looked for. */
  readonly isOptimised: boolean
  /** Are nodes of one shard on one host all the same? */
  readonly shared: 'none' | 'replicas' | 'primary'
}

interface Shard {
  readonly primary: PlaceableNode
  readonly replicas: PlaceableNode[]
}

/**
 * `nodes` in the order given, `replicas` for each primary; nodes beyond that become extra replicas.
 * @throws UsageError when there are too few for one primary.
 */
export function planCreateAsRedisCli(nodes: readonly PlaceableNode[], replicas: number): RedisCliCreatePlan {
  const primaryCount = Math.floor(nodes.length / (replicas + 1))
  if (primaryCount < 1) {
    throw new UsageError(
      `${nodes.length === 1 ? '1 node does' : `${nodes.length} nodes do`} not suffice for a primary with ${replicas} replicas`,
    )
  }
  const order = interleave(nodes)
  const shards: Shard[] = order.slice(0, primaryCount).map((primary) => ({primary, replicas: []}))
  const given = distribute(shards, order.slice(primaryCount), replicas)
  const isOptimised = costOfAll(shards) > 0
  if (isOptimised) improveByRotations(shards)
  const epochs = new Map<NodeId, number>(nodes.map(({id}, index) => [id, index + 1]))
  const member = ({id, address}: PlaceableNode): {id: NodeId; address: string; configEpoch: number} => ({
    id,
    address: formatAddress(address),
    configEpoch: epochs.get(id) ?? 0,
  })
  const plan: CreatePlan = {
    version: 1,
    kind: 'create',
    primaries: shards.map(({primary, replicas: own}, index) => ({
      ...member(primary),
      slots: slotsOfShare(index, primaryCount),
      replicas: own.map(member),
    })),
    warnings: [],
  }
  return {plan, given, isOptimised, shared: sharedIn(shards)}
}

/** Round by round: `replicas` for each primary, then one more for each as long as nodes are left. */
function distribute(
  shards: readonly Shard[],
  spare: readonly PlaceableNode[],
  replicas: number,
): RedisCliCreatePlan['given'] {
  // It lets the first one wait, which tends to give a better start.
  const pool = [...spare.slice(1), ...spare.slice(0, 1)]
  const given: {replica: PlaceableNode; primary: PlaceableNode; isExtra: boolean}[] = []
  for (let isExtra = false; pool.length > 0; isExtra = true) {
    for (const {primary, replicas: own} of shards) {
      for (let count = isExtra ? 1 : replicas; count > 0 && pool.length > 0; count--) {
        const elsewhere = pool.findIndex(({address}) => address.host !== primary.address.host)
        const [replica] = pool.splice(Math.max(elsewhere, 0), 1)
        if (!replica) break
        own.push(replica)
        given.push({replica, primary, isExtra})
      }
    }
  }
  return given
}

function costOfAll(shards: readonly Shard[]): number {
  return shards.reduce((sum, {primary, replicas}) => sum + costOf(primary, replicas), 0)
}

function sharedIn(shards: readonly Shard[]): RedisCliCreatePlan['shared'] {
  const isWithPrimary = ({primary, replicas}: Shard): boolean =>
    replicas.some(({address}) => address.host === primary.address.host)
  if (shards.some(isWithPrimary)) return 'primary'
  return costOfAll(shards) > 0 ? 'replicas' : 'none'
}
