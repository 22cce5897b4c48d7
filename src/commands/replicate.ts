import {word} from '../lib/cli/args.ts'
import {ClusterCommand} from '../lib/cli/cluster-command.ts'
import {changeFlags} from '../lib/cli/flags.ts'
import {followPrimary} from '../lib/engine/follow-primary.ts'
import {UsageError} from '../lib/errors.ts'
import {planReplicate, type ReplicatePlan} from '../lib/plan/replicate.ts'
import {formatDuration} from '../lib/render/amounts.ts'

interface ReplicateReport {
  readonly outcome: 'replicating' | 'nothing-to-do' | 'planned'
  readonly plan: ReplicatePlan
  readonly elapsedMs: number
}

/** The first synchronisation copies all keys. */
const DEADLINE_MS = 600_000

export default class Replicate extends ClusterCommand<typeof Replicate> {
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
  static override flags = {...changeFlags}

  async run(): Promise<ReplicateReport> {
    const startedAt = performance.now()
    const {replica, primary} = this.args
    if (replica === undefined || primary === undefined) {
      throw new UsageError('replicate needs the replica and the primary that it is to follow', {
        suggestions: ['rcluster replicate 127.0.0.1:7005 127.0.0.1:7001'],
      })
    }
    const session = await this.openCluster(this.seedsAmong([primary, replica]))
    await session.requireOneCluster()
    const plan = planReplicate(session.topology, {
      replicaId: (await this.findNode(session, replica)).id,
      primaryId: (await this.findNode(session, primary)).id,
    })
    const {replica: follower, primary: leader} = plan
    const isFollowing = plan.primaryBefore === leader.id
    if (this.flags['dry-run']) {
      this.print(`${follower.address} ${isFollowing ? 'follows' : 'would follow'} ${leader.address}.`)
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
