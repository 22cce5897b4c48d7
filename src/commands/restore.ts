import {existsSync} from 'node:fs'
import path from 'node:path'
import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {changeFlags, lockFlags, planFlags, size} from '../lib/cli/flags.ts'
import {PlannedCommand} from '../lib/cli/planned-command.ts'
import type {BusyKeyPolicy, LoadOutcome} from '../lib/engine/load-outcome.ts'
import {type BackupSet, type CheckedFile, checkFile, findBackup} from '../lib/engine/read-backup.ts'
import {restoreKeys, restoreUsers, type Verification, verifyKeys} from '../lib/engine/restore-backup.ts'
import {planFunctions, restoreLibraries} from '../lib/engine/restore-functions.ts'
import {inspectTarget, requireCounts, requireRestorable, targetPorts} from '../lib/engine/restore-target.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {mapBounded} from '../lib/engine/waiting.ts'
import {CancelledError, ClusterError, InterruptedError, RefusedError, UsageError} from '../lib/errors.ts'
import {requireFitForMoves} from '../lib/findings/require.ts'
import type {RestorePlan} from '../lib/plan/plan-file.ts'
import {formatCount, plural} from '../lib/render/amounts.ts'
import {renderKey, renderRestored, renderRestoreFiles} from '../lib/render/backup.ts'
import {SLOT_COUNT} from '../lib/slots/slot.ts'
import {countSlots} from '../lib/slots/slot-ranges.ts'
import {formatAddress} from '../lib/topology/model.ts'
import {seedAddress} from '../lib/topology/queries.ts'

interface RestoreReport {
  readonly outcome: 'restored' | 'planned'
  readonly origin: BackupSet['origin']
  readonly files: readonly {
    readonly name: string
    readonly keys: number
    readonly bytes: number
    readonly rdbVersion: number
  }[]
  readonly keys?: Omit<LoadOutcome, 'failures'>
  readonly verified?: {readonly same: number; readonly expired: number; readonly present: number}
  readonly functions: readonly string[]
  readonly users: number | null
  readonly elapsedMs: number
}

export default class Restore extends PlannedCommand<typeof Restore> {
  static override summary = 'Load a backup, or RDB files, into a cluster of any size.'

  static override description = [
    'DIR is what rcluster backup or redis-cli --cluster backup wrote; RDB files of other origin are taken as well. The nodes are an empty cluster of any number of primaries (rcluster create makes one). All files are read to the end and checked before the first key is written; keys go to the owner of their slot with their time to live, function libraries to every primary; in the end it is counted what is there, and with --verify every key is compared. Run again with --on-conflict fail after an interruption: keys that are there with the same value are passed over.',
    'Exit codes: 0 done; 2 the words make no sense; 3 the backup is damaged or not whole, or the cluster not fit for it, and nothing was changed; 4 a node did not answer, or said no; 5 part of it was restored; 130 stopped.',
  ].join('\n\n')
  static override usage = ['restore DIR NODE...', 'restore FILE.rdb... NODE...']

  static override examples = [
    '<%= config.bin %> <%= command.id %> /backups/monday 10.0.1.1 10.0.1.2 10.0.1.3 --verify',
    '<%= config.bin %> <%= command.id %> dump.rdb 127.0.0.1:7000 --yes',
    '<%= config.bin %> <%= command.id %> /backups/monday 127.0.0.1:7000 --with-acl --yes --json',
  ]

  static override args = {
    words: word({description: 'a backup or RDB files, then nodes of the cluster that takes them', multiple: true}),
  }

  static override flags = {
    ...changeFlags,
    ...lockFlags,
    ...planFlags,
    'on-conflict': Flags.option({options: ['fail', 'skip', 'replace'] as const})({
      summary: 'Restore into a cluster that is not empty, and whose value wins; equal ones are no conflict.',
    }),
    verify: Flags.boolean({summary: 'Compare every key with the backup afterwards.', default: false}),
    functions: Flags.boolean({summary: 'Restore function libraries.', default: true, allowNo: true}),
    'with-acl': Flags.boolean({summary: 'Restore the users of the backup, on every node.', default: false}),
    'allow-partial': Flags.boolean({summary: 'Restore a backup that says that slots are missing.', default: false}),
    'max-bandwidth': size({summary: 'No more than this in a second.'}),
  }

