/**
 * What was a cluster like at one moment? Nodes, roles, addresses, slots, epochs and versions: kept in a file, compared with
 * another moment, and gone back to (reshard-like.ts). Pure; plain data: it survives JSON, and holds no secret.
 */
import {formatRanges, formatSlots, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'
import {type ClusterSketch, type SketchedNode, sketchCluster} from './cluster-sketch.ts'

export const SNAPSHOT_FORMAT = 'rcluster-snapshot'
export const SNAPSHOT_VERSION = 1

export interface SnapshotNode extends SketchedNode {
  readonly hostname?: string | undefined
  readonly configEpoch: number
  /** "redis 7.0.15"; absent where it did not answer, or does not tell. */
  readonly server?: string | undefined
  /** What the others said of it, where it did not answer. */
  readonly isReached: boolean
}

export interface ClusterSnapshot extends ClusterSketch {
  readonly nodes: readonly SnapshotNode[]
  /** The highest that a node told; absent where none did. */
  readonly currentEpoch?: number | undefined
  /** Slots that were on their way, "5,9-12"; empty where none was. */
  readonly open: string
  /** Slots on whose owner the nodes did not agree; the owner here is the one with the highest epoch. */
  readonly disputed: string
}

export interface SnapshotFile {
  readonly format: typeof SNAPSHOT_FORMAT
  readonly version: typeof SNAPSHOT_VERSION
  /** "rcluster 0.1.0" */
  readonly madeBy: string
  /** ISO 8601. */
  readonly takenAt: string
  readonly cluster: ClusterSnapshot
}

export function snapshotOf(topology: Topology): ClusterSnapshot {
  const {fingerprint, nodes} = sketchCluster(topology)
  const views = topology.nodes.flatMap(({reach}) => (reach.kind === 'reached' ? [reach.view] : []))
  return {
    fingerprint,
    nodes: nodes.map((sketch) => {
      const {hostname, configEpoch, reach} = topology.nodesById.get(sketch.id)!
      const info = reach.kind === 'reached' ? reach.view.serverInfo : undefined
      return {
        ...sketch,
        ...(hostname ? {hostname} : {}),
        configEpoch,
        ...(info?.version ? {server: `${info.flavour} ${info.version}`} : {}),
        isReached: reach.kind === 'reached',
      }
    }),
    ...(views.length > 0 ? {currentEpoch: Math.max(...views.map(({clusterInfo}) => clusterInfo.currentEpoch))} : {}),
    open: formatSlots(topology.openSlots.map(({slot}) => slot)),
    disputed: formatRanges(topology.disagreements.flatMap(({ranges}) => ranges)),
  }
}

/** Slots that went from one owner to another; undefined: nobody. */
export interface SlotShift {
  /** "0-99,200" */
  readonly slots: string
  readonly count: number
  readonly from?: NodeId | undefined
  readonly to?: NodeId | undefined
}

/** A fact of a node that is in both. */
export interface NodeShift {
  readonly id: NodeId
  readonly before: string
  readonly after: string
}

export interface SnapshotDifference {
  readonly isSame: boolean
  /** By the first slot. */
  readonly slots: readonly SlotShift[]
  readonly gone: readonly SnapshotNode[]
  readonly joined: readonly SnapshotNode[]
  /** "primary", or "replica of " with an ID. */
  readonly roles: readonly NodeShift[]
  readonly addresses: readonly NodeShift[]
  readonly servers: readonly NodeShift[]
  /** No node is in both: these may be two clusters. */
  readonly areStrangers: boolean
}

/** Epochs do not count: every failover and every move raises some. */
export function compareSnapshots(before: ClusterSnapshot, after: ClusterSnapshot): SnapshotDifference {
  const then = new Map(before.nodes.map((node) => [node.id, node]))
  const now = new Map(after.nodes.map((node) => [node.id, node]))
  const gone = before.nodes.filter(({id}) => !now.has(id))
  const joined = after.nodes.filter(({id}) => !then.has(id))
  const shifts = (fact: (node: SnapshotNode) => string | undefined): NodeShift[] =>
    before.nodes.flatMap((node) => {
      const other = now.get(node.id)
      const [old, fresh] = [fact(node), other && fact(other)]
      return old === undefined || fresh === undefined || old === fresh ? [] : [{id: node.id, before: old, after: fresh}]
    })
  const slots = slotShifts(before, after)
  const roles = shifts(({role, primaryId}) => (role === 'primary' ? role : `replica of ${primaryId ?? 'nobody'}`))
  const addresses = shifts(({address}) => address)
  const servers = shifts(({server}) => server)
  const isSame = [slots, gone, joined, roles, addresses, servers].every(({length}) => length === 0)
  const areStrangers = gone.length === before.nodes.length && joined.length === after.nodes.length
  return {isSame, slots, gone, joined, roles, addresses, servers, areStrangers: areStrangers && !isSame}
}

function slotShifts(before: ClusterSnapshot, after: ClusterSnapshot): SlotShift[] {
  const [then, now] = [ownersIn(before), ownersIn(after)]
  const ways = new Map<string, {from: NodeId | undefined; to: NodeId | undefined; slots: number[]}>()
  for (const slot of new Set([...then.keys(), ...now.keys()].sort((a, b) => a - b))) {
    const [from, to] = [then.get(slot), now.get(slot)]
    if (from === to) continue
    const way = ways.get(`${from} ${to}`) ?? {from, to, slots: []}
    way.slots.push(slot)
    ways.set(`${from} ${to}`, way)
  }
  return [...ways.values()].map(({from, to, slots}) => ({
    slots: formatSlots(slots),
    count: slots.length,
    ...(from === undefined ? {} : {from}),
    ...(to === undefined ? {} : {to}),
  }))
}

/** Slots without an owner are not in it. */
export function ownersIn({nodes}: ClusterSketch): Map<number, NodeId> {
  const owners = new Map<number, NodeId>()
  for (const {id, slots} of nodes) for (const slot of slotsInRanges(parseRanges(slots))) owners.set(slot, id)
  return owners
}
