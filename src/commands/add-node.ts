import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {MoveCommand, type MoveReport} from '../lib/cli/move-command.ts'
import {moveFlags} from '../lib/cli/move-flags.ts'
import {parseNodeReference, requireDistinct} from '../lib/cli/node-argument.ts'
import type {GivenPlan} from '../lib/cli/planned-command.ts'
import {readZoneLabels, zoneFlags, zonesOfJoin} from '../lib/cli/zones.ts'
import {followPrimary} from '../lib/engine/follow-primary.ts'
import {joinNodes} from '../lib/engine/join-nodes.ts'
import {belongingsOf, meetNewcomer, type Newcomer, requireEmpty, waitUntilFitForJoins} from '../lib/engine/newcomers.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {RefusedError, UsageError} from '../lib/errors.ts'
import {imagineJoined} from '../lib/plan/imagine.ts'
import {planJoin} from '../lib/plan/join.ts'
import type {JoinPlan, MovePlan} from '../lib/plan/plan.ts'
import type {GrowthPlan} from '../lib/plan/plan-file.ts'
import {planRebalance} from '../lib/plan/rebalance.ts'
import {planReplicate} from '../lib/plan/replicate.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {renderJoinPlan, renderMovePlan} from '../lib/render/plan.ts'
import {countSlots} from '../lib/slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type NodeId, type Topology} from '../lib/topology/model.ts'
import {labelId, labelNode, replicasOf, slotsOf} from '../lib/topology/queries.ts'

interface JoinReport {
  readonly outcome: 'joined' | 'planned' | 'nothing-to-do'
  readonly plan: GrowthPlan
  readonly elapsedMs: number
  /** With --rebalance. */
  readonly moves?: MoveReport
}

const DEADLINE_MS = 60_000

export default class AddNode extends MoveCommand<typeof AddNode> {
  static override summary = 'Join empty nodes to a cluster, as primaries or as replicas.'
  static override hiddenAliases = ['add-nodes']

  static override description = [
    'Says "joined" when every node knows the newcomers and they serve. Functions are copied to new primaries, which get no slots unless --rebalance is given.',
    'Exit codes: 0 joined, or joined before; 2 the words make no sense; 3 a node is not empty or not in cluster mode, or the members disagree; 4 a node did not answer, or said no; 5 it was not finished in time; 130 stopped.',
  ].join('\n\n')
  static override usage = ['add-node NEW... [EXISTING]', 'add-node EXISTING-ID NEW...']

  static override examples = [
    '<%= config.bin %> add-node 127.0.0.1:7006 127.0.0.1:7000',
    '<%= config.bin %> add-node 127.0.0.1:7006 127.0.0.1:7000 --rebalance --yes',
    '<%= config.bin %> add-node 10.0.0.8 10.0.0.1 --replica --primary 10.0.0.7',
    '<%= config.bin %> add-node 10.0.0.8 10.0.0.1 --rebalance --if-missing --yes --json',
  ]

  static override args = {
    nodes: word({
      description: 'addresses of empty nodes, and optionally a node of the cluster',
      multiple: true,
    }),
  }

  static override flags = {
    ...moveFlags,
    ...zoneFlags,
    replica: Flags.boolean({
      summary: 'Join as replicas.',
      default: false,
      aliases: ['cluster-slave', 'cluster-replica'],
    }),
    primary: Flags.string({
      summary: 'Whose replicas they become; by default the primaries with the fewest, elsewhere than they.',
      helpValue: 'NODE',
      dependsOn: ['replica'],
      aliases: ['cluster-master-id', 'cluster-primary-id'],
    }),
    'if-missing': Flags.boolean({
      summary: 'Succeed when the nodes are members already, with slots too, and after a failover.',
      default: false,
    }),
    rebalance: Flags.boolean({
      summary: 'Give the new primaries their share of the slots at once.',
      default: false,
      exclusive: ['replica'],
    }),
  }

