/**
 * How does one node take the place of another? What is left of that, by how the cluster is now: so a run that was cut off is
 * gone on with by planning again. Pure.
 */

import {RefusedError, UsageError} from '../errors.ts'
import {openSlotFindings} from '../findings/slot-rules.ts'
import {countSlots, formatRanges} from '../slots/slot-ranges.ts'
import {
  type ClusterNode,
  formatAddress,
  type NodeAddress,
  type NodeId,
  type ServerInfo,
  type Topology,
} from '../topology/model.ts'
import {labelNode, listNodes, primaries, replicasOf, seedAddress, slotsOf} from '../topology/queries.ts'
import {isVersionReached} from '../topology/versions.ts'
import {type MemberAct, type NamedNode, named} from './acts.ts'
import {homesOf, quietestHome} from './quietest-primary.ts'
import {planReplicate} from './replicate.ts'

export interface ReplacePlan {
  readonly version: 1
  readonly kind: 'replace-node'
  readonly old: NamedNode & {readonly role: 'primary' | 'replica'; readonly isReachable: boolean}
  readonly replacement: NamedNode
  /** "0-5460": what the replacement takes over; empty where it becomes a replica, or has taken over already. */
  readonly slots: string
  /** In this order; empty: all is done. */
  readonly acts: readonly MemberAct[]
  readonly warnings: readonly string[]
}

export interface ReplaceOptions {
  readonly oldId: NodeId
  /** A member, or an empty node that is none yet. */
  readonly replacement: {readonly id: NodeId; readonly address: NodeAddress; readonly serverInfo?: ServerInfo}
  /** It stays a member, as a replica. */
  readonly keepsOld: boolean
}

/** @throws UsageError for a node that is to replace itself; RefusedError telling why it cannot be, and what helps. */
export function planReplacement(topology: Topology, {oldId, replacement, keepsOld}: ReplaceOptions): ReplacePlan {
  const old = topology.nodesById.get(oldId) as ClusterNode
  if (old.id === replacement.id) throw new UsageError(`${labelNode(old)} cannot replace itself`)
  requireNoOpenSlots(topology, old)
  const place = placeOf(topology, old, replacement)
  const silent = followersOf(topology, old).filter(({id, reach}) => reach.kind !== 'reached' && id !== replacement.id)
  const removal: MemberAct[] = keepsOld ? [] : [{kind: 'remove', node: named(old)}]
  return {
    version: 1,
    kind: 'replace-node',
    old: {...named(old), role: old.role, isReachable: isReached(old)},
    replacement: named(replacement),
    slots: place.takesOver ? formatRanges(slotsOf(topology, old.id)) : '',
    acts: [...place.acts, ...removal],
    warnings: [
      ...place.warnings,
      ...fitnessFor(place.leader, replacement),
      ...(silent.length > 0 && !keepsOld
        ? [`${listNodes(silent)} cannot be reached and goes on following ${labelNode(old)}: replace or remove it, too.`]
        : []),
    ],
  }
}

/**
 * Its replica can take over from a dead primary, and has not yet: that is the servers' business, and takes as long as
 * cluster-node-timeout, and a vote.
 */
export function isAwaitingHeir(topology: Topology, oldId: NodeId): boolean {
  const old = topology.nodesById.get(oldId)
  if (!old || isReached(old) || slotsOf(topology, oldId).length === 0) return false
  return replicasOf(topology, oldId).some(isReached)
}

/**
 * Warns of a server that may never get in step.
 * @throws RefusedError for one that would evict, or refuse, what it is to hold: replicas take what comes, primaries do not.
 */
function fitnessFor(
  leader: ClusterNode | undefined,
  {address, serverInfo: its}: ReplaceOptions['replacement'],
): string[] {
  const theirs = leader?.reach.kind === 'reached' ? leader.reach.view.serverInfo : undefined
  if (!leader || !its || !theirs) return []
  const [used, most] = [theirs.usedMemoryBytes ?? 0, its.maxMemoryBytes ?? 0]
  if (most > 0 && used > most) {
    throw new RefusedError(
      'target-unfit',
      `${formatAddress(address)} has a maxmemory of ${inMB(most)}, and ${labelNode(leader)} uses ${inMB(used)}`,
      {
        suggestions: [
          `Raise maxmemory on ${formatAddress(address)}: CONFIG SET maxmemory ${theirs.maxMemoryBytes ?? 0}`,
        ],
      },
    )
  }
  if (its.flavour === theirs.flavour && !isOlder(its.version, theirs.version)) return []
  return [
    `${formatAddress(address)} runs ${its.flavour} ${its.version}, and ${labelNode(leader)} ${theirs.flavour} ${theirs.version}: where it does not understand those data, it never gets in step.`,
  ]
}

