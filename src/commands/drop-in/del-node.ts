import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {removeNodes} from '../../lib/engine/remove-nodes.ts'
import {planRemoval} from '../../lib/plan/removal.ts'
import {renderUnreachable} from '../../lib/render/drop-in/failure.ts'
import {formatAddress} from '../../lib/topology/model.ts'
import {slotsOf} from '../../lib/topology/queries.ts'

/** Half of the 60 s for which the servers ban a forgotten node. */
const DEADLINE_MS = 30_000

export default class DropInDelNode extends DropInCommand<typeof DropInDelNode> {
  static override summary = 'redis-cli --cluster del-node'

  async run(): Promise<object> {
    const [seed = '', id = ''] = (await this.wordsWithInput()).map((one) => one.toString().trim())
    this.say(`>>> Removing node ${id} from cluster ${formatAddress(this.parseAddress(seed))}`)
    const session = await this.openCluster(seed)
    await this.lockCluster(session)
    const {topology} = session
    const victim = topology.nodesById.get(id.toLowerCase())
    if (!victim) throw new SaidFailure(`[ERR] No such node ID ${id}`)
    const address = formatAddress(victim.address)
    this.complainOfUnreachable(topology)
    if (slotsOf(topology, victim.id).length > 0) {
      throw new SaidFailure(`[ERR] Node ${address} is not empty! Reshard data away and try again.`)
    }
    const plan = planRemoval(topology, {victims: [victim.id]})
    this.say('>>> Sending CLUSTER FORGET messages to the cluster...')
    for (const {address: replica, primaryId} of plan.rehomed) {
      const home = topology.nodesById.get(primaryId)
      this.say(`>>> ${replica} as replica of ${home ? formatAddress(home.address) : primaryId}`)
    }
    const {notReset, notTold} = await removeNodes(session, plan, {
      deadlineMs: DEADLINE_MS,
      signal: this.stopSignal,
      listener: this.listener(),
    })
    for (const member of notTold) {
      this.say(`>>> Skipping unreachable node ${member}. It may need manual reconfiguration when it comes back online.`)
    }
    if (notReset.length === 0) {
      this.say('>>> Sending CLUSTER RESET SOFT to the deleted node.')
    } else {
      // Went away meanwhile, if it was not away before.
      if (victim.reach.kind === 'reached') this.complain(renderUnreachable(address, 'closed', ''))
      this.say(`>>> WARNING: Could not connect to node ${address}, unable to send CLUSTER RESET.`)
    }
    this.say(`[OK] Node ${id} removed from the cluster.`)
    return {}
  }
}
