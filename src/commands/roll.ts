import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {changeFlags, duration, list, lockFlags} from '../lib/cli/flags.ts'
import {parseMoment, parseVersion} from '../lib/cli/numbers.ts'
import {canAsk} from '../lib/cli/prompt.ts'
import {hookEnvironment, runHook} from '../lib/cli/restart-hook.ts'
import {shellWord} from '../lib/cli/shell-word.ts'
import {waitUntilTouched} from '../lib/engine/restart-node.ts'
import {requireFiles, runRoll, waitUntilWell} from '../lib/engine/roll.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {CancelledError, ClusterError, InterruptedError, RefusedError, UsageError} from '../lib/errors.ts'
import {planRoll, type RollAct, type RollPlan} from '../lib/plan/roll.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {renderHowFar, renderRollAct, renderRollPlan} from '../lib/render/roll.ts'
import {type ClusterNode, formatAddress} from '../lib/topology/model.ts'
import {labelNode, seedAddress} from '../lib/topology/queries.ts'

interface RollReport {
  readonly outcome: 'rolled' | 'planned' | 'nothing-to-do'
  readonly plan: RollPlan
  readonly acts: readonly RollAct[]
  /** For --restarted-since of a run that goes on. */
  readonly since: string
  readonly elapsedMs: number
}

const EXEC_MS = 600_000
const BACK_MS = 600_000
/** A node that a run before this one has just restarted. */
const AT_FIRST_MS = 15_000

export default class Roll extends ClusterCommand<typeof Roll> {
  static override summary = 'Restart or upgrade all nodes, one after the other, while clients write.'
  static override description = [
    'Shard by shard: the replicas first, then one of them takes over, then the old primary, which is a replica by then. Before each step every node answers, all agree, every slot is served and every replica is linked; after it the node is back under its ID, known to all and in sync. Whatever is in doubt ends it, with what is true now and the command that goes on.',
    'A node is restarted by the command of --exec, which the shell of this machine runs with the node in its environment: RCLUSTER_NODE_ID, _ADDRESS, _HOST, _PORT, _HOSTNAME (where announced), _ROLE, _SERVER (redis or valkey) and _VERSION. It must end with 0, within --exec-timeout; what it leaves in the background must not write to its output. Without --exec the person at the terminal restarts each node, which is seen.',
    'Exit codes: 0 done, or nothing to do; 2 the words make no sense, or there is neither --exec nor a terminal; 3 the cluster is not in order, or a primary has no replica, and nothing was changed; 4 a node did not answer, or said no; 5 some nodes are restarted and others not; 130 stopped.',
  ].join('\n\n')
  static override usage = 'roll [SEED]'
  static override examples = [
    '<%= config.bin %> roll 127.0.0.1:7000 --dry-run',
    `<%= config.bin %> roll 10.0.0.1 --exec 'ssh "$RCLUSTER_NODE_HOST" sudo systemctl restart redis'`,
    `<%= config.bin %> roll 10.0.0.1 --until-version 8.6 --exec './upgrade.sh "$RCLUSTER_NODE_HOST"' --yes`,
    '<%= config.bin %> roll 127.0.0.1:7000 --only 127.0.0.1:7004 --only 127.0.0.1:7001 --fail-back',
  ]
  static override args = {seed: word({description: 'any node of the cluster, as host:port', multiple: true})}
  static override flags = {
    ...changeFlags,
    ...lockFlags,
    exec: Flags.string({summary: 'Restarts the node that RCLUSTER_NODE_ADDRESS names.', helpValue: 'COMMAND'}),
    'exec-timeout': duration({
      summary: 'How long that command may take.',
      default: EXEC_MS,
      defaultHelp: async () => '10m' as never,
    }),
    'back-timeout': duration({
      summary: 'How long a node may then take to be back and in sync.',
      default: BACK_MS,
      defaultHelp: async () => '10m' as never,
    }),
    only: list({summary: 'Just these nodes; may repeat.', helpValue: 'NODE'}),
    'until-version': Flags.string({
      summary: 'Pass over nodes of this version or a later one, and require it of those that come back.',
      helpValue: 'VERSION',
      exclusive: ['restarted-since'],
    }),
    'restarted-since': Flags.string({
      summary: 'Pass over nodes that were started since: goes on with a roll, which tells this time at its beginning.',
      helpValue: 'TIME',
    }),
    'fail-back': Flags.boolean({summary: 'Let each old primary take over again.', default: false}),
    'allow-unserved': Flags.boolean({
      summary: 'Restart primaries without a replica, too: nobody serves their slots meanwhile.',
      default: false,
    }),
  }

