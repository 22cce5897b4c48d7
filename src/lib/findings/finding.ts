/** What can be wrong with a cluster? One kind per rule, each with the nodes and slots concerned as data. */
import type {SlotRanges} from '../slots/slot-ranges.ts'
import type {Disagreement, NodeId, OpenSlot} from '../topology/model.ts'
import type {Dispute} from './dispute.ts'

/**
 * error: keys, writes or a member are out of order now. warning: works, but not as it should. note: may well be meant so,
 * and is worth knowing.
 */
export type Severity = 'error' | 'warning' | 'note'

interface FindingBase {
  readonly severity: Severity
  /** One line. */
  readonly message: string
  /** Sorted; never empty but for rules about slots that nobody holds. */
  readonly nodes: readonly NodeId[]
  readonly slots: SlotRanges
  /** Who says or has what, a line each, where the message does not tell all of it. */
  readonly evidence?: readonly string[]
  /** Commands, or sentences where no command helps. */
  readonly suggestions: readonly string[]
}

/** What each rule adds. */
export type Finding = FindingBase &
  (
    | {readonly id: 'unreachable-node'; readonly failure: string}
    | {readonly id: 'failed-node' | 'suspected-node'; readonly saidBy: readonly NodeId[]}
    /** `winner`: whose claim the servers settle on, if they do; undefined when nobody stands by one. */
    | {
        readonly id: 'disagreement'
        readonly disagreement: Disagreement
        readonly winner: NodeId | undefined
        readonly dispute: Dispute
      }
    | {readonly id: 'open-slot'; readonly openSlots: readonly OpenSlot[]}
    /** `owner`: the unreached node that the slots are assigned to; undefined when nobody claims them. */
    | {readonly id: 'uncovered-slots'; readonly owner: NodeId | undefined}
    | {readonly id: 'membership-gap'; readonly unknownTo: readonly NodeId[]}
    | {readonly id: 'handshake'; readonly address: string}
    /** Primaries of either side; the side that wins first. */
    | {readonly id: 'merged-clusters'; readonly groups: readonly (readonly NodeId[])[]}
    /** `knownBy`: who has no link to it, and another address for it. */
    | {readonly id: 'moved-node'; readonly knownBy: readonly NodeId[]}
    | {readonly id: 'epoch-collision'; readonly configEpoch: number}
    | {readonly id: 'mixed-versions'; readonly versions: readonly string[]}
    | {readonly id: 'lagging-replica'; readonly lagSeconds: number | undefined; readonly lagBytes: number | undefined}
    /** `unlinkedTo`: whom the node has no link to. */
    | {readonly id: 'bus-link-down'; readonly unlinkedTo: readonly NodeId[]}
    | {readonly id: 'replica-on-primary-host' | 'quorum-on-one-host'; readonly host: string}
    | {readonly id: 'replica-in-primary-zone' | 'quorum-in-one-zone'; readonly zone: string}
    /** The commonest value first. */
    | {readonly id: 'node-timeout-drift' | 'config-drift'; readonly setting: string; readonly values: readonly Having[]}
    | {readonly id: 'function-drift'; readonly library: string}
    | {readonly id: 'acl-drift'; readonly user: string}
    | {readonly id: 'module-drift'; readonly module: string; readonly values: readonly Having[]}
    | {readonly id: 'memory-near-limit'; readonly usedBytes: number; readonly limitBytes: number}
    | {readonly id: 'persistence-failing'; readonly faults: readonly string[]}
    | {readonly id: 'fragmented-slots'; readonly ranges: number}
    | {readonly id: 'orphan-keys'; readonly keys: number; readonly hiddenKeys: number}
    | {
        readonly id:
          | 'cluster-down'
          | 'replica-link-down'
          | 'stale-mark'
          | 'stray-replica'
          | 'loading-node'
          | 'orphaned-primary'
          | 'no-replicas'
          | 'empty-primary'
          | 'ghost-node'
          | 'few-primaries'
          | 'persistence-off'
      }
  )

/** A value, and who has it. */
export interface Having {
  readonly value: string
  readonly nodes: readonly NodeId[]
}

const RANKS: Readonly<Record<Severity, number>> = {error: 0, warning: 1, note: 2}

/** Errors first, notes last, then by rule, then by first slot, then by first node. */
export function compareFindings(a: Finding, b: Finding): number {
  const firstSlot = (finding: Finding) => finding.slots[0]?.start ?? Number.POSITIVE_INFINITY
  return (
    compare(RANKS[a.severity], RANKS[b.severity]) ||
    compare(a.id, b.id) ||
    compare(firstSlot(a), firstSlot(b)) ||
    compare(a.nodes[0] ?? '', b.nodes[0] ?? '') ||
    compare(a.message, b.message)
  )
}

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
