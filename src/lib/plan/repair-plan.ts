/** What is a plan to put slots in order? Repairs with their grounds and what they risk, as plain data: it survives JSON. */
import type {NodeId} from '../topology/model.ts'

/**
 * safe: no key is lost, no client is turned away. disruptive: clients notice, and writes that a replica has not received
 * are lost. data-loss: keys are given up that may still exist somewhere.
 */
export type RepairRisk = 'safe' | 'disruptive' | 'data-loss'

/** What is done, in the order in which kinds are carried out. */
export type RepairAct =
  /** Nodes that answer at new addresses are introduced to the others there. */
  | {readonly kind: 're-meet'; readonly nodes: readonly NodeId[]}
  /** A live replica of a primary that is gone takes over its slots. */
  | {readonly kind: 'take-over'; readonly replica: NodeId; readonly primary: NodeId}
  /** The node holds keys that it does not show (Redis 8.6): its slots are marked for a moment, to see which. */
  | {readonly kind: 'reveal'; readonly at: NodeId}
  /** Marks without a meaning are taken away. */
  | {readonly kind: 'close'; readonly at: readonly NodeId[]}
  /**
   * An importing mark is made to name the owner. One that names somebody else makes Valkey take the slot for itself as soon
   * as that node's slots change, and the owner then deletes its keys (seen on 8.1 and 9.1).
   */
  | {readonly kind: 'correct-mark'; readonly at: readonly NodeId[]; readonly owner: NodeId}
  /** `owner` gets slots that nobody serves; `holders` have keys of them too, which are brought there afterwards. */
  | {readonly kind: 'assign'; readonly owner: NodeId; readonly holders: readonly NodeId[]}
  /** Nodes that believe something else are told who the owner is. */
  | {readonly kind: 'tell-owner'; readonly owner: NodeId; readonly told: readonly NodeId[]}
  /** Keys of nodes that should not have them go to the one that should, each compared with what is there. */
  | {readonly kind: 'gather'; readonly from: readonly NodeId[]; readonly to: NodeId}
  /** A move that was cut off goes on. */
  | {readonly kind: 'finish-move'; readonly from: NodeId; readonly to: NodeId}

export interface ReplicaWitness {
  /** How far it has read the stream of its primary; undefined where it does not tell. */
  readonly offset: number | undefined
  /** false: it has not heard of its primary since it started; what it has is of unknown age. */
  readonly wasLinked: boolean
  readonly linkDownSeconds: number | undefined
  /** All that it has, over all databases. */
  readonly keys: number
}

/** What one primary says of the slots of a repair. */
export interface RepairWitness {
  readonly id: NodeId
  readonly address: string
  readonly isReachable: boolean
  /** Over all databases; undefined where it could not be counted. */
  readonly keys: number | undefined
  readonly slotsWithKeys: number
  /** Its config epoch, where it claims any of the slots; of one that cannot be reached, what the others say. */
  readonly claimsAtEpoch: number | undefined
  readonly migratingTo: readonly NodeId[]
  readonly importingFrom: readonly NodeId[]
  /** Of a replica of the primary that is lost: how much it has. */
  readonly asReplica?: ReplicaWitness
  /** Of a node that has moved: where others would reach it, and how many of them. */
  readonly knownAt?: readonly {readonly address: string; readonly nodes: number}[]
}

export interface Repair {
  readonly act: RepairAct
  /** "0-99,4000" */
  readonly slots: string
  readonly risk: RepairRisk
  /** One sentence without a full stop. */
  readonly why: string
  /** Those that have to do with it, by address. */
  readonly evidence: readonly RepairWitness[]
}

/** Something that no repair can change as things are. */
export interface Obstacle {
  readonly slots: string
  readonly message: string
  readonly suggestions: readonly string[]
}

export interface RepairPlan {
  readonly version: 1
  readonly kind: 'fix'
  /** Identifies the members, roles and slots that the plan was made for; see `sketchCluster`. */
  readonly fingerprint: string
  /** In the order in which they are carried out. */
  readonly repairs: readonly Repair[]
  readonly obstacles: readonly Obstacle[]
  readonly warnings: readonly string[]
}
