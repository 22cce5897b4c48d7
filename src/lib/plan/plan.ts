/**
 * What is to be done? One `Plan` value feeds the screen, --json, --dry-run, the journal and the engine.
 */
import type {NodeId} from '../topology/model.ts'

/** One slot to one target. */
export interface SlotMove {
  readonly slot: number
  readonly from: NodeId
  readonly to: NodeId
}

/** One primary before and after. */
export interface PrimaryChange {
  readonly id: NodeId
  readonly address: string
  readonly slotsBefore: number
  readonly slotsAfter: number
}

/** Which way the slots of one pair of nodes travel. */
export interface PairMover {
  readonly from: NodeId
  readonly to: NodeId
  /** 'atomic': by the servers, all keys of a slot at once; 'migrate': key by key with MIGRATE. */
  readonly mover: 'migrate' | 'atomic'
  /** Why the other one was not taken, where one might wonder. */
  readonly reason?: string
}

/** A plan that moves slots. Plain data: it survives JSON. */
export interface MovePlan {
  readonly version: 1
  readonly kind: 'reshard' | 'rebalance' | 'evacuate'
  /** Identifies the slot map that the plan was made for; see `slotMapFingerprint`. */
  readonly fingerprint: string
  /** Ascending by slot; no slot twice; no move to its own source. */
  readonly moves: readonly SlotMove[]
  /** Every primary that exists, sorted by address. */
  readonly primaries: readonly PrimaryChange[]
  /** Every pair of nodes of `moves`; a pair that is not listed goes key by key. */
  readonly movers: readonly PairMover[]
  readonly warnings: readonly string[]
}

/** A new cluster. */
export interface CreatePlan {
  readonly version: 1
  readonly kind: 'create'
  readonly primaries: readonly {
    readonly id: NodeId
    readonly address: string
    /** "0-5460" */
    readonly slots: string
    /** Given to the node before it meets the others: 1, 2, 3 … */
    readonly configEpoch: number
    readonly replicas: readonly {readonly id: NodeId; readonly address: string; readonly configEpoch: number}[]
  }[]
  readonly warnings: readonly string[]
}

/** Nodes that join. */
export interface JoinPlan {
  readonly version: 1
  readonly kind: 'add-node'
  readonly newcomers: readonly {
    readonly id: NodeId
    readonly address: string
    readonly role: 'primary' | 'replica'
    /** Replicas only. */
    readonly primaryId: NodeId | undefined
  }[]
  readonly warnings: readonly string[]
}

/** Nodes that leave. */
export interface RemovalPlan {
  readonly version: 1
  readonly kind: 'del-node'
  readonly victims: readonly {readonly id: NodeId; readonly address: string; readonly isReachable: boolean}[]
  /** Replicas of victims that stay, and whom they follow from then on. */
  readonly rehomed: readonly {readonly id: NodeId; readonly address: string; readonly primaryId: NodeId}[]
  readonly warnings: readonly string[]
}

export type Plan = MovePlan | CreatePlan | JoinPlan | RemovalPlan