/** In what values look like: patches change none. */
function isOlder(one: string, other: string): boolean {
  return !isVersionReached(one, other.split('.').slice(0, 2).join('.'))
}

function inMB(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`
}

interface Place {
  /** Whose keys the new node gets. */
  readonly leader?: ClusterNode | undefined
  readonly acts: readonly MemberAct[]
  readonly takesOver: boolean
  readonly warnings: readonly string[]
}

function placeOf(topology: Topology, old: ClusterNode, replacement: ReplaceOptions['replacement']): Place {
  const member = topology.nodesById.get(replacement.id)
  if (old.role === 'replica') {
    if (member && old.primaryId === member.id) return {acts: followersTo(topology, old, member), ...NOTHING_MORE}
    const leader = primaryOf(topology, old)
    return {leader, acts: follow(topology, replacement, leader), ...NOTHING_MORE}
  }
  const slots = countSlots(slotsOf(topology, old.id))
  if (!isReached(old)) {
    if (slots > 0) throw deadWithSlots(topology, old, slots)
    // Its entry does not tell any more who took over from it: the heir is a replica short since.
    const home = homeFor(topology, old, member, replacement)
    return {
      leader: home,
      acts: follow(topology, replacement, home),
      takesOver: false,
      warnings:
        member?.primaryId === home.id
          ? []
          : [
              `${labelNode(old)} has no slots any more, and its replicas no longer name it: ${formatAddress(replacement.address)} goes to the primary with the fewest replicas.`,
            ],
    }
  }
  if (slots === 0) return besideSlotless(topology, old, member, replacement)
  return {
    leader: old,
    acts: [
      ...follow(topology, replacement, old),
      {kind: 'fail-over', replica: named(replacement), primary: named(old)},
    ],
    takesOver: true,
    warnings: [],
  }
}

const NOTHING_MORE = {takesOver: false, warnings: []} as const

/** Without slots there is nobody to vote for: the other joins beside it, and its replicas follow that one. */
function besideSlotless(
  topology: Topology,
  old: ClusterNode,
  member: ClusterNode | undefined,
  replacement: ReplaceOptions['replacement'],
): Place {
  if (member?.role === 'replica') throw strangerRefused(topology, member, old)
  if (member && countSlots(slotsOf(topology, member.id)) > 0) throw ownerRefused(topology, member)
  const joining: MemberAct[] = member ? [] : [{kind: 'join', node: named(replacement)}]
  return {acts: [...joining, ...followersTo(topology, old, replacement)], ...NOTHING_MORE}
}

/** Of a node that may be a replica itself since it was replaced. */
function followersOf({nodes}: Topology, {id}: ClusterNode): ClusterNode[] {
  return nodes.filter(({primaryId}) => primaryId === id)
}

/** The replicas of `old` that answer, which the servers lead to a new primary by themselves after a failover. */
function followersTo(topology: Topology, old: ClusterNode, primary: ReplaceOptions['replacement']): MemberAct[] {
  return followersOf(topology, old)
    .filter((replica) => isReached(replica) && replica.id !== primary.id)
    .map((replica) => ({kind: 'replicate', node: named(replica), primary: named(primary)}))
}

/** @throws RefusedError when `replacement` is a member with another task. */
function follow(topology: Topology, replacement: ReplaceOptions['replacement'], primary: ClusterNode): MemberAct[] {
  const member = topology.nodesById.get(replacement.id)
  const replicate: MemberAct = {kind: 'replicate', node: named(replacement), primary: named(primary)}
  if (!member) return [{kind: 'join', node: named(replacement)}, replicate]
  if (member.role === 'replica') {
    if (member.primaryId !== primary.id) throw strangerRefused(topology, member, primary)
    const isInStep = member.reach.kind === 'reached' && member.reach.view.serverInfo.isPrimaryLinkUp !== false
    return isInStep ? [] : [replicate]
  }
  if (countSlots(slotsOf(topology, member.id)) > 0) throw ownerRefused(topology, member)
  planReplicate(topology, {replicaId: member.id, primaryId: primary.id})
  return [replicate]
}

function strangerRefused(topology: Topology, member: ClusterNode, primary: ClusterNode): RefusedError {
  const its = topology.nodesById.get(member.primaryId ?? '')
  return new RefusedError(
    'node-not-empty',
    `${labelNode(member)} is a member already, as a replica of ${its ? labelNode(its) : 'an unknown node'}`,
    {
      suggestions: [
        'Name an empty node',
        ...(isReached(primary)
          ? [
              `Or take that replica away first: rcluster replicate ${formatAddress(member.address)} ${formatAddress(primary.address)}`,
            ]
          : []),
      ],
    },
  )
}

function ownerRefused(topology: Topology, member: ClusterNode): RefusedError {
  const slots = countSlots(slotsOf(topology, member.id))
  return new RefusedError(
    'node-has-slots',
    `${labelNode(member)} is a member already, as a primary with ${slots === 1 ? '1 slot' : `${slots} slots`} of its own`,
    {details: {nodes: [member.id]}, suggestions: ['Name an empty node', `rcluster info ${seedAddress(topology)}`]},
  )
}

/** @throws RefusedError when the replica that is to be replaced follows nobody who answers. */
function primaryOf(topology: Topology, old: ClusterNode): ClusterNode {
  const primary = topology.nodesById.get(old.primaryId ?? '')
  if (!primary) {
    throw new RefusedError('target-unfit', `${labelNode(old)} is a replica of a primary that no node knows`, {
      suggestions: [`rcluster check ${seedAddress(topology)}`],
    })
  }
  if (isReached(primary)) return primary
  throw new RefusedError(
    'unreachable-nodes',
    `${labelNode(primary)}, the primary of ${labelNode(old)}, does not answer: there is nobody whose keys the new node could take`,
    {
      suggestions: [
        `rcluster check ${seedAddress(topology)}`,
        ...(isReached(old)
          ? [`Let the replica take over first: rcluster failover ${formatAddress(old.address)} --force`]
          : []),
      ],
    },
  )
}

function homeFor(
  topology: Topology,
  old: ClusterNode,
  member: ClusterNode | undefined,
  replacement: ReplaceOptions['replacement'],
): ClusterNode {
  const its = topology.nodesById.get(member?.primaryId ?? '')
  if (its && isReached(its)) return its
  const leaders = primaries(topology).filter((node) => isReached(node) && slotsOf(topology, node.id).length > 0)
  const home = quietestHome(homesOf(topology, leaders, isReached), replacement)
  if (home) return topology.nodesById.get(home.primary.id) as ClusterNode
  throw new RefusedError('unreachable-nodes', `${labelNode(old)} is gone, and no primary with slots answers`, {
    suggestions: [`rcluster check ${seedAddress(topology)}`],
  })
}

function deadWithSlots(topology: Topology, old: ClusterNode, slots: number): RefusedError {
  const heir = replicasOf(topology, old.id).find(isReached)
  const owns = slots === 1 ? '1 slot' : `${slots} slots`
  if (heir) {
    return new RefusedError(
      'unhealthy',
      `primary ${labelNode(old)} does not answer and still owns ${owns}: its replica ${labelNode(heir)} has not taken over`,
      {
        suggestions: [
          'Run the command again when it has, after cluster-node-timeout',
          `Or let it take over, losing what it does not have: rcluster failover ${formatAddress(heir.address)} --force`,
        ],
      },
    )
  }
  return new RefusedError(
    'uncovered-slots',
    `primary ${labelNode(old)} does not answer, owns ${owns}, and has no replica: a new node would have none of its keys`,
    {
      details: {nodes: [old.id]},
      suggestions: [
        `Start ${labelNode(old)} again`,
        `Or, where its keys are lost for good: rcluster fix ${seedAddress(topology)}`,
      ],
    },
  )
}

/** A mark lives at the node that is to go: a failover or a removal would leave keys of the slot on both sides. */
function requireNoOpenSlots(topology: Topology, old: ClusterNode): void {
  const open = topology.openSlots.filter(
    ({owner, migrating, importing}) =>
      owner === old.id ||
      migrating.some(({node, to}) => node === old.id || to === old.id) ||
      importing.some(({node}) => node === old.id),
  )
  const findings = openSlotFindings(topology, open)
  const [first] = findings
  if (!first) return
  const more = findings.length === 1 ? '' : ` (and ${findings.length - 1} more like this)`
  throw new RefusedError('open-slots', `slots of the node are on their way: ${first.message}${more}`, {
    suggestions: [...new Set(findings.flatMap(({suggestions}) => suggestions))].slice(0, 4),
  })
}

function isReached({reach}: ClusterNode): boolean {
  return reach.kind === 'reached'
}
