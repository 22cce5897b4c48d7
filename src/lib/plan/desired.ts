/**
 * What is missing until a cluster is as somebody declared it? Stages in the order in which they are carried out, each a plan
 * of a kind that is known. Pure: after each stage one looks again and plans anew, so that a later run goes on from what is
 * there.
 */
import {RefusedError, UsageError} from '../errors.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import {
  type ClusterNode,
  formatAddress,
  type NodeAddress,
  type NodeId,
  type NodeView,
  type Topology,
} from '../topology/model.ts'
import {labelNode, listNodes, slotsOf} from '../topology/queries.ts'
import {apportion} from './apportion.ts'
import {slotsOfShare} from './create.ts'
import {imagineJoined, imagineMoved} from './imagine.ts'
import type {CreatePlan, JoinPlan, MovePlan, RemovalPlan, SlotMove} from './plan.ts'
import {planRebalance} from './rebalance.ts'
import {planRemoval} from './removal.ts'
import type {ReplicatePlan} from './replicate.ts'

export interface DeclaredNode {
  readonly address: NodeAddress
  /** Failure domain above the host. */
  readonly zone?: string | undefined
}

/** Who leads is not declared: after a failover another one does. A new shard is led by its first node. */
export interface DeclaredShard {
  readonly nodes: readonly DeclaredNode[]
  /** Its share of the slots. */
  readonly weight: number
}

export interface Declaration {
  readonly shards: readonly DeclaredShard[]
  /** Members that are not declared leave; otherwise they are let be, and told of. */
  readonly removeUndeclared: boolean
  /** As of `planRebalance`. */
  readonly thresholdPercent: number
  /** Settings of all declared nodes. Values may be secrets: they go to the servers and nowhere else. */
  readonly config: readonly {readonly name: string; readonly value: string}[]
  readonly users: readonly DeclaredUser[]
  readonly functions: readonly DeclaredLibrary[]
}

/** Of all declared nodes; users that are not declared are let be. */
export interface DeclaredUser {
  readonly name: string
  /** All that it may, on top of nothing; undefined: no node is to have it. Without passwords. */
  readonly rules: readonly string[] | undefined
  /** "#…", as ACL SETUSER takes them: for the servers, and nobody else. */
  readonly passwordRules: readonly string[]
}

/** Of all primaries among the declared nodes; libraries that are not declared are let be. */
export interface DeclaredLibrary {
  readonly name: string
  readonly code: Buffer
}

/** Without values where they are secret. */
export interface ConfigPlan {
  readonly version: 1
  readonly kind: 'config'
  readonly changes: readonly {
    readonly address: string
    readonly name: string
    readonly before?: string | undefined
    readonly after?: string | undefined
  }[]
}

export interface UsersPlan {
  readonly version: 1
  readonly kind: 'users'
  /** In the order of the declaration. */
  readonly changes: readonly {
    readonly user: string
    /** undefined: it is deleted. */
    readonly rules?: readonly string[] | undefined
    /** How many it is to have. */
    readonly passwords: number
    /** Addresses of nodes where it is otherwise. */
    readonly nodes: readonly string[]
  }[]
}

export interface FunctionsPlan {
  readonly version: 1
  readonly kind: 'functions'
  /** In the order of the declaration. */
  readonly changes: readonly {
    readonly library: string
    /** SHA-256 of the code that is declared. */
    readonly digest: string
    /** Addresses of primaries without it, or with other code under its name. */
    readonly nodes: readonly string[]
    /** Some have other code, which is overwritten. */
    readonly isReplacing: boolean
  }[]
}

/** Plain data, and one for each thing that is done. */
export type DesiredStage =
  | {readonly stage: 'create'; readonly plan: CreatePlan}
  | {readonly stage: 'join'; readonly plan: JoinPlan}
  | {readonly stage: 'move'; readonly plan: MovePlan}
  | {readonly stage: 'replicate'; readonly plan: ReplicatePlan}
  | {readonly stage: 'remove'; readonly plan: RemovalPlan}
  | {readonly stage: 'config'; readonly plan: ConfigPlan}
  | {readonly stage: 'users'; readonly plan: UsersPlan}
  | {readonly stage: 'functions'; readonly plan: FunctionsPlan}

export interface DesiredPlan {
  readonly stages: readonly DesiredStage[]
  /** Members that are not declared, by address. */
  readonly undeclared: readonly {readonly id: NodeId; readonly address: string}[]
  readonly warnings: readonly string[]
}

