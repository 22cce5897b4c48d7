import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {seedsFromWords} from '../lib/cli/cluster-command.ts'
import {changeFlags, duration, lockFlags, planFlags} from '../lib/cli/flags.ts'
import {type GivenPlan, PlannedCommand} from '../lib/cli/planned-command.ts'
import {readClusterNodes} from '../lib/engine/cluster-nodes.ts'
import {restoreHeld} from '../lib/engine/hold-setting.ts'
import {DEFAULT_MAX_PAUSE_MS} from '../lib/engine/pace.ts'
import {allowedPart, lookForRepairs, type RepairOutcome, runRepairs} from '../lib/engine/run-repairs.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {CancelledError, type ClusterError, InterruptedError, RefusedError} from '../lib/errors.ts'
import {inspect} from '../lib/findings/inspect.ts'
import {slotsGivenUp} from '../lib/plan/consent.ts'
import {slotsOfRepair} from '../lib/plan/repair.ts'
import type {Repair, RepairPlan} from '../lib/plan/repair-plan.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {describeRepair, flagsFor, renderRepairPlan} from '../lib/render/repairs.ts'
import {SLOT_COUNT} from '../lib/slots/slot.ts'
import {formatSlots} from '../lib/slots/slot-ranges.ts'
import {saveBeforeState} from '../lib/state/before-state.ts'
import {type RunRecord, readRuns, startedMoves} from '../lib/state/run-journal.ts'
import {labelId, seedAddress} from '../lib/topology/queries.ts'

interface FixReport {
  readonly outcome: 'done' | 'planned' | 'nothing-to-do'
  readonly plan: RepairPlan
  readonly done: readonly Repair[]
  readonly keysMoved: number
  readonly elapsedMs: number
  /** The file that tells what the cluster was like before, where something was done that cannot be undone. */
  readonly beforeState?: string
}

export default class Fix extends PlannedCommand<typeof Fix> {
  static override summary = 'Put slots in order: open, uncovered, doubted ones, and keys that are out of reach.'

  static override description = [
    'Shows each repair with its grounds and its risk. --yes carries out the safe ones; the others need --allow disruptive or --accept-data-loss. A move that was cut off is finished the way it was going, and keys that two nodes hold are compared.',
    'Exit codes: 0 the slots are in order; 2 the words make no sense; 3 something is left, and nothing was changed; 4 a node did not answer, or said no; 5 part of it was repaired; 130 stopped.',
  ].join('\n\n')
  static override usage = '<%= command.id %> [SEED...]'

