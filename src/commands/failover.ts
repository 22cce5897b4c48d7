import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {changeFlags, lockFlags, planFlags} from '../lib/cli/flags.ts'
import {type GivenPlan, PlannedCommand} from '../lib/cli/planned-command.ts'
import {type FailoverOutcome, failOver} from '../lib/engine/fail-over.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {UsageError} from '../lib/errors.ts'
import {type FailoverPlan, planFailover} from '../lib/plan/failover.ts'
import {formatBytes, formatDuration, plural} from '../lib/render/amounts.ts'
import {countSlots} from '../lib/slots/slot-ranges.ts'
import type {NodeId} from '../lib/topology/model.ts'
import {labelId, slotsOf} from '../lib/topology/queries.ts'

interface FailoverReport extends Partial<FailoverOutcome> {
  readonly outcome: 'failed-over' | 'planned' | 'nothing-to-do'
  readonly way: 'coordinated' | 'force' | 'takeover'
  readonly plan: FailoverPlan
  readonly elapsedMs: number
}

const DEADLINE_MS = 30_000

export default class Failover extends PlannedCommand<typeof Failover> {
  static override summary = 'Let a replica take over from its primary.'
  static override description = [
    'NODE is the replica that takes over, or a primary, whose best replica then does. The primary pauses writes until the replica has all of them, so none is lost. Says it is done when every node knows the new roles, slots and epoch. Run again it fails over back: the node is a primary then.',
    'Exit codes: 0 it has taken over; 2 the words make no sense; 3 the replica is not fit, or no majority can vote; 4 a node said no; 5 not every node knows it yet, or it did not come about; 130 stopped.',
  ].join('\n\n')
  static override usage = 'failover NODE'
  static override examples = [
    '<%= config.bin %> failover 127.0.0.1:7004',
    '<%= config.bin %> failover 127.0.0.1:7004 --force --yes',
  ]
  static override args = {node: word({description: 'the replica that takes over, or the primary that is replaced'})}
  static override flags = {
    ...changeFlags,
    ...lockFlags,
    ...planFlags,
    force: Flags.boolean({
      summary: 'Do not wait for the primary: what the replica does not have yet is lost. For a dead primary.',
      default: false,
      exclusive: ['takeover'],
    }),
    takeover: Flags.boolean({
      summary: 'As --force, and without a vote. For when most primaries are lost; two nodes may come to own the slots.',
      default: false,
    }),
  }

  async run(): Promise<FailoverReport> {
    const {node: text} = this.args
    if (text === undefined) {
      throw new UsageError('failover needs the node that is to take over', {
        suggestions: ['rcluster failover 127.0.0.1:7004'],
      })
    }
    const session = await this.openCluster(this.seedsAmong([text]))
    await session.requireOneCluster()
    await this.lockCluster(session)
    return this.#failOver(session, (await this.findNode(session, text)).id)
  }

  protected override async applySaved(given: GivenPlan): Promise<FailoverReport> {
    const saved = given.file.plan as FailoverPlan
    const session = await this.openGiven(given)
    await this.lockCluster(session)
    const {topology} = session
    const [replica, primary] = [topology.nodesById.get(saved.replica.id), topology.nodesById.get(saved.primary.id)]
    if (!replica) this.requireNoShift(given, [`${saved.replica.address} is no member any more`])
    const isReplaced = !primary || primary.primaryId === saved.replica.id || slotsOf(topology, primary.id).length === 0
    if (replica?.role === 'primary' && isReplaced) {
      this.print(`Nothing to do: ${saved.replica.address} has taken over from ${saved.primary.address} already.`)
      return {outcome: 'nothing-to-do', way: this.#way, plan: saved, elapsedMs: 0}
    }
    if (replica?.primaryId !== saved.primary.id) {
      const is = replica?.primaryId === undefined ? 'is a primary' : `follows ${labelId(topology, replica.primaryId)}`
      this.requireNoShift(given, [`${saved.replica.address} ${is}, and followed ${saved.primary.address} then`])
    }
    return this.#failOver(session, saved.replica.id)
  }

  get #way(): 'coordinated' | 'force' | 'takeover' {
    return this.flags.takeover ? 'takeover' : this.flags.force ? 'force' : 'coordinated'
  }

  async #failOver(session: ClusterSession, nodeId: NodeId): Promise<FailoverReport> {
    const startedAt = performance.now()
    const way = this.#way
    const plan = planFailover(session.topology, {nodeId, way})
    const slots = plural(countSlots(plan.slots), 'slot')
    const lag = plan.lagBytes === undefined ? 'nobody knows how far behind' : `${formatBytes(plan.lagBytes)} behind`
    this.print(`${plan.replica.address} takes over ${slots} from ${plan.primary.address} (${lag}).`)
    for (const warning of plan.warnings) this.warnOperator(warning)
    await this.savePlan(plan, session.topology)
    if (this.flags['dry-run']) return {outcome: 'planned', way, plan, elapsedMs: 0}
    await this.confirm(`Let ${plan.replica.address} take over?`)
    const outcome = await failOver(session, plan, way, {
      deadlineMs: DEADLINE_MS,
      signal: this.stopSignal,
      listener: this.listener(),
    })
    const elapsedMs = performance.now() - startedAt
    this.print(
      `${plan.replica.address} is the primary after ${formatDuration(elapsedMs)}; every node that answers knows it, at config epoch ${outcome.epochAfter}.`,
    )
    if (!outcome.isFollowed) {
      this.warnOperator(
        plan.primary.isReachable
          ? `${plan.primary.address} follows, but its replication link is not up yet: see with rcluster check ${plan.replica.address}.`
          : `${plan.primary.address} does not answer; when it comes back it follows ${plan.replica.address}.`,
      )
    }
    this.warnOfSilent(session.topology, plan.primary.id)
    return {outcome: 'failed-over', way, plan, ...outcome, elapsedMs}
  }
}
