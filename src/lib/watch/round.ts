/** What does one look at a cluster that is watched bring? Values only. */
import type {SlotRanges} from '../slots/slot-ranges.ts'
import type {NodeId, Topology} from '../topology/model.ts'

/** Slots that the servers are moving by themselves, as one of their ends tells. */
export interface AtomicMove {
  readonly id: string
  readonly ranges: SlotRanges
  readonly from: NodeId
  readonly to: NodeId
  /** The server's own word for how far it is. */
  readonly stage: string
}

/** Another rcluster that is changing the cluster. */
export interface Worker {
  readonly user: string
  readonly host: string
  readonly pid: number
  /** ISO 8601. */
  readonly since: string
  readonly command: string
}

export interface Round {
  /** When it was complete; milliseconds since 1970. */
  readonly atMs: number
  readonly topology: Topology
  /** When nodes last told of one another: slots and roles are as of then. Before `atMs` in large clusters only. */
  readonly slotsAtMs: number
  /** Keys that are still at the source of an open slot, all databases. Slots that were not counted are absent. */
  readonly keysLeft: ReadonlyMap<number, number>
  readonly atomicMoves: readonly AtomicMove[]
  readonly worker: Worker | undefined
  /** Commands that the nodes were sent for it. */
  readonly commands: number
  /** How far looks are to be apart at least, so that a large cluster is not disturbed. */
  readonly leastIntervalMs: number
  /** Set: not one node answered; the topology is what was known before. */
  readonly lost?: string | undefined
}
