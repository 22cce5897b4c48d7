/**
 * How does a command hand its plan to a later run? `--out` writes it instead of carrying it out; `rcluster apply` has a
 * command of the same class carry it out, which goes through the very code that it would have gone through by itself.
 */
import path from 'node:path'
import type {Command} from '@oclif/core/command'
import type {ClusterSession} from '../engine/session.ts'
import {NodeError, RefusedError, UsageError} from '../errors.ts'
import {NO_CLUSTER, sketchCluster} from '../plan/cluster-sketch.ts'
import {PLAN_FORMAT, PLAN_VERSION, type PlanFile, type SavedCommand, type SavedPlan} from '../plan/plan-file.ts'
import {compareGround, type Ground, type PlannedChanges} from '../plan/shift.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {labelId, seedAddress} from '../topology/queries.ts'
import type {BaseCommand} from './base-command.ts'
import {ClusterCommand} from './cluster-command.ts'
import {changeFlags, planFlags} from './flags.ts'
import {publicWords} from './lock-owner.ts'
import {parseNodeReference} from './node-argument.ts'
import {shellWord} from './shell-word.ts'

/** A plan that was read. */
export interface GivenPlan {
  readonly path: string
  readonly file: PlanFile
  /** The node named on the line; undefined: one of those that the plan knows. */
  readonly seed: string | undefined
}

interface OwnFlags {
  readonly out?: string
  readonly yes?: boolean
}

export abstract class PlannedCommand<T extends typeof Command = typeof Command> extends ClusterCommand<T> {
  #given: GivenPlan | undefined
  #failoversTold = new Set<NodeId>()

  /** Carries out, or goes on with, a plan that was saved by this command. Asks, and heeds --dry-run, as `run` does. */
  protected applySaved(_given: GivenPlan): Promise<object> {
    throw new Error(`${this.ctor.name} has no saved plans`)
  }

  /** Does the work of `host`, with the flags that the plan was made with where `flags` has no others. */
  async carryOutFor(host: BaseCommand, given: GivenPlan, flags: Readonly<Record<string, unknown>>): Promise<object> {
    this.#given = given
    return this.workAs(host, flags, () => this.applySaved(given))
  }

  /** Does `work` in the place of `host`. */
  protected async workAs(
    host: BaseCommand,
    flags: Readonly<Record<string, unknown>>,
    work: () => Promise<object>,
  ): Promise<object> {
    this.workFor(host, flags)
    try {
      return await work()
    } catch (error) {
      throw this.advised(error)
    } finally {
      await this.finally(undefined)
    }
  }

  /** Of `rcluster apply`. */
  protected get given(): GivenPlan | undefined {
    return this.#given
  }

