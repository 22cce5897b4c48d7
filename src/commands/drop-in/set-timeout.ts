import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {parseInteger} from '../../lib/cli/numbers.ts'
import {setNodeTimeout} from '../../lib/engine/set-node-timeout.ts'
import {formatAddress} from '../../lib/topology/model.ts'

const LEAST_MS = 100

export default class DropInSetTimeout extends DropInCommand<typeof DropInSetTimeout> {
  static override summary = 'redis-cli --cluster set-timeout'

  async run(): Promise<object> {
    const [seed = '', text = ''] = (await this.wordsWithInput()).map((one) => one.toString().trim())
    const timeoutMs = parseInteger(text, 'the node timeout', 0, 2 ** 31 - 1)
    if (timeoutMs < LEAST_MS) {
      throw new SaidFailure(`Setting a node timeout of less than ${LEAST_MS} milliseconds is a bad idea.`, 'stderr')
    }
    const session = await this.openCluster(seed)
    this.complainOfUnreachable(session.topology)
    await this.lockCluster(session)
    this.say('>>> Reconfiguring node timeout in every cluster node...')
    const outcomes = await this.stoppable(setNodeTimeout(session, timeoutMs))
    for (const {node, failure, isLostBecause} of outcomes) {
      const address = formatAddress(node.address)
      const until = isLostBecause === undefined ? '' : ` (until it restarts: ${withoutAddress(isLostBecause)})`
      this.say(
        failure === undefined
          ? `*** New timeout set for ${address}${until}`
          : `ERR setting node-timeout for ${address}: ${withoutAddress(failure)}`,
      )
    }
    const failed = outcomes.filter(({failure}) => failure !== undefined).length
    this.say(`>>> New node timeout set. ${outcomes.length - failed} OK, ${failed} ERR.`)
    if (failed > 0) process.exitCode = 1
    return {}
  }
}

function withoutAddress(message: string): string {
  return message.replace(/^\S+ answered: /, '')
}
