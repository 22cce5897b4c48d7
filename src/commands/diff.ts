import {existsSync} from 'node:fs'
import {word} from '../lib/cli/args.ts'
import type {BaseCommand} from '../lib/cli/base-command.ts'
import {ClusterCommand} from '../lib/cli/cluster-command.ts'
import {UsageError} from '../lib/errors.ts'
import {
  type ClusterSnapshot,
  compareSnapshots,
  type SnapshotDifference,
  snapshotOf,
} from '../lib/plan/cluster-snapshot.ts'
import {renderDifference} from '../lib/render/snapshot.ts'
import {readContexts} from '../lib/state/contexts.ts'
import {readSnapshotFile} from '../lib/state/snapshot-file.ts'

interface DiffSide {
  readonly name: string
  readonly kind: 'file' | 'context' | 'seed'
  /** Of a file: when it was taken. */
  readonly takenAt?: string
}

interface DiffReport {
  readonly before: DiffSide
  readonly after: DiffSide
  readonly difference: SnapshotDifference
}

export default class Diff extends ClusterCommand<typeof Diff> {
  static override summary = 'Tell what has changed in a cluster between two moments.'
  static override description = [
    'A and B are files of "snapshot", names of contexts, or seeds of clusters as they are now. Told is which slots went from whom to whom, which nodes are gone or new, and what changed of roles, addresses and versions; epochs are not. A name that is a file is the file; then contexts come before hosts.',
    'Exit codes: 0 nothing has changed; 1 something has; 2 the words make no sense, or a file is no snapshot; 4 no seed answers.',
  ].join('\n\n')
  static override usage = 'diff A B'
  static override examples = [
    '<%= config.bin %> diff before.json 127.0.0.1:7000',
    '<%= config.bin %> diff monday.json tuesday.json --json',
    '<%= config.bin %> diff before.json production',
  ]
  static override args = {
    sides: word({description: 'a file, a context or a seed: then and now', multiple: true}),
  }

  async run(): Promise<DiffReport> {
    const [first, second, ...more] = this.args.sides ?? []
    if (first === undefined || second === undefined || more.length > 0) {
      throw new UsageError('diff compares two moments: files, contexts or seeds', {
        suggestions: ['rcluster diff before.json 127.0.0.1:7000'],
      })
    }
    if (this.isNamedByFlag) throw new UsageError('diff takes clusters as its words, not by --seed or --context')
    const before = await this.#look(first)
    const after = await this.#look(second)
    const difference = compareSnapshots(before.cluster, after.cluster)
    if (difference.areStrangers) this.warnOperator(`No node is in both: ${first} and ${second} may be two clusters.`)
    this.print(
      difference.isSame
        ? `Nothing has changed: ${second} is as ${first}.`
        : renderDifference(difference, before.cluster, after.cluster, this.style),
    )
    if (!difference.isSame) process.exitCode = 1
    return {before: before.side, after: after.side, difference}
  }

  async #look(name: string): Promise<{side: DiffSide; cluster: ClusterSnapshot}> {
    const isUrl = name.includes('://')
    if (!isUrl && (existsSync(name) || name.includes('/') || name.endsWith('.json'))) {
      const {takenAt, cluster} = await readSnapshotFile(name)
      return {side: {name, kind: 'file', takenAt}, cluster}
    }
    const kind = !isUrl && readContexts(process.env).byName.has(name) ? 'context' : 'seed'
    const shown = isUrl ? name.replace(/\/\/\S*@/, '//…@') : name
    return {side: {name: shown, kind}, cluster: await new Side([], this.config).look(this, name, kind)}
  }
}

/** Each cluster is reached in its own way: the login of one is not for the other. */
class Side extends ClusterCommand<typeof Diff> {
  override async run(): Promise<object> {
    return {}
  }

  async look(host: BaseCommand, name: string, kind: 'context' | 'seed'): Promise<ClusterSnapshot> {
    const own = (host as unknown as {flags: Readonly<Record<string, unknown>>}).flags
    this.workFor(host, kind === 'context' ? {...own, context: name} : own)
    try {
      return snapshotOf((await this.openCluster(kind === 'context' ? undefined : name)).topology)
    } catch (error) {
      throw this.advised(error)
    } finally {
      await this.leaveCluster()
    }
  }
}
