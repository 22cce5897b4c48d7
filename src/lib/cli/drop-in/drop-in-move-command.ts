/** What do the commands of the drop-in form that move slots have in common? */
import type {Command} from '@oclif/core/command'
import {chooseMovers} from '../../engine/choose-movers.ts'
import type {EngineListener} from '../../engine/events.ts'
import {waitUntilFitForJoins} from '../../engine/newcomers.ts'
import {DEFAULT_MAX_PAUSE_MS, limitsForKeys} from '../../engine/pace.ts'
import type {RunOptions} from '../../engine/run-moves.ts'
import type {ClusterSession} from '../../engine/session.ts'
import type {MovePlan} from '../../plan/plan.ts'
import type {GrowingLine} from '../../render/drop-in/moves.ts'
import {DropInCommand} from './drop-in-command.ts'
import {GrowingLines} from './growing-lines.ts'
import {SaidFailure} from './said.ts'

export abstract class DropInMoveCommand<T extends typeof Command = typeof Command> extends DropInCommand<T> {
  #lines: GrowingLines | undefined

  /**
   * The cluster, looked at and shown as redis-cli does before it moves slots. Nodes that joined a moment ago are given
   * some seconds until all agree.
   * @returns whether it passes.
   */
  protected async checkBeforeMoves(session: ClusterSession, {listsNodes}: {listsNodes: boolean}): Promise<boolean> {
    this.complainOfUnreachable(session.topology)
    await this.lockCluster(session)
    await waitUntilFitForJoins(session, this.stopSignal).catch(() => undefined)
    this.stopSignal.throwIfAborted()
    return this.showCheck(session, {listsNodes})
  }

  /** Asks `question`, if there is one, moves the slots, and shows that by `lines`. */
  protected async carryOutAs(
    session: ClusterSession,
    plan: MovePlan,
    lines: readonly GrowingLine[],
    question?: string,
  ): Promise<void> {
    await this.#requireAtomic(session, plan)
    // What was cut off is not gone on with: these words mean the same again, as they do there.
    const intent = JSON.stringify(['drop-in', plan.kind, process.pid, Date.now()])
    const {records} = await this.planMoves(session, plan.kind, intent, () => plan)
    this.#lines = this.grow(lines)
    try {
      const ask = question === undefined ? undefined : () => question
      await this.carryOut(session, plan, intent, records, {nothingToDo: '', question: ask})
    } finally {
      this.#lines.end()
    }
  }

  protected grow(lines: readonly GrowingLine[]): GrowingLines {
    return new GrowingLines(lines, (text) => process.stdout.write(text))
  }

  protected override listener(): EngineListener {
    return (event) => this.#lines?.hear(event)
  }

  protected override runOptions(): Partial<RunOptions> {
    const {pipeline, 'migrate-timeout': migrateTimeoutMs} = this.options
    return {
      mayFollow: true,
      migrateTimeoutMs,
      ...(pipeline === undefined ? {} : {limits: limitsForKeys(pipeline, DEFAULT_MAX_PAUSE_MS)}),
    }
  }

  protected override resumeLine(): string {
    return 'What is left of it:'
  }

  async #requireAtomic(session: ClusterSession, {moves}: MovePlan): Promise<void> {
    if (!this.options.atomic) return
    const movers = await chooseMovers(session, moves, 'auto')
    const without = movers.find(({mover}) => mover === 'migrate')
    if (!without) return
    const why = without.reason ?? 'these servers have no atomic slot migration'
    throw new SaidFailure(
      `[ERR] ${why}: leave --cluster-use-atomic-slot-migration out, and the keys travel by MIGRATE.`,
    )
  }
}
