import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {watchFlag} from '../lib/cli/flags.ts'
import {MoveCommand, type MoveReport} from '../lib/cli/move-command.ts'
import {moveFlags} from '../lib/cli/move-flags.ts'
import {parseNodeReference} from '../lib/cli/node-argument.ts'
import type {GivenPlan} from '../lib/cli/planned-command.ts'
import {type RemovalOutcome, removeNodes} from '../lib/engine/remove-nodes.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {type WatchOutcome, watchForgotten} from '../lib/engine/watch-forgotten.ts'
import {NodeError, UsageError} from '../lib/errors.ts'
import {requireNoneHidden} from '../lib/findings/require.ts'
import {planEvacuate} from '../lib/plan/evacuate.ts'
import {imagineMoved} from '../lib/plan/imagine.ts'
import type {MovePlan, RemovalPlan} from '../lib/plan/plan.ts'
import type {ShrinkPlan} from '../lib/plan/plan-file.ts'
import {planRemoval} from '../lib/plan/removal.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {renderRemovalPlan} from '../lib/render/plan.ts'
import {countSlots} from '../lib/slots/slot-ranges.ts'
import type {NodeId} from '../lib/topology/model.ts'
import {slotsOf} from '../lib/topology/queries.ts'

interface RemovalReport extends Partial<RemovalOutcome> {
  readonly outcome: 'removed' | 'planned' | 'nothing-to-do'
  readonly plan: ShrinkPlan | undefined
  /** With --drain, when the nodes had slots. */
  readonly moves?: MoveReport
  readonly elapsedMs: number
  /** With --watch. */
  readonly watch?: WatchOutcome
}

/** Half of the 60 s for which the servers ban a forgotten node. */
const DEADLINE_MS = 30_000

/** A client that is at work comes by a drained node within this time, is redirected, and asks for the new slot table. */
const REDIRECT_MS = 8000

export default class DelNode extends MoveCommand<typeof DelNode> {
  static override summary = 'Remove nodes, alive or dead, from a cluster.'
  static override hiddenAliases = ['del-nodes']

  static override description = [
    'Replicas of a node that leaves get another primary first. All members forget the nodes, and those that answer are reset. A dead node is removed through a living one: del-node LIVING DEAD.',
    'Exit codes: 0 removed, or no members with --if-present; 2 the words make no sense; 3 a node still has slots (see --drain) or keys; 4 a node did not answer, or said no; 5 part of it was done, the command can be run again; 130 stopped.',
  ].join('\n\n')
  static override usage = ['del-node NODE...', 'del-node SEED NODE...']

  static override examples = [
    '<%= config.bin %> del-node 127.0.0.1:7006',
    '<%= config.bin %> del-node 127.0.0.1:7000 07c37dfe --drain --yes',
    '<%= config.bin %> del-node 10.0.0.1 10.0.0.7 10.0.0.8 --drain --if-present --yes',
  ]

  static override args = {
    nodes: word({
      description: 'the nodes to remove; with several, a leading address is the node to ask (or use --seed)',
      multiple: true,
    }),
  }

  static override flags = {
    ...moveFlags,
    watch: watchFlag,
    drain: Flags.boolean({summary: 'Move the slots of the nodes to the other primaries first.', default: false}),
    'if-present': Flags.boolean({summary: 'Succeed when these nodes are no members any more.', default: false}),
  }

