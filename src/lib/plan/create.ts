/** Who leads, who follows, and who gets which slots in a new cluster? Pure. */
import {UsageError} from '../errors.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {formatAddress} from '../topology/model.ts'
import {type PlaceableNode, type PlacedShard, placeShards} from './placement.ts'
import {warnOfDomains} from './placement-warnings.ts'
import type {CreatePlan} from './plan.ts'

export interface CreateOptions {
  /** In the order given; it decides who gets the first slots. */
  readonly nodes: readonly PlaceableNode[]
  /** Replicas of each primary; nodes beyond that become extra replicas. Default 0. */
  readonly replicas?: number
  /** Default: as many as `replicas` leaves, nodes / (replicas + 1) rounded down. */
  readonly primaries?: number
}

/** @throws UsageError when an address is given twice or the nodes do not suffice. */
export function planCreate({nodes, replicas, primaries}: CreateOptions): CreatePlan {
  const addresses = nodes.map(({address}) => formatAddress(address))
  const twin = addresses.find((address, index) => addresses.indexOf(address) !== index)
  if (twin !== undefined) throw new UsageError(`${twin} is named twice`, {suggestions: ['name every node once']})
  const primaryCount = countPrimaries(nodes.length, replicas, primaries)
  const shards = placeShards(nodes, primaryCount)
  let epoch = primaryCount
  return {
    version: 1,
    kind: 'create',
    primaries: shards.map(({primary, replicas: own}, index) => ({
      id: primary.id,
      address: formatAddress(primary.address),
      slots: slotsOfShare(index, primaryCount),
      configEpoch: index + 1,
      replicas: own.map((node) => ({id: node.id, address: formatAddress(node.address), configEpoch: ++epoch})),
    })),
    warnings: warningsAbout(shards),
  }
}

function countPrimaries(nodes: number, replicas: number | undefined, primaries: number | undefined): number {
  const each = replicas ?? 0
  const count = primaries ?? (replicas === undefined ? nodes : Math.floor(nodes / (each + 1)))
  const needed = Math.max(count, 1) * (each + 1)
  if (count < 1 || needed > nodes) {
    const shape = `${Math.max(count, 1)} ${count > 1 ? 'primaries' : 'primary'} with ${each} ${each === 1 ? 'replica' : 'replicas'} each`
    throw new UsageError(
      `${nodes} ${nodes === 1 ? 'node does' : 'nodes do'} not suffice for ${shape}: that takes ${needed}`,
      {
        details: {nodes, needed},
        suggestions: [`name ${needed} or more, or ask for fewer ${each > 0 ? 'replicas' : 'primaries'}`],
      },
    )
  }
  if (count > SLOT_COUNT) throw new UsageError(`${count} primaries are more than there are slots`)
  return count
}

/** "0-5460": the share of primary `index`, bounded as redis-cli does it: the ideal bounds rounded half up. */
export function slotsOfShare(index: number, primaryCount: number): string {
  const step = SLOT_COUNT / primaryCount
  const first = index === 0 ? 0 : Math.round(index * step - 1) + 1
  const last = index === primaryCount - 1 ? SLOT_COUNT - 1 : Math.round((index + 1) * step - 1)
  return first === last ? `${first}` : `${first}-${last}`
}

function warningsAbout(shards: readonly PlacedShard[]): string[] {
  const warnings: string[] = []
  const members = shards.flatMap(({primary, replicas}) => [primary, ...replicas])
  if (shards.length < 3) {
    warnings.push(
      `With ${shards.length === 1 ? '1 primary' : `${shards.length} primaries`} there is no majority to vote: no replica will take over by itself when a primary is lost.`,
    )
  }
  if (members.length === shards.length) {
    warnings.push('Without replicas, the slots of a lost node are lost with it.')
  }
  return [...warnings, ...warnOfDomains(shards)]
}
