import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand} from '../lib/cli/cluster-command.ts'
import {changeFlags, duration, lockFlags, positiveInteger, size} from '../lib/cli/flags.ts'
import {sourceFlags} from '../lib/cli/import-source.ts'
import {tellingFlags} from '../lib/cli/move-flags.ts'
import {parseAddressReference} from '../lib/cli/node-argument.ts'
import type {PlannedCommand} from '../lib/cli/planned-command.ts'
import {UsageError} from '../lib/errors.ts'
import type {PlanFile, SavedCommand} from '../lib/plan/plan-file.ts'
import {parseClusterFile, readClusterText} from '../lib/state/cluster-file.ts'
import {optionNames, parsePlanFile, readPlanFile} from '../lib/state/plan-file.ts'
import type {NodeAddress} from '../lib/topology/model.ts'

type PlannedClass = new (...given: ConstructorParameters<typeof PlannedCommand>) => PlannedCommand

/** Each is only loaded when a plan of it is carried out. */
const COMMANDS: Readonly<Record<SavedCommand, () => Promise<{default: unknown}>>> = {
  reshard: () => import('./reshard.ts'),
  rebalance: () => import('./rebalance.ts'),
  create: () => import('./create.ts'),
  'add-node': () => import('./add-node.ts'),
  'del-node': () => import('./del-node.ts'),
  fix: () => import('./fix.ts'),
  failover: () => import('./failover.ts'),
  replicate: () => import('./replicate.ts'),
  'replace-node': () => import('./replace-node.ts'),
  forget: () => import('./forget.ts'),
  'set-timeout': () => import('./set-timeout.ts'),
  import: () => import('./import.ts'),
  restore: () => import('./restore.ts'),
}

/** What may be said anew: how it is done, never what. */
const overrides = {
  'on-conflict': Flags.option({options: ['fail', 'skip', 'replace', 'source', 'target'] as const})({
    summary: 'Instead of what the plan says, like the other flags that say how keys travel.',
  }),
  mover: Flags.option({options: ['auto', 'migrate', 'atomic'] as const})({summary: 'See reshard.'}),
  'max-pause': duration({summary: 'See reshard.'}),
  patience: duration({summary: 'See reshard.'}),
  'max-bandwidth': size({summary: 'See reshard, import and restore.'}),
  concurrency: positiveInteger({summary: 'See reshard and import.', max: 64}),
  verify: Flags.boolean({summary: 'See import and restore.', allowNo: true}),
}

const {from: _, ...sourceLogin} = sourceFlags

const declaredFlags = {
  prune: Flags.boolean({
    summary: 'Drain and remove members that the file does not declare, as removeUndeclared in it says, too.',
    default: false,
  }),
  'detailed-exitcode': Flags.boolean({
    summary:
      'With --dry-run: exit code 2 when something is to be done, 0 when nothing is, 1 for words that make no sense.',
    default: false,
    dependsOn: ['dry-run'],
  }),
}

export default class Apply extends ClusterCommand<typeof Apply> {
  static override summary = 'Carry out a plan that --out has written, or make a cluster what a file declares.'

  static override description = [
    'The cluster must be as it was when the plan was made, but for what the plan itself has done since: then it goes on, and where all is done it says so and succeeds. A failover of a shard is followed. Anything else that shifted is named, and nothing is changed.',
    'The cluster is found by the nodes that the plan knows, unless a seed is named. Logins are not in the plan: give them as to any command.',
    'A file that declares a cluster (YAML or JSON: shards, their nodes and weights) is compared with what is there: what is missing is shown in stages and, after a yes, done; where nothing is missing it says so and succeeds. It may be run again at any time, and goes on where it was cut off.',
    'Exit codes: 0 done, or nothing to do; 2 the file makes no sense, or is damaged; 3 the ground has shifted, or the cluster is not fit; otherwise as the command that made the plan.',
  ].join('\n\n')
  static override usage = 'apply FILE [SEED]'
  static override examples = [
    '<%= config.bin %> apply plan.json --dry-run',
    '<%= config.bin %> apply plan.json --yes',
    '<%= config.bin %> apply plan.json 10.0.0.1 --max-pause 2ms',
    '<%= config.bin %> apply cluster.yaml --dry-run --detailed-exitcode',
    '<%= config.bin %> apply cluster.yaml --prune --yes',
  ]
  static override args = {
    file: word({description: 'the plan, or the declaration of a cluster'}),
    seed: word({description: 'any node of the cluster, as host:port'}),
  }
  static override flags = {
    ...changeFlags,
    ...lockFlags,
    ...tellingFlags,
    ...overrides,
    ...sourceLogin,
    ...declaredFlags,
  }

