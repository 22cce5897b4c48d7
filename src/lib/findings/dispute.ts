/**
 * Who says what about slots on which the nodes disagree, whose claim wins and why, and do the servers settle it by
 * themselves? Pure.
 *
 * How they settle it (cluster.c, clusterUpdateSlotsConfigWith): a node believes a primary's own claim when nobody has the
 * slot, or when that primary's epoch is above the one at which the node holds the present owner. It believes nothing about
 * a slot that it marks as importing.
 */
import type {SlotRanges} from '../slots/slot-ranges.ts'
import type {ClusterNode, Disagreement, NodeEntry, NodeId, NodeView, ServerInfo, Topology} from '../topology/model.ts'
import {labelId, labelNode, listNodes} from '../topology/queries.ts'

/** One answer to "who owns these slots, at which epoch?" */
export interface Claim {
  /** undefined: nobody. */
  readonly owner: NodeId | undefined
  readonly configEpoch: number | undefined
  /** Who says so; the owner among them stands by its claim. */
  readonly saidBy: readonly NodeId[]
  /** The owner says so itself, or could not be asked. */
  readonly isStoodBy: boolean
}

export interface Dispute {
  readonly ranges: SlotRanges
  /** By owner, nobody last; then by epoch, the highest first. */
  readonly claims: readonly Claim[]
  /** undefined when nobody stands by a claim. */
  readonly winner: NodeId | undefined
  /** Why this claim wins, or why none does. */
  readonly grounds: string
  /** Whether waiting helps. */
  readonly isSettling: boolean
  /** Why it does, or does not. */
  readonly outlook: string
  /** Who claims the slots too, and throws its keys of them away when it hears of the winner. */
  readonly losers: readonly NodeId[]
}

export function explainDisagreement(disagreement: Disagreement, topology: Topology): Dispute {
  const {ranges} = disagreement
  const claims = claimsOf(disagreement, topology)
  const standing = claims.filter(({owner, isStoodBy}) => owner !== undefined && isStoodBy)
  // The smallest ID wins a tie, as on the servers: of two primaries with one epoch it is the one that raises its own.
  const [best, second] = [...standing].sort((a, b) => (b.configEpoch ?? 0) - (a.configEpoch ?? 0))
  if (best?.owner === undefined) {
    const grounds = 'no node stands by a claim'
    const outlook = 'waiting does not help: nodes only believe what a primary claims for itself'
    return {ranges, claims, winner: undefined, grounds, isSettling: false, outlook, losers: []}
  }
  const winner = best.owner
  const losers = standing
    .filter(({owner, saidBy}) => owner !== winner && saidBy.includes(owner as NodeId))
    .flatMap(({owner}) => owner ?? [])
  const grounds =
    second === undefined
      ? 'nobody else claims them for itself'
      : second.configEpoch === best.configEpoch
        ? `of those with epoch ${best.configEpoch} it has the smallest ID, and raises its epoch`
        : 'of those that claim them for themselves it has the highest epoch'
  const doubters = claims
    .filter(({owner}) => owner !== winner)
    .flatMap((claim) => claim.saidBy.map((id) => ({id, claim})))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  let obstacle: string | undefined
  for (const {id, claim} of doubters) obstacle ??= obstacleAt(topology, id, claim, best, disagreement)
  return {
    ranges,
    claims,
    winner,
    grounds,
    isSettling: obstacle === undefined,
    outlook:
      obstacle === undefined
        ? `waiting helps: ${nodesOf(topology, doubters)} will believe it at its next heartbeat, within seconds`
        : `waiting does not help: ${obstacle}`,
    losers,
  }
}

/** One for each owner and epoch at which nodes hold it. */
function claimsOf({opinions}: Disagreement, topology: Topology): Claim[] {
  return opinions.flatMap(({owner, configEpoch, saidBy}): Claim[] => {
    if (owner === undefined) return [{owner, configEpoch, saidBy, isStoodBy: false}]
    const isAbsent = topology.nodesById.get(owner)?.reach.kind === 'unreachable'
    const byEpoch = new Map<number | undefined, NodeId[]>()
    for (const id of saidBy) {
      const epoch = entryAt(topology, id, owner)?.configEpoch ?? configEpoch
      const sayers = byEpoch.get(epoch)
      if (sayers) sayers.push(id)
      else byEpoch.set(epoch, [id])
    }
    return [...byEpoch]
      .sort(([a = 0], [b = 0]) => b - a)
      .map(([epoch, sayers], index) => ({
        owner,
        configEpoch: epoch,
        saidBy: sayers,
        isStoodBy: isAbsent ? index === 0 : sayers.includes(owner),
      }))
  })
}

/** What keeps this node from believing the winner; undefined: nothing. */
function obstacleAt(
  topology: Topology,
  id: NodeId,
  claim: Claim,
  best: Claim,
  {ranges}: Disagreement,
): string | undefined {
  const node = topology.nodesById.get(id)
  if (node?.reach.kind !== 'reached') return undefined
  const winner = best.owner as NodeId
  const own = entryAt(topology, id, id)
  if (own?.importing.some(({slot}) => ranges.some(({start, end}) => slot >= start && slot <= end))) {
    return `${labelNode(node)} marks them as importing, and believes nobody about such slots`
  }
  const entry = entryAt(topology, id, winner)
  if (!entry) return `${labelNode(node)} does not know ${labelId(topology, winner)}`
  if (id !== winner && !isHeard(entry)) return `${labelNode(node)} has no link to ${labelId(topology, winner)}`
  if (claim.owner === undefined || claim.owner === id) return undefined
  const isOutdone = (best.configEpoch ?? 0) > (claim.configEpoch ?? 0)
  if (isOutdone || claim.isStoodBy || unbindsDeniedClaims(node.reach.view.serverInfo)) return undefined
  return `${labelNode(node)} holds ${labelId(topology, claim.owner)} for the owner at epoch ${claim.configEpoch}, which is not below ${best.configEpoch}, and a server of this version may keep that although that node does not claim them`
}

function isHeard({isLinked, flags}: NodeEntry): boolean {
  return isLinked && !flags.has('failed') && !flags.has('suspected') && !flags.has('noaddr')
}

/**
 * They note who no longer claims a slot, and give it to the next who does (redis#12344). Seen on Redis 7.0.15 and Valkey
 * 9.1; of servers before 7.0.15 it is not known.
 */
function unbindsDeniedClaims({flavour, version}: ServerInfo): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  return flavour === 'valkey' || major > 7 || (major === 7 && (minor > 0 || patch >= 15))
}

const entriesByView = new WeakMap<NodeView, ReadonlyMap<NodeId, NodeEntry>>()

/** Views of a thousand nodes are asked about a thousand nodes. */
function entryAt(topology: Topology, id: NodeId, about: NodeId): NodeEntry | undefined {
  const reach = topology.nodesById.get(id)?.reach
  if (reach?.kind !== 'reached') return undefined
  let entries = entriesByView.get(reach.view)
  if (!entries) {
    entries = new Map(reach.view.entries.map((entry) => [entry.id, entry]))
    entriesByView.set(reach.view, entries)
  }
  return entries.get(about)
}

function nodesOf(topology: Topology, doubters: readonly {readonly id: NodeId}[]): string {
  const nodes = doubters.flatMap(({id}): ClusterNode[] => {
    const node = topology.nodesById.get(id)
    return node ? [node] : []
  })
  return listNodes(nodes, 3)
}