  async run(): Promise<JoinReport> {
    const startedAt = performance.now()
    const words = this.args.nodes ?? []
    const ids = words.filter((word) => parseNodeReference(word).kind === 'id')
    const addresses = words.filter((word) => !ids.includes(word)).map((word) => this.parseAddress(word))
    if (addresses.length === 0) {
      throw new UsageError('add-node needs the address of the node that is to join', {
        suggestions: ['rcluster add-node 127.0.0.1:7006 127.0.0.1:7000'],
      })
    }
    requireDistinct(addresses)
    const {session, newcomers} = await this.#open(addresses)
    for (const id of ids) await this.findNode(session, id)
    const primary = this.flags.primary === undefined ? undefined : await this.findNode(session, this.flags.primary)
    await session.requireOneCluster()
    await this.lockCluster(
      session,
      newcomers.map(({port}) => port),
    )
    await waitUntilFitForJoins(session, this.stopSignal)

    const strangers = newcomers.filter(({port}) => !session.topology.nodesById.has(port.id))
    requireEmpty(strangers)
    for (const {port} of newcomers) this.#requireSameRole(session, port.id, primary?.id)
    // With --if-missing also what a join left without its role when it was cut off.
    const roleless = newcomers.filter(({port}) => this.#isRoleless(session, port.id))
    const zoned = zonesOfJoin(session.topology, [...strangers, ...roleless], readZoneLabels(this.flags))
    const plan = planJoin(zoned.topology, {
      newcomers: zoned.newcomers,
      role: this.flags.replica ? 'replica' : 'primary',
      ...(primary ? {primaryId: this.#leaderOf(session, primary)} : {}),
    })
    if (plan.newcomers.length === 0) {
      const are = newcomers.length === 1 ? 'the node is a member' : 'the nodes are members'
      this.print(`Nothing to join: ${are} already.`)
      if (this.isSaving) return this.#save(session, plan, strangers)
      return this.#rebalance(session, {outcome: 'nothing-to-do', plan, elapsedMs: 0})
    }
    this.print(renderJoinPlan(plan, session.topology, this.style))
    if (this.isSaving) return this.#save(session, plan, strangers)
    if (this.flags['dry-run']) return {outcome: 'planned', plan, elapsedMs: performance.now() - startedAt}
    // Joining takes nothing from anybody, so only the moves that follow are asked about.
    if (this.flags.rebalance) await this.confirm('Join and move slots?')
    return this.#rebalance(session, await this.#join(session, plan, strangers, startedAt))
  }

  /** \`strangers\` are those of the plan that are no members yet; the others get their roles. */

  async #join(
    session: ClusterSession,
    plan: JoinPlan,
    strangers: readonly Newcomer[],
    startedAt: number,
  ): Promise<JoinReport> {
    const isStranger = ({id}: {readonly id: NodeId}): boolean => strangers.some(({port}) => port.id === id)
    const members = plan.newcomers.filter((newcomer) => !isStranger(newcomer))
    let joined: JoinPlan = {...plan, newcomers: []}
    if (strangers.length > 0) {
      joined = await joinNodes(
        session,
        {...plan, newcomers: plan.newcomers.filter(isStranger)},
        strangers.map(({port}) => port),
        {deadlineMs: DEADLINE_MS, signal: this.stopSignal, listener: this.listener()},
      )
      const elapsedMs = performance.now() - startedAt
      const names = joined.newcomers.map(({address, role}) => `${address} as ${role}`).join(', ')
      const them = joined.newcomers.length === 1 ? 'it' : 'them'
      const isSilent = session.topology.nodes.some(({reach}) => reach.kind === 'unreachable')
      const who = isSilent ? 'every node that answers' : 'every node'
      this.print(`Joined ${names} in ${formatDuration(elapsedMs)}; ${who} knows ${them}.`)
      this.warnOfSilent(session.topology)
    }
    await session.observe()
    await this.#giveRoles(session, members)
    const newcomers = [...joined.newcomers, ...members]
    return {outcome: 'joined', plan: {...joined, newcomers}, elapsedMs: performance.now() - startedAt}
  }

  /** To members that a join left without one when it was cut off. */
  async #giveRoles(session: ClusterSession, members: JoinPlan['newcomers']): Promise<void> {
    for (const {id, primaryId = ''} of members) {
      const role = planReplicate(session.topology, {replicaId: id, primaryId})
      await followPrimary(session, role, {
        deadlineMs: DEADLINE_MS,
        signal: this.stopSignal,
        listener: this.listener(),
      })
      this.print(`${role.replica.address} follows ${role.primary.address}.`)
    }
  }

  /** With the moves that --rebalance would make then: planned for the cluster as it will be. */
  async #save(session: ClusterSession, plan: JoinPlan, strangers: readonly Newcomer[]): Promise<JoinReport> {
    const after = imagineJoined(
      session.topology,
      strangers.map(({view}) => view),
    )
    const moves: MovePlan | undefined = this.flags.rebalance
      ? planRebalance(after, {weights: new Map(), thresholdPercent: 0, useEmpty: true, started: []})
      : undefined
    if (moves) this.print(renderMovePlan(moves, after, this.style, this.flags.explain))
    await this.savePlan({...plan, ...(moves ? {moves} : {})}, session.topology)
    return {outcome: 'planned', plan, elapsedMs: 0}
  }