  async run(): Promise<object> {
    const {file, seed} = this.args
    if (file === undefined) {
      throw new UsageError('apply needs the file that holds the plan', {suggestions: ['rcluster apply plan.json']})
    }
    const text = readClusterText(file)
    const report = await (text === undefined ? this.#carryOutPlan(file, seed) : this.#reach(file, text, seed))
    if (this.flags['detailed-exitcode'] && (report as {outcome?: string}).outcome === 'planned') process.exitCode = 2
    return report
  }

  /** As terraform has it: 1 is an error, since 2 says that something is to be done. */
  override async catch(thrown: Error): Promise<void> {
    await super.catch(thrown)
    if (process.exitCode === 2 && this.argv.includes('--detailed-exitcode')) process.exitCode = 1
  }

  async #reach(file: string, text: string, seed: string | undefined): Promise<object> {
    const declaration = await parseClusterFile(text, file, declaredAddress)
    const {prune, ...flags} = this.flags
    const {default: DeclaredCluster, DEFAULTS} = await import('../lib/cli/declared-cluster.ts')
    const stranger = [...Object.keys(sourceLogin), 'verify'].find((name) =>
      Boolean((flags as Record<string, unknown>)[name]),
    )
    if (stranger !== undefined) throw new UsageError(`--${stranger} means nothing to a declared cluster`)
    const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
    return new DeclaredCluster(this.argv, this.config).reachFor(
      this,
      {path: file, declaration: {...declaration, removeUndeclared: declaration.removeUndeclared || prune}, seed},
      {...DEFAULTS, ...given},
    )
  }

  async #carryOutPlan(file: string, seed: string | undefined): Promise<object> {
    if (this.flags.prune) throw new UsageError('--prune means nothing to a plan: it is for declared clusters')
    const saved = await this.#withOverrides(await readPlanFile(file), file)
    const {command, createdAt, options} = saved
    this.note(`${file} was made by ${saved.madeBy} at ${createdAt}: ${command.line}`)
    for (const flag of Object.keys(tellingFlags) as (keyof typeof tellingFlags)[]) {
      if (this.flags[flag] && !MOVING.has(command.name)) {
        throw new UsageError(`--${flag} means nothing to a plan of ${command.name}: it moves no slots`)
      }
    }
    const Planned = (await COMMANDS[command.name]()).default as PlannedClass
    return new Planned(this.argv, this.config).carryOutFor(
      this,
      {path: file, file: saved, seed},
      {...this.flags, ...options},
    )
  }

  /** @throws UsageError for a flag that the command of the plan does not have, or not with this value. */
  async #withOverrides(saved: PlanFile, file: string): Promise<PlanFile> {
    const flags = this.flags as Readonly<Record<string, PlanFile['options'][string] | undefined>>
    const typed: [string, PlanFile['options'][string]][] = [
      ...Object.keys(overrides),
      ...Object.keys(sourceLogin),
    ].flatMap((name) => {
      const value = flags[name]
      return value === undefined || value === false || name in NOT_KEPT ? [] : [[name, value]]
    })
    if (flags['verify'] === false) typed.push(['verify', false])
    if (typed.length === 0) return saved
    const {name} = saved.command
    const known = await optionNames(name)
    const stranger = typed.find(([flag]) => !known.includes(flag))
    if (stranger) throw new UsageError(`--${stranger[0]} means nothing to a plan of ${name}`)
    const options = {...saved.options, ...Object.fromEntries(typed)}
    // --replace is another word for --on-conflict replace.
    if ('on-conflict' in Object.fromEntries(typed) && 'replace' in options) options['replace'] = false
    return parsePlanFile(JSON.stringify({...saved, options}), `${file} with the flags given`)
  }
}

/** Plans of these may move slots. */
const MOVING: ReadonlySet<string> = new Set(['reshard', 'rebalance', 'add-node', 'del-node'])

/** A URL may hold a password, which has no place in such a file. */
function declaredAddress(place: string): NodeAddress {
  if (!place.includes('://')) return parseAddressReference(place).address
  throw new UsageError('is a URL: an address is host:port, and logins and TLS are given to apply as to any command')
}

/** Secrets, and what leads to them: passed on, and kept nowhere. */
const NOT_KEPT: Readonly<Record<string, true>> = {'from-password': true, 'from-askpass': true}
