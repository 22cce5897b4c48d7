import path from 'node:path'
import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {seedFromWords} from '../lib/cli/cluster-command.ts'
import {changeFlags, list, planFlags, positiveInteger, size, wholeNumber} from '../lib/cli/flags.ts'
import {
  atSource,
  measureClockShift,
  openSource,
  type Source,
  sourceConnection,
  sourceFlags,
} from '../lib/cli/import-source.ts'
import {parseAddressReference} from '../lib/cli/node-argument.ts'
import {parseInteger} from '../lib/cli/numbers.ts'
import {PlannedCommand} from '../lib/cli/planned-command.ts'
import {askSecret} from '../lib/cli/prompt.ts'
import {Import, type ImportOutcome, requireUnmoved, type Verification} from '../lib/engine/import-keys.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {CancelledError, ClusterError, InterruptedError, NodeError, RefusedError, UsageError} from '../lib/errors.ts'
import {requireServing} from '../lib/findings/require.ts'
import {type ImportPlan, planImport} from '../lib/plan/import.ts'
import type {CopyPlan} from '../lib/plan/plan-file.ts'
import type {ConnectionOptions} from '../lib/redis/connection-options.ts'
import {openSourcePort} from '../lib/redis/source-client.ts'
import {formatBytes, formatCount, formatDuration, plural} from '../lib/render/amounts.ts'
import {
  type ImportCounts,
  renderImportCounts,
  renderImportPlan,
  renderNamedKeys,
  renderVerification,
} from '../lib/render/import.ts'
import {quoteKey} from '../lib/render/key-name.ts'
import {formatAddress} from '../lib/topology/model.ts'
import {primaries, slotMapFingerprint, slotsOf} from '../lib/topology/queries.ts'

interface NamedKeyDocument {
  readonly key: string
  readonly keyHex: string
  readonly database: number
  readonly reason: string
}

interface ImportReport {
  readonly outcome: 'done' | 'planned' | 'nothing-to-do'
  readonly source: {readonly address: string; readonly server: string; readonly primaries: number | undefined}
  readonly plan: ImportPlan
  readonly counts: ImportCounts | undefined
  /** The first few of those that failed or were changed. */
  readonly failures: readonly NamedKeyDocument[]
  readonly verification: VerificationDocument | undefined
  readonly elapsedMs: number
}

interface VerificationDocument {
  readonly compared: number
  readonly same: number
  readonly differing: number
  readonly differences: readonly NamedKeyDocument[]
}

const DIFFERENCES = {
  missing: 'the cluster does not have it',
  value: 'the cluster has it with another value',
  life: 'the cluster lets it live for another time',
  unknown: 'its type cannot be compared, and the serialised forms differ',
}

export default class ImportCommand extends PlannedCommand<typeof ImportCommand> {
  static override summary = 'Copy the keys of a server, or of another cluster, into the cluster.'

  static override description = [
    'Every key is read by DUMP and written by RESTORE, through this program: the servers need not reach one another, and each side may have its own login and TLS. All types, all bytes of a name and the time to live are kept. What clients change at the source meanwhile is not seen. Run again after an interruption, it goes on: keys that are there with the same value are no conflict.',
    'Exit codes: 0 every key arrived, expired, or was skipped by --on-conflict skip; 2 the words make no sense; 3 nothing was written; 4 a server did not answer, or said no; 5 some keys did not arrive, or --verify found a difference; 130 stopped.',
  ].join('\n\n')
  static override usage = 'import [SEED] --from NODE'

  static override examples = [
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --from 10.0.0.9:6379',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --from rediss://reader@old.example.com:6380 --from-askpass --match "user:*"',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --from 10.0.0.9 --db-map 0=0,3=0 --on-conflict skip --verify --yes',
  ]

  static override args = {
    seed: word({description: 'any node of the cluster that takes the keys, as host:port', multiple: true}),
  }

