/**
 * What may be asked of a server that keys are copied from? It may be alone, or a member of another cluster; it need not
 * know the cluster that they go to. src/lib/redis implements it. Calls issued together travel together.
 *
 * All methods throw `NodeError`. Databases are 0 upwards, times are milliseconds of the server's own clock.
 */
import type {NodeAddress, ServerInfo} from '../topology/model.ts'
import type {SerialisedKey} from './cluster-port.ts'

export interface SourceFacts {
  readonly info: ServerInfo
  readonly isReplica: boolean
  /** Where the server says so: old ones know of no clusters. */
  readonly isInCluster: boolean
  /** New with every start of the server. '' where it does not tell. */
  readonly runId: string
}

/** One page of SCAN. */
export interface KeyPage {
  /** Where the next begins; '0' after the last. */
  readonly cursor: string
  /** A key may come twice while the server makes its table larger. */
  readonly keys: readonly Buffer[]
}

/** What a key holds: its TYPE, and how many bytes, elements, fields or entries. */
export interface KeyShape {
  readonly type: string
  readonly size: number
}

/** A part of what a key holds: elements in order, or [name, value] where there is no order. */
export interface ContentPage {
  /** undefined after the last. */
  readonly next: string | undefined
  readonly items: readonly (readonly Buffer[])[]
}

export interface SourcePort {
  readonly address: NodeAddress

  readFacts(): Promise<SourceFacts>
  /** TIME; undefined where the user may not ask. */
  readClock(): Promise<number | undefined>
  /** `pattern` as MATCH takes it; undefined: all. */
  scanKeys(cursor: string, database: number, pattern: string | undefined): Promise<KeyPage>
  /** MEMORY USAGE in bytes, undefined for a key that is gone; undefined as a whole where the user may not ask. */
  measureKeys(keys: readonly Buffer[], database: number): Promise<readonly (number | undefined)[] | undefined>
  /** undefined for a key that is gone. `expectedBytes` of all of them together stretches the deadline. */
  dumpKeys(
    keys: readonly Buffer[],
    database: number,
    expectedBytes: number,
  ): Promise<readonly (SerialisedKey | undefined)[]>
  /**
   * Removes those keys that are still as they were dumped: watched, looked at again, and deleted in a transaction that
   * fails when somebody was quicker.
   */
  deleteUnchanged(
    keys: readonly SerialisedKey[],
    database: number,
  ): Promise<readonly ('deleted' | 'changed' | 'gone')[]>

  /** undefined when it is gone. */
  readShape(key: Buffer, database: number): Promise<KeyShape | undefined>
  /** From `cursor` on, '' being the beginning; undefined for a type whose content cannot be read. */
  readContent(key: Buffer, database: number, type: string, cursor: string): Promise<ContentPage | undefined>
  /** For types without an order: what it has under these names. */
  lookUp(
    key: Buffer,
    database: number,
    type: string,
    names: readonly Buffer[],
  ): Promise<readonly (Buffer | undefined)[]>

  close(): void
}
