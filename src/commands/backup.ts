import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {duration, positiveInteger} from '../lib/cli/flags.ts'
import {type BackupFolder, inspectFolder} from '../lib/engine/backup-folder.ts'
import {type BackupManifest, formatManifest, MANIFEST_NAME, writeWhole} from '../lib/engine/backup-manifest.ts'
import type {ClusterSession} from '../lib/engine/session.ts'
import {
  buildManifest,
  collectFunctions,
  requireNoMigration,
  type ShardFile,
  takeBackup,
} from '../lib/engine/take-backup.ts'
import {NodeError, RefusedError, UsageError} from '../lib/errors.ts'
import {requireFitForBackup} from '../lib/findings/require.ts'
import {type BackupPlan, planBackup} from '../lib/plan/backup.ts'
import {formatBytes, plural} from '../lib/render/amounts.ts'
import {renderBackupPlan, renderTaken} from '../lib/render/backup.ts'
import {formatRanges} from '../lib/slots/slot-ranges.ts'
import {formatAddress} from '../lib/topology/model.ts'
import {labelNode} from '../lib/topology/queries.ts'

interface BackupReport {
  readonly outcome: 'taken' | 'planned'
  readonly folder: string
  readonly complete: boolean
  readonly shards: readonly {
    readonly primary: string
    readonly slots: string
    readonly takenFrom: string
    readonly file: string
    /** Once taken. */
    readonly keys?: number
    readonly bytes?: number
    readonly sha256?: string
  }[]
  readonly keys: number
  readonly bytes: number
  readonly functions: readonly string[]
  readonly users: number | null
  readonly elapsedMs: number
}

export default class Backup extends ClusterCommand<typeof Backup> {
  static override summary = 'Write all keys, functions and users of a cluster to a folder.'

  static override description = [
    'One RDB file of each shard, all at once, over the replication stream and from a replica where one is in touch. Each is read as it comes, so that what cannot be restored is found now. manifest.json, with checksums, is written last: a folder without it is no backup. The files are each of one moment, but not of the same moment. Changes nothing on the servers; each of those asked forks.',
    'Exit codes: 0 done; 2 the words make no sense; 3 the cluster, the folder or the disk is not fit for it, or slots moved meanwhile; 4 a node did not answer, or said no; 130 stopped. Whenever it is not 0, what was written is removed.',
  ].join('\n\n')
  static override usage = '<%= command.id %> [SEED] DIR'

  static override examples = [
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 /backups/monday',
    '<%= config.bin %> <%= command.id %> 10.0.0.1 /backups/monday --from-primaries --concurrency 2',
    '<%= config.bin %> <%= command.id %> 10.0.0.1 /backups/monday --dry-run --json',
  ]

  static override args = {
    words: word({description: 'any node of the cluster, and a folder that is empty or not there yet', multiple: true}),
  }

  static override flags = {
    'dry-run': Flags.boolean({summary: 'Show what would be written, and write nothing.', default: false}),
    'from-primaries': Flags.boolean({summary: 'Ask the primaries, although they have replicas.', default: false}),
    concurrency: positiveInteger({summary: 'How many shards at once.', default: 16}),
    'allow-partial': Flags.boolean({
      summary: 'Go on without shards of which no node answers; the manifest says what is missing.',
      default: false,
    }),
    acl: Flags.boolean({
      summary: 'Include the users, with the hashes of their passwords.',
      default: true,
      allowNo: true,
    }),
    'ignore-space': Flags.boolean({
      summary: 'Go on although the disk has less space than the data takes in memory.',
      default: false,
    }),
    'stall-timeout': duration({
      summary: 'How long a node may send nothing.',
      default: 60_000,
      defaultHelp: async () => '60s' as never,
    }),
  }

  async run(): Promise<BackupReport> {
    const startedAt = performance.now()
    const {seed, folder: name} = this.#words()
    const folder = await inspectFolder(name)
    const session = await this.openCluster(seed)
    await this.stoppable(session.requireOneCluster())
    requireFitForBackup(session.topology, this.flags['allow-partial'])
    await this.stoppable(requireNoMigration(session))
    const plan = planBackup(session.topology, {isFromPrimaries: this.flags['from-primaries']})
    this.#requireSources(plan)
    this.#requireSpace(plan, folder)
    // Asked now: who may not list users is not to find out when all else is done.
    const users = this.flags.acl ? await this.#readUsers(session, plan) : null
    this.print(renderBackupPlan(plan, folder.path, this.style))
    if (this.flags['dry-run']) return this.#report('planned', folder, plan, [], [], users, startedAt)

    let manifest: BackupManifest | undefined
    const files = await takeBackup(
      session,
      plan,
      folder,
      {
        nameOf: ({primary}, index) => `shard-${index + 1}-${primary.id.slice(0, 8)}.rdb`,
        concurrency: this.flags.concurrency,
        silenceMs: this.flags['stall-timeout'],
        signal: this.stopSignal,
        listener: this.listener(),
      },
      async (taken) => {
        const functions = await collectFunctions(session, plan)
        manifest = buildManifest(session.topology, plan, taken, functions, users)
        await writeWhole(folder.path, MANIFEST_NAME, formatManifest(manifest))
      },
      [MANIFEST_NAME],
    )
    const functions = manifest?.functions ?? []
    const report = this.#report('taken', folder, plan, files, functions, users, startedAt)
    this.#tell(report, files, functions)
    return report
  }

