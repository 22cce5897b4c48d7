/** Which zone is each node in, by the operator's labels? Pure. */
import {UsageError} from '../errors.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type NodeId, type Topology} from './model.ts'

export interface ZoneLabel {
  /** An address, the beginning of an ID, a hostname, or a host, which labels all nodes on it. */
  readonly node: string
  readonly zone: string
  /** Somebody must be meant by it: else it may be of another cluster. */
  readonly isRequired: boolean
}

/** As much of a node as labels go by; one that has not joined yet announces nothing. */
export interface Labelled {
  readonly id: NodeId
  readonly address: NodeAddress
  readonly announced?: NodeAddress | undefined
  readonly hostname?: string | undefined
}

/**
 * A later label counts more than an earlier one, and one of a node more than one of its host.
 * @throws UsageError for a required label that fits no node, or the beginning of an ID that fits several.
 */
export function zonesByLabel(nodes: readonly Labelled[], labels: readonly ZoneLabel[]): ReadonlyMap<NodeId, string> {
  const [ofHosts, ofNodes] = [new Map<NodeId, string>(), new Map<NodeId, string>()]
  for (const {node: word, zone, isRequired} of labels) {
    const meant = nodesNamed(nodes, word)
    for (const {id} of meant.nodes) (meant.isHost ? ofHosts : ofNodes).set(id, zone)
    if (isRequired && meant.nodes.length === 0) {
      throw new UsageError(`--zone ${word}=${zone}: no node is called "${word}"`, {
        suggestions: [
          `The nodes are ${nodes
            .slice(0, 12)
            .map(({address}) => formatAddress(address))
            .join(', ')}`,
        ],
      })
    }
  }
  return new Map([...ofHosts, ...ofNodes])
}

export function withZones(topology: Topology, labels: readonly ZoneLabel[]): Topology {
  if (labels.length === 0) return topology
  const zones = zonesByLabel(topology.nodes, labels)
  const nodes = topology.nodes.map((node): ClusterNode => {
    const zone = zones.get(node.id)
    return zone === undefined ? node : {...node, zone}
  })
  const nodesById = new Map(nodes.map((node) => [node.id, node]))
  const today = ({id}: ClusterNode): ClusterNode => nodesById.get(id) as ClusterNode
  return {
    ...topology,
    nodes,
    nodesById,
    shards: topology.shards.map(({primary, replicas}) => ({primary: today(primary), replicas: replicas.map(today)})),
  }
}

function nodesNamed(nodes: readonly Labelled[], text: string): {nodes: readonly Labelled[]; isHost: boolean} {
  const word = text.toLowerCase()
  const isAt = (address: NodeAddress | undefined): boolean =>
    address !== undefined && formatAddress(address).toLowerCase() === word
  const byAddress = nodes.filter(
    ({address, announced, hostname}) =>
      isAt(address) || isAt(announced) || isAt({host: hostname ?? '', port: (announced ?? address).port}),
  )
  if (byAddress.length > 0) return {nodes: byAddress, isHost: false}
  const host = word.replace(/^\[(.*)\]$/, '$1')
  const onHost = nodes.filter(({address, announced, hostname}) =>
    [address.host, announced?.host, hostname].some((name) => name?.toLowerCase() === host),
  )
  if (onHost.length > 0) return {nodes: onHost, isHost: true}
  const byId = /^[0-9a-f]{4,40}$/.test(word) ? nodes.filter(({id}) => id.startsWith(word)) : []
  if (byId.length > 1) throw new UsageError(`"${text}" is the beginning of ${byId.length} node IDs`)
  return {nodes: byId, isHost: false}
}