  readonly #acts: RollAct[] = []
  #only: readonly ClusterNode[] | undefined
  /** Something may have changed. */
  #hasBegun = false

  async run(): Promise<RollReport> {
    const {exec, 'until-version': untilVersion, 'restarted-since': restartedSince} = this.flags
    if (exec?.trim() === '') throw new UsageError('--exec needs a command')
    if (untilVersion !== undefined) parseVersion(untilVersion, '--until-version')
    const sinceBefore = restartedSince === undefined ? undefined : parseMoment(restartedSince, '--restarted-since')
    const isByHand = exec === undefined && !this.flags['dry-run']
    if (isByHand && !canAsk()) {
      throw new UsageError('there is no terminal, and nobody at it to restart the nodes', {
        suggestions: [`Say how a node is restarted: --exec 'ssh "$RCLUSTER_NODE_HOST" sudo systemctl restart redis'`],
      })
    }
    const startedAt = performance.now()
    const session = await this.openCluster(seedFromWords(this.args.seed))
    await session.requireOneCluster()
    await this.lockCluster(session)
    this.#only = await this.#findOnly(session)
    const lookedAt = new Date()
    await this.#requireWell(session)
    const plan = planRoll(session.topology, {
      only: this.#only && new Set(this.#only.map(({id}) => id)),
      untilVersion,
      since: sinceBefore && {moment: sinceBefore, lookedAt},
      isFailingBack: this.flags['fail-back'],
      mayLeaveUnserved: this.flags['allow-unserved'],
    })
    const since = `${(sinceBefore ?? new Date()).toISOString().slice(0, 19)}Z`
    if (exec !== undefined) this.#requireTellable(session, plan)
    await requireFiles(session, plan)
    const shown = renderRollPlan(plan, this.style)
    if (shown) this.print(shown)
    for (const warning of plan.warnings) this.warnOperator(warning)
    if (plan.steps.length === 0) {
      this.print('Nothing to do: no node is left to restart.')
      return {outcome: 'nothing-to-do', plan, acts: [], since, elapsedMs: 0}
    }
    if (this.flags['dry-run']) return {outcome: 'planned', plan, acts: [], since, elapsedMs: 0}
    const count = plan.steps.filter(({kind}) => kind === 'restart').length
    await this.confirm(`Restart ${plural(count, 'node')}, one after the other?`)
    this.note(`Should this be cut off, it goes on with: ${this.#resumeLine(session, since)}`)
    await this.#roll(session, plan, since)
    const elapsedMs = performance.now() - startedAt
    this.print(
      `Done in ${formatDuration(elapsedMs)}: ${renderHowFar(plan, this.#acts)}; all answer, agree and are in sync.`,
    )
    return {outcome: 'rolled', plan, acts: this.#acts, since, elapsedMs}
  }

  async #roll(session: ClusterSession, plan: RollPlan, since: string): Promise<void> {
    try {
      await runRoll(session, plan, {
        restart: (node) => this.#restart(session, node),
        backMs: this.flags['back-timeout'] ?? BACK_MS,
        untilVersion: this.flags['until-version'],
        ready: async () => this.lock?.ready(),
        stop: this.stopSignal,
        abort: this.abortSignal,
        // What is printed between ends the progress that it goes to.
        listener: (event) => this.listener()(event),
        onFailover: () => {
          this.#hasBegun = true
        },
        onAct: (act) => {
          this.#acts.push(act)
          this.print(renderRollAct(act))
        },
      })
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error
      throw this.#withHowFar(error, plan, this.#resumeLine(session, since))
    }
  }

