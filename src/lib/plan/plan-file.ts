/** What does a saved plan hold? The envelope, and the plan of each command. Plain data; schemas/plan-v1.json says the same. */
import type {NodeId} from '../topology/model.ts'
import type {ClusterSketch} from './cluster-sketch.ts'
import type {PlacementPlan} from './even-replicas.ts'
import type {FailoverPlan} from './failover.ts'
import type {ImportPlan} from './import.ts'
import type {CreatePlan, JoinPlan, MovePlan, RemovalPlan} from './plan.ts'
import type {RepairPlan} from './repair-plan.ts'
import type {ReplacePlan} from './replace.ts'
import type {ReplicatePlan} from './replicate.ts'

export const PLAN_FORMAT = 'rcluster-plan'
export const PLAN_VERSION = 1

/** Nodes that join, and with --rebalance the slots that they are to get. */
export interface GrowthPlan extends JoinPlan {
  readonly moves?: MovePlan | undefined
}

/** Nodes that leave, and with --drain the slots that are moved away before. */
export interface ShrinkPlan extends RemovalPlan {
  readonly moves?: MovePlan | undefined
}

export interface ForgetPlan {
  readonly version: 1
  readonly kind: 'forget'
  readonly ids: readonly NodeId[]
  /** Addresses that were met and where nobody answered. */
  readonly handshakes: readonly string[]
}

export interface TimeoutPlan {
  readonly version: 1
  readonly kind: 'set-timeout'
  readonly timeoutMs: number
  readonly nodes: readonly {readonly id: NodeId; readonly address: string; readonly beforeMs?: number | undefined}[]
}

/** Keys are not in it: they are what the source has when it is carried out. */
export interface CopyPlan extends ImportPlan {
  readonly version: 1
  readonly kind: 'import'
  readonly source: {readonly address: string; readonly server: string}
}

export interface RestorePlan {
  readonly version: 1
  readonly kind: 'restore'
  /** A folder, or files, by absolute paths. */
  readonly sources: readonly string[]
  readonly files: readonly {
    readonly path: string
    readonly keys: number
    readonly bytes: number
  }[]
}

export type SavedPlan =
  | MovePlan
  | CreatePlan
  | GrowthPlan
  | ShrinkPlan
  | RepairPlan
  | FailoverPlan
  | ReplacePlan
  | PlacementPlan
  | ReplicatePlan
  | ForgetPlan
  | TimeoutPlan
  | CopyPlan
  | RestorePlan

export type SavedCommand =
  | 'reshard'
  | 'rebalance'
  | 'create'
  | 'add-node'
  | 'del-node'
  | 'fix'
  | 'failover'
  | 'replace-node'
  | 'replicate'
  | 'forget'
  | 'set-timeout'
  | 'import'
  | 'restore'

/** Flags that say how, by name, as they were parsed. Never a secret. */
export type SavedOptions = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface PlanFile {
  readonly format: typeof PLAN_FORMAT
  readonly version: typeof PLAN_VERSION
  /** "rcluster 0.1.0" */
  readonly madeBy: string
  /** ISO 8601. */
  readonly createdAt: string
  readonly command: {
    readonly name: SavedCommand
    /** As it was typed, without what concerns the connection: for people, and to make a new plan. */
    readonly line: string
  }
  readonly cluster: ClusterSketch
  readonly options: SavedOptions
  readonly plan: SavedPlan
}
