/**
 * Which nodes have come back at another address than the one by which the others know them? A node is known by its ID; it
 * keeps that, and its slots and keys, through a restart, but servers learn addresses by gossip: when all move at once,
 * nobody can tell anybody. Reads a Topology, changes nothing.
 */
import {isIP} from 'node:net'
import {insideAddress, isLoopback, passageTo} from './inside-address.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type NodeEntry, type NodeId, type Topology} from './model.ts'

export interface MovedNode {
  readonly node: ClusterNode
  /** Where the others would reach it now. */
  readonly at: NodeAddress
  /** Who knows it at which address instead, and has no link to it. Never empty. */
  readonly knownAs: readonly {readonly by: NodeId; readonly address: NodeAddress}[]
}

const movedIn = new WeakMap<Topology, readonly MovedNode[]>()

/** In the order of the nodes. A node that anybody is linked to has not moved away from there, whatever address that is. */
export function movedNodes(topology: Topology): readonly MovedNode[] {
  // Many rules ask, and of a thousand views on a thousand nodes each answer takes a while.
  let moved = movedIn.get(topology)
  if (!moved) {
    moved = findMoved(topology)
    movedIn.set(topology, moved)
  }
  return moved
}

function findMoved(topology: Topology): readonly MovedNode[] {
  const known = new Map<NodeId, {by: NodeId; entry: NodeEntry}[]>()
  for (const {id: by, reach} of topology.nodes) {
    if (reach.kind === 'unreachable') continue
    for (const entry of reach.view.entries) {
      if (entry.id === by || entry.flags.has('handshake') || !isCutOff(entry)) continue
      const entries = known.get(entry.id)
      if (entries) entries.push({by, entry})
      else known.set(entry.id, [{by, entry}])
    }
  }
  if (known.size === 0) return []
  const linked = placesOfLinks(topology, known)
  return topology.nodes.flatMap((node) => {
    const at = presentAddress(node)
    // Where we are on its host, its loopback address says nothing of where it is for the others.
    if (!at || (isLoopback(at.host) && !isLoopback(node.announced.host))) return []
    const knownAs = (known.get(node.id) ?? [])
      .map(({by, entry}) => ({by, address: entry.announced}))
      .filter(
        ({address}) =>
          formatAddress(address) !== formatAddress(at) && !linked.has(`${node.id} ${formatAddress(address)}`),
      )
    return knownAs.length > 0 ? [{node, at, knownAs}] : []
  })
}

/** Where anybody reaches one of them, it is: behind a port mapping, too. */
function placesOfLinks({nodes}: Topology, ids: ReadonlyMap<NodeId, unknown>): ReadonlySet<string> {
  // What views tell alike is one entry.
  const told = new Set<NodeEntry>()
  for (const {id: by, reach} of nodes) {
    if (reach.kind === 'unreachable') continue
    for (const entry of reach.view.entries) {
      if (entry.id !== by && ids.has(entry.id) && !isCutOff(entry)) told.add(entry)
    }
  }
  return new Set([...told].map(({id, announced}) => `${id} ${formatAddress(announced)}`))
}

/**
 * Its own file still has another address than the one at which it answers: it has moved, or it announces an address that
 * is not its own.
 */
export function seemsToHaveMoved(node: ClusterNode): boolean {
  const at = presentAddress(node)
  const own = ownEntry(node)?.announced.host
  return at !== undefined && own !== undefined && own !== '' && own !== at.host
}

/** A link that is being opened counts as one: the flags tell of those that never come about. */
function isCutOff({isLinked, flags}: NodeEntry): boolean {
  return !isLinked || flags.has('suspected') || flags.has('failed') || flags.has('noaddr')
}

/** undefined where only a name is known, or the node was not reached. */
function presentAddress(node: ClusterNode): NodeAddress | undefined {
  if (node.reach.kind === 'unreachable') return undefined
  const {resolved, internal} = passageTo(node.reach.view)
  const {host, port} = insideAddress(resolved, internal)
  // Of its ports the one that it announces: it may have another one for TLS.
  return isIP(host) === 0 ? undefined : {host, port: ownEntry(node)?.announced.port || port}
}

function ownEntry({id, reach}: ClusterNode): NodeEntry | undefined {
  return reach.kind === 'reached' ? reach.view.entries.find((entry) => entry.isMyself && entry.id === id) : undefined
}
