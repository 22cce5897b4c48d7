/** How does a command carry out a plan of slot moves? Show, ask, record, run, tell: the same for all that move slots. */
import type {Command} from '@oclif/core/command'
import {findBigKeys} from '../engine/big-keys.ts'
import {chooseMovers} from '../engine/choose-movers.ts'
import type {EngineListener} from '../engine/events.ts'
import {restoreHeld} from '../engine/hold-setting.ts'
import {lookBeforeMoves} from '../engine/preflight.ts'
import {type RunOptions, runMoves} from '../engine/run-moves.ts'
import type {ClusterSession} from '../engine/session.ts'
import {refuseObstacles} from '../engine/verdict.ts'
import {pollUntil} from '../engine/waiting.ts'
import {estimateMoves} from '../engine/weigh-moves.ts'
import {CancelledError, type ClusterError, InterruptedError, RefusedError} from '../errors.ts'
import {requireFitForMoves} from '../findings/require.ts'
import {withBigKeys} from '../plan/big-keys.ts'
import {buildMovePlan} from '../plan/move-plan.ts'
import {outlookOf} from '../plan/outlook.ts'
import type {MovePlan, SlotMove} from '../plan/plan.ts'
import type {SavedPlan} from '../plan/plan-file.ts'
import {withLoadOf} from '../plan/planned-load.ts'
import {compareGround, type PlannedChanges} from '../plan/shift.ts'
import {formatDuration, plural} from '../render/amounts.ts'
import {moveMetrics} from '../render/move-metrics.ts'
import {renderOpenMetrics} from '../render/open-metrics.ts'
import {renderMovePlan} from '../render/plan.ts'
import {initialProgress, reduceProgress} from '../render/progress.ts'
import {formatResumeCommands} from '../render/resume-command.ts'
import {requireReportFile, writeReportFile} from '../state/report-file.ts'
import {beginRun, endRun, leftOfRun, noteHeld, type RunRecord, readRuns, startedMoves} from '../state/run-journal.ts'
import {formatAddress, type NodeAddress, type Topology} from '../topology/model.ts'
import type {MoveFlags} from './move-flags.ts'
import {type GivenPlan, PlannedCommand} from './planned-command.ts'

export interface MoveReport {
  readonly outcome: 'done' | 'planned' | 'nothing-to-do'
  readonly plan: MovePlan
  readonly slotsMoved: number
  /** Of those, how many the servers moved by themselves. */
  readonly slotsMovedAtomically: number
  readonly keysMoved: number
  readonly elapsedMs: number
}

/** New clusters and joins settle within seconds: a cluster that is unfit is given that long before it is refused. */
const FIT_DEADLINE_MS = 8000

export abstract class MoveCommand<T extends typeof Command> extends PlannedCommand<T> {
  /** What --metrics tells. */
  #measured = initialProgress(performance.now())

  /**
   * The plan of this command: what an earlier run of the same command left undone, or what `planAnew` gives.
   * @param intent equal for two runs that ask for the same.
   * @param named moves that the operator asked for by slot number: these may be open.
   */
  protected async planMoves(
    session: ClusterSession,
    kind: MovePlan['kind'],
    intent: string,
    planAnew: (topology: Topology, started: readonly SlotMove[]) => MovePlan | Promise<MovePlan>,
    named: (topology: Topology) => readonly SlotMove[] = () => [],
  ): Promise<{plan: MovePlan; records: readonly RunRecord[]}> {
    await session.requireOneCluster()
    await this.lockCluster(session)
    const records = readRuns(process.env, session.topology)
    const startedIn = (topology: Topology): SlotMove[] => [
      ...records.flatMap((record) => startedMoves(record, topology)),
      ...named(topology),
    ]
    const topology = await this.fitTopology(session, startedIn)
    const same = records.find((record) => record.intent === intent)
    const left = same && leftOfRun(same, topology, new Date())
    if (same && left) {
      const done = same.plan.moves.length - left.length
      this.note(`Going on with the run of ${same.startedAt}: ${done} of ${same.plan.moves.length} slots have moved.`)
      return {plan: withLoadOf(same.plan, buildMovePlan(topology, kind, left, []), topology), records}
    }
    return {plan: await planAnew(topology, uniqueBySlot(startedIn(topology))), records}
  }

