/**
 * In which order are the nodes of a cluster restarted, so that every slot stays served? Shard by shard: the replicas, then
 * one of them takes over, then the old primary as a replica. Pure.
 */
import {RefusedError} from '../errors.ts'
import type {Finding} from '../findings/finding.ts'
import {inspect} from '../findings/inspect.ts'
import {countSlots, type SlotRanges} from '../slots/slot-ranges.ts'
import {
  type ClusterNode,
  formatAddress,
  type NodeId,
  type Role,
  type ServerInfo,
  type Topology,
} from '../topology/model.ts'
import {compareAddresses, listNodes, replicasOf, seedAddress, slotsOf} from '../topology/queries.ts'
import {compareVersions, isVersionReached} from '../topology/versions.ts'

export interface RolledNode {
  readonly id: NodeId
  readonly address: string
  /** When the plan was made. */
  readonly role: Role
  /** "redis 8.0.1" */
  readonly server: string
}

/** restart: `node`, by then a replica. hand-over: its best replica takes over from `node`. hand-back: `node` leads again. */
export interface RollStep {
  readonly kind: 'restart' | 'hand-over' | 'hand-back'
  readonly node: RolledNode
  /** Of the shard. */
  readonly slots: SlotRanges
  /** Nobody serves the slots meanwhile: a primary without a replica is restarted as it is. */
  readonly isUnserved: boolean
}

export interface SkippedNode extends RolledNode {
  /** It has the version, or was started since, already. */
  readonly reason: 'version' | 'restarted'
}

export interface RollPlan {
  readonly version: 1
  readonly kind: 'roll'
  /** One after the other. */
  readonly steps: readonly RollStep[]
  readonly skipped: readonly SkippedNode[]
  readonly warnings: readonly string[]
}

/** What was done. */
export interface RollAct {
  readonly kind: 'restarted' | 'handed-over' | 'handed-back'
  /** Who was restarted, or took over. */
  readonly node: RolledNode
  /** Whom it took over from. */
  readonly from?: string
  readonly elapsedMs: number
}

export interface RollOptions {
  /** undefined: all nodes. */
  readonly only?: ReadonlySet<NodeId> | undefined
  /** "8.6": nodes of this version or a later one are done. */
  readonly untilVersion?: string | undefined
  /** Nodes that were started after this moment are done. */
  readonly since?: {readonly moment: Date; readonly lookedAt: Date} | undefined
  readonly isFailingBack: boolean
  readonly mayLeaveUnserved: boolean
}

/** Uptimes are differences of whole seconds. */
const UPTIME_ERROR_MS = 1000

/** @throws RefusedError naming the primaries whose slots nobody would serve, or nodes that do not tell when they restart. */
export function planRoll(topology: Topology, options: RollOptions): RollPlan {
  const skipped: SkippedNode[] = []
  const isWanted = (node: ClusterNode): boolean => {
    if (options.only && !options.only.has(node.id)) return false
    const reason = reasonToSkip(node, options)
    if (reason) skipped.push({...rolled(node), reason})
    return reason === undefined
  }
  const steps: RollStep[] = []
  const bare: ClusterNode[] = []
  for (const {primary, replicas} of topology.shards) {
    const slots = slotsOf(topology, primary.id)
    const restart = (node: ClusterNode, isUnserved = false): RollStep => ({
      kind: 'restart',
      node: rolled(node),
      slots,
      isUnserved,
    })
    steps.push(
      ...[...replicas]
        .sort(compareAddresses)
        .filter(isWanted)
        .map((node) => restart(node)),
    )
    if (!isWanted(primary)) continue
    const hasSlots = countSlots(slots) > 0
    if (hasSlots && replicas.length > 0) {
      const node = rolled(primary)
      steps.push({kind: 'hand-over', node, slots, isUnserved: false}, restart(primary))
      if (options.isFailingBack) steps.push({kind: 'hand-back', node, slots, isUnserved: false})
    } else {
      if (hasSlots) bare.push(primary)
      steps.push(restart(primary, hasSlots))
    }
  }
  const rolledIds = new Set(steps.map(({node}) => node.id))
  requireTellingRestarts(topology.nodes.filter(({id}) => rolledIds.has(id)))
  if (bare.length > 0 && !options.mayLeaveUnserved) refuseBare(topology, bare)
  const warnings =
    bare.length === 0
      ? []
      : [
          `Nobody serves the slots of ${listNodes(bare)} while ${bare.length === 1 ? 'it restarts' : 'each restarts'}; what has not been written to a file by then is lost.`,
        ]
  return {version: 1, kind: 'roll', steps, skipped, warnings}
}

