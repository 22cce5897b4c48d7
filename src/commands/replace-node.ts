import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {changeFlags, lockFlags, planFlags} from '../lib/cli/flags.ts'
import {parseNodeReference} from '../lib/cli/node-argument.ts'
import {type GivenPlan, PlannedCommand} from '../lib/cli/planned-command.ts'
import type {NodePort} from '../lib/engine/cluster-port.ts'
import {belongingsOf, meetNewcomer, type Newcomer, requireEmpty, waitUntilFitForJoins} from '../lib/engine/newcomers.ts'
import type {RemovalOutcome} from '../lib/engine/remove-nodes.ts'
import {type Replacement, replaceNode, replaceOptions} from '../lib/engine/replace-node.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {pollUntil} from '../lib/engine/waiting.ts'
import {NodeError, UsageError} from '../lib/errors.ts'
import {requireNoneHidden} from '../lib/findings/require.ts'
import type {MemberAct} from '../lib/plan/acts.ts'
import {isAwaitingHeir, planReplacement, type ReplacePlan} from '../lib/plan/replace.ts'
import {renderReplacePlan} from '../lib/render/acts.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {countSlots} from '../lib/slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type NodeId, type Topology} from '../lib/topology/model.ts'
import {labelId, labelNode, slotsOf} from '../lib/topology/queries.ts'

interface ReplaceReport extends Partial<RemovalOutcome> {
  readonly outcome: 'replaced' | 'planned' | 'nothing-to-do'
  /** Absent where the old node is no member any more. */
  readonly plan?: ReplacePlan
  /** What this run did, in order. */
  readonly done: readonly MemberAct[]
  readonly elapsedMs: number
}

/** cluster-node-timeout is 15 s by default, and then there is a vote. */
const HEIR_MS = 30_000

export default class ReplaceNode extends PlannedCommand<typeof ReplaceNode> {
  static override summary = 'Let an empty node take the place of another, alive or dead.'

  static override description = [
    'NEW joins, follows the primary of the shard until it is in step, takes over where OLD leads (OLD holds its writes until NEW has all of them), and OLD is forgotten by all and reset. No slot moves. Where a run is cut off, the same command goes on.',
    'For an OLD that is dead its replica has to lead first, which is waited for; NEW becomes a replica then.',
    'Exit codes: 0 replaced, or replaced before; 2 the words make no sense; 3 NEW is not empty, or OLD is dead and nobody has its keys; 4 a node did not answer, or said no; 5 part of it was done, the command can be run again; 130 stopped.',
  ].join('\n\n')
  static override usage = ['replace-node OLD NEW', 'replace-node SEED OLD NEW']
  static override examples = [
    '<%= config.bin %> replace-node 127.0.0.1:7001 127.0.0.1:7006 --dry-run',
    '<%= config.bin %> replace-node 127.0.0.1:7001 127.0.0.1:7006 --keep-old --yes',
    '<%= config.bin %> replace-node 127.0.0.1:7000 07c37dfe 127.0.0.1:7006 --yes',
  ]
  static override args = {
    nodes: word({
      description: 'the node to replace and the empty one; of three, the first is the node to ask (or use --seed)',
      multiple: true,
    }),
  }
  static override flags = {
    ...changeFlags,
    ...lockFlags,
    ...planFlags,
    'keep-old': Flags.boolean({summary: 'Leave OLD in the cluster, as a replica.', default: false}),
  }

  async run(): Promise<ReplaceReport> {
    const {seed, old, replacement} = this.#words()
    const newcomer = await this.#meet(this.parseAddress(replacement))
    const session = await this.openCluster(await this.#seeds(seed, old, newcomer))
    await session.requireOneCluster()
    await this.lockCluster(session, [newcomer.port])
    const victim = await this.findIfMember(session, old)
    await this.#admit(session, newcomer, victim?.id)
    if (!victim) return this.#nothingToDo(session, old, newcomer.port)
    return this.#replace(session, victim.id, newcomer)
  }

  protected override async applySaved(given: GivenPlan): Promise<ReplaceReport> {
    const saved = given.file.plan as ReplacePlan
    const newcomer = await this.#meet(this.parseAddress(saved.replacement.address))
    const session = await this.openGiven(given, [saved.old.id])
    await this.lockCluster(session, [newcomer.port])
    await this.#admit(session, newcomer, saved.old.id)
    const {nodesById} = session.topology
    if (!nodesById.has(saved.old.id)) return this.#nothingToDo(session, saved.old.address, newcomer.port)
    const role = nodesById.get(newcomer.port.id)?.role ?? 'replica'
    const {id, address} = {id: newcomer.port.id, address: saved.replacement.address}
    this.requireGround(session, given, {joins: [{id, address, role}]})
    return this.#replace(session, saved.old.id, newcomer)
  }

  async #replace(session: ClusterSession, oldId: NodeId, {port: newcomer, view}: Newcomer): Promise<ReplaceReport> {
    const startedAt = performance.now()
    const {serverInfo} = view
    const replacement: Replacement = {oldId, newcomer, serverInfo, keepsOld: this.flags['keep-old']}
    await this.#awaitHeir(session, oldId)
    requireNoneHidden(session.topology)
    const plan = planReplacement(session.topology, replaceOptions(replacement))
    this.print(renderReplacePlan(plan, this.style))
    await this.savePlan(plan, session.topology)
    if (plan.acts.length === 0) {
      this.print('Nothing to do: it has taken that place already.')
      return {outcome: 'nothing-to-do', plan, done: [], elapsedMs: 0}
    }
    if (this.flags['dry-run']) return {outcome: 'planned', plan, done: [], elapsedMs: 0}
    await this.confirm(`Replace ${plan.old.address} by ${plan.replacement.address}?`)
    const {done, removal} = await replaceNode(session, replacement, {
      signal: this.stopSignal,
      listener: this.listener(),
      again: `To go on: ${this.applyLine ?? this.commandLine}`,
    })
    const elapsedMs = performance.now() - startedAt
    await session.refresh()
    this.#tell(session.topology, plan, newcomer.id, elapsedMs, removal)
    return {outcome: 'replaced', plan, done, ...removal, elapsedMs}
  }

