import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedsFromWords} from '../lib/cli/cluster-command.ts'
import {changeFlags, duration, list, positiveInteger} from '../lib/cli/flags.ts'
import {readClusterNodes} from '../lib/engine/cluster-nodes.ts'
import {type LossLook, lookForLoss} from '../lib/engine/look-for-loss.ts'
import {runRepairs} from '../lib/engine/run-repairs.ts'
import {type ClusterSession, openSession} from '../lib/engine/session.ts'
import {orAbort, pause} from '../lib/engine/waiting.ts'
import {CancelledError, ClusterError, InterruptedError, NodeError, RefusedError, UsageError} from '../lib/errors.ts'
import {healingPart, type LostShard, slotsLost} from '../lib/plan/heal.ts'
import {slotsOfRepair} from '../lib/plan/repair.ts'
import type {Repair, RepairPlan} from '../lib/plan/repair-plan.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {renderRepairPlan} from '../lib/render/repairs.ts'
import {saveBeforeState} from '../lib/state/before-state.ts'
import {countHealings} from '../lib/state/healings.ts'
import type {NodeId} from '../lib/topology/model.ts'
import {seedAddress} from '../lib/topology/queries.ts'

interface HealAct {
  readonly plan: RepairPlan
  readonly done: readonly Repair[]
  /** The file with the plan, and with what every node said before. */
  readonly beforeState: string
}

interface HealReport {
  readonly outcome: 'healed' | 'planned' | 'nothing-to-do' | 'watched'
  /** By the last look before the last act. */
  readonly lost: readonly LostShard[]
  readonly doubts: readonly string[]
  readonly plan?: RepairPlan
  readonly acts: readonly HealAct[]
}

const GRACE_MS = 60_000
const INTERVAL_MS = 5000
const HOUR_MS = 3_600_000

export default class Heal extends ClusterCommand<typeof Heal> {
  static override summary =
    'Give the slots of a shard that is lost for good to others; with --watch, whenever that happens.'
  static override description = [
    'For a primary that has failed and has no replica to take over. Its keys are given up, so --accept-data-loss must be said. Nothing is done unless more than half of all primaries with slots say that it has failed, nobody who answers says otherwise, all agree on everything else, and every node that we cannot reach has failed for the others, too. Run once it looks once, asks, and acts at most once.',
    '--watch looks every --interval until it is stopped, and acts by itself: when a shard has been lost for --grace, for at most --max-slots in one act and --max-acts-per-hour, of which this machine keeps the count. Each act is saved as a plan, with what every node said before. Everything but the act leaves the cluster to other commands; while one of them is at work, it waits.',
    'Exit codes: 0 healed, nothing to do, or a watch that was ended; 2 the words make no sense; 3 something is lost, and nothing was changed; 4 no seed answers, or a node said no; 5 part of it was done; 130 stopped.',
  ].join('\n\n')
  static override usage = 'heal [SEED...]'
  static override examples = [
    '<%= config.bin %> heal 127.0.0.1:7000 --dry-run',
    '<%= config.bin %> heal 127.0.0.1:7000 --watch --grace 60s --max-slots 5462 --accept-data-loss --yes',
    '<%= config.bin %> heal 127.0.0.1:7000 --watch --max-slots 5462 --spare 127.0.0.1:7006 --dry-run',
  ]
  static override args = {seed: word({description: 'any node of the cluster, as host:port', multiple: true})}
  static override flags = {
    ...changeFlags,
    'accept-data-loss': Flags.boolean({
      summary: 'Give up the keys of the slots: without it nothing is done.',
      default: false,
    }),
    spare: list({
      summary: 'An empty primary of the cluster that takes the place of a lost one, instead of all others; may repeat.',
      helpValue: 'NODE',
    }),
    'max-slots': positiveInteger({summary: 'Act only where no more slots are lost; needed with --watch.', max: 16384}),
    watch: Flags.boolean({summary: 'Stay, look again and again, and act without a question.', default: false}),
    grace: duration({
      summary: 'How long a shard must have been lost, without a doubt in between.',
      default: GRACE_MS,
      defaultHelp: async () => '60s' as never,
      dependsOn: ['watch'],
    }),
    interval: duration({
      summary: 'How far looks are apart.',
      default: INTERVAL_MS,
      defaultHelp: async () => '5s' as never,
      dependsOn: ['watch'],
    }),
    'max-acts-per-hour': positiveInteger({
      summary: 'After so many in an hour a person is needed.',
      default: 1,
      dependsOn: ['watch'],
    }),
  }