  async #restart(session: ClusterSession, node: ClusterNode): Promise<void> {
    const {exec} = this.flags
    if (exec === undefined) {
      this.print(`Restart ${node.role} ${labelNode(node)} now. Ctrl-C ends the roll here.`)
      this.listener()({kind: 'phase', text: `Waiting until ${formatAddress(node.address)} is restarted`})
      await waitUntilTouched(session, node, this.stopSignal)
      this.#hasBegun = true
      return
    }
    this.#hasBegun = true
    const {failure, lastLines} = await runHook(exec, {
      env: {...process.env, ...hookEnvironment(node)},
      timeoutMs: this.flags['exec-timeout'] ?? EXEC_MS,
      abort: this.abortSignal,
      onLine: (text) => this.listener()({kind: 'note', text: `  ${text}`}),
    })
    if (failure === undefined) return
    const said = lastLines.length === 0 ? '' : ` (${lastLines.join(' / ')})`
    throw new InterruptedError(`the command for ${labelNode(node)} ${failure}${said}`, {details: {node: node.id}})
  }

  async #requireWell(session: ClusterSession): Promise<void> {
    const [trouble, ...others] = await waitUntilWell(session, undefined, {
      deadlineMs: Math.min(AT_FIRST_MS, this.flags['back-timeout'] ?? BACK_MS),
      signal: this.stopSignal,
      listener: this.listener(),
    })
    if (!trouble) return
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`
    throw new RefusedError('unhealthy', `a node is restarted only while all is in order: ${trouble.message}${more}`, {
      details: {nodes: trouble.nodes},
      suggestions: [...trouble.suggestions, `rcluster check ${seedAddress(session.topology)}`],
    })
  }

  #requireTellable({topology}: ClusterSession, {steps}: RollPlan): void {
    for (const {node} of steps) hookEnvironment(topology.nodesById.get(node.id) as ClusterNode)
  }

  async #findOnly(session: ClusterSession): Promise<readonly ClusterNode[] | undefined> {
    return this.flags.only && Promise.all(this.flags.only.map((text) => this.findNode(session, text)))
  }

  #withHowFar(error: ClusterError, plan: RollPlan, resumeLine: string): ClusterError {
    const {message, details, suggestions} = error
    if (!this.#hasBegun) {
      return error instanceof InterruptedError
        ? new RefusedError('unhealthy', `${message}; nothing was changed`, {details, suggestions, cause: error})
        : error
    }
    const facts = {
      details: {...details, acts: this.#acts},
      suggestions: [...suggestions, resumeLine],
      cause: error,
    }
    const text = `${message}; ${renderHowFar(plan, this.#acts)}`
    return error instanceof CancelledError ? new CancelledError(text, facts) : new InterruptedError(text, facts)
  }

  /** What the others see of it has no need of the command, which may hold anything. */
  protected override get commandLine(): string {
    return 'rcluster roll'
  }

  #resumeLine({topology}: ClusterSession, since: string): string {
    const {flags} = this
    const words = ['rcluster', 'roll', seedAddress(topology)]
    if (flags.exec !== undefined) words.push('--exec', flags.exec)
    if (flags['exec-timeout'] !== EXEC_MS) words.push('--exec-timeout', `${flags['exec-timeout']}ms`)
    if (flags['back-timeout'] !== BACK_MS) words.push('--back-timeout', `${flags['back-timeout']}ms`)
    for (const node of this.#only ?? []) words.push('--only', formatAddress(node.address))
    if (flags['fail-back']) words.push('--fail-back')
    if (flags['allow-unserved']) words.push('--allow-unserved')
    const {'until-version': version} = flags
    words.push(...(version === undefined ? ['--restarted-since', since] : ['--until-version', version]))
    return words.map(shellWord).join(' ')
  }
}
