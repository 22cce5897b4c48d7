/** Which nodes are missing, ill, or not known to all? */
import {countSlots} from '../slots/slot-ranges.ts'
import {
  type ClusterNode,
  formatAddress,
  isPlaceless,
  type NodeFlag,
  type NodeId,
  type Topology,
} from '../topology/model.ts'
import {movedNodes, seemsToHaveMoved} from '../topology/moved-nodes.ts'
import {compareAddresses, labelNode, listNodes, seedAddress, slotsOf} from '../topology/queries.ts'
import type {Finding} from './finding.ts'
import {nameSlots} from './slot-rules.ts'
import {waysToReach} from './way-to-reach.ts'

export function unreachableNodes(topology: Topology): readonly Finding[] {
  const reached = topology.nodes.filter(({reach}) => reach.kind === 'reached')
  const hasMoved = movedNodes(topology).length > 0 || reached.some(seemsToHaveMoved)
  const newAddress =
    hasMoved || (reached.length === 1 && topology.nodes.length > 2)
      ? [`If it runs at a new address, name that as well: rcluster check ${seedAddress(topology)} --seed NEW`]
      : []
  const ways = waysToReach(topology)
  return topology.nodes.flatMap((node) => {
    if (node.reach.kind === 'reached' || isGhost(node, topology)) return []
    const way = ways.get(node.id)
    const slots = slotsOf(topology, node.id)
    const burden = countSlots(slots) === 0 ? describeRole(node, topology) : `primary of ${nameSlots(slots)}`
    const judged = node.flags.has('failed')
      ? '; the cluster holds it for failed'
      : node.flags.has('suspected')
        ? '; other nodes cannot reach it either'
        : ''
    return [
      {
        id: 'unreachable-node',
        severity: 'error',
        message: `node ${labelNode(node)} cannot be reached: ${node.reach.message} (${burden}${judged})`,
        nodes: [node.id],
        slots,
        suggestions:
          way !== undefined
            ? [way]
            : [
                ...(node.reach.advice ?? []),
                ...newAddress,
                countSlots(slots) > 0
                  ? `Start the server at ${placeOf(node)} again: nobody else serves its slots`
                  : `Start the server at ${placeOf(node)} again, or remove it: rcluster del-node ${seedAddress(topology)} ${node.id}`,
              ],
        failure: node.reach.failure,
      } satisfies Finding,
    ]
  })
}

function describeRole(node: ClusterNode, topology: Topology): string {
  if (node.role === 'primary') return 'primary without slots'
  const primary = topology.nodesById.get(node.primaryId ?? '')
  return primary ? `replica of ${labelNode(primary)}` : 'replica of an unknown primary'
}

function placeOf(node: ClusterNode): string {
  return isPlaceless(node.address) ? `its address (ID ${node.id})` : formatAddress(node.address)
}

/** All of them in one finding: they are introduced again in one go. */
export function movedAway(topology: Topology): readonly Finding[] {
  const moved = movedNodes(topology)
  const [first] = moved
  if (!first) return []
  const seeds = moved
    .map(({node}) => node)
    .sort(compareAddresses)
    .map(({address}) => formatAddress(address))
  const before = [
    ...new Set(first.knownAs.map(({address}) => (address.host === '' ? 'no address' : formatAddress(address)))),
  ]
  const example = moved.length === 1 ? '' : `, such as ${labelNode(first.node)}`
  const nodes = moved.map(({node}) => node)
  return [
    {
      id: 'moved-node',
      severity: 'error',
      message: `${moved.length === 1 ? `node ${labelNode(first.node)} has` : `${moved.length} nodes have`} the same ID and another address than before${example}, which ${first.knownAs.length === 1 ? '1 node knows' : `${first.knownAs.length} nodes know`} at ${before.join(', ')}, without a link; slots and keys are as they were`,
      nodes: nodes.map(({id}) => id),
      slots: [],
      suggestions: [
        `rcluster fix ${[seedAddress(topology), ...seeds.filter((seed) => seed !== seedAddress(topology))].join(' --seed ')}`,
      ],
      knownBy: [...new Set(moved.flatMap(({knownAs}) => knownAs.map(({by}) => by)))].sort(),
    },
  ]
}

/** Reached by us, yet out for the others: a broken bus port, or a node that comes back. */
export function failedNodes(topology: Topology): readonly Finding[] {
  return flaggedNodes(topology, 'failed').map(({node, saidBy}) => ({
    id: 'failed-node',
    severity: 'error',
    message: `node ${labelNode(node)} answers, but is flagged failed by ${saidBy.length === 1 ? '1 node' : `${saidBy.length} nodes`}: ${listNodes(saidBy)}`,
    nodes: [node.id],
    slots: slotsOf(topology, node.id),
    suggestions: [busAdvice(node)],
    saidBy: saidBy.map(({id}) => id),
  }))
}

export function suspectedNodes(topology: Topology): readonly Finding[] {
  return flaggedNodes(topology, 'suspected')
    .filter(({node}) => !node.flags.has('failed'))
    .map(({node, saidBy}) => ({
      id: 'suspected-node',
      severity: 'warning',
      message: `node ${labelNode(node)} answers, but ${listNodes(saidBy)} cannot reach it`,
      nodes: [node.id],
      slots: slotsOf(topology, node.id),
      suggestions: [busAdvice(node)],
      saidBy: saidBy.map(({id}) => id),
    }))
}

