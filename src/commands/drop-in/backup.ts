import {mkdtemp, rename, rm, stat} from 'node:fs/promises'
import path from 'node:path'
import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {writeWhole} from '../../lib/engine/backup-manifest.ts'
import {requireNoMigration, takeBackup} from '../../lib/engine/take-backup.ts'
import {requireFitForBackup} from '../../lib/findings/require.ts'
import {type BackupPlan, type BackupSource, planBackup} from '../../lib/plan/backup.ts'
import {primariesInSeedOrder} from '../../lib/plan/redis-cli/node-order.ts'
import {NODES_FILE, renderNodesFile, snapshotName} from '../../lib/render/drop-in/backup.ts'
import {formatAddress, type Topology} from '../../lib/topology/model.ts'

const SILENCE_MS = 60_000
const CONCURRENCY = 16

export default class DropInBackup extends DropInCommand<typeof DropInBackup> {
  static override summary = 'redis-cli --cluster backup'

  async run(): Promise<object> {
    const [seed = '', folder = ''] = (await this.wordsWithInput()).map(String)
    const session = await this.openCluster(seed)
    this.complainOfUnreachable(session.topology)
    this.showCheck(session)
    const isFolder = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (!isFolder) throw new SaidFailure(`[ERR] ${folder} is not a valid directory`)
    requireFitForBackup(session.topology, false)
    await this.stoppable(requireNoMigration(session))
    const {topology} = session
    const plan = planOf(topology)
    for (const {primary} of plan.sources) this.say(`>>> Node ${formatAddress(primary.address)} -> Saving RDB...`)
    await this.#take(session, plan, folder)
    this.say(`[OK] Backup created into: ${folder}`)
    return {}
  }

  /** Beside what is there from before, which is only replaced when all is done. */
  async #take(session: Parameters<typeof takeBackup>[0], plan: BackupPlan, folder: string): Promise<void> {
    const {topology} = session
    const place = await mkdtemp(path.join(folder, '.rcluster-backup-'))
    try {
      const nameOf = ({primary}: BackupSource): string => snapshotName(topology, primary)
      const options = {nameOf, concurrency: CONCURRENCY, silenceMs: SILENCE_MS, signal: this.stopSignal}
      const whole = {path: place, isThere: true, freeBytes: undefined}
      const files = await takeBackup(
        session,
        plan,
        whole,
        options,
        () => writeWhole(place, NODES_FILE, renderNodesFile(topology)),
        [NODES_FILE],
      )
      this.say(`Saving cluster configuration to: ${path.join(folder, NODES_FILE)}`)
      // Last, and not there meanwhile: it makes the files a backup.
      await rm(path.join(folder, NODES_FILE), {force: true})
      for (const name of [...files.map((file) => file.name), NODES_FILE]) {
        await rename(path.join(place, name), path.join(folder, name))
      }
    } finally {
      await rm(place, {recursive: true, force: true})
    }
  }
}

/** From the primaries, as there, those without slots too; in the order in which redis-cli asks them. */
function planOf(topology: Topology): BackupPlan {
  const plan = planBackup(topology, {isFromPrimaries: true})
  const sources = primariesInSeedOrder(topology).map(
    (primary): BackupSource =>
      plan.sources.find((source) => source.primary.id === primary.id) ?? {
        primary,
        node: primary,
        slots: [],
        lagBytes: undefined,
        memoryBytes: undefined,
        keys: 0,
      },
  )
  return {...plan, sources}
}