  #words(): {seed: string | undefined; folder: string} {
    const words = this.args.words ?? []
    const folder = words.at(-1)
    if (folder === undefined || (/:\d+$/.test(folder) && words.length < 3)) {
      throw new UsageError('backup needs a folder to write to', {
        suggestions: [`rcluster backup ${folder ?? '127.0.0.1:7000'} DIR`],
      })
    }
    return {seed: seedFromWords(words.slice(0, -1)), folder}
  }

  #requireSources({sources, missing}: BackupPlan): void {
    const [lost] = missing
    if (sources.length > 0 && (!lost || this.flags['allow-partial'])) return
    const what = lost ? `no node of the shard of ${labelNode(lost.primary)} can be asked` : 'no node has slots'
    throw new RefusedError('unreachable-nodes', what, {
      details: {slots: lost ? formatRanges(lost.slots) : ''},
      suggestions: ['Start its nodes, or add --allow-partial to do without its slots'],
    })
  }

  #requireSpace({sources}: BackupPlan, {freeBytes, path}: BackupFolder): void {
    const needed = sources.reduce((sum, {memoryBytes}) => sum + (memoryBytes ?? 0), 0)
    if (freeBytes === undefined || needed <= freeBytes || this.flags['ignore-space']) return
    throw new RefusedError(
      'unfit-folder',
      `${path} has ${formatBytes(freeBytes)} of free space, and the data takes ${formatBytes(needed)} in memory`,
      {
        details: {freeBytes, memoryBytes: needed},
        suggestions: ['Name a folder on a larger disk, or add --ignore-space: files are mostly smaller than memory'],
      },
    )
  }

  async #readUsers(session: ClusterSession, {sources}: BackupPlan): Promise<readonly string[] | null> {
    const [first] = sources
    if (!first) return null
    try {
      return await this.stoppable(session.node(first.node.id).listUsers())
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      if (error.failure === 'unknown-command') return []
      const suggestions = ['The user needs +acl|list to back up users; --no-acl leaves them out']
      throw new NodeError(error.failure, error.address, error.message, {suggestions, cause: error})
    }
  }

  #report(
    outcome: BackupReport['outcome'],
    folder: BackupFolder,
    plan: BackupPlan,
    files: readonly ShardFile[],
    functions: BackupManifest['functions'],
    users: readonly string[] | null,
    startedAt: number,
  ): BackupReport {
    return {
      outcome,
      folder: folder.path,
      complete: plan.missing.length === 0,
      shards: plan.sources.map(({primary, node, slots}, index) => {
        const file = files[index]
        return {
          primary: formatAddress(primary.address),
          slots: formatRanges(slots),
          takenFrom: formatAddress(node.address),
          file: file?.name ?? `shard-${index + 1}-${primary.id.slice(0, 8)}.rdb`,
          ...(file ? {keys: file.census.keys, bytes: file.bytes, sha256: file.sha256} : {}),
        }
      }),
      keys: files.reduce((sum, {census}) => sum + census.keys, 0),
      bytes: files.reduce((sum, {bytes}) => sum + bytes, 0),
      functions: [...new Set(functions.flatMap(({libraries}) => libraries))].sort(),
      users: users?.length ?? null,
      elapsedMs: performance.now() - startedAt,
    }
  }

  #tell(report: BackupReport, files: readonly ShardFile[], functions: BackupManifest['functions']): void {
    const {keys, bytes, folder, elapsedMs, users, complete} = report
    this.print(
      renderTaken({
        folder,
        isComplete: complete,
        keys,
        shards: files.length,
        bytes,
        libraries: report.functions.length,
        users: users ?? undefined,
        elapsedMs,
      }),
    )
    if (users !== null && users > 0)
      this.note(`${MANIFEST_NAME} holds the password hashes of the users; --no-acl leaves them out.`)
    if (functions.length > 1) {
      this.warnOperator(
        'The primaries do not have the same function libraries; the manifest holds what each of them has.',
      )
    }
    const strays = files.reduce((sum, {census}) => sum + census.strays, 0)
    if (strays > 0) {
      this.warnOperator(
        `${plural(strays, 'key')} of slots that their shard does not own are in the files, left by a move or a failed one; restore passes over them.`,
      )
    }
    const modules = [...new Set(files.flatMap(({census}) => [...census.modules]))].sort()
    if (modules.length > 0) {
      this.warnOperator(`Modules keep data beside the keys, which restore cannot bring back: ${modules.join(', ')}.`)
    }
    const unchecked = files.filter(({census}) => !census.isChecked).map(({name}) => name)
    if (unchecked.length > 0) {
      this.warnOperator(
        `The servers computed no checksum (rdbchecksum no) in ${unchecked.join(', ')}; ours are in ${MANIFEST_NAME}.`,
      )
    }
  }
}
