/**
 * What is to be done? One `Plan` value feeds the screen, --json, --dry-run, the journal and the engine.
 */
import type {NodeId} from '../topology/model.ts'
import type {HeatSource, LoadKind} from '../topology/slot-heat.ts'

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

/** A key that a survey met, in a slot that is to move. Plain data: it survives JSON. */
export interface BigKey {
  readonly slot: number
  readonly from: NodeId
  readonly to: NodeId
  readonly database: number
  /** The key's bytes in hexadecimal: names need not be text. */
  readonly keyHex: string
  /** In memory at its source, as MEMORY USAGE estimates it. */
  readonly bytes: number
  /** As TYPE says it; undefined where nobody asked. */
  readonly type?: string | undefined
  /** How long its MIGRATE is expected to hold the source; for an unknown type of the slowest. */
  readonly stallMs: number
}

/** What a look for big keys brought. */
export interface BigKeySurvey {
  /** Keys of this size and above are big. */
  readonly thresholdBytes: number
  /** The longest stall first; in slots that move. */
  readonly keys: readonly BigKey[]
  /** In slots that stay because of them, in the same order. */
  readonly left: readonly BigKey[]
  readonly keysLookedAt: number
  /** About, in the slots that were looked at. */
  readonly keysThere: number
  /** Every key was looked at, or its node holds too little altogether for a big one. */
  readonly isComplete: boolean
  /** Their nodes use more memory than the keys that were looked at explain. */
  readonly mayHideOthers: boolean
  /** The shortest cluster-node-timeout of the nodes that a big key stalls, where they tell. */
  readonly nodeTimeoutMs?: number | undefined
}

/** What a plan is expected to take. */
export interface MoveEstimate {
  readonly keys: number
  /** In the memory of the sources. */
  readonly bytes: number
  /** A guess, from the pace on one machine. */
  readonly ms: number
  /** Keys of some slots were counted, not of all. */
  readonly isSampled: boolean
}

/** What somebody wants to know who is to say yes. */
export interface MoveOutlook {
  /** Absent where nobody counted. */
  readonly estimate?: MoveEstimate | undefined
  /** 'disruptive': clients notice. 'data-loss': keys may go. */
  readonly risk: {readonly class: 'safe' | 'disruptive' | 'data-loss'; readonly why: string}
  /** What one might expect of the command, and what does it. Sentences. */
  readonly notDone: readonly string[]
  /** One for each pair of nodes, in the order of `moves`. */
  readonly reasons: readonly {
    readonly from: NodeId
    readonly to: NodeId
    readonly slots: number
    readonly why: string
  }[]
}

/** What a plan makes of the load of each primary. Plain data: it survives JSON. */
export interface PlannedLoad {
  readonly by: LoadKind
  readonly unit: 'slots' | 'keys' | 'bytes' | 'microseconds'
  readonly sources: readonly HeatSource[]
  /** cpu and network: in this time. */
  readonly overMs?: number | undefined
  readonly total: number
  /** Those that take part, in the order of the plan's primaries. */
  readonly primaries: readonly {
    readonly id: NodeId
    /** What it should bear, by its weight. */
    readonly share: number
    readonly before: number
    readonly after: number
  }[]
  /** What the slots that move bring, ascending by slot; keys and bytes where they are known. */
  readonly slots: readonly {
    readonly slot: number
    readonly load: number
    readonly keys?: number | undefined
    readonly bytes?: number | undefined
  }[]
  /** How far off its share the primary is that is furthest off. No plan ends with less than `least`. */
  readonly imbalancePercent: {readonly before: number; readonly after: number; readonly least: number}
  /** What moving costs. No plan that takes away as much of what is too much costs less than `least`; absent in what is left of a plan. */
  readonly cost: {readonly unit: PlannedLoad['unit']; readonly moved: number; readonly least?: number | undefined}
  /** Of all primaries together. */
  readonly ranges: {readonly before: number; readonly after: number}
  /** Slots that bear more than a primary's share, the hottest first: no move helps. */
  readonly hotSlots: readonly {
    readonly slot: number
    /** After the plan. */
    readonly owner: NodeId
    readonly load: number
    /** Of all load. */
    readonly percent: number
  }[]
  /** It would have moved more without that. */
  readonly limitedBy?: 'max-moves' | 'max-bytes' | undefined
}

/** A plan that moves slots. Plain data: it survives JSON. */
export interface MovePlan {
  readonly version: 1
  readonly kind: 'reshard' | 'rebalance' | 'evacuate'
  /** Identifies the members, roles and slots that the plan was made for; see `sketchCluster`. */
  readonly fingerprint: string
  /** Ascending by slot; no slot twice; no move to its own source. */
  readonly moves: readonly SlotMove[]
  /** Every primary that exists, sorted by address. */
  readonly primaries: readonly PrimaryChange[]
  /** Every pair of nodes of `moves`; a pair that is not listed goes key by key. */
  readonly movers: readonly PairMover[]
  /** Absent where nobody looked for them. */
  readonly bigKeys?: BigKeySurvey | undefined
  /** Absent before the cluster was asked. */
  readonly outlook?: MoveOutlook | undefined
  /** Absent where slots are evened out by their number alone. */
  readonly load?: PlannedLoad | undefined
  readonly warnings: readonly string[]
}

/** Settings by which the nodes send clients to the addresses at which they were named. */
export interface Announcement {
  /**
   * 'clients': an address for clients alone. 'name': a hostname, for clients alone. 'address': one for the other nodes as
   * well, which have to reach one another there.
   */
  readonly way: 'clients' | 'name' | 'address'
  readonly nodes: readonly {
    readonly address: string
    /** In the order in which they are made. */
    readonly settings: readonly {readonly name: string; readonly value: string}[]
  }[]
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
  /** Absent where nothing is to be announced. */
  readonly announcement?: Announcement | undefined
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