  async run(): Promise<RemovalReport> {
    const startedAt = performance.now()
    const {seeds, victims: words} = this.#words()
    const session = await this.#open(seeds, words)
    await session.requireOneCluster()
    await this.lockCluster(session)
    const {victims, names, absent} = await this.#findVictims(session, words)
    if (absent.length > 0) {
      const them = `${absent.join(', ')} ${absent.length === 1 ? 'is no node' : 'are no nodes'} of this cluster`
      if (victims.length === 0) {
        this.print(`Nothing to do: ${them}.`)
        if (this.isSaving) this.note('No plan was written: there is nothing to remove.')
        return {outcome: 'nothing-to-do', plan: undefined, elapsedMs: 0}
      }
      this.note(`${them}: nothing to do there.`)
    }

    requireNoneHidden(session.topology)
    let moves: MoveReport | undefined
    this.#victims = victims
    if (this.flags.drain && victims.some((id) => countSlots(slotsOf(session.topology, id)) > 0)) {
      const intent = JSON.stringify(['evacuate', [...victims].sort()])
      const {plan, records} = await this.planMoves(session, 'evacuate', intent, (topology, started) =>
        planEvacuate(topology, {victims, started}),
      )
      moves = await this.carryOut(session, plan, intent, records, {
        nothingToDo: 'The nodes have no slots.',
        question: ({moves: all}) => `Move ${plural(all.length, 'slot')} and remove ${names.join(', ')}?`,
      })
      if (moves.outcome === 'planned' || this.isSaving)
        return {outcome: 'planned', plan: undefined, moves, elapsedMs: 0}
      await session.observe()
    }
    const plan = planRemoval(session.topology, {victims})
    if (!this.flags['dry-run'] || !this.isSaving) return this.#remove(session, plan, moves, names, startedAt)
    this.print(renderRemovalPlan(plan, session.topology, this.style))
    await this.savePlan(plan, session.topology)
    return {outcome: 'planned', plan, elapsedMs: 0}
  }