  /** "rcluster apply plan.json", when that is what is being run. */
  protected get applyLine(): string | undefined {
    if (!this.#given) return undefined
    const {path: file, seed} = this.#given
    // A URL may hold a password, and is not repeated.
    return `rcluster apply ${shellWord(file)}${seed === undefined || seed.includes('://') ? '' : ` ${seed}`}`
  }

  override async init(): Promise<void> {
    await super.init()
    const {out, yes = false} = this.#ownFlags
    if (out === undefined) return
    if (out === '-') {
      if (this.jsonEnabled()) {
        throw new UsageError('--out - and --json both want stdout', {suggestions: ['Name a file: --out plan.json']})
      }
    } else {
      const {requireWritable} = await import('../state/plan-file.ts')
      requireWritable(out, yes)
    }
    ;(this.flags as Record<string, unknown>)['dry-run'] = true
  }

  /** Where the plan itself goes to stdout, what is for people goes to stderr. */
  protected override print(text: string): void {
    if (this.#ownFlags.out === '-') process.stderr.write(`${text}\n`)
    else super.print(text)
  }

  override toSuccessJson(result: unknown): unknown {
    const {out} = this.#ownFlags
    return super.toSuccessJson(out === undefined ? result : {...(result as object), planFile: out})
  }

  protected get isSaving(): boolean {
    return this.#ownFlags.out !== undefined
  }

  /** Does nothing without --out. `topology`: what the plan was made for; undefined where there is no cluster yet. */
  protected async savePlan(plan: SavedPlan, topology?: Topology): Promise<void> {
    const {out, yes = false} = this.#ownFlags
    if (out === undefined) return
    const {formatPlanFile, writePlanFile} = await import('../state/plan-file.ts')
    const file: PlanFile = {
      format: PLAN_FORMAT,
      version: PLAN_VERSION,
      madeBy: `rcluster ${this.config.version}`,
      createdAt: new Date().toISOString(),
      command: {name: this.commandName as SavedCommand, line: this.#lineForNewPlan(topology)},
      cluster: topology ? sketchCluster(topology) : NO_CLUSTER,
      options: await this.#savedOptions(),
      plan,
    }
    if (out === '-') {
      process.stdout.write(formatPlanFile(file))
      return
    }
    writePlanFile(out, file, yes)
    this.print(`Wrote the plan to ${out}; nothing was changed. To carry it out: rcluster apply ${shellWord(out)}`)
  }

  /** Flags that say how, where they are not kept as they were typed. */
  protected optionsToSave(): Readonly<Record<string, unknown>> {
    return {}
  }

  async #savedOptions(): Promise<PlanFile['options']> {
    const {optionNames} = await import('../state/plan-file.ts')
    const flags = {...this.flags, ...this.optionsToSave()} as Record<string, PlanFile['options'][string] | undefined>
    const names = await optionNames(this.commandName as SavedCommand)
    return Object.fromEntries(
      names.flatMap((name) => {
        const value = flags[name]
        return value === undefined ? [] : [[name, value]]
      }),
    )
  }

  /** What was typed names the cluster by an address, or it did so by a flag or a variable, which are not in the line. */
  #lineForNewPlan(topology: Topology | undefined): string {
    const isNamed = !this.isClusterNamed && !this.isSeedOfContext
    const flags = {...(this.ctor as typeof ClusterCommand).baseFlags, ...this.ctor.flags}
    const unsaid = Object.fromEntries(
      Object.entries({...changeFlags, ...planFlags}).map(([name, flag]) => [name, {...flag, helpGroup: 'OUTPUT'}]),
    )
    const line = `rcluster ${this.commandName} ${publicWords(this.argv, {...flags, ...unsaid})}`.trim()
    return isNamed || !topology ? line : `${line} --seed ${seedAddress(topology)}`
  }

  /**
   * The cluster that the plan was made for: by the seed that is named, else by the nodes that the plan knows.
   * @throws RefusedError 'foreign-cluster' when none of them is a member.
   */
  protected async openGiven({file, seed}: GivenPlan, leaving: readonly NodeId[] = []): Promise<ClusterSession> {
    const session = await this.#openAny(file, seed, new Set(leaving))
    if (!file.cluster.nodes.some(({id}) => session.topology.nodesById.has(id))) {
      throw new RefusedError('foreign-cluster', 'no node of the plan is a member of this cluster', {
        suggestions: [
          `The plan was made for ${file.cluster.nodes
            .map(({address}) => address)
            .slice(0, 6)
            .join(', ')}`,
        ],
      })
    }
    await session.requireOneCluster()
    return session
  }

  async #openAny({cluster}: PlanFile, seed: string | undefined, leaving: ReadonlySet<NodeId>): Promise<ClusterSession> {
    if (seed !== undefined) return this.openCluster(seed)
    if (this.isClusterNamed || this.isInContext(cluster.nodes.map(({address}) => address))) return this.openCluster()
    // Those that leave by the plan may have left, and know nobody; primaries are the likeliest to be alive and in step.
    const candidates = cluster.nodes
      .filter(({id, address}) => !leaving.has(id) && parseNodeReference(address).kind === 'address')
      .sort((a, b) => Number(b.slots !== '') - Number(a.slots !== ''))
      .slice(0, MOST_SEEDS)
    if (candidates.length === 0) return this.openCluster()
    let failure: unknown
    for (const {address} of candidates) {
      try {
        return await this.openCluster(address)
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        failure ??= error
      }
    }
    throw failure
  }

  /** @throws RefusedError 'stale-plan' when the ground has shifted. Tells of failovers that are followed. */
  protected requireGround(session: ClusterSession, given: GivenPlan, changes: PlannedChanges): Ground {
    const ground = compareGround(given.file.cluster, session.topology, changes)
    this.requireNoShift(given, ground.shifts)
    for (const [old, heir] of ground.standIns) {
      if (this.#failoversTold.has(old) || !given.file.cluster.nodes.some(({id}) => id === old)) continue
      this.#failoversTold.add(old)
      this.note(
        `${labelId(session.topology, heir)} has taken over from ${labelId(session.topology, old)} since the plan was made, and stands in for it.`,
      )
    }
    return ground
  }

  /** @throws RefusedError 'stale-plan' when there is one. */
  protected requireNoShift({path: file, file: {command, createdAt}}: GivenPlan, shifts: readonly string[]): void {
    if (shifts.length === 0) return
    const shown = shifts.slice(0, MOST_SHIFTS).join('; ')
    const more = shifts.length > MOST_SHIFTS ? `; and ${shifts.length - MOST_SHIFTS} more` : ''
    throw new RefusedError(
      'stale-plan',
      `the cluster is not what ${path.basename(file)} was made for at ${createdAt}: ${shown}${more}`,
      {details: {shifts}, suggestions: ['A new plan is made by:', `${command.line} --out ${shellWord(file)} --yes`]},
    )
  }

  get #ownFlags(): OwnFlags {
    return (this.flags ?? {}) as OwnFlags
  }
}

/** Each that is dead costs a deadline. */
const MOST_SEEDS = 8
const MOST_SHIFTS = 4
