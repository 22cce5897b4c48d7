/** Which failures pass by themselves, and how long is it sensible to wait for that? */
import {NodeError, type NodeFailure} from '../errors.ts'

const TRANSIENT: ReadonlySet<NodeFailure> = new Set<NodeFailure>([
  'refused',
  'no-route',
  'timeout',
  'closed',
  'loading',
  'cluster-down',
  'try-again',
  'moved',
  'ask',
  'io',
  'read-only',
  'no-replicas',
  'not-primary',
  'unblocked',
  'unknown-node',
  'keys-left',
])

export function isTransient(error: unknown): error is NodeError {
  return error instanceof NodeError && TRANSIENT.has(error.failure)
}

/** How long what does not get on is tried again, unless the operator says otherwise: longer than a failover takes. */
export const DEFAULT_PATIENCE_MS = 60_000
/** A shard without its primary serves nobody: its new one is looked for this often at least. */
const LONGEST_PAUSE_MS = 1000

/** A large key may silence its source so long that the cluster is down before it arrives: it needs time to come up. */
export function longestPauseMs({failure, isFromTarget}: NodeError): number {
  return failure === 'cluster-down' && isFromTarget ? 8000 : LONGEST_PAUSE_MS
}

/** Says when to try again, and when to give up: after a time without any progress. */
export class Patience {
  readonly #patienceMs: number
  readonly #now: () => number
  #attempts = 0
  #sinceMs: number

  constructor(patienceMs: number, now: () => number = () => performance.now()) {
    this.#patienceMs = patienceMs
    this.#now = now
    this.#sinceMs = now()
  }

  /** Tries that failed since there was progress. */
  get attempts(): number {
    return this.#attempts
  }

  noteProgress(): void {
    this.#attempts = 0
    this.#sinceMs = this.#now()
  }

  /**
   * After a try that failed: how long to wait before the next one, `longestMs` at most; undefined: that was the last.
   */
  nextPauseMs(longestMs: number = LONGEST_PAUSE_MS): number | undefined {
    // The clock starts with the first failure, not when the work began.
    if (this.#attempts++ === 0) this.#sinceMs = this.#now()
    const leftMs = this.#sinceMs + this.#patienceMs - this.#now()
    return leftMs <= 0 ? undefined : Math.min(backoffMs(this.#attempts), longestMs, leftMs)
  }
}

/** Tries of one job: their pauses add up to about a minute, longer than a failover takes. */
export const MAX_ATTEMPTS = 12

/** Pause before try `attempt` (the second try is 1), in milliseconds: 100 doubling up to 8 s. */
export function backoffMs(attempt: number): number {
  return Math.min(100 * 2 ** (attempt - 1), 8000)
}

/**
 * What a source may answer to SETSLOT NODE although the slot has gone: having lost its last slot it turned into a
 * replica on the way (redis/redis#9223), or it waits in vain for its replicas (Valkey).
 */
export function isHarmlessAtSource(error: unknown): boolean {
  return (
    error instanceof NodeError &&
    ['not-primary', 'unblocked', 'no-replicas', 'closed', 'read-only'].includes(error.failure)
  )
}

/** What helps against a failure that ended a run of moves, in words for the operator. */
export function adviceAfter({failure, address, isFromTarget}: NodeError): string[] {
  switch (failure) {
    case 'out-of-memory':
      return ['Raise maxmemory on the target, or remove keys there']
    case 'permission':
      return [
        isFromTarget ? 'Give the user its rights on the target back' : `Give the user its rights on ${address} back`,
      ]
    case 'auth':
      return ['Correct the password: MIGRATE logs in to the target with it']
    case 'no-replicas':
      return ['Bring the replicas back that it waits for, or lower min-replicas-to-write']
    case 'io':
      return ['Make the target reachable from its source: a key that timed out may be on both, and is seen to']
    case 'refused':
    case 'timeout':
    case 'closed':
    case 'loading':
    case 'cluster-down':
      return [
        'Bring the node back; should a replica have taken its place, close its open slots first with rcluster fix',
      ]
    default:
      return []
  }
}
