/** Who belonged together when the run began? A shard whose primary changes on the way is followed to the new one. */
import {InterruptedError, NodeError} from '../errors.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import type {GroupSlot} from './migrate-mover.ts'
import {OwnWord, outlookOf} from './steps.ts'

/** A slot went where the plan does not know it. While a shard changes its primary that may pass. */
export class AstrayError extends InterruptedError {}

export class ShardsAtStart {
  readonly #members = new Map<NodeId, ReadonlySet<NodeId>>()

  constructor(topology: Topology) {
    for (const {primary, replicas} of topology.shards) {
      const shard = new Set([primary.id, ...replicas.map(({id}) => id)])
      for (const id of shard) this.#members.set(id, shard)
    }
  }

  /** Every member of the node's shard, itself included. */
  membersOf(id: NodeId): ReadonlySet<NodeId> {
    return this.#members.get(id) ?? new Set([id])
  }

  /**
   * The primary of the shard to which `id` belonged: itself, unless a failover took place.
   * @throws NodeError, a transient one, while the shard has no primary that answers.
   */
  leaderOf(topology: Topology, id: NodeId): NodeId {
    const leads = (node: ClusterNode): boolean => node.role === 'primary' && node.reach.kind === 'reached'
    const itself = topology.nodesById.get(id)
    if (itself && leads(itself)) return id
    const leader = topology.nodes.find((node) => this.membersOf(id).has(node.id) && leads(node))
    if (leader) return leader.id
    const address = itself ? formatAddress(itself.address) : id.slice(0, 8)
    throw new NodeError('closed', address, `${address} does not answer, and no replica has taken its place`)
  }

  /** As `leaderOf`, for words: the node itself where no leader is seen. */
  heirOf(topology: Topology, id: NodeId): NodeId {
    try {
      return this.leaderOf(topology, id)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      return id
    }
  }

  /**
   * Members of what was one shard that own slots now each for itself: a slot that was assigned in the very moment of a
   * failover stays with the old primary, which then does not follow the new one (seen on Redis 7.0). Empty when there is
   * none; else those of the first such shard, who owns most first.
   */
  apart(topology: Topology): ClusterNode[] {
    for (const members of new Set(this.#members.values())) {
      const owners = topology.nodes.filter(
        ({id, role, ranges}) => members.has(id) && role === 'primary' && ranges.length > 0,
      )
      if (owners.length > 1) return owners.sort((a, b) => countSlots(b.ranges) - countSlots(a.ranges))
    }
    return []
  }

  /**
   * What is left to do for each of these slots, by the words of source and target; slots that have moved are left out.
   * @throws AstrayError
   */
  outlooks(source: OwnWord, target: OwnWord, slots: readonly number[]): GroupSlot[] {
    const shards = {source: this.membersOf(source.id), target: this.membersOf(target.id)}
    const left: GroupSlot[] = []
    for (const slot of slots) {
      const move = {slot, from: source.id, to: target.id}
      const outlook = outlookOf(move, {source: source.about(slot), target: target.about(slot)}, shards)
      if (outlook.kind === 'astray') {
        throw new AstrayError(`slot ${slot} is no longer as planned: ${outlook.reason}`, {
          details: {slot},
          suggestions: ['Somebody else moves slots: let them finish, then see rcluster check'],
        })
      }
      if (outlook.kind === 'steps') left.push({slot, steps: outlook.steps})
    }
    return left
  }
}

export async function readOwnWords(ends: {
  readonly source: NodePort
  readonly target: NodePort
}): Promise<[OwnWord, OwnWord]> {
  const [atSource, atTarget] = await Promise.all([ends.source.readView(), ends.target.readView()])
  return [new OwnWord(atSource), new OwnWord(atTarget)]
}