  /**
   * What is left of the moves of a saved plan, carried out.
   * @throws RefusedError 'stale-plan' when the ground has shifted.
   */
  protected async carryOutSaved(
    session: ClusterSession,
    given: GivenPlan,
    plan: MovePlan,
    changes: PlannedChanges,
    question: ((plan: MovePlan) => string) | undefined,
  ): Promise<MoveReport> {
    await this.lockCluster(session)
    const {moves, kind} = plan
    const {cluster} = given.file
    // What gossip has not settled yet is no shift.
    const topology = await this.fitTopology(session, (now) => [...compareGround(cluster, now, changes).left])
    const {left} = this.requireGround(session, given, changes)
    if (left.length > 0 && left.length < moves.length) {
      this.note(`Going on with the plan: ${moves.length - left.length} of ${moves.length} slots have moved.`)
    }
    const intent = JSON.stringify(['apply', given.file.createdAt, cluster.fingerprint])
    const ours = new Map(left.map((move) => [move.slot, move]))
    const isOurs = ({slot, from, to}: SlotMove): boolean => ours.get(slot)?.from === from && ours.get(slot)?.to === to
    const records = readRuns(process.env, topology).filter((record) => startedMoves(record, topology).every(isOurs))
    const rest = withLoadOf(plan, buildMovePlan(topology, kind, left, []), topology)
    return this.carryOut(session, rest, intent, records, {
      nothingToDo:
        moves.length === 0
          ? 'Nothing to do: the plan moves no slot.'
          : `Nothing to do: ${moves.length === 1 ? 'the slot has' : `all ${moves.length} slots have`} moved already.`,
      question,
    })
  }

  /** Of commands that only move slots. */
  protected override async applySaved(given: GivenPlan): Promise<object> {
    const plan = given.file.plan as MovePlan
    const session = await this.openGiven(given)
    return this.carryOutSaved(
      session,
      given,
      plan,
      {moves: plan.moves},
      ({moves}) => `Move ${plural(moves.length, 'slot')}?`,
    )
  }

  /** What --out writes for moves: of commands that do more than move, all of it. */
  protected planWithMoves(_session: ClusterSession, plan: MovePlan): SavedPlan {
    return plan
  }

  /** @throws RefusedError when the cluster stays unfit for moves. */
  protected async fitTopology(
    session: ClusterSession,
    startedIn: (topology: Topology) => SlotMove[],
  ): Promise<Topology> {
    let refusal: unknown
    const fit = await pollUntil(
      async () => {
        const topology = session.topology
        try {
          requireFitForMoves(topology, {resumable: startedIn(topology)})
          return topology
        } catch (error) {
          refusal = error
          // Only what gossip mends by itself is worth a wait.
          if (!(error instanceof RefusedError && (error.reason === 'disagreement' || error.reason === 'unhealthy')))
            throw error
          await session.refresh()
          return undefined
        }
      },
      {deadlineMs: FIT_DEADLINE_MS, maxIntervalMs: 200, signal: this.stopSignal},
    )
    if (fit) return fit
    throw refusal
  }

  /** Options of the run beside those that the flags give. */
  protected runOptions(): Partial<RunOptions> {
    return {}
  }

  /** What stands before the commands for what is left. */
  protected resumeLine(): string {
    return this.applyLine === undefined
      ? 'Run the same command again to go on, or what is left of it:'
      : `Go on with ${this.applyLine}, or what is left of it:`
  }

