import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {MoveCommand, type MoveReport, moveFlags} from '../lib/cli/move-command.ts'
import {parseNodeReference, requireDistinct} from '../lib/cli/node-argument.ts'
import {joinNodes} from '../lib/engine/join-nodes.ts'
import {belongingsOf, meetNewcomer, type Newcomer, requireEmpty, waitUntilFitForJoins} from '../lib/engine/newcomers.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {RefusedError, UsageError} from '../lib/errors.ts'
import {planJoin} from '../lib/plan/join.ts'
import type {JoinPlan} from '../lib/plan/plan.ts'
import {planRebalance} from '../lib/plan/rebalance.ts'
import {formatDuration} from '../lib/render/amounts.ts'
import {renderJoinPlan} from '../lib/render/plan.ts'
import {countSlots} from '../lib/slots/slot-ranges.ts'
import {formatAddress, type NodeAddress, type NodeId} from '../lib/topology/model.ts'
import {labelId, labelNode, slotsOf} from '../lib/topology/queries.ts'

interface JoinReport {
  readonly outcome: 'joined' | 'planned' | 'nothing-to-do'
  readonly plan: JoinPlan
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
  static override usage = ['add-node NEW… [EXISTING]', 'add-node EXISTING-ID NEW…']

  static override examples = [
    '<%= config.bin %> add-node 127.0.0.1:7006 127.0.0.1:7000',
    '<%= config.bin %> add-node 127.0.0.1:7006 127.0.0.1:7000 --rebalance --yes',
    '<%= config.bin %> add-node 10.0.0.8 10.0.0.1 --replica --primary 10.0.0.7',
  ]

  static override args = {
    nodes: word({
      description: 'addresses of empty nodes, and optionally a node of the cluster',
      multiple: true,
    }),
  }

  static override flags = {
    ...moveFlags,
    replica: Flags.boolean({
      summary: 'Join as replicas.',
      default: false,
      aliases: ['cluster-slave', 'cluster-replica'],
    }),
    primary: Flags.string({
      summary: 'Whose replicas they become; by default the primaries with the fewest.',
      helpValue: 'NODE',
      dependsOn: ['replica'],
      aliases: ['cluster-master-id', 'cluster-primary-id'],
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
    await waitUntilFitForJoins(session, this.stopSignal)

    const strangers = newcomers.filter(({port}) => !session.topology.nodesById.has(port.id))
    requireEmpty(strangers)
    for (const {port} of newcomers) this.#requireSameRole(session, port.id, primary?.id)
    const plan = planJoin(session.topology, {
      newcomers: strangers.map(({port}) => ({id: port.id, address: port.address})),
      role: this.flags.replica ? 'replica' : 'primary',
      ...(primary ? {primaryId: primary.id} : {}),
    })
    if (plan.newcomers.length === 0) {
      const are = newcomers.length === 1 ? 'the node is a member' : 'the nodes are members'
      this.print(`Nothing to join: ${are} already.`)
      return this.#rebalance(session, {outcome: 'nothing-to-do', plan, elapsedMs: 0})
    }
    this.print(renderJoinPlan(plan, session.topology, this.style))
    if (this.flags['dry-run']) return {outcome: 'planned', plan, elapsedMs: performance.now() - startedAt}
    // Joining takes nothing from anybody, so only the moves that follow are asked about.
    if (this.flags.rebalance) await this.confirm('Join and move slots?')
    const joined = await joinNodes(
      session,
      plan,
      strangers.map(({port}) => port),
      {deadlineMs: DEADLINE_MS, signal: this.stopSignal, listener: this.listener()},
    )
    await session.observe()
    const elapsedMs = performance.now() - startedAt
    const names = plan.newcomers.map(({address, role}) => `${address} as ${role}`).join(', ')
    const them = plan.newcomers.length === 1 ? 'it' : 'them'
    this.print(`Joined ${names} in ${formatDuration(elapsedMs)}; every node knows ${them}.`)
    return this.#rebalance(session, {outcome: 'joined', plan: joined, elapsedMs})
  }

  /**
   * A second run finds its nodes joined; that is fine as long as they are what was asked for.
   * @throws RefusedError for a member that has slots, or another role or primary.
   */
  #requireSameRole(session: ClusterSession, id: NodeId, primaryId: NodeId | undefined): void {
    const member = session.topology.nodesById.get(id)
    if (!member) return
    const {topology} = session
    const slots = countSlots(slotsOf(topology, id))
    const hasRole = (member.role === 'replica') === this.flags.replica
    const isAsAsked = slots === 0 && hasRole && (primaryId === undefined || member.primaryId === primaryId)
    if (isAsAsked) return
    const home = member.primaryId === undefined ? '' : ` of ${labelId(topology, member.primaryId)}`
    const what = member.role === 'replica' ? `as a replica${home}` : slots > 0 ? `with ${slots} slots` : 'as a primary'
    throw new RefusedError('node-not-empty', `${labelNode(member)} is a member of this cluster already, ${what}`, {
      suggestions: [
        `rcluster info ${formatAddress(session.seed)}`,
        // What a join leaves that was cut off before the roles.
        ...(this.flags.replica && member.role === 'primary' && slots === 0
          ? [
              `Remove it and add it again: rcluster del-node ${formatAddress(session.seed)} ${formatAddress(member.address)}`,
            ]
          : []),
      ],
    })
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

function isMember(node: Newcomer): boolean {
  return belongingsOf(node).some((belonging) => /slot|node/.test(belonging))
}
