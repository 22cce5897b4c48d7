import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {UsageError} from '../lib/errors.ts'
import {
  type ClusterSnapshot,
  SNAPSHOT_FORMAT,
  SNAPSHOT_VERSION,
  type SnapshotFile,
  snapshotOf,
} from '../lib/plan/cluster-snapshot.ts'
import {summariseSnapshot} from '../lib/render/snapshot.ts'
import {formatSnapshotFile, requireSnapshotPlace, writeSnapshotFile} from '../lib/state/snapshot-file.ts'
import {seedAddress} from '../lib/topology/queries.ts'

interface SnapshotReport {
  readonly file: string
  readonly takenAt: string
  readonly cluster: ClusterSnapshot
}

export default class Snapshot extends ClusterCommand<typeof Snapshot> {
  static override summary = 'Keep in a file who is who and who owns which slots.'
  static override description = [
    'Nodes, roles, addresses, slots, epochs and versions at this moment; no key, no setting and no secret. "diff" tells what has changed since then, and "reshard --like" goes back to the slots. schemas/snapshot-v1.json says what is in the file.',
    'Exit codes: 0 written; 2 the words make no sense, or there is something else in that place; 4 no seed answers.',
  ].join('\n\n')
  static override usage = 'snapshot [SEED] --out FILE'
  static override examples = [
    '<%= config.bin %> snapshot 127.0.0.1:7000 --out before.json',
    '<%= config.bin %> snapshot --context prod --out prod-monday.json --yes',
  ]
  static override args = {seed: word({description: 'any node of the cluster', multiple: true})}
  static override flags = {
    out: Flags.string({summary: 'Where to write it; "-": to stdout.', helpValue: 'FILE', required: true}),
    yes: Flags.boolean({char: 'y', summary: 'Replace an older snapshot.', default: false}),
  }

  async run(): Promise<SnapshotReport> {
    const {out, yes} = this.flags
    if (out === '-' && this.jsonEnabled()) {
      throw new UsageError('--out - and --json both want stdout', {suggestions: ['Name a file: --out before.json']})
    }
    if (out !== '-') requireSnapshotPlace(out, yes)
    const {topology} = await this.openCluster(seedFromWords(this.args.seed))
    const cluster = snapshotOf(topology)
    const file: SnapshotFile = {
      format: SNAPSHOT_FORMAT,
      version: SNAPSHOT_VERSION,
      madeBy: `rcluster ${this.config.version}`,
      takenAt: new Date().toISOString(),
      cluster,
    }
    if (out === '-') process.stdout.write(formatSnapshotFile(file))
    else writeSnapshotFile(out, file, yes)
    const silent = cluster.nodes.filter(({isReached}) => !isReached).map(({address}) => address)
    if (silent.length > 0)
      this.warnOperator(`${silent.join(', ')} did not answer: what the others say of them was kept.`)
    if (cluster.disputed !== '') {
      this.warnOperator(
        `The nodes do not agree on who owns slots ${cluster.disputed}: rcluster check ${seedAddress(topology)}`,
      )
    }
    if (out !== '-') this.print(`Wrote ${out}: ${summariseSnapshot(cluster)}.`)
    return {file: out, takenAt: file.takenAt, cluster}
  }
}
