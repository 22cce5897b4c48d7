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

/** Tries of one group of slots: their pauses add up to about a minute, longer than a failover takes. */
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