/** Of empty nodes, in the order of the declaration; `ids` as they are now. */
export function planDesiredCreation(declaration: Declaration, ids: ReadonlyMap<string, NodeId>): DesiredPlan {
  const {shards} = declaration
  const slots = slotsByShard(shards)
  let epoch = shards.length
  const nodeOf = ({address}: DeclaredNode): {id: NodeId; address: string} => {
    const text = formatAddress(address)
    return {id: ids.get(text) ?? '', address: text}
  }
  const plan: CreatePlan = {
    version: 1,
    kind: 'create',
    primaries: shards.map(({nodes: [first, ...others]}, index) => ({
      ...nodeOf(first as DeclaredNode),
      slots: slots[index] ?? '',
      configEpoch: index + 1,
      replicas: others.map((node) => ({...nodeOf(node), configEpoch: ++epoch})),
    })),
    warnings: [],
  }
  return {stages: [{stage: 'create', plan}], undeclared: [], warnings: warningsAbout(shards)}
}

function slotsByShard(shards: readonly DeclaredShard[]): string[] {
  const [first] = shards
  if (shards.every(({weight}) => weight === first?.weight && weight > 0)) {
    return shards.map((_, index) => slotsOfShare(index, shards.length))
  }
  const shares = apportion(SLOT_COUNT, new Map(shards.map(({weight}, index) => [String(index), weight])))
  let next = 0
  return shards.map((_, index) => {
    const count = shares.get(String(index)) ?? 0
    next += count
    return formatSlots(Array.from({length: count}, (__, n) => next - count + n))
  })
}

/** Who of a declared shard is there, and who leads it. */
interface Cast {
  readonly shard: DeclaredShard
  readonly members: readonly ClusterNode[]
  /** Empty nodes that are to join. */
  readonly strangers: readonly string[]
  /** undefined: the first of the strangers will. */
  readonly leader: ClusterNode | undefined
}

/**
 * @param members by address; nodes that are declared and in the cluster.
 * @param views of nodes that are declared and not in it, by address.
 * @param started moves that have begun already: they are finished first.
 * @throws RefusedError when a shard has only replicas of nodes that it does not declare; UsageError when all weights are 0.
 */
export function planDesired(
  topology: Topology,
  declaration: Declaration,
  members: ReadonlyMap<string, ClusterNode>,
  views: ReadonlyMap<string, NodeView>,
  started: readonly SlotMove[] = [],
): DesiredPlan {
  const casts = declaration.shards.map((shard) => castOf(topology, shard, members))
  const declared = new Set([...members.values()].map(({id}) => id))
  const undeclared = topology.nodes.filter(({id}) => !declared.has(id))
  const leaving = declaration.removeUndeclared ? undeclared : []
  const idOf = (address: string): NodeId => views.get(address)?.id ?? ''

  const leading = casts.flatMap(({leader, strangers: [first]}) => (leader || first === undefined ? [] : [first]))
  const after = imagineJoined(
    topology,
    leading.flatMap((address) => views.get(address) ?? []),
  )
  const joining = leading.map((address) => ({
    id: idOf(address),
    address,
    role: 'primary' as const,
    primaryId: undefined,
  }))
  const followers = casts.flatMap(({leader, strangers: [first = '', ...others]}) => {
    const all = leader ? [first, ...others].filter((address) => address !== '') : others
    const primaryId = leader?.id ?? idOf(first)
    return all.map((address) => ({id: idOf(address), address, role: 'replica' as const, primaryId}))
  })
  const weights = new Map<NodeId, number>(leaving.filter(({role}) => role === 'primary').map(({id}) => [id, 0]))
  for (const {
    shard,
    leader,
    members: own,
    strangers: [first = ''],
  } of casts) {
    for (const node of own) if (node.role === 'primary') weights.set(node.id, 0)
    weights.set(leader?.id ?? idOf(first), shard.weight)
  }
  const {thresholdPercent} = declaration
  const planned = planRebalance(after, {weights, thresholdPercent, started})
  const isLeaving = ({from}: SlotMove): boolean => leaving.some(({id}) => id === from)
  const moves: MovePlan = planned.moves.every(isLeaving) ? {...planned, kind: 'evacuate'} : planned
  const moved = imagineMoved(after, moves.moves)
  const rehomed = casts.flatMap(({leader, members: own, strangers: [first = '']}) => {
    const leaderId = leader?.id ?? idOf(first)
    const home = after.nodesById.get(leaderId)
    return own
      .filter(({id, primaryId}) => home !== undefined && id !== leaderId && primaryId !== leaderId)
      .map((node) => ({role: node.role, stage: following(node, home as ClusterNode)}))
  })
  const [replicas, demoted] = (['replica', 'primary'] as const).map((role) =>
    rehomed.filter((one) => one.role === role).map(({stage}) => stage),
  ) as [DesiredStage[], DesiredStage[]]
  const removal = leaving.length === 0 ? [] : [removalOf(moved, leaving, replicas)]
  return {
    stages: [
      ...[joining, followers].flatMap((newcomers): DesiredStage[] =>
        newcomers.length === 0 ? [] : [{stage: 'join', plan: {version: 1, kind: 'add-node', newcomers, warnings: []}}],
      ),
      ...(moves.moves.length === 0 ? [] : [{stage: 'move', plan: moves} as const]),
      // Replicas of a node that gives up its lead have gone elsewhere before it follows.
      ...replicas,
      ...removal,
      ...demoted,
    ],
    undeclared: undeclared.map(({id, address}) => ({id, address: formatAddress(address)})),
    warnings: [
      ...warningsAbout(declaration.shards),
      ...aboutSilent([...members.values()]),
      ...aboutUndeclared(undeclared, leaving.length > 0),
    ],
  }
}