  /** \`absent\`: the words that name no member, which is fine with --if-present only. */
  async #findVictims(
    session: ClusterSession,
    words: readonly string[],
  ): Promise<{victims: NodeId[]; names: string[]; absent: string[]}> {
    const found = {victims: [] as NodeId[], names: [] as string[], absent: [] as string[]}
    for (const word of words) {
      const victim = await (this.flags['if-present'] ? this.findIfMember(session, word) : this.findNode(session, word))
      if (victim) {
        found.victims.push(victim.id)
        found.names.push(word)
      } else found.absent.push(word)
    }
    return found
  }

  #victims: readonly NodeId[] = []

  /** Whom the replicas follow that stay is planned for the time after the moves. */
  protected override planWithMoves(session: ClusterSession, moves: MovePlan): ShrinkPlan {
    const after = imagineMoved(session.topology, moves.moves)
    const removal = planRemoval(after, {victims: this.#victims})
    this.print(renderRemovalPlan(removal, after, this.style))
    return {...removal, moves}
  }

  protected override async applySaved(given: GivenPlan): Promise<RemovalReport> {
    const startedAt = performance.now()
    const saved = given.file.plan as ShrinkPlan
    const leaves = saved.victims.map(({id}) => id)
    const changes = {moves: saved.moves?.moves, leaves}
    const session = await this.openGiven(given, leaves)
    await this.lockCluster(session)
    const isMember = (id: NodeId): boolean => session.topology.nodesById.has(id)
    const names = saved.victims.filter(({id}) => isMember(id)).map(({address}) => address)
    let moves: MoveReport | undefined
    if (saved.moves && names.length > 0) {
      moves = await this.carryOutSaved(
        session,
        given,
        saved.moves,
        changes,
        ({moves: all}) => `Move ${plural(all.length, 'slot')} and remove ${names.join(', ')}?`,
      )
      if (moves.outcome === 'planned') return {outcome: 'planned', plan: saved, moves, elapsedMs: 0}
      if (moves.outcome === 'nothing-to-do') moves = undefined
      else await session.observe()
    }
    const {standIns} = this.requireGround(session, given, changes)
    if (names.length === 0) {
      this.print(`Nothing to do: ${saved.victims.map(({address}) => address).join(', ')} left already.`)
      return {outcome: 'nothing-to-do', plan: saved, elapsedMs: 0}
    }
    requireNoneHidden(session.topology)
    const fresh = planRemoval(session.topology, {victims: leaves.filter(isMember)})
    const homes = new Map(saved.rehomed.map(({id, primaryId}) => [id, standIns.get(primaryId) ?? primaryId]))
    const rehomed = fresh.rehomed.map((one) => ({...one, primaryId: homes.get(one.id) ?? one.primaryId}))
    return this.#remove(session, {...fresh, rehomed}, moves, names, startedAt)
  }

  async #remove(
    session: ClusterSession,
    plan: RemovalPlan,
    moves: MoveReport | undefined,
    words: readonly string[],
    startedAt: number,
  ): Promise<RemovalReport> {
    this.print(renderRemovalPlan(plan, session.topology, this.style))
    const withMoves = moves ? {moves} : {}
    if (this.flags['dry-run']) return {outcome: 'planned', plan, ...withMoves, elapsedMs: 0}
    if (!moves) await this.confirm(`Remove ${words.join(', ')}?`)
    const outcome = await removeNodes(session, plan, {
      deadlineMs: DEADLINE_MS,
      signal: this.stopSignal,
      listener: this.listener(),
      redirectMs: moves ? REDIRECT_MS : 0,
    })
    const elapsedMs = performance.now() - startedAt
    const names = plan.victims.map(({address}) => address).join(', ')
    this.print(
      `Removed ${names} in ${formatDuration(elapsedMs)}; no node that answers knows ${plan.victims.length === 1 ? 'it' : 'them'} any more.`,
    )
    const watch = this.flags.watch
      ? await watchForgotten(
          session,
          {ids: new Set(plan.victims.map(({id}) => id))},
          {notTold: outcome.notTold, signal: this.stopSignal, listener: this.listener()},
        )
      : undefined
    if (watch) this.print(`Watched for ${formatDuration(watch.watchedMs)}: no node knows them again.`)
    this.#warn(outcome)
    return {outcome: 'removed', plan, ...outcome, ...withMoves, elapsedMs, ...(watch ? {watch} : {})}
  }

  /** A living node can be asked about itself; a dead one cannot. */
  async #open(seeds: readonly string[] | undefined, victims: readonly string[]): Promise<ClusterSession> {
    try {
      return await this.openCluster(seeds)
    } catch (error) {
      if (!(error instanceof NodeError) || seeds?.[0] !== victims[0]) throw error
      throw new NodeError(error.failure, error.address, error.message, {
        suggestions: [`A dead node is removed through a living one: rcluster del-node LIVING ${victims[0]}`],
        cause: error.cause,
      })
    }
  }

  #warn({notReset, notTold}: RemovalOutcome): void {
    if (notReset.length > 0) {
      this.warnOperator(
        `${notReset.join(', ')} did not answer and still ${notReset.length === 1 ? 'believes itself a member' : 'believe themselves members'}: CLUSTER RESET there before anything else when back.`,
      )
    }
    if (notTold.length > 0) {
      this.warnOperator(
        `${notTold.join(', ')} did not answer and will make the others know the removed nodes again: run the command again when all are back, or remove those as well.`,
      )
    }
  }

  /** "SEED NODE…" where the first of several words is an address and no --seed was given, else all are victims. */
  #words(): {seeds: readonly string[] | undefined; victims: readonly string[]} {
    const words = this.args.nodes ?? []
    const [first, ...others] = words
    if (first === undefined) {
      throw new UsageError('del-node needs the nodes that are to leave', {
        suggestions: ['rcluster del-node 127.0.0.1:7000 127.0.0.1:7006'],
      })
    }
    if (others.length > 0 && this.flags.seed === undefined && parseNodeReference(first).kind === 'address') {
      return {seeds: [first], victims: others}
    }
    const isLoneAddress = !this.isClusterNamed && parseNodeReference(first).kind === 'address'
    return {seeds: isLoneAddress ? [first] : undefined, victims: words}
  }
}