function rolled(node: ClusterNode): RolledNode {
  return {id: node.id, address: formatAddress(node.address), role: node.role, server: serverOf(node)}
}

/** "redis 8.0.1"; empty for a node that was not asked. */
export function serverOf(node: ClusterNode): string {
  const info = infoOf(node)
  return info ? `${info.flavour} ${info.version}` : ''
}

export function infoOf({reach}: ClusterNode): ServerInfo | undefined {
  return reach.kind === 'reached' ? reach.view.serverInfo : undefined
}

function reasonToSkip(node: ClusterNode, {untilVersion, since}: RollOptions): SkippedNode['reason'] | undefined {
  const info = infoOf(node)
  if (untilVersion !== undefined && info && isVersionReached(info.version, untilVersion)) return 'version'
  if (!since || info?.uptimeSeconds === undefined) return undefined
  const startedMs = since.lookedAt.getTime() - info.uptimeSeconds * 1000
  return startedMs - UPTIME_ERROR_MS >= since.moment.getTime() ? 'restarted' : undefined
}

function requireTellingRestarts(nodes: readonly ClusterNode[]): void {
  const silent = nodes.filter((node) => infoOf(node)?.runId === undefined)
  if (silent.length === 0) return
  throw new RefusedError(
    'target-unfit',
    `${listNodes(silent)} ${silent.length === 1 ? 'does' : 'do'} not tell the run ID by which a restart is seen`,
    {suggestions: ['The user needs +info: rcluster acl roll']},
  )
}

function refuseBare(topology: Topology, bare: readonly ClusterNode[]): never {
  const [first] = bare
  const it = bare.length === 1 ? 'its' : 'their'
  throw new RefusedError(
    'target-unfit',
    `${listNodes(bare)} ${bare.length === 1 ? 'has' : 'have'} no replica to take over: nobody would serve ${it} slots meanwhile`,
    {
      details: {nodes: bare.map(({id}) => id)},
      suggestions: [
        `Give ${bare.length === 1 ? 'it' : 'each'} a replica: rcluster add-node NEW ${seedAddress(topology)} --replica --primary ${first?.id}`,
        'Restart it in place, and leave its slots unserved meanwhile: add --allow-unserved',
      ],
    },
  )
}

/** Warnings to others, and a reason to wait to who is about to take a node away. */
const OBSTACLES: ReadonlySet<Finding['id']> = new Set<Finding['id']>(['loading-node', 'suspected-node', 'handshake'])

/** What is not in order, the worst first. `restarting`: a replica about to restart needs no link. */
export function troublesOf(topology: Topology, restarting?: NodeId): readonly Finding[] {
  return inspect(topology).filter(
    ({id, severity, nodes}) =>
      (severity === 'error' || OBSTACLES.has(id)) &&
      !(id === 'replica-link-down' && nodes.every((node) => node === restarting)),
  )
}

/** Is what a step is about still what the plan took it for? A sentence about what it is instead. */
export function shiftOf(topology: Topology, {kind, node, isUnserved}: RollStep): string | undefined {
  const now = topology.nodesById.get(node.id)
  if (!now) return 'it is no member any more'
  const hasSlots = countSlots(slotsOf(topology, node.id)) > 0
  const followers = replicasOf(topology, node.id).length
  if (isUnserved) return followers === 0 ? undefined : 'it has a replica now, which could take over'
  if (kind === 'restart') return hasSlots ? 'it is a primary with slots now' : undefined
  if (kind === 'hand-over') return now.role === 'primary' ? undefined : 'it is a replica now'
  return now.role === 'replica' ? undefined : 'it is a primary now'
}

/**
 * Whom `planFailover` is to be asked for. No replica may be older than its primary, which it would not understand: where
 * versions differ, one of the oldest takes over.
 */
export function failoverNode(topology: Topology, primaryId: NodeId): NodeId {
  const replicas = replicasOf(topology, primaryId)
  const versions = replicas.map((node) => infoOf(node)?.version ?? '').sort(compareVersions)
  const oldest = replicas.filter((node) => (infoOf(node)?.version ?? '') === versions[0])
  if (oldest.length === replicas.length) return primaryId
  const offset = (node: ClusterNode): number => infoOf(node)?.replicationOffset ?? -1
  return [...oldest].sort((a, b) => offset(b) - offset(a))[0]?.id ?? primaryId
}

/** Other replicas of its shard that are older than this replica. */
export function olderPeers(topology: Topology, id: NodeId): readonly ClusterNode[] {
  const node = topology.nodesById.get(id)
  const version = node && infoOf(node)?.version
  return replicasOf(topology, node?.primaryId ?? '').filter(
    (peer) => peer.id !== id && compareVersions(infoOf(peer)?.version ?? '', version ?? '') < 0,
  )
}
