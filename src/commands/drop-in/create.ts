import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {meetEmpty} from '../../lib/cli/drop-in/meet-empty.ts'
import {requireDistinct} from '../../lib/cli/node-argument.ts'
import {createCluster} from '../../lib/engine/create-cluster.ts'
import {openSession} from '../../lib/engine/session.ts'
import {planCreateAsRedisCli} from '../../lib/plan/redis-cli/create.ts'
import {passesCheck} from '../../lib/render/drop-in/check.ts'
import {renderCreatePlan} from '../../lib/render/drop-in/create.ts'
import {vocabularyOf} from '../../lib/render/drop-in/vocabulary.ts'
import {formatAddress} from '../../lib/topology/model.ts'

const DEADLINE_MS = 60_000

export default class DropInCreate extends DropInCommand<typeof DropInCreate> {
  static override summary = 'redis-cli --cluster create'

  async run(): Promise<object> {
    const words = await this.wordsWithInput()
    const addresses = words.map((one) => this.parseAddress(one.toString()))
    requireDistinct(addresses)
    const port = await this.openPort()
    const newcomers = await this.stoppable(meetEmpty(port, addresses))
    await this.lockNodes(newcomers.map(({port: node}) => node))
    const nodes = newcomers.map(({port: node}) => ({id: node.id, address: node.address}))
    const planned = planCreateAsRedisCli(nodes, this.options.replicas)
    const vocabulary = vocabularyOf(newcomers[0]?.view.serverInfo.flavour ?? 'redis')
    const count = planned.plan.primaries.length
    if (count < 3) {
      const each = `${this.options.replicas} replicas per ${vocabulary.primary}`
      this.say(`Requested to create a cluster with ${count} ${vocabulary.primaries} and ${each}.`)
      const warning = `${vocabulary.product} cluster requires at least 3 ${vocabulary.primary} nodes for automatic failover.`
      await this.confirm(`${warning} Are you sure? (type 'yes' to accept): `)
    }
    this.say(renderCreatePlan(planned, addresses.map(formatAddress), vocabulary))
    await this.confirm("Can I set the above configuration? (type 'yes' to accept): ")
    this.say('>>> Nodes configuration updated')
    this.say('>>> Assign a different config epoch to each node')
    this.say('>>> Sending CLUSTER MEET messages to join the cluster')
    this.say('Waiting for the cluster to join')
    await createCluster(
      planned.plan,
      newcomers.map((newcomer) => newcomer.port),
      {
        deadlineMs: DEADLINE_MS,
        signal: this.stopSignal,
        listener: ({kind}) => kind === 'phase' && this.dot(),
        keepsEpochs: true,
      },
    )
    const session = await this.stoppable(openSession(port, addresses.slice(0, 1)))
    this.showCheck(session)
    if (!passesCheck(session.topology)) process.exitCode = 1
    return {}
  }
}
