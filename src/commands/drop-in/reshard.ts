import {DropInMoveCommand} from '../../lib/cli/drop-in/drop-in-move-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {primariesInSeedOrder} from '../../lib/plan/redis-cli/node-order.ts'
import {planReshardAsRedisCli} from '../../lib/plan/redis-cli/reshard.ts'
import {renderReshard, reshardLines} from '../../lib/render/drop-in/moves.ts'
import {SLOT_COUNT} from '../../lib/slots/slot.ts'
import type {ClusterNode, Topology} from '../../lib/topology/model.ts'

export default class DropInReshard extends DropInMoveCommand<typeof DropInReshard> {
  static override summary = 'redis-cli --cluster reshard'

  async run(): Promise<object> {
    const session = await this.openCluster(await this.seedWords())
    if (!(await this.checkBeforeMoves(session, {listsNodes: true}))) {
      throw new SaidFailure('*** Please fix your cluster problems before resharding', 'stderr')
    }
    const {topology} = session
    const count = await this.#count()
    const target = this.#primary(topology, this.options.to ?? (await this.#answer('What is the receiving node ID? ')))
    const sources = await this.#sources(topology, target)
    if (sources.length === 0) throw new SaidFailure('*** No source nodes given, operation aborted.', 'stderr')
    const planned = planReshardAsRedisCli(topology, {from: sources.map(({id}) => id), to: target.id, count})
    this.say(renderReshard(topology, planned, sources, target))
    const lines = reshardLines(topology, planned, target.id, this.options.atomic)
    const question = 'Do you want to proceed with the proposed reshard plan (yes/no)? '
    await this.carryOutAs(session, planned.plan, lines, question)
    return {}
  }

  async #count(): Promise<number> {
    let {slots} = this.options
    while (!(slots >= 1 && slots <= SLOT_COUNT)) {
      const answer = await this.#answer(`How many slots do you want to move (from 1 to ${SLOT_COUNT})? `)
      slots = /^\d+$/.test(answer) ? Number(answer) : 0
    }
    return slots
  }

  /** Without duplicates, the target not among them. */
  async #sources(topology: Topology, target: ClusterNode): Promise<ClusterNode[]> {
    const others = primariesInSeedOrder(topology).filter(({id}) => id !== target.id)
    const named = this.options.from
    if (named.length > 0) {
      const sources = named.includes('all') ? others : named.flatMap((id) => this.#source(topology, target, id))
      return [...new Set(sources)]
    }
    this.say('Please enter all the source node IDs.')
    this.say("  Type 'all' to use all the nodes as source nodes for the hash slots.")
    this.say("  Type 'done' once you entered all the source nodes IDs.")
    const sources = new Set<ClusterNode>()
    for (;;) {
      const answer = await this.#answer(`Source node #${sources.size + 1}: `)
      if (answer === 'done') return [...sources]
      if (answer === 'all') return others
      for (const source of this.#source(topology, target, answer)) sources.add(source)
    }
  }

  /** None when it is the target: that is said, and no reason to stop. */
  #source(topology: Topology, target: ClusterNode, id: string): ClusterNode[] {
    const node = this.#primary(topology, id)
    if (node.id !== target.id) return [node]
    this.say('*** It is not possible to use the target node as source node.')
    return []
  }

  #primary(topology: Topology, id: string): ClusterNode {
    const node = topology.nodesById.get(id.toLowerCase())
    if (node?.role === 'primary' && node.reach.kind === 'reached') return node
    throw new SaidFailure(`*** The specified node (${id}) is not known or not a master, please retry.`)
  }

  /** @throws SaidFailure at the end of stdin: there is nobody to ask. */
  async #answer(question: string): Promise<string> {
    const line = await this.ask(question)
    if (line === undefined) throw new SaidFailure('*** There is no answer on stdin, operation aborted.')
    return line.trim()
  }
}
