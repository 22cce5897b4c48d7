import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {changeFlags, duration} from '../lib/cli/flags.ts'
import {restoreSettings} from '../lib/engine/hold-setting.ts'
import {DEFAULT_MAX_PAUSE_MS} from '../lib/engine/pace.ts'
import {lookForRepairs, type RepairOutcome, runRepairs} from '../lib/engine/run-repairs.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {CancelledError, type ClusterError, InterruptedError, RefusedError, UsageError} from '../lib/errors.ts'
import {slotsOfRepair} from '../lib/plan/repair.ts'
import type {Repair, RepairPlan} from '../lib/plan/repair-plan.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {describeRepair, flagsFor, renderRepairPlan} from '../lib/render/repairs.ts'
import {SLOT_COUNT} from '../lib/slots/slot.ts'
import {formatSlots, parseRanges, slotsInRanges} from '../lib/slots/slot-ranges.ts'
import {isAlive, type RunRecord, readRuns, startedMoves} from '../lib/state/run-journal.ts'
import {seedAddress} from '../lib/topology/queries.ts'

interface FixReport {
  readonly outcome: 'done' | 'planned' | 'nothing-to-do'
  readonly plan: RepairPlan
  readonly done: readonly Repair[]
  readonly keysMoved: number
  readonly elapsedMs: number
}

export default class Fix extends ClusterCommand<typeof Fix> {
  static override summary = 'Put slots in order: open, uncovered, doubted ones, and keys that are out of reach.'

  static override description = [
    'Shows each repair with its grounds and its risk. --yes carries out the safe ones; the others need --allow disruptive or --accept-data-loss. A move that was cut off is finished the way it was going, and keys that two nodes hold are compared.',
    'Exit codes: 0 the slots are in order; 2 the words make no sense; 3 something is left, and nothing was changed; 4 a node did not answer, or said no; 5 part of it was repaired; 130 stopped.',
  ].join('\n\n')
  static override usage = '<%= command.id %> [SEED]'

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
    allow: Flags.option({options: ['disruptive'] as const})({
      summary: 'Also repairs that clients notice, such as a replica that takes over.',
    }),
    'accept-data-loss': Flags.string({
      summary: 'Also repairs that give up keys, of these slots.',
      helpValue: 'SLOTS|all',
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
    const given = this.#givenUp()
    const isAllowed = (repair: Repair): boolean =>
      repair.risk === 'safe' ||
      (repair.risk === 'disruptive' && this.flags.allow === 'disruptive') ||
      (repair.risk === 'data-loss' && slotsOfRepair(repair).every((slot) => given.has(slot)))
    const session = await this.openCluster(seedFromWords(this.args.seed))
    await session.requireOneCluster()
    const records = this.#records(session)
    const look = {
      intended: records.flatMap((record) => startedMoves(record, session.topology)),
      withUnreachablePrimaries: this.flags['with-unreachable-primaries'],
      search: this.flags['search-multiple-owners'] ? ('all' as const) : ('hints' as const),
    }
    const plan = await this.stoppable(lookForRepairs(session, {...look, signal: this.stopSignal}))
    const report = {plan, done: [], keysMoved: 0, elapsedMs: 0}
    if (plan.repairs.length === 0 && plan.obstacles.length === 0) {
      this.print(`Nothing to repair: all ${SLOT_COUNT} slots are covered, closed and agreed on.`)
      return {outcome: 'nothing-to-do', ...report}
    }
    this.print(renderRepairPlan(plan, session.topology, this.style))
    if (this.flags['dry-run']) return {outcome: 'planned', ...report}
    const allowed = plan.repairs.filter(isAllowed)
    if (allowed.length === 0) throw this.#refusal(session, plan)
    await this.confirm(this.#question(allowed, plan))
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
    if (!outcome.isInOrder) throw this.#incomplete(session, plan, outcome)
    const what = keysMoved > 0 ? ` with ${plural(keysMoved, 'key')} moved` : ''
    this.print(
      `${plural(done.length, 'repair')} done in ${formatDuration(elapsedMs)}${what}; all ${SLOT_COUNT} slots are covered, closed and agreed on.`,
    )
    return {outcome: 'done', plan, done, keysMoved, elapsedMs}
  }

  #givenUp(): ReadonlySet<number> {
    const text = this.flags['accept-data-loss']
    if (text === undefined) return new Set()
    if (text === 'all') return new Set(slotsInRanges([{start: 0, end: SLOT_COUNT - 1}]))
    try {
      return new Set(slotsInRanges(parseRanges(text)))
    } catch (error) {
      throw new UsageError(`--accept-data-loss: ${(error as Error).message}`, {
        suggestions: ['For example: --accept-data-loss 0-99,4000, or --accept-data-loss all'],
      })
    }
  }

  /** @throws RefusedError while another run is moving slots. */
  #records(session: ClusterSession): readonly RunRecord[] {
    const records = readRuns(process.env, session.topology)
    const busy = records.find(isAlive)
    if (!busy || this.flags['dry-run']) return records
    throw new RefusedError(
      'busy',
      `another rcluster (process ${busy.pid}, since ${busy.startedAt}) is moving slots of this cluster`,
      {suggestions: ['Wait until it is done, or stop it with Ctrl-C there']},
    )
  }

  #question(allowed: readonly Repair[], {repairs}: RepairPlan): string {
    if (allowed.length === repairs.length) return `Carry out ${plural(repairs.length, 'repair')}?`
    const numbers = formatSlots(allowed.map((repair) => repairs.indexOf(repair) + 1))
    return `Carry out ${allowed.length} of ${plural(repairs.length, 'repair')} (${numbers})?`
  }

  /** What runs that were cut off had changed for their time. Their records stay: they may have more to do. */
  async #restoreSettings(session: ClusterSession, records: readonly RunRecord[]): Promise<void> {
    const isReached = (id: string): boolean => session.topology.nodesById.get(id)?.reach.kind === 'reached'
    const held = records.flatMap((record) => record.held ?? []).filter(({id}) => isReached(id))
    await restoreSettings(
      held.map(({id, ...setting}) => ({node: session.node(id), ...setting})),
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
    const flags = flagsFor(repairs)
    return [
      ...(flags.length > 0 ? [`rcluster fix ${seedAddress(session.topology)} --yes ${flags.join(' ')}`] : []),
      ...obstacles.flatMap(({suggestions}) => suggestions),
    ]
  }

  #incomplete(session: ClusterSession, plan: RepairPlan, outcome: RepairOutcome): ClusterError {
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
    const stopped = outcome.isStopped ? 'stopped' : ''
    const rest = [stopped, ...told].filter((text) => text !== '').join('; ') || 'not all nodes agree yet'
    const facts = {
      details: {plan, done, left, keysMoved},
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
    if (outcome.isStopped && this.stopSignal.reason instanceof CancelledError) return new CancelledError(message, facts)
    // A repair that failed may have done part of its work.
    if (done.length > 0 || failures.some(({error}) => !(error instanceof RefusedError))) {
      return new InterruptedError(message, facts)
    }
    return new RefusedError('unhealthy', `nothing was changed: ${rest}`, facts)
  }
}