  static override flags = {
    ...changeFlags,
    ...planFlags,
    ...sourceFlags,
    'on-conflict': Flags.option({options: ['fail', 'skip', 'replace'] as const})({
      summary: 'A key that the cluster has with another value: count it as failed, leave it, or overwrite it.',
      default: 'fail',
    }),
    replace: Flags.boolean({
      summary: 'As --on-conflict replace.',
      default: false,
      aliases: ['cluster-replace'],
      exclusive: ['on-conflict'],
    }),
    move: Flags.boolean({
      summary: 'Delete at the source what the cluster has taken, unless it was changed meanwhile.',
      default: false,
    }),
    copy: Flags.boolean({
      summary: 'Leave the source as it is: the default.',
      default: false,
      aliases: ['cluster-copy'],
      exclusive: ['move'],
    }),
    match: Flags.string({summary: 'Only keys that match.', helpValue: 'PATTERN'}),
    db: list({
      summary: 'Only these databases of the source; may repeat.',
      helpValue: 'N',
      exclusive: ['db-map'],
    }),
    'db-map': list({
      summary: 'Only these databases of the source, each to the one named; may repeat.',
      helpValue: 'FROM=TO',
    }),
    'into-db': wholeNumber({summary: 'All databases to this one.', exclusive: ['db-map']}),
    verify: Flags.boolean({
      summary: 'Afterwards, compare every key with the source; with --dry-run, compare only.',
      default: false,
    }),
    concurrency: positiveInteger({summary: 'Batches under way at once to each node.', default: 4, max: 64}),
    'max-bandwidth': size({summary: 'Write no more than this in a second, over all nodes.'}),
  }

  async run(): Promise<ImportReport> {
    const {from} = this.flags
    if (from === undefined) {
      throw new UsageError('import needs --from, the server to copy from', {
        suggestions: ['rcluster import SEED --from HOST:PORT'],
      })
    }
    const reference = parseAddressReference(from)
    const wishes = this.#wishes()
    const session = this.given
      ? await this.openGiven(this.given)
      : await this.openCluster(seedFromWords(this.args.seed))
    await session.requireOneCluster()
    requireServing(session.topology)
    const options = await this.#sourceOptions(reference)
    const source = await this.stoppable(openSource(reference.address, options))
    try {
      return await this.#import(session, source, wishes, options)
    } finally {
      source.close()
    }
  }

  /** What is there already is only compared: a second run copies nothing. */
  protected override applySaved(): Promise<ImportReport> {
    return this.run()
  }

  /** The source without its password, and files by paths that hold from everywhere. */
  protected override optionsToSave(): Readonly<Record<string, unknown>> {
    const reference = parseAddressReference(this.flags.from ?? '')
    const whole = (file: string | undefined): string | undefined =>
      file === undefined || file === '-' ? undefined : path.resolve(file)
    return {
      from: formatAddress(reference.address),
      'from-user': this.flags['from-user'] ?? reference.username,
      'from-tls': this.flags['from-tls'] || (reference.tls ?? false),
      'from-password-file': whole(this.flags['from-password-file']),
      'from-cacert': whole(this.flags['from-cacert']),
      'from-cert': whole(this.flags['from-cert']),
      'from-key': whole(this.flags['from-key']),
    }
  }

