import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {readKeyEvidence} from '../../lib/engine/key-evidence.ts'
import type {ClusterSession} from '../../lib/engine/session.ts'
import {pollUntil} from '../../lib/engine/waiting.ts'
import {isOnlySynchronising} from '../../lib/render/drop-in/check.ts'
import {renderMultipleOwners} from '../../lib/render/drop-in/multiple-owners.ts'
import {renderSummary} from '../../lib/render/drop-in/nodes.ts'

/** repl-diskless-sync-delay, which the servers wait before they begin, and the copying of little data. */
const LINK_MS = 7000

export default class DropInCheck extends DropInCommand<typeof DropInCheck> {
  static override summary = 'redis-cli --cluster check'

  async run(): Promise<object> {
    const session = await this.openCluster(await this.seedWords())
    await this.#waitForReplicas(session)
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

  /** A primary that was emptied follows the new owner here: redis-cli's check passes at once, its link needs some seconds. */
  async #waitForReplicas(session: ClusterSession): Promise<void> {
    const deadline = {deadlineMs: LINK_MS, firstIntervalMs: 200, signal: this.stopSignal}
    const look = async (): Promise<true | undefined> => {
      if (!isOnlySynchronising(session.topology)) return true
      await session.refresh()
      return undefined
    }
    await this.stoppable(pollUntil(look, deadline))
  }
}