  /** Shows the plan and, after a yes, carries it out. */
  protected async carryOut(
    session: ClusterSession,
    planned: MovePlan,
    intent: string,
    records: readonly RunRecord[],
    words: {
      /** Printed when the plan is empty. */
      readonly nothingToDo: string
      /** Asked before anything moves; undefined: was asked before. */
      readonly question: ((plan: MovePlan) => string) | undefined
    },
  ): Promise<MoveReport> {
    const flags = this.flags as unknown as MoveFlags
    const {'max-bandwidth': maxBytesPerSecond, metrics} = flags
    if (metrics !== undefined) requireReportFile('--metrics', metrics, false)
    await this.lockCluster(session)
    const ahead = await this.#lookAhead(session, planned)
    const verdict = await this.stoppable(lookBeforeMoves(session, ahead, {isAtomicOnly: flags.mover === 'atomic'}))
    const estimate = await this.stoppable(estimateMoves(session, ahead, maxBytesPerSecond))
    const started = new Set(records.flatMap((record) => startedMoves(record, session.topology)).map(({slot}) => slot))
    const outlook = outlookOf(ahead, {estimate, lossReason: verdict.lossReason, started})
    const plan = {...ahead, outlook, warnings: [...ahead.warnings, ...verdict.warnings]}
    const report = {plan, slotsMoved: 0, slotsMovedAtomically: 0, keysMoved: 0, elapsedMs: 0}
    if (plan.moves.length === 0) {
      if (!flags['dry-run']) await this.tidyUp(session, records)
      this.print(
        planned.moves.length > 0
          ? renderMovePlan(plan, session.topology, this.style, flags.explain)
          : words.nothingToDo,
      )
      if (this.isSaving) await this.savePlan(this.planWithMoves(session, plan), session.topology)
      if (!flags['dry-run']) this.#writeMetrics(plan, performance.now(), true)
      return {outcome: 'nothing-to-do', ...report}
    }
    this.print(renderMovePlan(plan, session.topology, this.style, flags.explain))
    refuseObstacles(verdict)
    if (this.isSaving) await this.savePlan(this.planWithMoves(session, plan), session.topology)
    if (flags['dry-run']) return {outcome: 'planned', ...report}
    if (words.question !== undefined) await this.confirm(words.question(plan))
    const own = this.record(intent, plan)
    const startedAt = performance.now()
    let isDone = false
    try {
      const outcome = await runMoves(session, plan, {
        stop: this.stopSignal,
        abort: this.abortSignal,
        ready: async () => this.lock?.ready(),
        listener: this.#measuring(this.listener()),
        conflicts: flags['on-conflict'],
        concurrency: flags.concurrency,
        maxPauseMs: flags['max-pause'],
        maxBytesPerSecond,
        patienceMs: flags.patience,
        isAtomicOnly: flags.mover === 'atomic',
        onHeld: (held) => own && noteHeld(own, held),
        ...this.runOptions(),
      })
      if (outcome.kind === 'stopped') throw this.#stopped(session, plan, outcome.slotsMoved, outcome.left)
      isDone = true
      const {slotsMoved, slotsMovedAtomically, keysMoved, elapsedMs} = outcome
      const what = `${plural(slotsMoved, 'slot')} with ${plural(keysMoved, 'key')}`
      this.print(`Moved ${what} in ${formatDuration(elapsedMs)}; all nodes agree.`)
      // Said first: whoever is cut off before that finds the run recorded, and as done.
      if (own) endRun(own)
      return {outcome: 'done', plan, slotsMoved, slotsMovedAtomically, keysMoved, elapsedMs}
    } catch (error) {
      // What an earlier run had begun is only known from this record now.
      if (own && error instanceof RefusedError && records.length === 0) endRun(own)
      throw this.#withResumeCommands(error, session)
    } finally {
      this.#writeMetrics(plan, startedAt, isDone)
      await this.tidyUp(session, records)
    }
  }