  protected override async applySaved(given: GivenPlan): Promise<JoinReport> {
    const startedAt = performance.now()
    const saved = given.file.plan as GrowthPlan
    const changes = {joins: saved.newcomers, moves: saved.moves?.moves}
    const session = await this.openGiven(given)
    const members = new Set(session.topology.nodes.flatMap(({id, address}) => [id, formatAddress(address)]))
    const absent = saved.newcomers.filter(({id, address}) => !members.has(id) && !members.has(address))
    const port = await this.openPort()
    const strangers: Newcomer[] = []
    for (const {address} of absent) {
      strangers.push(await this.stoppable(meetNewcomer(port, this.parseAddress(address))))
    }
    await this.lockCluster(
      session,
      strangers.map(({port: node}) => node),
    )
    await waitUntilFitForJoins(session, this.stopSignal)
    requireEmpty(strangers)
    const {standIns, left} = this.requireGround(session, given, changes)
    const today = (id: NodeId): NodeId => standIns.get(id) ?? id
    const newcomers = absent.map((newcomer, index) => ({
      ...newcomer,
      id: strangers[index]?.port.id ?? newcomer.id,
      primaryId: newcomer.primaryId && today(newcomer.primaryId),
    }))
    const plan: JoinPlan = {...saved, newcomers}
    const roleless = saved.newcomers.filter(
      ({id, role}) => role === 'replica' && session.topology.nodesById.get(today(id))?.role === 'primary',
    )
    const report: JoinReport = {outcome: 'nothing-to-do', plan, elapsedMs: 0}
    if (newcomers.length + roleless.length > 0) this.print(renderJoinPlan(plan, session.topology, this.style))
    else
      this.print(
        `Nothing to join: ${saved.newcomers.map(({address}) => address).join(', ') || 'the nodes'} joined already.`,
      )
    if (this.flags['dry-run'] && newcomers.length > 0) {
      if (saved.moves) this.note(`${left.length} slots are to move then.`)
      return {...report, outcome: 'planned'}
    }
    if (saved.moves && newcomers.length > 0) await this.confirm('Join and move slots?')
    const joined = newcomers.length > 0 ? await this.#join(session, plan, strangers, startedAt) : report
    // Cut off between its introduction and its role.
    if (!this.flags['dry-run']) {
      const withoutRole = roleless.map((one) => ({...one, id: today(one.id), primaryId: today(one.primaryId ?? '')}))
      await this.#giveRoles(session, withoutRole)
    }
    if (!saved.moves) return joined
    const question = newcomers.length > 0 ? undefined : ({moves}: MovePlan) => `Move ${plural(moves.length, 'slot')}?`
    return {...joined, moves: await this.carryOutSaved(session, given, saved.moves, changes, question)}
  }

