/**
 * rcluster as a library: the names that programs may use. They follow semantic versioning; all else inside the package may
 * change with any release. docs/library.md explains them, examples/library shows them at work.
 *
 * Look (`connect`), judge (`inspect`, `Cluster.check`), plan (`plan…`, pure functions of a `Topology`), and have it carried
 * out (`Cluster.run`). Nothing here prints, asks, or ends the process; failures are thrown as one of the errors below.
 */

export type {ConflictPolicy} from './lib/engine/drain.ts'
export type {EngineEvent, EngineListener} from './lib/engine/events.ts'
export type {FailoverOutcome} from './lib/engine/fail-over.ts'
export type {RemovalOutcome} from './lib/engine/remove-nodes.ts'
export type {MoveOutcome} from './lib/engine/run-moves.ts'
export type {RepairFailure, RepairLookOptions, RepairOutcome} from './lib/engine/run-repairs.ts'
export {
  CancelledError,
  ClusterError,
  type ErrorCode,
  InternalError,
  InterruptedError,
  NodeError,
  type NodeFailure,
  type RefusalReason,
  RefusedError,
  UsageError,
} from './lib/errors.ts'
export type {Examination, NotJudged} from './lib/findings/examine.ts'
export type {Finding, Severity} from './lib/findings/finding.ts'
export {inspect} from './lib/findings/inspect.ts'
export type {RuleId} from './lib/findings/rule-book.ts'
export {type CreateOptions, planCreate} from './lib/plan/create.ts'
export {type EvacuateOptions, planEvacuate} from './lib/plan/evacuate.ts'
export {type FailoverOptions, type FailoverPlan, planFailover} from './lib/plan/failover.ts'
export {type JoinOptions, planJoin} from './lib/plan/join.ts'
export type {PlaceableNode} from './lib/plan/placement.ts'
export type {CreatePlan, JoinPlan, MovePlan, PrimaryChange, RemovalPlan, SlotMove} from './lib/plan/plan.ts'
export {planRebalance, type RebalanceOptions} from './lib/plan/rebalance.ts'
export {planRemoval} from './lib/plan/removal.ts'
export type {Obstacle, Repair, RepairAct, RepairPlan, RepairRisk} from './lib/plan/repair-plan.ts'
export {planReplicate, type ReplicatePlan} from './lib/plan/replicate.ts'
export {planReshard, type ReshardOptions} from './lib/plan/reshard.ts'
export {keySlot} from './lib/slots/key-slot.ts'
export {SLOT_COUNT} from './lib/slots/slot.ts'
export {
  countSlots,
  formatRanges,
  parseRanges,
  type SlotRange,
  type SlotRanges,
  slotsInRanges,
} from './lib/slots/slot-ranges.ts'
export {
  type ClusterNode,
  type Disagreement,
  formatAddress,
  type NodeAddress,
  type NodeId,
  type NodeView,
  type OpenSlot,
  type Reach,
  type Role,
  type Shard,
  type Topology,
} from './lib/topology/model.ts'
export {findNode, ownerOf, primaries, replicasOf, requireNode, slotsOf} from './lib/topology/queries.ts'
export {type Cluster, type ConnectOptions, connect, type WaitOptions} from './library/cluster.ts'
export type {AccessOptions, TlsSettings} from './library/connection.ts'
export {type CreationOptions, type EmptyNodes, type MeetOptions, meetEmptyNodes} from './library/empty-nodes.ts'
export type {ClusterPlan, Outcomes, RunOptions} from './library/run-plan.ts'
