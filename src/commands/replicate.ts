import {word} from '../lib/cli/args.ts'
import {changeFlags, lockFlags, planFlags} from '../lib/cli/flags.ts'
import {type GivenPlan, PlannedCommand} from '../lib/cli/planned-command.ts'
import {followPrimary} from '../lib/engine/follow-primary.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {UsageError} from '../lib/errors.ts'
import {planReplicate, type ReplicatePlan} from '../lib/plan/replicate.ts'
import {compareGround} from '../lib/plan/shift.ts'
import {formatDuration} from '../lib/render/amounts.ts'
import {labelId} from '../lib/topology/queries.ts'

interface ReplicateReport {
  readonly outcome: 'replicating' | 'nothing-to-do' | 'planned'
  readonly plan: ReplicatePlan
  readonly elapsedMs: number
}

/** The first synchronisation copies all keys. */
const DEADLINE_MS = 600_000

export default class Replicate extends PlannedCommand<typeof Replicate> {
  static override summary = 'Make a node the replica of another primary.'
  static override description = [
    'The node is a replica, or a primary without slots, keys and replicas. It drops its copy and takes all keys of the primary. Says it is done when every node knows it and the replication link is up.',
    'Exit codes: 0 it follows, or did before; 2 the words make no sense; 3 the node has slots, keys or replicas, or one of the two does not answer; 4 a node said no; 5 it was not finished in time, the command can be run again; 130 stopped.',
  ].join('\n\n')
  static override usage = 'replicate REPLICA PRIMARY'
  static override examples = [
    '<%= config.bin %> replicate 127.0.0.1:7005 127.0.0.1:7001',
    '<%= config.bin %> replicate 07c37dfe 127.0.0.1:7001 --yes',
  ]
  static override args = {
    replica: word({description: 'the node that is to follow'}),
    primary: word({description: 'the primary that it is to follow'}),
  }
  static override flags = {...changeFlags, ...lockFlags, ...planFlags}

  async run(): Promise<ReplicateReport> {
    const {replica, primary} = this.args
    if (replica === undefined || primary === undefined) {
      throw new UsageError('replicate needs the replica and the primary that it is to follow', {
        suggestions: ['rcluster replicate 127.0.0.1:7005 127.0.0.1:7001'],
      })
    }
    const session = await this.openCluster(this.seedsAmong([primary, replica]))
    await session.requireOneCluster()
    await this.lockCluster(session)
    const plan = planReplicate(session.topology, {
      replicaId: (await this.findNode(session, replica)).id,
      primaryId: (await this.findNode(session, primary)).id,
    })
    return this.#follow(session, plan)
  }

  protected override async applySaved(given: GivenPlan): Promise<ReplicateReport> {
    const {replica, primary, primaryBefore} = given.file.plan as ReplicatePlan
    const session = await this.openGiven(given)
    await this.lockCluster(session)
    const {topology} = session
    const {standIns} = compareGround(given.file.cluster, topology, {})
    const leader = standIns.get(primary.id) ?? primary.id
    const now = topology.nodesById.get(replica.id)
    const gone = [replica, primary].filter(({id}) => !topology.nodesById.has(standIns.get(id) ?? id))
    this.requireNoShift(
      given,
      gone.map(({address}) => `${address} is no member any more`),
    )
    const before = primaryBefore && (standIns.get(primaryBefore) ?? primaryBefore)
    if (now && now.primaryId !== leader && now.primaryId !== before) {
      const [is, was] = [now.primaryId, primaryBefore].map((id) =>
        id === undefined ? 'a primary' : `a replica of ${labelId(topology, id)}`,
      )
      this.requireNoShift(given, [`${replica.address} is ${is}, and was ${was} then`])
    }
    return this.#follow(session, planReplicate(topology, {replicaId: replica.id, primaryId: leader}))
  }

  async #follow(session: ClusterSession, plan: ReplicatePlan): Promise<ReplicateReport> {
    const startedAt = performance.now()
    const {replica: follower, primary: leader} = plan
    const isFollowing = plan.primaryBefore === leader.id
    if (this.flags['dry-run']) {
      this.print(`${follower.address} ${isFollowing ? 'follows' : 'would follow'} ${leader.address}.`)
      await this.savePlan(plan, session.topology)
      return {outcome: 'planned', plan, elapsedMs: 0}
    }
    if (!isFollowing) {
      for (const text of plan.warnings) this.warnOperator(text)
      await this.confirm(`Make ${follower.address} a replica of ${leader.address}? It drops its copy of the data.`)
    }
    await followPrimary(session, plan, {
      deadlineMs: DEADLINE_MS,
      signal: this.stopSignal,
      listener: this.listener(),
    })
    const elapsedMs = performance.now() - startedAt
    this.print(
      isFollowing
        ? `Nothing to do: ${follower.address} follows ${leader.address} already; every node knows it.`
        : `${follower.address} follows ${leader.address} after ${formatDuration(elapsedMs)}; every node that answers knows it, and the link is up.`,
    )
    this.warnOfSilent(session.topology)
    return {outcome: isFollowing ? 'nothing-to-do' : 'replicating', plan, elapsedMs}
  }
}