  static override examples = [
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --dry-run',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --yes',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --yes --allow disruptive',
  ]

  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }

  static override flags = {
    ...changeFlags,
    ...lockFlags,
    ...planFlags,
    allow: Flags.option({options: ['disruptive'] as const})({
      summary: 'Also repairs that clients notice, such as a replica that takes over.',
    }),
    'accept-data-loss': Flags.string({
      summary: 'Also repairs that give up keys: of these slots, or of the shard of this node.',
      helpValue: 'SLOTS|NODE|all',
    }),
    'on-conflict': Flags.option({options: ['fail', 'source', 'target'] as const})({
      summary: 'Whose copy wins when two nodes hold a key with different values; target: where it belongs.',
      default: 'fail',
    }),
    'search-multiple-owners': Flags.boolean({
      summary: 'Count the keys of every slot on every node, also where nothing hints at stray ones.',
      aliases: ['cluster-search-multiple-owners'],
      default: false,
    }),
    'with-unreachable-primaries': Flags.boolean({
      summary: 'Repair although primaries are out of reach that may know better.',
      aliases: ['cluster-fix-with-unreachable-primaries', 'cluster-fix-with-unreachable-masters'],
      default: false,
    }),
    'max-pause': duration({
      summary: 'How long one MIGRATE should hold its source: sizes the batches, 1ms for 100 keys or 160 KB.',
      default: DEFAULT_MAX_PAUSE_MS,
      defaultHelp: async () => `${DEFAULT_MAX_PAUSE_MS}ms` as never,
    }),
  }

  async run(): Promise<FixReport> {
    const session = this.given
      ? await this.openGiven(this.given)
      : await this.openCluster(seedsFromWords(this.args.seed))
    const given = slotsGivenUp(this.flags['accept-data-loss'], session.topology)
    const isAllowed = (repair: Repair): boolean =>
      repair.risk === 'safe' ||
      (repair.risk === 'disruptive' && this.flags.allow === 'disruptive') ||
      (repair.risk === 'data-loss' && slotsOfRepair(repair).every((slot) => given.has(slot)))
    await session.requireOneCluster()
    await this.lockCluster(session)
    const records = readRuns(process.env, session.topology)
    const look = {
      intended: records.flatMap((record) => startedMoves(record, session.topology)),
      withUnreachablePrimaries: this.flags['with-unreachable-primaries'],
      search: this.flags['search-multiple-owners'] ? ('all' as const) : ('hints' as const),
    }
    const plan = await this.stoppable(lookForRepairs(session, {...look, signal: this.stopSignal}))
    const report = {plan, done: [], keysMoved: 0, elapsedMs: 0}
    if (this.given) this.#requireSameRepairs(this.given, session, plan)
    if (plan.repairs.length === 0 && plan.obstacles.length === 0) {
      await this.savePlan(plan, session.topology)
      this.print(`Nothing to repair: all ${SLOT_COUNT} slots are covered, closed and agreed on.`)
      this.#warnOfErrors(session)
      return {outcome: 'nothing-to-do', ...report}
    }
    this.print(renderRepairPlan(plan, session.topology, this.style))
    await this.savePlan(plan, session.topology)
    if (this.flags['dry-run']) return {outcome: 'planned', ...report}
    const allowed = plan.repairs.filter((repair) => allowedPart(repair, isAllowed))
    if (allowed.length === 0) throw this.#refusal(session, plan)
    await this.confirm(this.#question(allowed, plan))
    // Further repairs turn up on the way.
    const mayLose = this.flags.allow !== undefined || given.size > 0
    const saved = mayLose ? {beforeState: await this.#saveBefore(session, plan)} : {}
    const outcome = await runRepairs(session, plan, {
      ...look,
      isAllowed,
      conflicts: this.flags['on-conflict'],
      maxPauseMs: this.flags['max-pause'],
      stop: this.stopSignal,
      abort: this.abortSignal,
      listener: this.listener(),
    })
    await this.#restoreSettings(session, records)
    const {done, keysMoved, elapsedMs} = outcome
    if (!outcome.isInOrder) throw this.#incomplete(session, plan, outcome, saved)
    const what = keysMoved > 0 ? ` with ${plural(keysMoved, 'key')} moved` : ''
    this.print(
      `${plural(done.length, 'repair')} done in ${formatDuration(elapsedMs)}${what}; all ${SLOT_COUNT} slots are covered, closed and agreed on.`,
    )
    if (outcome.notServing.length > 0) {
      const names = outcome.notServing.map((id) => labelId(session.topology, id)).join(', ')
      this.warnOperator(`cluster_state is still fail on ${names}: see with rcluster check why.`)
    }
    return {outcome: 'done', plan, done, keysMoved, elapsedMs, ...saved}
  }

  protected override applySaved(): Promise<FixReport> {
    return this.run()
  }

  /**
   * Repairs are found anew by a look at what is there; those of a saved plan that it does not ask for any more are done.
   * What one repair uncovers, such as keys that can travel now, is of the same slots and of no other risk.
   */
  #requireSameRepairs(given: GivenPlan, session: ClusterSession, {repairs}: RepairPlan): void {
    const saved = given.file.plan as RepairPlan
    const slots = new Set(saved.repairs.flatMap((repair) => slotsOfRepair(repair)))
    const risks = new Set<string>(['safe', ...saved.repairs.map(({risk}) => risk)])
    const shifts = repairs.flatMap((repair) => {
      const others = slotsOfRepair(repair).filter((slot) => !slots.has(slot))
      const what = describeRepair(repair, session.topology)
      if (others.length > 0) return [`slots ${formatSlots(others)} are out of order now: ${what}`]
      return risks.has(repair.risk) ? [] : [`slots ${repair.slots} need more now (${repair.risk}): ${what}`]
    })
    this.requireNoShift(given, shifts)
  }

  /** What passes by itself, as after a start, or is not repaired here, such as a dead replica. */
  #warnOfErrors({topology}: ClusterSession): void {
    const [first, ...more] = inspect(topology).filter(({severity}) => severity === 'error')
    if (!first) return
    const and = more.length === 0 ? '' : `, and ${more.length} more`
    this.warnOperator(
      `The cluster is not healthy all the same: ${first.message}${and}; see rcluster check ${seedAddress(topology)}`,
    )
  }

  /** @throws RefusedError when it cannot be saved: what cannot be undone is not begun then. */
  async #saveBefore(session: ClusterSession, plan: RepairPlan): Promise<string> {
    const words = await readClusterNodes(session)
    try {
      const file = saveBeforeState(process.env, 'fix', plan, session.topology, words)
      this.print(`What every node says now is saved in ${file}`)
      return file
    } catch (error) {
      throw new RefusedError(
        'unfit-folder',
        `nothing was changed: what the nodes say now could not be saved (${(error as Error).message})`,
        {suggestions: ['Make room, or name another folder: XDG_STATE_HOME'], cause: error},
      )
    }
  }

  #question(allowed: readonly Repair[], {repairs}: RepairPlan): string {
    const isLossy = allowed.some(({risk}) => risk === 'data-loss')
    const loss = isLossy ? ', and give up keys as --accept-data-loss allows' : ''
    if (allowed.length === repairs.length) return `Carry out ${plural(repairs.length, 'repair')}${loss}?`
    const numbers = formatSlots(allowed.map((repair) => repairs.indexOf(repair) + 1))
    return `Carry out ${allowed.length} of ${plural(repairs.length, 'repair')} (${numbers})${loss}?`
  }

  /** What runs that were cut off had changed for their time. Their records stay: they may have more to do. */
  async #restoreSettings(session: ClusterSession, records: readonly RunRecord[]): Promise<void> {
    await restoreHeld(
      session,
      records.flatMap((record) => record.held ?? []),
      this.listener(),
    )
  }

  #refusal(session: ClusterSession, plan: RepairPlan): ClusterError {
    const [first] = plan.obstacles
    const message =
      plan.repairs.length > 0
        ? `nothing was changed: ${plan.repairs.length === 1 ? 'the repair needs' : 'the repairs need'} to be allowed`
        : `nothing was changed: ${first?.message}`
    return new RefusedError(plan.repairs.length > 0 ? 'uncovered-slots' : 'unreachable-nodes', message, {
      details: {plan},
      suggestions: this.#whatNext(session, plan),
    })
  }

  /** The command that would do what is left, and what else can be done about it. */
  #whatNext(session: ClusterSession, {repairs, obstacles}: RepairPlan): string[] {
    const lossy = repairs.filter(({risk}) => risk === 'data-loss')
    const flags = flagsFor(repairs.filter((repair) => !lossy.includes(repair)))
    const command = `rcluster fix ${seedAddress(session.topology)} --yes`
    // Each consent for itself: a line that is copied must not give up more than it has to.
    return [
      ...(flags.length > 0 ? [`${command} ${flags.join(' ')}`] : []),
      ...(lossy.length > 0 ? [`Only where the keys are lost for good: ${command} ${flagsFor(lossy).join(' ')}`] : []),
      ...obstacles.flatMap(({suggestions}) => suggestions),
    ]
  }

  #incomplete(
    session: ClusterSession,
    plan: RepairPlan,
    outcome: RepairOutcome,
    saved: {readonly beforeState?: string},
  ): ClusterError {
    const {topology} = session
    const {done, failures, left, keysMoved} = outcome
    const reasons = failures.map(
      ({repair, error}) => `${describeRepair(repair, topology)} (slots ${repair.slots}): ${error.message}`,
    )
    const notAllowed = left.repairs.filter(({risk}) => risk !== 'safe')
    const told = [
      ...reasons,
      ...notAllowed.map((repair) => `not allowed: ${describeRepair(repair, topology)}`),
      ...left.obstacles.map(({message}) => message),
    ]
    const {reason} = this.stopSignal
    const stopped = outcome.isStopped ? (reason instanceof CancelledError ? 'stopped' : (reason as Error).message) : ''
    const rest = [stopped, ...told].filter((text) => text !== '').join('; ') || 'not all nodes agree yet'
    const facts = {
      details: {plan, done, left, keysMoved, ...saved},
      suggestions: [
        ...new Set([
          ...failures.flatMap(({error}) => error.suggestions),
          ...this.#whatNext(session, left),
          `rcluster fix ${seedAddress(topology)}`,
        ]),
      ],
      cause: failures[0]?.error,
    }
    const message = `${plural(done.length, 'repair')} done, then: ${rest}`
    if (outcome.isStopped && reason instanceof CancelledError) return new CancelledError(message, facts)
    // A repair that failed may have done part of its work.
    if (done.length > 0 || failures.some(({error}) => !(error instanceof RefusedError))) {
      return new InterruptedError(message, facts)
    }
    return new RefusedError('unhealthy', `nothing was changed: ${rest}`, facts)
  }
}
