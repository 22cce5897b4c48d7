import {BaseCommand} from '../../lib/cli/base-command.ts'
import {readLocal} from '../../lib/local/instances.ts'
import {renderTable} from '../../lib/render/table.ts'
import {formatAddress} from '../../lib/topology/model.ts'

interface StatusReport {
  readonly isUp: boolean
  readonly nodes: readonly {readonly address: string; readonly pid: number; readonly isRunning: boolean}[]
}

export default class LocalStatus extends BaseCommand<typeof LocalStatus> {
  static override summary = 'Show the servers that "local up" started.'
  static override description = 'Exit codes: 0, whether or not they run: --json tells which do.'
  static override usage = 'local status'
  static override examples = ['<%= config.bin %> local status']

  async run(): Promise<StatusReport> {
    const local = await readLocal(process.env)
    if (!local) {
      this.print('No local cluster was started; rcluster local up starts one.')
      return {isUp: false, nodes: []}
    }
    const nodes = local.nodes.map(({address, pid, isRunning}) => ({address: formatAddress(address), pid, isRunning}))
    const {family, version} = local.server
    this.print(
      [
        `${family} ${version}, since ${local.startedAt}, in ${local.base}`,
        renderTable(
          [{title: 'Node'}, {title: 'Process', align: 'right'}, {title: 'State'}],
          nodes.map(({address, pid, isRunning}) => [address, String(pid), isRunning ? 'running' : 'ended']),
          this.style,
        ),
      ].join('\n'),
    )
    return {isUp: nodes.some(({isRunning}) => isRunning), nodes}
  }
}
