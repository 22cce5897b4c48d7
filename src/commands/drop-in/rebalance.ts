import {DropInMoveCommand} from '../../lib/cli/drop-in/drop-in-move-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {nodesInSeedOrder} from '../../lib/plan/redis-cli/node-order.ts'
import {planRebalanceAsRedisCli} from '../../lib/plan/redis-cli/rebalance.ts'
import {rebalanceLines, renderRebalance} from '../../lib/render/drop-in/moves.ts'
import type {NodeId, Topology} from '../../lib/topology/model.ts'

export default class DropInRebalance extends DropInMoveCommand<typeof DropInRebalance> {
  static override summary = 'redis-cli --cluster rebalance'

  async run(): Promise<object> {
    const session = await this.openCluster(await this.seedWords())
    const weights = this.#weights(session.topology)
    if (!(await this.checkBeforeMoves(session, {listsNodes: false}))) {
      throw new SaidFailure('*** Please fix your cluster problems before rebalancing')
    }
    const {topology} = session
    const {threshold, 'use-empty': useEmpty} = this.options
    const planned = planRebalanceAsRedisCli(topology, {weights, thresholdPercent: threshold, useEmpty})
    if (!planned.isNeeded) {
      this.say(`*** No rebalancing needed! All nodes are within the ${threshold.toFixed(2)}% threshold.`)
      return {}
    }
    this.say(renderRebalance(topology, planned, this.options.verbose))
    const lines = rebalanceLines(topology, planned.transfers)
    if (this.options['dry-run']) this.grow(lines).complete()
    else await this.carryOutAs(session, planned.plan, lines)
    return {}
  }

  /** Of nodes that are replicas, too: what a node is may have changed since somebody wrote down its weight. */
  #weights(topology: Topology): ReadonlyMap<NodeId, number> {
    const weights = new Map<NodeId, number>()
    for (const word of this.options.weight) {
      const at = word.lastIndexOf('=')
      const prefix = word.slice(0, at).toLowerCase()
      const [node, second] = nodesInSeedOrder(topology).filter(({id}) => id.startsWith(prefix))
      if (!node) throw new SaidFailure(`*** No such master node ${prefix}`)
      if (second) throw new SaidFailure(`*** More than one node has an ID that begins with ${prefix}`)
      weights.set(node.id, Number(word.slice(at + 1)))
    }
    return weights
  }
}
