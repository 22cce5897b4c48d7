/**
 * What does a cluster look like that a few words describe? Makes Topology values without views of every node on every
 * other, so that a thousand nodes are no matter. For what nodes report, and what they disagree on, see cluster-views.ts.
 */

import type {SlotMove} from '../../src/lib/plan/plan.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {
  formatSlots,
  parseRanges,
  rangesFromSlots,
  type SlotRanges,
  slotsInRanges,
} from '../../src/lib/slots/slot-ranges.ts'
import type {ClusterNode, NodeEntry, NodeId, OpenSlot, Reach, Topology} from '../../src/lib/topology/model.ts'
import {parseServerInfo} from '../../src/lib/topology/parse-info.ts'

/** Names are up to 20 characters and sort as their IDs do; nodes get ports 7000, 7001 … in the order of the words. */
export interface ClusterWords {
  /** Name to slots: {A: '0-5460', B: '5461-16383', C: ''}. The first is the seed. */
  readonly primaries: Readonly<Record<string, string>>
  /** Name to its primary's name: {R1: 'A'}. */
  readonly replicas?: Readonly<Record<string, string>>
  /** Default: 10.0.0.1 for all. */
  readonly hosts?: Readonly<Record<string, string>>
  /** Slots that were left open on their way: "3,7-9". They belong to `from`. */
  readonly open?: readonly {readonly slots: string; readonly from: string; readonly to: string}[]
  readonly unreachable?: readonly string[]
}

/** The name in hex, filled up with zeros: "A" is 4100…, and shows as "41000000". */
export function nodeId(name: string): NodeId {
  return Buffer.from(name, 'latin1').toString('hex').padEnd(40, '0')
}

/** The name that an ID was made of. */
export function nodeName(id: NodeId): string {
  return Buffer.from(id.replace(/(00)+$/, ''), 'hex').toString('latin1')
}

export function buildTopology(words: ClusterWords): Topology {
  const {primaries, replicas = {}, hosts = {}, open = [], unreachable = []} = words
  const names = [...Object.keys(primaries), ...Object.keys(replicas)]
  const openSlots = open.flatMap((way) => slotsInRanges(parseRanges(way.slots)).map((slot) => openSlotOf(slot, way)))
  const nodes = names.map((name, index): ClusterNode => {
    const address = {host: hosts[name] ?? '10.0.0.1', port: 7000 + index}
    const primary = replicas[name]
    const entry: NodeEntry = {
      id: nodeId(name),
      announced: address,
      busPort: address.port + 10_000,
      hostname: undefined,
      isMyself: true,
      role: primary === undefined ? 'primary' : 'replica',
      flags: new Set(),
      primaryId: primary === undefined ? undefined : nodeId(primary),
      configEpoch: Object.keys(primaries).indexOf(primary ?? name) + 1,
      isLinked: true,
      ranges: parseRanges(primaries[name] ?? ''),
      migrating: openSlots.flatMap(({slot, migrating: [mark]}) =>
        mark?.node === nodeId(name) ? [{slot, peer: mark.to}] : [],
      ),
      importing: openSlots.flatMap(({slot, importing: [mark]}) =>
        mark?.node === nodeId(name) ? [{slot, peer: mark.from}] : [],
      ),
    }
    const {isMyself: _, isLinked: __, migrating: ___, importing: ____, ...facts} = entry
    return {...facts, address, linkedAt: undefined, reach: reachOf(entry, names.length, unreachable.includes(name))}
  })
  const owners = new Array<NodeId | undefined>(SLOT_COUNT).fill(undefined)
  for (const {id, ranges} of nodes) for (const slot of slotsInRanges(ranges)) owners[slot] = id
  return assemble(nodes, owners, openSlots, nodes[0]?.id ?? '')
}

/** The moves that an interrupted run has begun, as a command would hand them to a planner. */
export function startedIn(topology: Topology): SlotMove[] {
  return topology.openSlots.flatMap(({slot, migrating: [mark]}) => (mark ? [{slot, from: mark.node, to: mark.to}] : []))
}

