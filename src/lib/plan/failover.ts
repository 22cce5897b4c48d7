/** Which replica takes over from which primary, and can it, without a loss? Pure. */
import {RefusedError} from '../errors.ts'
import {countSlots, type SlotRanges} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type NodeView, type Topology} from '../topology/model.ts'
import {labelNode, primaries, replicasOf, requireNode, seedAddress, slotsOf} from '../topology/queries.ts'

export interface FailoverPlan {
  readonly version: 1
  readonly kind: 'failover'
  /** Takes over. */
  readonly replica: {readonly id: NodeId; readonly address: string}
  /** Is replaced, and follows the other when it answers. */
  readonly primary: {readonly id: NodeId; readonly address: string; readonly isReachable: boolean}
  readonly slots: SlotRanges
  /** How much of the replication stream the replica had not yet; undefined when the primary cannot be asked. */
  readonly lagBytes: number | undefined
  readonly warnings: readonly string[]
}

export interface FailoverOptions {
  /** The replica that takes over, or the primary whose best replica does. */
  readonly nodeId: NodeId
  readonly way: 'coordinated' | 'force' | 'takeover'
}

/** The primary holds its clients up until the replica has all, for 5 s at most: what it must catch up with has to be little. */
const MOST_LAG_BYTES = 16 * 2 ** 20

/** @throws RefusedError telling why the failover would not come about, or lose writes, and which way is left. */
export function planFailover(topology: Topology, {nodeId, way}: FailoverOptions): FailoverPlan {
  const named = requireNode(topology, nodeId)
  const replica = named.role === 'replica' ? named : bestReplica(topology, named, way)
  const primary = topology.nodesById.get(replica.primaryId ?? '')
  if (!primary) {
    throw new RefusedError('target-unfit', `${labelNode(replica)} follows a primary that no node knows`, {
      suggestions: [`rcluster replicate ${formatAddress(replica.address)} PRIMARY`],
    })
  }
  requireAble(replica, primary, topology)
  const again = `rcluster failover ${formatAddress(replica.address)}`
  const slots = slotsOf(topology, primary.id)
  if (way !== 'takeover') requireVotes(topology, primary, countSlots(slots), again)
  if (way === 'coordinated') requireInSync(replica, primary, again)
  const lagBytes = lagOf(replica, primary)
  return {
    version: 1,
    kind: 'failover',
    replica: {id: replica.id, address: formatAddress(replica.address)},
    primary: {id: primary.id, address: formatAddress(primary.address), isReachable: viewOf(primary) !== undefined},
    slots,
    lagBytes,
    warnings: risksOf(way),
  }
}

function risksOf(way: FailoverOptions['way']): string[] {
  if (way === 'coordinated') return []
  const loss = 'Writes that the replica does not have yet are lost: the primary is not waited for.'
  if (way === 'force') return [loss]
  return [
    `${loss} No vote is taken: if the other primaries elect another replica meanwhile, or the old primary goes on on its side of a network that is cut, one of the two histories is thrown away.`,
  ]
}

/** The one that has most of the data; of equals, the first by ID. */
function bestReplica(topology: Topology, primary: ClusterNode, way: FailoverOptions['way']): ClusterNode {
  const replicas = replicasOf(topology, primary.id)
  if (replicas.length === 0) {
    throw new RefusedError('target-unfit', `${labelNode(primary)} has no replica that could take over`, {
      suggestions: ['Join one with add-node --replica, or make another node its replica with replicate'],
    })
  }
  const isFit = (node: ClusterNode): boolean => {
    const view = viewOf(node)
    return view !== undefined && !view.serverInfo.isLoading && (way !== 'coordinated' || isLinked(view))
  }
  const offsetOf = (node: ClusterNode): number => viewOf(node)?.serverInfo.replicationOffset ?? -1
  const ranked = [...replicas].sort(
    (a, b) => Number(isFit(b)) - Number(isFit(a)) || offsetOf(b) - offsetOf(a) || (a.id < b.id ? -1 : 1),
  )
  return ranked[0] as ClusterNode
}

function requireAble(replica: ClusterNode, primary: ClusterNode, topology: Topology): void {
  if (replica.reach.kind === 'unreachable') {
    throw new RefusedError(
      'unreachable-nodes',
      `replica ${labelNode(replica)} of ${labelNode(primary)} cannot be reached: ${replica.reach.message}`,
      {suggestions: [`rcluster check ${seedAddress(topology)}`]},
    )
  }
  if (replica.reach.view.serverInfo.isLoading) {
    throw new RefusedError('unhealthy', `replica ${labelNode(replica)} is still loading its data`, {
      suggestions: ['Run the command again when it is done'],
    })
  }
}

/** Servers elect a replica by a majority of the primaries with slots, dead ones counted, and none for no slots. */
function requireVotes(topology: Topology, primary: ClusterNode, slots: number, again: string): void {
  if (slots === 0) {
    throw new RefusedError(
      'unhealthy',
      `primary ${labelNode(primary)} owns no slots, and servers elect no replica for such a one`,
      {suggestions: [`Without a vote: ${again} --takeover`]},
    )
  }
  const voters = primaries(topology).filter(({id}) => slotsOf(topology, id).length > 0)
  const able = voters.filter((node) => viewOf(node) !== undefined && !node.flags.has('failed'))
  if (able.length * 2 > voters.length) return
  throw new RefusedError(
    'unreachable-nodes',
    `only ${able.length} of ${voters.length} primaries with slots can vote, and a failover needs a majority`,
    {
      suggestions: [
        'Start the missing primaries again',
        `Without a vote, at the risk of two histories: ${again} --takeover`,
      ],
    },
  )
}

function requireInSync(replica: ClusterNode, primary: ClusterNode, again: string): void {
  const lossy = `Without waiting for the primary, losing what the replica does not have: ${again} --force`
  if (primary.reach.kind === 'unreachable') {
    throw new RefusedError(
      'unreachable-nodes',
      `primary ${labelNode(primary)} cannot be reached, so it cannot hand over: ${primary.reach.message}`,
      {suggestions: [`Start ${labelNode(primary)} again`, lossy]},
    )
  }
  const view = viewOf(replica)
  if (!view || !isLinked(view)) {
    throw new RefusedError(
      'unhealthy',
      `the replication link of ${labelNode(replica)} to its primary ${labelNode(primary)} is down`,
      {suggestions: ['Run the command again when the link is up', lossy]},
    )
  }
  const lagBytes = lagOf(replica, primary) ?? 0
  if (lagBytes <= MOST_LAG_BYTES) return
  throw new RefusedError(
    'unhealthy',
    `replica ${labelNode(replica)} is ${Math.round(lagBytes / 2 ** 20)} MB behind: it cannot catch up within the 5 s for which the servers hold clients up`,
    {details: {lagBytes}, suggestions: ['Run the command again when there are fewer writes', lossy]},
  )
}

function viewOf({reach}: ClusterNode): NodeView | undefined {
  return reach.kind === 'reached' ? reach.view : undefined
}

/** Undefined where the user may not see INFO: then the servers decide. */
function isLinked({serverInfo}: NodeView): boolean {
  return serverInfo.isPrimaryLinkUp !== false
}

function lagOf(replica: ClusterNode, primary: ClusterNode): number | undefined {
  const [has, given] = [viewOf(replica), viewOf(primary)].map((view) => view?.serverInfo.replicationOffset)
  return has === undefined || given === undefined ? undefined : Math.max(0, given - has)
}