function busAdvice(node: ClusterNode): string {
  return `Check that the other nodes reach its bus port ${formatAddress({host: node.announced.host, port: node.busPort})}`
}

/** Reached nodes of which a reached node says so. Unreachable ones are named by `unreachableNodes`. */
function flaggedNodes(topology: Topology, flag: NodeFlag): {node: ClusterNode; saidBy: ClusterNode[]}[] {
  const sayersById = new Map<NodeId, ClusterNode[]>()
  for (const sayer of topology.nodes) {
    if (sayer.reach.kind === 'unreachable') continue
    for (const {id, flags} of sayer.reach.view.entries) {
      if (!flags.has(flag)) continue
      const sayers = sayersById.get(id)
      if (sayers) sayers.push(sayer)
      else sayersById.set(id, [sayer])
    }
  }
  const moved = new Set(movedNodes(topology).map(({node}) => node.id))
  return topology.nodes
    .filter(({id, reach}) => reach.kind === 'reached' && sayersById.has(id) && !moved.has(id))
    .map((node) => ({node, saidBy: sayersById.get(node.id) ?? []}))
}

export function membershipGaps(topology: Topology): readonly Finding[] {
  const byId = (ids: readonly NodeId[]) => ids.flatMap((id) => topology.nodesById.get(id) ?? [])
  return topology.membershipGaps.flatMap(({id, knownBy, unknownTo}) => {
    const node = topology.nodesById.get(id)
    if (!node) return []
    const reachedCount = knownBy.length + unknownTo.length
    return [
      {
        id: 'membership-gap',
        severity: 'error',
        message: `node ${labelNode(node)} is unknown to ${unknownTo.length} of ${reachedCount} reached nodes: ${listNodes(byId(unknownTo))}`,
        nodes: [id],
        slots: [],
        suggestions: [
          node.reach.kind === 'reached'
            ? 'A node that has just joined becomes known within seconds; otherwise introduce it with CLUSTER MEET ' +
              `${node.announced.host} ${node.announced.port} ${node.busPort} on those nodes`
            : `Forget it everywhere: rcluster del-node ${seedAddress(topology)} ${id}`,
        ],
        unknownTo,
      } satisfies Finding,
    ]
  })
}

export function handshakes(topology: Topology): readonly Finding[] {
  return topology.handshakes.map(({address, seenBy}) => {
    const seers = seenBy.flatMap((id) => topology.nodesById.get(id) ?? [])
    return {
      id: 'handshake',
      severity: 'warning',
      message: `${formatAddress(address)} was met by ${listNodes(seers)}, and nobody has answered there yet`,
      nodes: seenBy,
      slots: [],
      suggestions: [
        `This ends by itself: rcluster check ${seedAddress(topology)} in some seconds; if not: rcluster forget ${seedAddress(topology)} ${formatAddress(address)}`,
      ],
      address: formatAddress(address),
    }
  })
}

/** Remembered by ID only: nobody knows its address, nothing depends on it. */
function isGhost(node: ClusterNode, topology: Topology): boolean {
  return (
    node.reach.kind === 'unreachable' &&
    node.flags.has('noaddr') &&
    isPlaceless(node.address) &&
    node.role === 'primary' &&
    slotsOf(topology, node.id).length === 0
  )
}

export function ghostNodes(topology: Topology): readonly Finding[] {
  return topology.nodes
    .filter((node) => isGhost(node, topology))
    .map((node) => ({
      id: 'ghost-node',
      severity: 'warning',
      message: `node ${node.id} is a ghost: no node knows its address, and it has no slots`,
      nodes: [node.id],
      slots: [],
      suggestions: [`rcluster forget ${seedAddress(topology)} ${node.id}`],
    }))
}

export function loadingNodes(topology: Topology): readonly Finding[] {
  return topology.nodes
    .filter(({reach}) => reach.kind === 'reached' && reach.view.serverInfo.isLoading)
    .map((node) => ({
      id: 'loading-node',
      severity: 'warning',
      message: `${node.role} ${labelNode(node)} is loading its data and serves nothing until then`,
      nodes: [node.id],
      slots: slotsOf(topology, node.id),
      suggestions: [`Wait until it is done: rcluster check ${seedAddress(topology)}`],
    }))
}

export function mixedVersions(topology: Topology): readonly Finding[] {
  const byVersion = new Map<string, ClusterNode[]>()
  for (const node of topology.nodes) {
    if (node.reach.kind === 'unreachable' || node.reach.view.serverInfo.version === '') continue
    const {flavour, version} = node.reach.view.serverInfo
    const key = `${flavour} ${version}`
    const same = byVersion.get(key)
    if (same) same.push(node)
    else byVersion.set(key, [node])
  }
  if (byVersion.size < 2) return []
  const versions = [...byVersion.keys()].sort()
  return [
    {
      id: 'mixed-versions',
      severity: 'warning',
      message: `${versions.length} server versions: ${versions.map((version) => `${version} on ${listNodes(byVersion.get(version) ?? [], 3)}`).join('; ')}`,
      nodes: [...byVersion.values()].flatMap((nodes) => nodes.map(({id}) => id)).sort(),
      slots: [],
      suggestions: ['Keys move to an older server only where it reads the newer dump format: upgrade the older ones'],
      versions,
    },
  ]
}
