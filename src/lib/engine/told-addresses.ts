/** Where do the nodes send clients, and do clients get there from here? Reads only. */
import {NodeError} from '../errors.ts'
import {isSameAddress} from '../topology/inside-address.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type NodeId} from '../topology/model.ts'
import {compareAddresses} from '../topology/queries.ts'
import type {ClusterPort} from './cluster-port.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

export interface ToldNode {
  readonly node: ClusterNode
  /** By CLUSTER SLOTS and redirections; more than one while nodes differ. */
  readonly told: readonly NodeAddress[]
  /** By CLUSTER NODES, where that is another one. */
  readonly listed: readonly NodeAddress[]
  /** Of both, those that do not lead to this node from here. */
  readonly astray: readonly NodeAddress[]
  /** Some node tells no host for it. */
  readonly isNameless: boolean
}

/**
 * Of all nodes that were reached, in the order of their addresses.
 * @param direct dials addresses as they are, whatever is known of the way to the nodes.
 */
export async function readToldAddresses(session: ClusterSession, direct: ClusterPort): Promise<ToldNode[]> {
  const reached = session.topology.nodes.filter(({reach}) => reach.kind === 'reached').sort(compareAddresses)
  const answers = await mapBounded(reached, 128, ({id}) => session.node(id).readToldPlaces())
  const byName = namesCount(reached, answers)
  return mapBounded(reached, 128, async (node) => {
    const places = answers.flatMap((answer) => answer.get(node.id) ?? [])
    const told = distinct([
      ...places.flatMap(({host, port}) => (host === undefined ? [] : [{host, port}])),
      // A node without slots is told of as soon as it has some.
      ...(places.length === 0
        ? [{host: (byName && node.hostname) || node.announced.host, port: node.announced.port}]
        : []),
    ])
    const isTold = new Set(told.map(formatAddress))
    const listed = isTold.has(formatAddress(node.announced)) ? [] : [node.announced]
    const strays = await mapBounded([...told, ...listed], 8, async (address) => !(await leadsTo(address, node, direct)))
    return {
      node,
      told,
      listed,
      astray: [...told, ...listed].filter((_, index) => strays[index]),
      isNameless: places.some(({host}) => host === undefined),
    }
  })
}

/** Do nodes send clients to hostnames? */
function namesCount(
  nodes: readonly ClusterNode[],
  answers: readonly ReadonlyMap<NodeId, {readonly host: string | undefined}>[],
): boolean {
  return nodes.some(
    ({id, hostname, announced}) =>
      hostname !== undefined &&
      hostname !== announced.host &&
      answers.some((answer) => answer.get(id)?.host === hostname),
  )
}

async function leadsTo(address: NodeAddress, node: ClusterNode, direct: ClusterPort): Promise<boolean> {
  if (isSameAddress(address, node.address)) return true
  try {
    return (await direct.connect(address)).id === node.id
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return false
  }
}

function distinct(addresses: readonly NodeAddress[]): NodeAddress[] {
  return [...new Map(addresses.map((address) => [formatAddress(address), address])).values()]
}
