import {DropInCommand} from '../../lib/cli/drop-in/drop-in-command.ts'
import {SaidFailure} from '../../lib/cli/drop-in/said.ts'
import {parseInteger} from '../../lib/cli/numbers.ts'
import type {NodePort} from '../../lib/engine/cluster-port.ts'
import {mapBounded} from '../../lib/engine/waiting.ts'
import {NodeError} from '../../lib/errors.ts'
import {nodesInSeedOrder} from '../../lib/plan/redis-cli/node-order.ts'
import {formatAddress} from '../../lib/topology/model.ts'

const SETTING = 'cluster-node-timeout'
const LEAST_MS = 100
const DEADLINE_MS = 5000

interface Outcome {
  readonly address: string
  /** undefined: it has the new time-out. */
  readonly failure: string | undefined
  readonly survivesRestart: boolean
}

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
    const missing = session.topology.nodes.filter(({reach}) => reach.kind === 'unreachable').length
    this.say('>>> Reconfiguring node timeout in every cluster node...')
    const ports = nodesInSeedOrder(session.topology).map(({id}) => session.node(id))
    const outcomes = await this.stoppable(mapBounded(ports, 128, (port) => setTimeoutOf(port, String(timeoutMs))))
    for (const {address, failure, survivesRestart} of outcomes) {
      const until = survivesRestart ? '' : ' (until it restarts: it has no config file)'
      this.say(failure === undefined ? `*** New timeout set for ${address}${until}` : failure)
    }
    const failed = outcomes.filter(({failure}) => failure !== undefined).length
    this.say(`>>> New node timeout set. ${outcomes.length - failed} OK, ${failed + missing} ERR.`)
    if (failed + missing > 0) process.exitCode = 1
    return {}
  }
}

/** Set, looked at again, and written to its config file. */
async function setTimeoutOf(port: NodePort, timeoutMs: string): Promise<Outcome> {
  const address = formatAddress(port.address)
  const failed = (why: string): Outcome => ({
    address,
    failure: `ERR setting node-timeout for ${address}: ${why}`,
    survivesRestart: false,
  })
  try {
    await port.writeConfig(SETTING, timeoutMs)
    const now = await port.readConfig(SETTING)
    if (now !== timeoutMs) return failed(`it is ${now ?? 'unknown'}`)
    const survivesRestart = await port.command(['CONFIG', 'REWRITE'], DEADLINE_MS).then(
      () => true,
      (error: unknown) => {
        if (error instanceof NodeError && /without a config file/i.test(error.message)) return false
        throw error
      },
    )
    return {address, failure: undefined, survivesRestart}
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return failed(error.message.replace(`${error.address} answered: `, ''))
  }
}
