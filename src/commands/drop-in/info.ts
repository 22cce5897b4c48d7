import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {renderSummary} from '../../lib/render/drop-in/nodes.ts'

export default class DropInInfo extends DropInCommand<typeof DropInInfo> {
  static override summary = 'redis-cli --cluster info'

  async run(): Promise<object> {
    const {topology} = await this.openCluster(await this.seedWords())
    this.complainOfUnreachable(topology)
    this.say(renderSummary(topology))
    if (topology.nodes.some(({reach}) => reach.kind === 'unreachable')) process.exitCode = 1
    return {}
  }
}