  /**
   * A second run finds its nodes joined, and with --rebalance perhaps some slots on them: that is fine as long as they are
   * what was asked for. With --if-missing slots and a change of roles within a shard, which a failover makes, are fine too.
   * @throws RefusedError for a member that has slots that no rebalance brought, or another role or primary.
   */
  #requireSameRole(session: ClusterSession, id: NodeId, primaryId: NodeId | undefined): void {
    const member = session.topology.nodesById.get(id)
    if (!member || this.#isRoleless(session, id)) return
    const {topology} = session
    const slots = countSlots(slotsOf(topology, id))
    const hasRole = (member.role === 'replica') === this.flags.replica
    const isOf = (primary: NodeId): boolean =>
      member.primaryId === primary || (this.flags['if-missing'] && isSameShard(topology, id, primary))
    const isAsAsked = this.flags['if-missing'] || ((slots === 0 || this.flags.rebalance) && hasRole)
    const home = member.primaryId === undefined ? '' : ` of ${labelId(topology, member.primaryId)}`
    const what = member.role === 'replica' ? `as a replica${home}` : slots > 0 ? `with ${slots} slots` : 'as a primary'
    if (isAsAsked && (primaryId === undefined || isOf(primaryId))) {
      if (!hasRole) this.note(`${labelNode(member)} is a member already, ${what}: after a failover, roles change.`)
      return
    }
    throw new RefusedError('node-not-empty', `${labelNode(member)} is a member of this cluster already, ${what}`, {
      suggestions: [
        `rcluster info ${formatAddress(session.seed)}`,
        ...(!this.flags['if-missing'] && (primaryId === undefined || isSameShard(topology, id, primaryId))
          ? ['If that will do, for scripts that run again: add --if-missing']
          : []),
        // What a join leaves that was cut off before the roles.
        ...(this.flags.replica && (slots === 0 || member.role === 'replica')
          ? [`rcluster replicate ${formatAddress(member.address)} ${this.#homeFor(session, id, primaryId)}`]
          : []),
      ],
    })
  }

  /** Is it a member that was to be a replica, and leads nobody and has no slots? Only where --if-missing asks for that. */
  #isRoleless({topology}: ClusterSession, id: NodeId): boolean {
    return (
      this.flags['if-missing'] &&
      this.flags.replica &&
      topology.nodesById.get(id)?.role === 'primary' &&
      slotsOf(topology, id).length === 0 &&
      replicasOf(topology, id).length === 0
    )
  }

  /** After a failover the node that was named follows another, and with --if-missing its shard is what is meant. */
  #leaderOf({topology}: ClusterSession, {id, primaryId}: ClusterNode): NodeId {
    return this.flags['if-missing'] && primaryId !== undefined && topology.nodesById.has(primaryId) ? primaryId : id
  }

  /** The address of the primary that was named, or that a join would choose now. */
  #homeFor({topology}: ClusterSession, id: NodeId, primaryId: NodeId | undefined): string {
    const newcomers = [{id, address: {host: '', port: 0}}]
    const [joined] = planJoin(topology, {newcomers, role: 'replica', ...(primaryId ? {primaryId} : {})}).newcomers
    const home = joined?.primaryId === undefined ? undefined : topology.nodesById.get(joined.primaryId)
    return home ? formatAddress(home.address) : 'PRIMARY'
  }

  async #rebalance(session: ClusterSession, report: JoinReport): Promise<JoinReport> {
    if (!this.flags.rebalance || this.flags['dry-run']) return report
    const intent = JSON.stringify(['rebalance', [], 0, true])
    const {plan, records} = await this.planMoves(session, 'rebalance', intent, (topology, started) =>
      planRebalance(topology, {weights: new Map(), thresholdPercent: 0, useEmpty: true, started}),
    )
    return {
      ...report,
      moves: await this.carryOut(session, plan, intent, records, {
        nothingToDo: 'The slots are even already.',
        question: undefined,
      }),
    }
  }

  /**
   * The last address may be the node of the cluster through which the others join: it is when it already has slots or
   * fellow members and there is another that could join.
   */
  async #open(addresses: readonly NodeAddress[]): Promise<{session: ClusterSession; newcomers: Newcomer[]}> {
    const port = await this.openPort()
    const met: Newcomer[] = []
    for (const address of addresses) met.push(await this.stoppable(meetNewcomer(port, address)))
    const last = met.at(-1)
    if (this.flags.seed === undefined && met.length > 1 && last && isMember(last)) {
      return {session: await this.openCluster(formatAddress(last.port.address)), newcomers: met.slice(0, -1)}
    }
    return {session: await this.openCluster(), newcomers: met}
  }
}

/** Does either follow the other, or do both follow one? */
function isSameShard({nodesById}: Topology, one: NodeId, other: NodeId): boolean {
  const leader = (id: NodeId): NodeId => nodesById.get(id)?.primaryId ?? id
  return leader(one) === leader(other)
}

function isMember(node: Newcomer): boolean {
  return belongingsOf(node).some((belonging) => /slot|node/.test(belonging))
}
