/**
 * Which ways can a command fail, and what does each tell the caller?
 * A leaf: every other module may throw these, this one imports nothing.
 */

export type ErrorCode = 'E_USAGE' | 'E_REFUSED' | 'E_NODE' | 'E_INCOMPLETE' | 'E_CANCELLED' | 'E_INTERNAL'

export interface ErrorFacts {
  /** Machine-readable facts for `--json`: node IDs, slots, counts. Never a secret. */
  details?: Readonly<Record<string, unknown>>
  /**
   * What the operator can run or change next, a command line or a sentence each. Sentences begin with a capital and end
   * without a full stop, so that a command at their end can be copied; messages begin small, for "Error: " stands before.
   */
  suggestions?: readonly string[]
  cause?: unknown
}

/** The root of all errors that are meant for the operator; everything else is a bug of ours. */
export class ClusterError extends Error {
  readonly code: ErrorCode
  readonly exitCode: number
  readonly details: Readonly<Record<string, unknown>>
  readonly suggestions: readonly string[]

  constructor(code: ErrorCode, exitCode: number, message: string, facts: ErrorFacts = {}) {
    super(withoutPassword(message), facts.cause === undefined ? undefined : {cause: facts.cause})
    this.name = new.target.name
    this.code = code
    this.exitCode = exitCode
    this.details = facts.details ?? {}
    this.suggestions = (facts.suggestions ?? []).map(withoutPassword)
  }
}

/** Errors repeat the words that they are about, and those may hold a password. */
function withoutPassword(text: string): string {
  return text.replace(/:\/\/\S*@/g, '://…@').replace(/--password=\S+/g, '--password=…')
}

/** The words of the command make no sense: unknown node, bad number, a question without a terminal. Exit 2. */
export class UsageError extends ClusterError {
  constructor(message: string, facts?: ErrorFacts) {
    super('E_USAGE', 2, message, facts)
  }
}

export type RefusalReason =
  | 'open-slots'
  | 'uncovered-slots'
  | 'disagreement'
  | 'node-not-empty'
  | 'node-has-slots'
  | 'not-cluster-mode'
  | 'unreachable-nodes'
  | 'unhealthy'
  | 'target-unfit'
  | 'foreign-cluster'
  | 'busy'
  | 'stale-plan'
  | 'unfit-folder'
  | 'damaged-backup'
  | 'not-measured'

/** The cluster is not fit for what was asked; nothing was changed. Exit 3. */
export class RefusedError extends ClusterError {
  readonly reason: RefusalReason
  constructor(reason: RefusalReason, message: string, facts?: ErrorFacts) {
    super('E_REFUSED', 3, message, {...facts, details: {reason, ...facts?.details}})
    this.reason = reason
  }
}

/** Why a node could not be talked to, or what it said no with. */
export type NodeFailure =
  // no usable connection
  | 'refused' // nothing listens there
  | 'unresolved' // the name does not resolve
  | 'no-route'
  | 'timeout' // connected or connecting, but no answer in time
  | 'closed' // the connection broke while an answer was due
  | 'not-redis' // something answers, but not with the Redis protocol
  | 'garbled' // it speaks the protocol, but what it answers is no answer to the command
  | 'tls'
  | 'wrong-node' // CLUSTER MYID is not the node that was expected there
  // the server answered with an error
  | 'auth' // NOAUTH, WRONGPASS
  | 'permission' // NOPERM
  | 'protected' // DENIED: protected mode
  | 'not-cluster' // cluster support disabled
  | 'loading'
  | 'cluster-down'
  | 'try-again'
  | 'moved'
  | 'ask'
  | 'busy-key'
  | 'io' // MIGRATE: IOERR between source and target
  | 'out-of-memory'
  | 'read-only'
  | 'no-replicas'
  | 'not-primary' // "Please use SETSLOT only with masters"
  | 'unblocked' // the node changed its role while the command waited
  | 'unknown-node'
  | 'unknown-command'
  | 'keys-left' // "Can't assign hashslot … while I still hold keys"
  | 'cross-slot'
  | 'rejected' // any other error reply

/** A node did not answer, or said no. Exit 4. `address` is where we dialled. */
export class NodeError extends ClusterError {
  readonly failure: NodeFailure
  readonly address: string
  /** True when MIGRATE's source reports what its target answered. */
  readonly isFromTarget: boolean
  constructor(failure: NodeFailure, address: string, message: string, facts?: ErrorFacts & {isFromTarget?: boolean}) {
    super('E_NODE', 4, message, {...facts, details: {failure, address, ...facts?.details}})
    this.failure = failure
    this.address = address
    this.isFromTarget = facts?.isFromTarget ?? false
  }
}

/** Part of the plan was applied; the message says what is done, the suggestions what goes on. Exit 5. */
export class InterruptedError extends ClusterError {
  constructor(message: string, facts?: ErrorFacts) {
    super('E_INCOMPLETE', 5, message, facts)
  }
}

/** The person said no, or pressed Ctrl-C before anything was changed. Exit 130. */
export class CancelledError extends ClusterError {
  constructor(message: string, facts?: ErrorFacts) {
    super('E_CANCELLED', 130, message, facts)
  }
}

/** An invariant of ours broke. Exit 70. */
export class InternalError extends ClusterError {
  constructor(message: string, facts?: ErrorFacts) {
    super('E_INTERNAL', 70, message, facts)
  }
}
