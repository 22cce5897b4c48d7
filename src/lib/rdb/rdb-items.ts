/** What is in RDB data? One value for each thing that is of use beyond the file. */

export interface RdbKey {
  readonly kind: 'key'
  readonly database: number
  readonly key: Buffer
  /** RDB's number of the value's layout; see value-layout.ts. */
  readonly type: number
  /** What modules attached to the key (Redis 8.6 and later), as it stands before the type; mostly undefined. */
  readonly metadata: Buffer | undefined
  /** As it stands in the data, without the type. A view: keep it and you keep what came in with it. */
  readonly value: Buffer
  /** Unix time. */
  readonly expiresAtMs: number | undefined
  /** Only where the server evicts by one of them. */
  readonly idleSeconds: number | undefined
  readonly frequency: number | undefined
}

export type RdbItem =
  | RdbKey
  /** "redis-ver", "used-mem", "repl-offset" … */
  | {readonly kind: 'aux'; readonly name: string; readonly value: Buffer}
  /** The code of one function library. */
  | {readonly kind: 'library'; readonly code: Buffer}
  /** Data of a module that belongs to no key; RESTORE cannot bring it back. */
  | {readonly kind: 'module-data'; readonly module: string}
  /** Slots were on their way in by atomic slot migration, and their keys may be among those that follow (Valkey 9). */
  | {readonly kind: 'slot-import'}
  /** The end, with its checksum found right (or not computed by the server: `isChecked` false). */
  | {readonly kind: 'end'; readonly isChecked: boolean}