  readonly #acts: HealAct[] = []
  /** Since when each shard has been lost, on the clock of this process. */
  #since = new Map<NodeId, number>()
  #said = ''

  async run(): Promise<HealReport> {
    if (this.flags.watch) this.#requireConsent()
    const session = await this.openCluster(seedsFromWords(this.args.seed))
    await session.requireOneCluster()
    const spares = await this.#spares(session)
    if (this.flags.watch) return this.#watch(session, spares)
    await this.lockCluster(session)
    const look = await this.stoppable(lookForLoss(session, spares, this.stopSignal))
    const {lost, doubts, plan} = look
    if (lost.length === 0) {
      this.print(`Nothing to heal: no primary has failed for good${doubts.length > 0 ? ` (${doubts[0]})` : ''}.`)
      return {outcome: 'nothing-to-do', lost, doubts, acts: []}
    }
    if (!plan) throw this.#refusal(session, lost, doubts)
    this.print(renderRepairPlan(plan, session.topology, this.style))
    const reason = this.#reasonNotTo(session, lost)
    if (this.flags['dry-run']) return {outcome: 'planned', lost, doubts, plan, acts: []}
    if (reason) throw this.#refusal(session, lost, [reason])
    await this.confirm(`Give up the keys of ${plural(slotsLost(lost).size, 'slot')}?`)
    await this.#act(session, look, plan)
    return {outcome: 'healed', lost, doubts, plan, acts: this.#acts}
  }

  #requireConsent(): void {
    const {'dry-run': isDry, yes, 'accept-data-loss': mayLose, 'max-slots': maxSlots} = this.flags
    if (maxSlots === undefined) {
      throw new UsageError('--watch needs --max-slots: how much may be given up without a person', {
        suggestions: ['For one of three shards: --max-slots 5462'],
      })
    }
    if (isDry || (yes && mayLose)) return
    throw new UsageError('--watch acts without a question, and gives up keys: that has to be said', {
      suggestions: ['Add --accept-data-loss --yes', 'Or only tell what would be done: --dry-run'],
    })
  }