  /** Counts change all the time; which database goes where does not by itself. */
  #requireSameRoutes({routes}: ImportPlan): void {
    if (!this.given) return
    const saved = (this.given.file.plan as CopyPlan).routes
    const known = new Map(saved.map(({from, to}) => [from, to]))
    const shifts = routes.flatMap(({from, to}) => {
      if (known.get(from) === to) return []
      return [
        known.has(from)
          ? `database ${from} of the source would go to ${to}, and not to ${known.get(from)}`
          : `database ${from} of the source has keys now`,
      ]
    })
    this.requireNoShift(this.given, shifts)
  }

  async #import(
    session: ClusterSession,
    source: Source,
    wishes: Parameters<typeof planImport>[2],
    sourceOptions: ConnectionOptions,
  ): Promise<ImportReport> {
    const {match, 'dry-run': isDryRun, verify: isVerifying} = this.flags
    this.#requireSense(session, source)
    const plan = planImport(source.keysByDatabase, await this.#countDatabases(session), wishes)
    this.#requireSameRoutes(plan)
    const {address, server} = source
    const saved: CopyPlan = {...plan, version: 1, kind: 'import', source: {address, server}}
    const isCluster = source.session !== undefined
    const facts = {address, server, primaries: isCluster ? source.servers.length : undefined}
    this.print(renderImportPlan(plan, facts, this.#targetFacts(session), this.style))
    const nothing = {source: facts, plan, counts: undefined, failures: [], verification: undefined, elapsedMs: 0}
    if (plan.routes.length === 0) {
      this.print('Nothing to do: there are no keys to take.')
      await this.savePlan(saved, session.topology)
      return {outcome: 'nothing-to-do', ...nothing}
    }
    const clockShiftMs = await this.stoppable(measureClockShift(source, session))
    if (clockShiftMs !== 0) {
      this.note(
        `The clocks of source and cluster are ${formatDuration(Math.abs(clockShiftMs))} apart: keys keep the time that they have left.`,
      )
    }
    this.#warnOfMemory(session, source, plan)
    await this.savePlan(saved, session.topology)
    if (isDryRun && (!isVerifying || this.isSaving)) return {outcome: 'planned', ...nothing}
    const keys = plan.routes.reduce((sum, route) => sum + route.keys, 0)
    const expected = match === undefined ? keys : undefined
    if (!isDryRun) {
      const what = match === undefined ? plural(keys, 'key') : `the keys that match "${match}"`
      await this.confirm(`${this.flags.move ? 'Move' : 'Copy'} ${what} into the cluster?`)
    }
    const targetOptions = await this.connectionOptions()
    const work = new Import(session, source.servers, {
      routes: plan.routes,
      pattern: match,
      conflicts: wishes.conflicts,
      isMoving: this.flags.move,
      isVerifying,
      concurrency: this.flags.concurrency,
      maxBytesPerSecond: this.flags['max-bandwidth'],
      clockShiftMs,
      openReader: (at) => openSourcePort(at, targetOptions),
      signal: this.stopSignal,
      // Printing ends a progress line, and another begins.
      listener: (event) => this.listener()(event),
    })
    const startedAt = performance.now()
    try {
      let outcome: ImportOutcome | undefined
      if (!isDryRun) {
        this.#begin(this.flags.move ? 'Moving keys' : 'Copying keys', expected)
        outcome = await work.run()
        await this.#requireUnmoved(source)
        this.print(renderImportCounts(outcome, performance.now() - startedAt))
      }
      let verification: Verification | undefined
      if (isVerifying) {
        // What was moved is not there any more to be compared with: it was before it was deleted.
        const isCompared = this.flags.move && !isDryRun
        if (!isCompared) this.#begin('Comparing keys', expected)
        verification = isCompared ? work.verification : await work.verify()
        this.print(renderVerification(verification))
      }
      const report: ImportReport = {
        ...nothing,
        outcome: isDryRun ? 'planned' : 'done',
        counts: outcome && countsOf(outcome),
        failures: (outcome?.failures ?? []).map(documentOf),
        verification: verification && verificationDocument(verification),
        elapsedMs: performance.now() - startedAt,
      }
      this.#requireAll(report, outcome, verification)
      return report
    } catch (error) {
      throw this.#told(error, work.outcome, keys, sourceOptions, source)
    } finally {
      work.close()
    }
  }

  #begin(text: string, keys: number | undefined): void {
    this.listener()({kind: 'phase', text})
    this.listener()({kind: 'load-started', keys})
  }

  #wishes(): Parameters<typeof planImport>[2] {
    const {db, 'db-map': entries, 'into-db': into, replace} = this.flags
    const number = (text: string, flag: string): number => parseInteger(text, flag, 0)
    const map = entries?.map((entry) => {
      const [from, to, more] = entry.split('=')
      if (!from || !to || more !== undefined) {
        throw new UsageError(`--db-map "${entry}" is not FROM=TO`, {suggestions: ['For example: --db-map 0=0,3=0']})
      }
      return [number(from, '--db-map'), number(to, '--db-map')] as const
    })
    return {
      databases: db?.map((text) => number(text, '--db')),
      map: map && new Map(map),
      into,
      conflicts: replace ? 'replace' : this.flags['on-conflict'],
    }
  }

  async #sourceOptions(reference: ReturnType<typeof parseAddressReference>): Promise<ConnectionOptions> {
    if (this.flags['from-password'] !== undefined) {
      this.warnOperator(
        '--from-password shows in the process list; RCLUSTER_FROM_PASSWORD, --from-password-file and --from-askpass do not.',
      )
    }
    const asked = this.flags['from-askpass'] ? await askSecret('Password of the source: ', this.stopSignal) : undefined
    return sourceConnection(this.flags, reference, asked, process.env)
  }

  #requireSense(session: ClusterSession, source: Source): void {
    const shared = source.session?.topology.nodes.find(({id}) => session.topology.nodesById.has(id))
    if (shared) {
      throw new UsageError(`${source.address} is a node of the cluster that is to take the keys`, {
        suggestions: ['Name the server or cluster that has the keys with --from'],
      })
    }
    const [first] = source.servers
    if (this.flags.move && !source.session && first?.facts.isReplica) {
      throw new RefusedError('target-unfit', `${source.address} is a replica: keys cannot be deleted there`, {
        suggestions: ['Name its primary with --from, or leave --move out'],
      })
    }
  }

  /** What every primary has. */
  async #countDatabases(session: ClusterSession): Promise<number> {
    const owners = primaries(session.topology).filter(({id}) => slotsOf(session.topology, id).length > 0)
    const counts = await this.stoppable(Promise.all(owners.map(({id}) => session.node(id).readDatabaseCount())))
    return Math.min(...counts)
  }

  #targetFacts(session: ClusterSession): {address: string; primaries: number; keys: number} {
    const leaders = primaries(session.topology)
    const keys = leaders.reduce((sum, {reach}) => {
      const held = reach.kind === 'reached' ? [...reach.view.serverInfo.keysByDatabase.values()] : []
      return held.reduce((total, count) => total + count, sum)
    }, 0)
    return {address: formatAddress(session.seed), primaries: leaders.length, keys}
  }

  #warnOfMemory(session: ClusterSession, source: Source, plan: ImportPlan): void {
    if (this.flags.match !== undefined || plan.left.length > 0) return
    const used = source.servers.reduce((sum, {facts}) => sum + (facts.info.usedMemoryBytes ?? 0), 0)
    let free = 0
    for (const {id, reach} of primaries(session.topology)) {
      if (reach.kind !== 'reached' || slotsOf(session.topology, id).length === 0) continue
      const {maxMemoryBytes, usedMemoryBytes = 0} = reach.view.serverInfo
      free += maxMemoryBytes ? Math.max(0, maxMemoryBytes - usedMemoryBytes) : Number.POSITIVE_INFINITY
    }
    if (free >= used) return
    this.warnOperator(
      `The cluster has ${formatBytes(free)} left below maxmemory, and the source uses ${formatBytes(used)}: keys may not fit, or be evicted.`,
    )
  }

  async #requireUnmoved({session, fingerprint}: Source): Promise<void> {
    if (!session || fingerprint === undefined) return
    requireUnmoved(fingerprint, slotMapFingerprint(await session.observe()))
  }

  /** @throws InterruptedError when not every key is where it should be. */
  #requireAll(report: ImportReport, outcome: ImportOutcome | undefined, verification: Verification | undefined): void {
    const {failed = 0, changed = 0, failures = []} = outcome ?? {}
    const differing = verification?.differing ?? 0
    if (failed + changed + differing === 0) return
    if (outcome && failed + changed > 0) this.print(renderNamedKeys(failures, failed + changed))
    if (verification && differing > 0) this.print(renderNamedKeys(verification.differences.map(named), differing))
    const parts = [
      failed > 0 ? `${plural(failed, 'key')} did not arrive` : '',
      changed > 0
        ? `${plural(changed, 'key')} changed at the source after ${changed === 1 ? 'it was' : 'they were'} copied`
        : '',
      differing > 0 ? `${plural(differing, 'key')} ${differing === 1 ? 'differs' : 'differ'}` : '',
    ]
    throw new InterruptedError(parts.filter((part) => part !== '').join(', '), {
      details: {report},
      suggestions: this.#adviceOn(failed, differing),
    })
  }

  #adviceOn(failed: number, differing: number): string[] {
    const isReplacing = this.flags.replace || this.flags['on-conflict'] === 'replace'
    if (isReplacing || failed + differing === 0) return []
    if (failed === 0) return ['Run it with --on-conflict replace to overwrite the values of the cluster']
    return ['Decide with --on-conflict skip or --on-conflict replace, and run the command again']
  }

  /** Whatever ended it early tells what was done till then. */
  #told(error: unknown, outcome: ImportOutcome, keys: number, options: ConnectionOptions, source: Source): unknown {
    if (!(error instanceof ClusterError) || error.details['report'] !== undefined) return error
    const counts = countsOf(outcome)
    const isSource =
      error instanceof NodeError && source.servers.some(({port}) => formatAddress(port.address) === error.address)
    const {message, details, suggestions, cause} = isSource ? atSource(error, options) : error
    if (error instanceof RefusedError) return error
    const done = `${formatCount(outcome.copied)} of about ${plural(keys, 'key')} copied`
    const facts = {
      details: {...details, counts},
      suggestions: [...suggestions, 'Run the same command again to go on: what is there already is only compared'],
      cause,
    }
    if (error instanceof CancelledError) return new CancelledError(`${message}: ${done}`, facts)
    return new InterruptedError(`${message}; ${done}`, facts)
  }
}

function countsOf({copied, identical, expired, skipped, failed, deleted, changed, bytes}: ImportOutcome): ImportCounts {
  return {copied, identical, expired, skipped, failed, deleted, changed, bytes}
}

function named({key, database, kind}: Verification['differences'][number]): {
  key: Buffer
  database: number
  reason: string
} {
  return {key, database, reason: DIFFERENCES[kind]}
}

function documentOf({key, database, reason}: {key: Buffer; database: number; reason: string}): NamedKeyDocument {
  return {key: quoteKey(key), keyHex: key.toString('hex'), database, reason}
}

function verificationDocument({compared, same, differing, differences}: Verification): VerificationDocument {
  return {compared, same, differing, differences: differences.map((one) => documentOf(named(one)))}
}