  #tell(
    topology: Topology,
    {old}: ReplacePlan,
    newId: NodeId,
    elapsedMs: number,
    removal: RemovalOutcome | undefined,
  ): void {
    const gone = removal ? `; no node that answers knows ${old.address} any more` : `; ${old.address} stays a member`
    this.print(`${standingOf(topology, newId)} after ${formatDuration(elapsedMs)}${gone}.`)
    const {notReset = [], notTold = []} = removal ?? {}
    if (notReset.length > 0) {
      this.warnOperator(
        `${notReset.join(', ')} did not answer and still believes itself a member: remove its folder, or CLUSTER RESET there, before it comes back.`,
      )
    }
    if (notTold.length > 0) {
      this.warnOperator(
        `${notTold.join(', ')} did not answer and will make the others know ${old.address} again: rcluster forget it when all are back.`,
      )
    }
  }

  /** What was asked for is so, as far as it can be told of a node that left. */
  #nothingToDo({topology}: ClusterSession, old: string, newcomer: NodePort): ReplaceReport {
    if (!topology.nodesById.has(newcomer.id)) {
      throw new UsageError(
        `no node of this cluster is called "${old}", and ${formatAddress(newcomer.address)} is none`,
        {
          suggestions: [`rcluster info ${this.#seedOf(topology)}`],
        },
      )
    }
    this.print(`Nothing to do: ${old} is no member of this cluster, and ${standingOf(topology, newcomer.id)}.`)
    if (this.isSaving) this.note('No plan was written: there is nothing to replace.')
    return {outcome: 'nothing-to-do', done: [], elapsedMs: 0}
  }

  #seedOf({nodes}: Topology): string {
    const reached = nodes.find(({reach}) => reach.kind === 'reached') as ClusterNode
    return formatAddress(reached.address)
  }

  #meet(address: NodeAddress): Promise<Newcomer> {
    return this.openPort().then((port) => this.stoppable(meetNewcomer(port, address)))
  }

  /** Waits until all agree on who is a member. @throws RefusedError when the new node is none, and not empty. */
  async #admit(session: ClusterSession, {port, view}: Newcomer, oldId: NodeId | undefined): Promise<void> {
    const knows = view.entries.some(({id, isMyself}) => !isMyself && session.topology.nodesById.has(id))
    // A run that was cut off while it introduced the node: gossip does the rest, if it is waited for.
    if (knows && !session.topology.nodesById.has(port.id)) session.adopt(port)
    // One that was cut off while it removed the old node has left it with all the others, who know it no more.
    await waitUntilFitForJoins(session, this.stopSignal, oldId)
    if (!session.topology.nodesById.has(port.id)) requireEmpty([{port, view: await port.readView()}])
  }

  async #awaitHeir(session: ClusterSession, oldId: NodeId): Promise<void> {
    if (!isAwaitingHeir(session.topology, oldId)) return
    this.note(`${labelId(session.topology, oldId)} does not answer: waiting until a replica of it leads.`)
    await pollUntil(async () => (isAwaitingHeir(await session.refresh(), oldId) ? undefined : true), {
      deadlineMs: HEIR_MS,
      signal: this.stopSignal,
    })
    this.stopSignal.throwIfAborted()
  }

  /**
   * The cluster is that of the old node, unless it is dead or has left already: then it is the new node's, where that has
   * joined one.
   */
  async #seeds(seed: string | undefined, old: string, newcomer: Newcomer): Promise<string | undefined> {
    if (seed !== undefined || this.isClusterNamed) return seed
    const replacement = formatAddress(newcomer.port.address)
    const isMember = newcomer.view.entries.length > 1
    if (parseNodeReference(old).kind !== 'address') return isMember ? replacement : undefined
    const port = await this.openPort()
    try {
      const {view} = await this.stoppable(meetNewcomer(port, this.parseAddress(old)))
      return belongingsOf({view} as Newcomer).some((belonging) => /slot|node/.test(belonging)) || !isMember
        ? old
        : replacement
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      if (isMember) return replacement
      throw new NodeError(error.failure, error.address, error.message, {
        suggestions: [
          `A dead node is replaced through a living one: rcluster replace-node LIVING ${old} ${replacement}`,
        ],
        cause: error.cause,
      })
    }
  }

  #words(): {seed: string | undefined; old: string; replacement: string} {
    const words = this.args.nodes ?? []
    const [first, second, third, ...more] = words
    if (first === undefined || second === undefined || more.length > 0) {
      throw new UsageError('replace-node needs the node that is to be replaced and the one that takes its place', {
        suggestions: ['rcluster replace-node 127.0.0.1:7001 127.0.0.1:7006'],
      })
    }
    return third === undefined
      ? {seed: undefined, old: first, replacement: second}
      : {seed: first, old: second, replacement: third}
  }
}

/** "127.0.0.1:7006 (07c37dfe) is a primary with 5461 slots" */
function standingOf(topology: Topology, id: NodeId): string {
  const node = topology.nodesById.get(id)
  if (!node) return `${labelId(topology, id)} is no member`
  if (node.role === 'replica') return `${labelNode(node)} is a replica of ${labelId(topology, node.primaryId ?? '')}`
  const slots = countSlots(slotsOf(topology, id))
  return `${labelNode(node)} is a primary ${slots === 0 ? 'without slots' : `with ${plural(slots, 'slot')}`}`
}
