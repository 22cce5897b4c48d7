import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {callNodes} from '../../lib/engine/call-nodes.ts'
import {nodesInSeedOrder} from '../../lib/plan/redis-cli/node-order.ts'
import {cleanLines} from '../../lib/render/clean.ts'
import {rawReply} from '../../lib/render/drop-in/raw-reply.ts'
import {formatAddress} from '../../lib/topology/model.ts'

/** redis-cli waits without end; some commands work long, and a node that hangs is to be named. */
const DEADLINE_MS = 60_000

export default class DropInCall extends DropInCommand<typeof DropInCall> {
  static override summary = 'redis-cli --cluster call'

  async run(): Promise<object> {
    const [seed = '', ...command] = await this.wordsWithInput()
    const session = await this.openCluster(seed.toString().trim())
    const {'only-primaries': onlyPrimaries, 'only-replicas': onlyReplicas} = this.options
    this.complainOfUnreachable(session.topology)
    if (session.topology.nodes.some(({reach}) => reach.kind === 'unreachable')) process.exitCode = 1
    this.say(`>>> Calling ${command.join(' ')}`)
    const nodes = nodesInSeedOrder(session.topology).filter(
      ({role}) => !(onlyPrimaries && role === 'replica') && !(onlyReplicas && role === 'primary'),
    )
    // One after the other, as redis-cli does: what holds a node up does not hold them all up at once.
    const words = command.map((one) => Buffer.from(one as Buffer))
    for (const node of nodes) {
      this.stopSignal.throwIfAborted()
      const [{answer} = {answer: {unanswered: ''}}] = await this.stoppable(
        callNodes(session, [node], words, DEADLINE_MS),
      )
      const name = formatAddress(node.address)
      if ('reply' in answer) {
        this.#print(name, rawReply(answer.reply))
        continue
      }
      process.exitCode = 1
      this.say(`${name}: ${'error' in answer ? answer.error : 'Failed!'}\n`)
      if ('unanswered' in answer) this.complain(answer.unanswered)
    }
    return {}
  }

  /** Bytes stay what they are, but on a terminal, which they might steer. */
  #print(name: string, bytes: Buffer): void {
    if (process.stdout.isTTY) this.say(`${name}: ${cleanLines(bytes.toString())}`)
    else process.stdout.write(Buffer.concat([Buffer.from(`${name}: `), bytes, Buffer.from('\n')]))
  }
}
