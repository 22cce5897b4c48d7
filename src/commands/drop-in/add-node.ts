import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {meetEmpty} from '../../lib/cli/drop-in/meet-empty.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import type {NodePort} from '../../lib/engine/cluster-port.ts'
import {joinNodes} from '../../lib/engine/join-nodes.ts'
import {waitUntilFitForJoins} from '../../lib/engine/newcomers.ts'
import type {ClusterSession} from '../../lib/engine/session.ts'
import {planJoin} from '../../lib/plan/join.ts'
import {nodesInSeedOrder, primariesInSeedOrder} from '../../lib/plan/redis-cli/node-order.ts'
import {vocabularyFor} from '../../lib/render/drop-in/vocabulary.ts'
import {type ClusterNode, formatAddress, type Topology} from '../../lib/topology/model.ts'

const DEADLINE_MS = 60_000

export default class DropInAddNode extends DropInCommand<typeof DropInAddNode> {
  static override summary = 'redis-cli --cluster add-node'

  async run(): Promise<object> {
    const [fresh = '', existing = ''] = (await this.wordsWithInput()).map(String)
    const address = this.parseAddress(fresh)
    this.say(`>>> Adding node ${formatAddress(address)} to cluster ${formatAddress(this.parseAddress(existing))}`)
    const session = await this.openCluster(existing)
    this.complainOfUnreachable(session.topology)
    await this.lockCluster(session)
    // Nodes that joined a moment ago need some seconds until all agree; what is still amiss then, the check shows.
    await waitUntilFitForJoins(session, this.stopSignal).catch(() => undefined)
    this.stopSignal.throwIfAborted()
    if (!this.showCheck(session)) throw new SaidFailure('*** Please fix your cluster problems before adding a node')
    const primary = this.options.replica ? this.#choosePrimary(session.topology) : undefined

    const newcomers = await this.stoppable(meetEmpty(session.port, [address]))
    const ports = newcomers.map(({port}) => port)
    const [port] = ports
    if (port && !primary) await this.#requireNoFunctions(session, port)
    const plan = planJoin(session.topology, {
      newcomers: ports.map(({id}) => ({id, address})),
      role: primary ? 'replica' : 'primary',
      ...(primary ? {primaryId: primary.id} : {}),
    })
    this.say(`>>> Send CLUSTER MEET to node ${formatAddress(address)} to make it join the cluster.`)
    this.say('Waiting for the cluster to join')
    await joinNodes(session, plan, ports, {
      deadlineMs: DEADLINE_MS,
      signal: this.stopSignal,
      listener: ({kind}) => kind === 'phase' && this.dot(),
      keepsEpochs: true,
    })
    if (primary) this.say(`>>> Configure node as replica of ${formatAddress(primary.address)}.`)
    this.say('[OK] New node added correctly.')
    return {}
  }

  /** The one that was asked for, or the first of those with the fewest replicas. */
  #choosePrimary(topology: Topology): ClusterNode {
    const {primary} = vocabularyFor(topology)
    const wanted = this.options['primary-id']
    if (wanted !== undefined) {
      const node = topology.nodesById.get(wanted.toLowerCase())
      if (node?.reach.kind !== 'reached') throw new SaidFailure(`[ERR] No such ${primary} ID ${wanted}`)
      return node
    }
    const nodes = nodesInSeedOrder(topology)
    const countOf = ({id}: ClusterNode): number => nodes.filter(({primaryId}) => primaryId === id).length
    const [chosen] = [...primariesInSeedOrder(topology)].sort((a, b) => countOf(a) - countOf(b))
    if (!chosen) throw new SaidFailure(`[ERR] Could not find a reachable ${primary} node.`)
    this.say(`Automatically selected ${primary} ${formatAddress(chosen.address)}`)
    return chosen
  }

  /** redis-cli wants a new primary without any; the engine would let those be that the cluster has as well. */
  async #requireNoFunctions(session: ClusterSession, port: NodePort): Promise<void> {
    this.say('>>> Getting functions from cluster')
    const libraries = await port.listFunctions()
    if (libraries === undefined) {
      const {product} = vocabularyFor(session.topology)
      this.say(
        `>>> Failed retrieving Functions from the cluster, skip this step as ${product} version do not support function command`,
      )
      return
    }
    const address = formatAddress(port.address)
    this.say(`>>> Send FUNCTION LIST to ${address} to verify there is no functions in it`)
    if (libraries.length > 0) {
      throw new SaidFailure(
        '>>> New node already contains functions and can not be added to the cluster. Use FUNCTION FLUSH and try again.',
      )
    }
    this.say(`>>> Send FUNCTION RESTORE to ${address}`)
  }
}
