import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {NodeError} from '../../lib/errors.ts'
import {nodesInSeedOrder} from '../../lib/plan/redis-cli/node-order.ts'
import {cleanLines} from '../../lib/render/clean.ts'
import {isConnectionFailure} from '../../lib/render/drop-in/failure.ts'
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
    for (const {id, address} of nodes) {
      this.stopSignal.throwIfAborted()
      const name = formatAddress(address)
      try {
        const reply = await this.stoppable(session.node(id).command(command, DEADLINE_MS))
        this.#print(name, rawReply(reply))
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        process.exitCode = 1
        const text = error.message.replace(`${error.address} answered: `, '')
        this.say(`${name}: ${isConnectionFailure(error) ? 'Failed!' : text}\n`)
        if (isConnectionFailure(error)) this.complain(error.message)
      }
    }
    return {}
  }

  /** Bytes stay what they are, but on a terminal, which they might steer. */
  #print(name: string, bytes: Buffer): void {
    if (process.stdout.isTTY) this.say(`${name}: ${cleanLines(bytes.toString())}`)
    else process.stdout.write(Buffer.concat([Buffer.from(`${name}: `), bytes, Buffer.from('\n')]))
  }
}
