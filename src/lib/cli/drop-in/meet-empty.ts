/** Are these nodes fit to make a cluster of, or to join one? Told in redis-cli's words. */
import type {ClusterPort} from '../../engine/cluster-port.ts'
import {belongingsOf, meetNewcomers, type Newcomer} from '../../engine/newcomers.ts'
import {RefusedError} from '../../errors.ts'
import {formatAddress, type NodeAddress} from '../../topology/model.ts'
import {SaidFailure} from './said.ts'

/**
 * Connects to nodes that are to be empty. Unlike redis-cli this looks at all databases, and at slots that they own.
 * @throws SaidFailure about the first that is not, NodeError for one that does not answer.
 */
export async function meetEmpty(port: ClusterPort, addresses: readonly NodeAddress[]): Promise<Newcomer[]> {
  const newcomers = await meetNewcomers(port, addresses).catch((error: unknown) => {
    if (!(error instanceof RefusedError && error.reason === 'not-cluster-mode')) throw error
    throw new SaidFailure(`[ERR] Node ${error.details['address']} is not configured as a cluster node.`)
  })
  for (const newcomer of newcomers) {
    const belongings = belongingsOf(newcomer)
    if (belongings.length === 0) continue
    const why =
      'Either the node already knows other nodes (check with CLUSTER NODES) or contains some key in database 0.'
    throw new SaidFailure(
      `[ERR] Node ${formatAddress(newcomer.port.address)} is not empty. ${why}\n    It has ${belongings.join(', ')}.`,
    )
  }
  return newcomers
}