/** The cluster once `moves` are done: nothing of them is open any more. */
export function afterMoves(topology: Topology, moves: readonly SlotMove[]): Topology {
  const owners = [...topology.owners]
  for (const {slot, to} of moves) owners[slot] = to
  const slots = new Map<NodeId, number[]>(topology.nodes.map(({id}) => [id, []]))
  for (const [slot, owner] of owners.entries()) if (owner !== undefined) slots.get(owner)?.push(slot)
  const moved = new Set(moves.map(({slot}) => slot))
  const nodes = topology.nodes.map((node) => ({...node, ranges: rangesFromSlots(slots.get(node.id) ?? [])}))
  const openSlots = topology.openSlots.filter(({slot}) => !moved.has(slot))
  return assemble(nodes, owners, openSlots, topology.seedId)
}

/** "A>B 3,7-9", one line a pair in the order of the first slot. */
export function describeMoves(moves: readonly SlotMove[]): string[] {
  const pairs = new Map<string, number[]>()
  for (const {slot, from, to} of moves) {
    const pair = `${nodeName(from)}>${nodeName(to)}`
    const known = pairs.get(pair)
    if (known) known.push(slot)
    else pairs.set(pair, [slot])
  }
  return [...pairs].map(([pair, slots]) => `${pair} ${formatSlots(slots)}`)
}

function openSlotOf(slot: number, {from, to}: {readonly from: string; readonly to: string}): OpenSlot {
  const [source, target] = [nodeId(from), nodeId(to)]
  return {slot, owner: source, migrating: [{node: source, to: target}], importing: [{node: target, from: source}]}
}

function reachOf(entry: NodeEntry, knownNodes: number, isUnreachable: boolean): Reach {
  if (isUnreachable) return {kind: 'unreachable', failure: 'timeout', message: 'no answer'}
  return {
    kind: 'reached',
    view: {
      id: entry.id,
      dialled: entry.announced,
      entries: [entry],
      clusterInfo: {state: 'ok', knownNodes, currentEpoch: knownNodes, myEpoch: entry.configEpoch},
      serverInfo: parseServerInfo('redis_version:7.0.15\ncluster_enabled:1'),
    },
  }
}

function assemble(
  unsorted: readonly ClusterNode[],
  owners: readonly (NodeId | undefined)[],
  openSlots: readonly OpenSlot[],
  seedId: NodeId,
): Topology {
  const nodes = [...unsorted].sort((a, b) => (a.id < b.id ? -1 : 1))
  const nodesById = new Map(nodes.map((node) => [node.id, node]))
  const firstSlot = ({ranges}: {readonly ranges: SlotRanges}): number => ranges[0]?.start ?? SLOT_COUNT
  const replicas = new Map<NodeId, ClusterNode[]>()
  for (const node of nodes) {
    if (node.primaryId === undefined) continue
    replicas.set(node.primaryId, [...(replicas.get(node.primaryId) ?? []), node])
  }
  const reached = new Set<NodeId | undefined>(nodes.filter(({reach}) => reach.kind === 'reached').map(({id}) => id))
  const isServed = (owner: NodeId | undefined): boolean => reached.has(owner)
  return Object.freeze({
    seedId,
    nodes,
    nodesById,
    shards: nodes
      .filter(({role}) => role === 'primary')
      .map((primary) => ({primary, replicas: replicas.get(primary.id) ?? []}))
      .sort((a, b) => firstSlot(a.primary) - firstSlot(b.primary)),
    owners,
    uncovered: rangesFromSlots([...owners.keys()].filter((slot) => !isServed(owners[slot]))),
    openSlots: [...openSlots].sort((a, b) => a.slot - b.slot),
    staleMarks: [],
    disagreements: [],
    membershipGaps: [],
    handshakes: [],
  })
}
