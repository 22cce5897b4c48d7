import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {readClusterNodes} from '../../lib/engine/cluster-nodes.ts'
import {readKeyEvidence} from '../../lib/engine/key-evidence.ts'
import {lookForRepairs, type RepairOutcome, runRepairs} from '../../lib/engine/run-repairs.ts'
import type {ClusterSession} from '../../lib/engine/session.ts'
import {slotsOfRepair} from '../../lib/plan/repair.ts'
import type {Repair, RepairPlan} from '../../lib/plan/repair-plan.ts'
import {renderMultipleOwners} from '../../lib/render/drop-in/multiple-owners.ts'
import {renderSummary} from '../../lib/render/drop-in/nodes.ts'
import {coverOf, coverQuestions, renderRepairs} from '../../lib/render/drop-in/repairs.ts'
import {describeRepair} from '../../lib/render/repairs.ts'
import {saveBeforeState} from '../../lib/state/before-state.ts'
import {readRuns, startedMoves} from '../../lib/state/run-journal.ts'

/** What one round has mended may show more, such as keys that can be seen now. */
const MAX_ROUNDS = 4

export default class DropInFix extends DropInCommand<typeof DropInFix> {
  static override summary = 'redis-cli --cluster fix'

  /** Slots of which somebody said that they may be covered. */
  readonly #accepted = new Set<number>()
  readonly #declined = new Set<string>()

  async run(): Promise<object> {
    const session = await this.openCluster(await this.seedWords())
    this.complainOfUnreachable(session.topology)
    await this.lockCluster(session)
    this.say(renderSummary(session.topology))
    const isFine = this.showCheck(session)
    if (this.options['search-multiple-owners']) {
      const evidence = await this.stoppable(readKeyEvidence(session, [], 'all'))
      this.say(renderMultipleOwners(session.topology, evidence).text)
    }
    const look = this.#lookOptions(session)
    let plan = await this.stoppable(lookForRepairs(session, {...look, signal: this.stopSignal}))
    let outcome: RepairOutcome | undefined
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await this.#ask(plan)
      const allowed = plan.repairs.filter(this.#isAllowed)
      if (allowed.length === 0) break
      this.say(renderRepairs(allowed, session.topology))
      // Said by the native form only: scripts know the lines of this one.
      if (allowed.some(({risk}) => risk !== 'safe')) {
        saveBeforeState(process.env, 'fix', plan, session.topology, await readClusterNodes(session))
      }
      outcome = await runRepairs(session, plan, {
        ...look,
        isAllowed: this.#isAllowed,
        conflicts: this.options['on-conflict'],
        stop: this.stopSignal,
        abort: this.abortSignal,
        listener: this.listener(),
      })
      this.endDots()
      this.stopSignal.throwIfAborted()
      plan = outcome.left
      if (outcome.done.length === 0 || outcome.failures.length > 0) break
    }
    // Gossip may have mended it meanwhile.
    if (outcome || !isFine) this.showCheck(session, {listsNodes: false})
    this.#tell(session, plan, outcome)
    return {}
  }

  #lookOptions(session: ClusterSession): Parameters<typeof lookForRepairs>[1] & object {
    const records = readRuns(process.env, session.topology)
    return {
      intended: records.flatMap((record) => startedMoves(record, session.topology)),
      withUnreachablePrimaries: this.options['fix-with-unreachable'],
      search: this.options['search-multiple-owners'] ? 'all' : undefined,
      takesBackUnopened: true,
    }
  }

  /** As there, --cluster-yes does not answer for slots that nobody serves. */
  async #ask(plan: RepairPlan): Promise<void> {
    const open = {...plan, repairs: plan.repairs.filter((repair) => this.#isRiskTaken(repair))}
    for (const {repairs, text, question} of coverQuestions(open)) {
      const slots = repairs.flatMap(slotsOfRepair)
      if (slots.every((slot) => this.#accepted.has(slot)) || this.#declined.has(text)) continue
      this.say(text)
      if (await this.isAccepted(question)) for (const slot of slots) this.#accepted.add(slot)
      else this.#declined.add(text)
    }
  }

  /** What may cost keys or writes takes the option that says so, as there. */
  #isRiskTaken({risk}: Repair): boolean {
    return risk === 'safe' || this.options['fix-with-unreachable']
  }

  readonly #isAllowed = (repair: Repair): boolean =>
    this.#isRiskTaken(repair) &&
    (coverOf(repair) === undefined || slotsOfRepair(repair).every((slot) => this.#accepted.has(slot)))

  /** @throws SaidFailure when the slots are not in order. */
  #tell(session: ClusterSession, plan: RepairPlan, outcome: RepairOutcome | undefined): void {
    const {topology} = session
    const isInOrder = plan.repairs.length === 0 && plan.obstacles.length === 0 && (outcome?.isInOrder ?? true)
    if (isInOrder) return
    const failures = (outcome?.failures ?? []).map(
      ({repair, error}) => `${describeRepair(repair, topology)} (slots ${repair.slots}): ${error.message}`,
    )
    const failed = new Set((outcome?.failures ?? []).map(({repair}) => repair))
    const left = plan.repairs
      .filter((repair) => !failed.has(repair))
      .map((repair) => `not done: ${describeRepair(repair, topology)} (slots ${repair.slots}): ${repair.why}`)
    const lines = [...failures, ...left, ...plan.obstacles.map(({message}) => message)]
    const isRisky = plan.obstacles.length > 0 || plan.repairs.some(({risk}) => risk !== 'safe')
    if (isRisky && !this.options['fix-with-unreachable']) {
      lines.push('what that may cost is taken with --cluster-fix-with-unreachable-primaries (or -masters)')
    }
    throw new SaidFailure(
      (lines.length > 0 ? lines : ['not all nodes agree yet']).map((line) => `[ERR] ${line}`).join('\n'),
    )
  }
}
