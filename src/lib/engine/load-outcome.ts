/** What can become of a key that is loaded into a cluster, and of all of them? */
import type {SerialisedKey} from './cluster-port.ts'

export interface LoadableKey extends SerialisedKey {
  /** Of the target. */
  readonly database: number
}

/** What to do with a key that the cluster has with another value. */
export type BusyKeyPolicy = 'fail' | 'skip' | 'replace'

/**
 * copied: it is there, by us. identical: it was there, with the same value and life. expired: its time had passed.
 * skipped: the cluster's own was left, as the policy wants it. failed: it is not there, or not with this value.
 */
export type KeyFate = 'copied' | 'identical' | 'expired' | 'skipped' | 'failed'

export interface SettledKey<K extends LoadableKey = LoadableKey> {
  readonly key: K
  readonly fate: KeyFate
  /** Of those that failed. */
  readonly reason?: string
}

export interface FailedKey {
  readonly key: Buffer
  readonly database: number
  readonly reason: string
}

export interface LoadCounts {
  readonly copied: number
  readonly identical: number
  readonly expired: number
  readonly skipped: number
  readonly failed: number
  /** Of the payloads of those copied. */
  readonly bytes: number
}

export interface LoadOutcome extends LoadCounts {
  /** The first few of those that failed. */
  readonly failures: readonly FailedKey[]
}