  #measuring(listener: EngineListener): EngineListener {
    return (event) => {
      this.#measured = reduceProgress(this.#measured, event, performance.now())
      listener(event)
    }
  }

  /** A file that cannot be written costs the metrics, not the work. */
  #writeMetrics(plan: MovePlan, startedAt: number, isDone: boolean): void {
    const {metrics} = this.flags as unknown as MoveFlags
    if (metrics === undefined) return
    const families = moveMetrics({
      command: this.commandName,
      slotsPlanned: plan.moves.length,
      state: this.#measured,
      isDone,
      endedAt: new Date(),
      elapsedMs: performance.now() - startedAt,
    })
    try {
      writeReportFile('--metrics', metrics, `${renderOpenMetrics(families)}\n`, false)
    } catch (error) {
      this.note((error as Error).message)
    }
  }

  /** Which way each pair goes, and what large keys on the way mean; servers that move slots by themselves do not mind them. */
  async #lookAhead(session: ClusterSession, planned: MovePlan): Promise<MovePlan> {
    const flags = this.flags as unknown as MoveFlags
    const isThrottled = flags['max-bandwidth'] !== undefined
    const movers = await chooseMovers(session, planned.moves, flags.mover, {isThrottled})
    const plan = {...planned, movers}
    const thresholdBytes = flags['skip-big']
    const isSkipping = thresholdBytes !== undefined
    const byHand = new Set(movers.filter(({mover}) => mover === 'migrate').map(({from, to}) => `${from} ${to}`))
    const concerned = plan.moves.filter(({from, to}) => isSkipping || byHand.has(`${from} ${to}`))
    if (concerned.length === 0) return plan
    if (isSkipping) this.note('Looking at every key for --skip-big.')
    const options = {thresholdBytes, isThorough: isSkipping, signal: this.stopSignal}
    const survey = await this.stoppable(findBigKeys(session, concerned, options))
    return withBigKeys(session.topology, plan, survey, {isSkipping})
  }

  /** After runs that were cut off: what they had changed for their time is restored, and their records go. */
  protected async tidyUp(session: ClusterSession, records: readonly RunRecord[]): Promise<void> {
    await restoreHeld(
      session,
      records.flatMap((record) => record.held ?? []),
      this.listener(),
    )
    for (const record of records) endRun(record)
  }

  /** A state folder that cannot be written to costs the memory of an interruption, not the work. */
  protected record(intent: string, plan: MovePlan): RunRecord | undefined {
    try {
      return beginRun(process.env, intent, plan)
    } catch (error) {
      this.note(
        `This run is not recorded (${(error as Error).message}): if it is cut off, rcluster check names what is open.`,
      )
      return undefined
    }
  }

  #stopped(session: ClusterSession, plan: MovePlan, slotsMoved: number, left: readonly SlotMove[]): ClusterError {
    const reason = this.stopSignal.reason as ClusterError
    const message = `${reason.message}: ${slotsMoved} of ${plan.moves.length} slots moved, no slot is open`
    const facts = {
      details: {slotsMoved, left: left.length},
      suggestions: [this.resumeLine(), ...formatResumeCommands(left, session.topology, livingSeed(session))],
    }
    return reason instanceof CancelledError ? new CancelledError(message, facts) : new InterruptedError(message, facts)
  }

  #withResumeCommands(error: unknown, session: ClusterSession): unknown {
    if (!(error instanceof InterruptedError)) return error
    const {left = [], ...details} = error.details as {left?: readonly SlotMove[]}
    const goOn =
      left.length > 0 ? [this.resumeLine(), ...formatResumeCommands(left, session.topology, livingSeed(session))] : []
    const facts = {
      details: {...details, left: left.length},
      suggestions: [...error.suggestions, ...goOn],
      cause: error.cause,
    }
    return this.abortSignal.reason instanceof CancelledError
      ? new CancelledError(error.message, facts)
      : new InterruptedError(error.message, facts)
  }
}

/** The one that was named, unless it does not answer any more: then the command would not either. */
function livingSeed({seed, topology}: ClusterSession): NodeAddress {
  const named = topology.nodes.find(({address}) => formatAddress(address) === formatAddress(seed))
  const isSilent = named !== undefined && named.reach.kind !== 'reached'
  return isSilent ? (topology.nodesById.get(topology.seedId)?.address ?? seed) : seed
}

function uniqueBySlot(moves: readonly SlotMove[]): SlotMove[] {
  return [...new Map(moves.map((move) => [move.slot, move])).values()].sort((a, b) => a.slot - b.slot)
}