/** Whether it may is judged when it is its turn: by then its slots and keys have moved. */
function following(replica: ClusterNode, primary: ClusterNode): DesiredStage {
  const nameOf = ({id, address}: ClusterNode) => ({id, address: formatAddress(address)})
  const [ends, primaryBefore] = [{replica: nameOf(replica), primary: nameOf(primary)}, replica.primaryId]
  return {stage: 'replicate', plan: {version: 1, kind: 'replicate', ...ends, primaryBefore, warnings: []}}
}

/** Replicas that get another primary before do not need a new one. */
function removalOf(
  topology: Topology,
  leaving: readonly ClusterNode[],
  rehomed: readonly DesiredStage[],
): DesiredStage {
  const homes = new Map(
    rehomed.flatMap(({stage, plan}) => (stage === 'replicate' ? [[plan.replica.id, plan.primary.id] as const] : [])),
  )
  const shards = topology.shards.map(({primary, replicas}) => ({
    primary,
    replicas: replicas.filter(({id}) => !homes.has(id)),
  }))
  return {stage: 'remove', plan: planRemoval({...topology, shards}, {victims: leaving.map(({id}) => id)})}
}

function castOf(topology: Topology, shard: DeclaredShard, membersByAddress: ReadonlyMap<string, ClusterNode>): Cast {
  const addresses = shard.nodes.map(({address}) => formatAddress(address))
  const members = addresses.flatMap((address) => membersByAddress.get(address) ?? [])
  const strangers = addresses.filter((address) => !membersByAddress.has(address))
  const primaries = members.filter(({role}) => role === 'primary')
  const leader = primaries.find(({id}) => slotsOf(topology, id).length > 0) ?? primaries[0]
  if (!leader && strangers.length === 0) throw leaderless(topology, members)
  return {shard, members, strangers, leader}
}

function leaderless(topology: Topology, members: readonly ClusterNode[]): RefusedError {
  const [first] = members as [ClusterNode]
  const primary = topology.nodesById.get(first.primaryId ?? '')
  const whom = primary
    ? `${labelNode(primary)}, which is not declared with ${members.length === 1 ? 'it' : 'them'}`
    : 'nobody'
  return new RefusedError(
    'target-unfit',
    `the shard of ${listNodes(members)} has no node that could lead it: ${members.length === 1 ? 'it follows' : 'they follow'} ${whom}`,
    {
      suggestions: [
        ...(primary ? [`Declare ${formatAddress(primary.address)} in that shard`] : []),
        `Or let the replica take over first: rcluster failover ${formatAddress(first.address)}`,
      ],
    },
  )
}

function warningsAbout(shards: readonly DeclaredShard[]): string[] {
  const together = shards.filter(({nodes}) => {
    const zones = nodes.flatMap(({zone}) => zone ?? [])
    return nodes.length > 1 && zones.length === nodes.length && new Set(zones).size === 1
  })
  const names = together.slice(0, 4).map(({nodes: [first]}) => formatAddress((first as DeclaredNode).address))
  if (together.length === 0) return []
  return [
    `${together.length} of ${shards.length} shards have all nodes in one zone, and are lost with it: ${names.join(', ')}${together.length > 4 ? ' …' : ''}.`,
  ]
}

function aboutSilent(members: readonly ClusterNode[]): string[] {
  const silent = members.filter(({reach}) => reach.kind === 'unreachable')
  if (silent.length === 0) return []
  const [is, does] = silent.length === 1 ? ['is', 'does'] : ['are', 'do']
  return [
    `${listNodes(silent)} ${is} declared and ${does} not answer: nothing can be told of ${silent.length === 1 ? 'it' : 'them'}.`,
  ]
}

function aboutUndeclared(undeclared: readonly ClusterNode[], areLeaving: boolean): string[] {
  if (undeclared.length === 0 || areLeaving) return []
  const [are, stay] = undeclared.length === 1 ? ['is', 'stays'] : ['are', 'stay']
  return [`${listNodes(undeclared)} ${are} not declared and ${stay} as before; --prune removes what is not declared.`]
}

/** @throws UsageError when an address is declared twice, or no shard may have slots. */
export function requireSense({shards}: Declaration): void {
  if (shards.every(({weight}) => weight === 0)) throw new UsageError('all weights are 0: no shard could have the slots')
  const seen = new Set<string>()
  for (const {address} of shards.flatMap(({nodes}) => nodes)) {
    const text = formatAddress(address)
    if (seen.has(text)) throw new UsageError(`${text} is declared twice`)
    seen.add(text)
  }
}
