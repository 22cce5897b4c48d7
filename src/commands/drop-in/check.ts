import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {readKeyEvidence} from '../../lib/engine/key-evidence.ts'
import {renderMultipleOwners} from '../../lib/render/drop-in/multiple-owners.ts'
import {renderSummary} from '../../lib/render/drop-in/nodes.ts'

export default class DropInCheck extends DropInCommand<typeof DropInCheck> {
  static override summary = 'redis-cli --cluster check'

  async run(): Promise<object> {
    const session = await this.openCluster(await this.seedWords())
    this.complainOfUnreachable(session.topology)
    this.say(renderSummary(session.topology))
    if (!this.showCheck(session, {isThorough: true})) process.exitCode = 1
    if (this.options['search-multiple-owners']) {
      const evidence = await this.stoppable(readKeyEvidence(session, [], 'all'))
      const {text, isClean} = renderMultipleOwners(session.topology, evidence)
      this.say(text)
      if (!isClean) process.exitCode = 1
    }
    return {}
  }
}