  async run(): Promise<RestoreReport> {
    const startedAt = performance.now()
    const {sources, nodes} = this.#words()
    const backup = await findBackup(sources, this.flags['allow-partial'])
    const users = this.#users(backup)
    const session = this.given ? await this.openGiven(this.given) : await this.openCluster(nodes)
    this.#requireCluster(session, nodes)
    await this.stoppable(session.requireOneCluster())
    await this.lockCluster(session)
    requireFitForMoves(session.topology, {resumable: []})
    const files = await this.#check(backup)
    this.#requireSameFiles(files)
    // Keys that are there with the same value are what an earlier run of the plan has written.
    const conflicts = this.flags['on-conflict'] ?? (this.given ? 'fail' : undefined)
    const target = await this.stoppable(inspectTarget(session))
    if (this.given && this.flags['on-conflict'] === undefined && target.keys > totalKeys(files)) {
      this.requireNoShift(this.given, [
        `the cluster holds ${plural(target.keys, 'key')}, and the plan brings ${formatCount(totalKeys(files))}`,
      ])
    }
    requireRestorable(files, target, conflicts)
    const policy: BusyKeyPolicy = conflicts ?? 'fail'
    const libraries = await this.stoppable(
      planFunctions(targetPorts(session), this.flags.functions ? files : [], policy),
    )
    const names = libraries.libraries.map(({name}) => name)
    const report = {
      origin: backup.origin,
      files: files.map(({source, census, bytes, rdbVersion}) => ({
        name: path.basename(source.path),
        keys: census.keys,
        bytes,
        rdbVersion,
      })),
      functions: names,
    }
    this.#show(files, names, session)
    const sizes = files.map(({source, census, bytes}) => ({path: path.resolve(source.path), keys: census.keys, bytes}))
    await this.savePlan(
      {version: 1, kind: 'restore', sources: sources.map((one) => path.resolve(one)), files: sizes},
      session.topology,
    )
    const elapsed = (): number => performance.now() - startedAt
    if (this.flags['dry-run'])
      return {outcome: 'planned', ...report, users: users?.length ?? null, elapsedMs: elapsed()}
    await this.confirm(
      `Restore ${plural(totalKeys(files), 'key')} into ${plural(targetPorts(session).length, 'primary')}?`,
    )

    const {keys, verified} = await this.#tellingHowToGoOn(async () => {
      await restoreLibraries(libraries, policy)
      const outcome = await this.#load(session, files, policy)
      if (target.keys === 0) await requireCounts(session, files, outcome)
      return {keys: outcome, verified: this.flags.verify ? await this.#verify(session, files) : undefined}
    })
    if (users) await restoreUsers(session, users)
    const {failures: _, ...counts} = keys
    this.print(renderRestored({...counts, libraries: names, users: users?.length, elapsedMs: elapsed()}, verified))
    return {
      outcome: 'restored',
      ...report,
      keys: counts,
      ...(verified ? {verified: {same: verified.same, expired: verified.expired, present: verified.present}} : {}),
      users: users?.length ?? null,
      elapsedMs: elapsed(),
    }
  }

  /** What is there already is only compared: a second run writes nothing. */
  protected override applySaved(): Promise<RestoreReport> {
    return this.run()
  }

  #requireSameFiles(files: readonly CheckedFile[]): void {
    if (!this.given) return
    const now = new Map(files.map(({source, bytes}) => [path.resolve(source.path), bytes]))
    const then = (this.given.file.plan as RestorePlan).files
    const changed = then.filter((file) => now.get(file.path) !== file.bytes)
    this.requireNoShift(
      this.given,
      changed.map((file) => `${file.path} had ${file.bytes} bytes then, and has ${now.get(file.path) ?? 'none'}`),
    )
  }

  /** A folder or files first, then nodes. */
  #words(): {sources: string[]; nodes: string[] | undefined} {
    if (this.given) return {sources: [...(this.given.file.plan as RestorePlan).sources], nodes: undefined}
    const words = this.args.words ?? []
    const [first, ...others] = words
    if (first === undefined) {
      throw new UsageError('restore needs a backup and the nodes of a cluster', {
        suggestions: ['rcluster restore DIR 127.0.0.1:7000'],
      })
    }
    const count = others.findIndex((one) => !/\.rdb$/i.test(one) && !existsSync(one))
    const files = count === -1 ? words.length : 1 + count
    const nodes = words
      .slice(files)
      .flatMap((one) => one.split(','))
      .filter((one) => one !== '')
    if (nodes.length > 0) return {sources: words.slice(0, files), nodes}
    // Never 127.0.0.1:6379 by default: it is written to.
    if (!this.isClusterNamed) {
      throw new UsageError('the nodes to restore into are not named', {
        suggestions: [`rcluster restore ${words.join(' ')} NODE...`],
      })
    }
    return {sources: words, nodes: undefined}
  }

  #users({manifest}: BackupSet): readonly string[] | undefined {
    if (!this.flags['with-acl']) return undefined
    if (manifest?.users) return manifest.users
    throw new UsageError('there are no users in this backup', {
      suggestions: ['Leave --with-acl away: it was taken with --no-acl, or by another program'],
    })
  }

  #requireCluster({topology}: ClusterSession, nodes: readonly string[] | undefined): void {
    if (countSlots(topology.uncovered) < SLOT_COUNT) return
    const members = nodes ?? topology.nodes.map(({address}) => formatAddress(address))
    throw new RefusedError('uncovered-slots', 'the nodes are not a cluster yet: no slot is served', {
      suggestions: [`rcluster create ${members.join(' ')}`],
    })
  }

  async #check({sources}: BackupSet): Promise<CheckedFile[]> {
    const listener = this.listener()
    listener({kind: 'phase', text: 'Reading and checking the files'})
    const counts = sources.map(({expected}) => Object.values(expected?.keys ?? {}))
    const known = sources.every(({expected}) => expected)
      ? counts.flat().reduce((sum, count) => sum + count, 0)
      : undefined
    listener({kind: 'load-started', keys: known})
    const onRead = (keys: number, bytes: number): void => listener({kind: 'keys-loaded', keys, bytes})
    return mapBounded(sources, 4, (source) => checkFile(source, this.stopSignal, onRead))
  }

  #show(files: readonly CheckedFile[], libraries: readonly string[], {topology}: ClusterSession): void {
    const rows = files.map(({source, bytes, rdbVersion, census}) => {
      const {serverVersion, keys, expired, strays} = census
      return {name: path.basename(source.path), bytes, rdbVersion, serverVersion, keys, expired, strays}
    })
    this.print(renderRestoreFiles(rows, libraries, seedAddress(topology), this.style))
    const modules = [...new Set(files.flatMap(({census}) => [...census.modules]))].sort()
    if (modules.length > 0) {
      this.warnOperator(`Modules kept data beside the keys, which cannot be brought back: ${modules.join(', ')}.`)
    }
  }

  async #load(session: ClusterSession, files: readonly CheckedFile[], conflicts: BusyKeyPolicy): Promise<LoadOutcome> {
    const listener = this.listener()
    listener({kind: 'phase', text: 'Loading keys'})
    const outcome = await restoreKeys(session, files, {
      conflicts,
      signal: this.stopSignal,
      listener,
      maxBytesPerSecond: this.flags['max-bandwidth'],
    })
    if (outcome.failed === 0) return outcome
    const [first] = outcome.failures
    const which = first ? `, as ${renderKey(first.key)} in database ${first.database}: ${first.reason}` : ''
    throw new InterruptedError(
      `${plural(outcome.failed, 'key')} of ${formatCount(totalKeys(files))} could not be restored${which}`,
      {details: {...outcome, failures: outcome.failures.map((one) => ({...one, key: one.key.toString('latin1')}))}},
    )
  }

  async #verify(session: ClusterSession, files: readonly CheckedFile[]): Promise<Verification> {
    const listener = this.listener()
    listener({kind: 'phase', text: 'Comparing every key with the backup'})
    const result = await verifyKeys(session, files, {signal: this.stopSignal, listener})
    const {missing, different} = result
    const [first] = [...missing, ...different]
    if (first === undefined) return result
    throw new InterruptedError(
      `${plural(missing.length, 'key')} missing and ${formatCount(different.length)} different from the backup, as ${renderKey(first)}`,
      {details: {missing: missing.length, different: different.length}},
    )
  }

  /** Behind the first write: the same command goes on, when it may find keys. */
  async #tellingHowToGoOn<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error
      const suggestions = [
        ...error.suggestions,
        'The same command with --on-conflict fail goes on, and passes over keys that are there with the same value; --on-conflict replace writes all of them again',
      ]
      const facts = {details: error.details, suggestions, cause: error}
      if (error instanceof CancelledError)
        throw new CancelledError(`${error.message}; part of the keys may be there`, facts)
      if (error instanceof InterruptedError || error instanceof RefusedError) {
        throw error instanceof RefusedError ? error : new InterruptedError(error.message, facts)
      }
      throw new InterruptedError(`${error.message}; part of the keys may be there`, facts)
    }
  }
}

function totalKeys(files: readonly CheckedFile[]): number {
  return files.reduce((sum, {census}) => sum + census.keys, 0)
}