  async #spares(session: ClusterSession): Promise<readonly NodeId[] | undefined> {
    if (!this.flags.spare) return undefined
    const nodes = await Promise.all(this.flags.spare.map((text) => this.findNode(session, text)))
    return nodes.map(({id}) => id)
  }

  async #watch(first: ClusterSession, spares: readonly NodeId[] | undefined): Promise<HealReport> {
    let session = first
    let last: LossLook | undefined
    while (!this.stopSignal.aborted) {
      try {
        last = await orAbort(lookForLoss(session, spares, this.stopSignal), this.stopSignal)
        await this.#consider(session, last, spares)
      } catch (error) {
        if (this.stopSignal.aborted && !(error instanceof InterruptedError)) break
        if (this.stopSignal.aborted || !(error instanceof ClusterError)) throw error
        this.#say(`${error.message}; looking again`)
        if (error instanceof NodeError) {
          this.#since.clear()
          session = (await this.#reopen(session)) ?? session
        }
      }
      await pause(this.flags.interval ?? INTERVAL_MS, this.stopSignal)
    }
    const reason: unknown = this.stopSignal.reason
    const isTold = reason instanceof CancelledError || (reason as ClusterError).details['failure'] === 'timeout'
    // Somebody else has taken the lock.
    if (!isTold) throw reason
    return {outcome: 'watched', lost: last?.lost ?? [], doubts: last?.doubts ?? [], acts: this.#acts}
  }

  /** After none of the nodes answered, there is none left that could tell of the others. */
  async #reopen({port, topology}: ClusterSession): Promise<ClusterSession | undefined> {
    try {
      return await openSession(
        port,
        topology.nodes.map(({address}) => address),
      )
    } catch (error) {
      if (error instanceof NodeError) return undefined
      throw error
    }
  }

  async #consider(session: ClusterSession, look: LossLook, spares: readonly NodeId[] | undefined): Promise<void> {
    const {lost, doubts, plan} = look
    if (lost.length === 0 || !plan) {
      this.#since.clear()
      if (lost.length > 0) this.#say(`Not acting: ${doubts.join('; ')}`)
      else this.#say(doubts.length > 0 ? `Nothing is lost: ${doubts[0]}` : 'Nothing is lost')
      return
    }
    const now = performance.now()
    this.#since = new Map(lost.map(({id}) => [id, this.#since.get(id) ?? now]))
    const graceMs = this.flags.grace ?? GRACE_MS
    const ripe = [...this.#since.values()].every((since) => now - since >= graceMs)
    const what = lost.map(({address, slots}) => `${address} (slots ${slots})`).join(', ')
    const reason = this.#reasonNotTo(session, lost)
    if (reason) return this.#say(`${what} is lost; not acting: ${reason}`)
    if (!ripe)
      return this.#say(`${what} is lost; its slots are given away when it has been so for ${formatDuration(graceMs)}`)
    if (this.flags['dry-run']) return this.#say(`${what} is lost: its slots would be given away now`)
    await this.lockCluster(session)
    try {
      // What was true before the lock may be so no longer.
      const again = await lookForLoss(session, spares, this.stopSignal)
      const isSame = again.lost.every(({id}) => this.#since.has(id))
      if (!again.plan || !isSame || this.#reasonNotTo(session, again.lost)) return
      this.print(renderRepairPlan(again.plan, session.topology, this.style))
      await this.#act(session, again, again.plan)
    } finally {
      await this.unlockCluster()
    }
  }

  /** Undefined: the operator's limits allow it. */
  #reasonNotTo({topology}: ClusterSession, lost: readonly LostShard[]): string | undefined {
    const {'max-slots': maxSlots, watch, 'max-acts-per-hour': maxActs = 1} = this.flags
    const count = slotsLost(lost).size
    if (maxSlots !== undefined && count > maxSlots) return `${count} slots are more than --max-slots ${maxSlots}`
    if (this.flags['dry-run']) return undefined
    if (!this.flags['accept-data-loss']) return 'their keys are given up with --accept-data-loss only'
    if (!watch) return undefined
    let acts: number
    try {
      acts = countHealings(process.env, topology, new Date(Date.now() - HOUR_MS))
    } catch (error) {
      return `how often this was done cannot be told: ${(error as Error).message}`
    }
    return acts < maxActs ? undefined : `after ${plural(acts, 'act')} in an hour --max-acts-per-hour allows no more`
  }

  async #act(session: ClusterSession, {lost, heirs}: LossLook, plan: RepairPlan): Promise<void> {
    const words = await readClusterNodes(session)
    let beforeState: string
    try {
      beforeState = saveBeforeState(process.env, 'heal', plan, session.topology, words)
    } catch (error) {
      throw new RefusedError('unfit-folder', `the plan could not be saved: ${(error as Error).message}`, {
        suggestions: ['Make room, or name another folder: XDG_STATE_HOME'],
        cause: error,
      })
    }
    this.print(`The plan, and what every node says now, is saved in ${beforeState}`)
    await this.lock?.ready()
    this.stopSignal.throwIfAborted()
    const slots = slotsLost(lost)
    const {done, failures, left} = await runRepairs(session, plan, {
      heirs,
      isAllowed: (repair) => healingPart({...plan, repairs: [repair]}, lost).repairs.length > 0,
      stop: this.stopSignal,
      abort: this.abortSignal,
      listener: this.listener(),
    })
    this.#acts.push({plan, done, beforeState})
    const given = done.flatMap(slotsOfRepair).filter((slot) => slots.has(slot))
    if (given.length < slots.size) {
      const [failure] = failures
      const reason = failure?.error.message ?? left.obstacles[0]?.message ?? 'it was stopped'
      throw new InterruptedError(`${given.length} of ${slots.size} slots were given to others, then: ${reason}`, {
        details: {done, left, beforeState},
        suggestions: [`rcluster fix ${seedAddress(session.topology)}`],
      })
    }
    const names = lost.map(({address}) => address).join(', ')
    this.print(
      `${plural(given.length, 'slot')} of ${names} have new owners; all ${plural(given.length, 'slot')} are served.`,
    )
  }

  #refusal({topology}: ClusterSession, lost: readonly LostShard[], doubts: readonly string[]): RefusedError {
    const names = lost.map(({address}) => address).join(', ')
    return new RefusedError(
      'uncovered-slots',
      `${names} does not answer, and nothing was changed: ${doubts.join('; ')}`,
      {
        details: {lost, doubts},
        suggestions: [`rcluster fix ${seedAddress(topology)} --dry-run`, `rcluster check ${seedAddress(topology)}`],
      },
    )
  }

  /** What a watch has to say once, until it changes. */
  #say(text: string): void {
    if (text === this.#said) return
    this.#said = text
    this.note(`${new Date().toISOString().slice(0, 19)}Z ${text}`)
  }
}
