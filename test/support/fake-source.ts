/** A server in memory that keys are copied from, or that reads what a fake cluster holds. */
import type {SerialisedKey} from '../../src/lib/engine/cluster-port.ts'
import type {ContentPage, KeyPage, KeyShape, SourceFacts, SourcePort} from '../../src/lib/engine/source-port.ts'
import {parseServerInfo} from '../../src/lib/topology/parse-info.ts'
import {Keyspace} from './fake/keyspace.ts'

type Call = 'scan' | 'dump' | 'delete'

export class FakeSource implements SourcePort {
  readonly address = {host: '10.0.0.9', port: 6379}
  readonly keyspace: Keyspace
  runId = 'first'
  /** Called before each call; what it throws is the answer. */
  before: (call: Call) => void = () => {}
  /** SCAN lists every key so many times. */
  listedTimes = 1
  /** As of the first page: keys that go do not shift the others. */
  #listed: Buffer[] = []

  constructor(keyspace = new Keyspace(16)) {
    this.keyspace = keyspace
  }

  async readFacts(): Promise<SourceFacts> {
    const info = parseServerInfo('redis_version:7.0.15\r\ncluster_enabled:0')
    return {info, isReplica: false, isInCluster: false, runId: this.runId}
  }

  async readClock(): Promise<number | undefined> {
    return Date.now()
  }

  async scanKeys(cursor: string, database: number): Promise<KeyPage> {
    this.before('scan')
    const [from, next] = [Number(cursor), Number(cursor) + 10]
    if (from === 0) {
      const names = this.keyspace.keys().filter((one) => one.database === database)
      this.#listed = names.flatMap(({key}) => new Array<Buffer>(this.listedTimes).fill(key))
    }
    const keys = this.#listed.slice(from, next).filter((key) => this.keyspace.get(key, database))
    return {cursor: next >= this.#listed.length ? '0' : String(next), keys}
  }

  async measureKeys(keys: readonly Buffer[]): Promise<readonly (number | undefined)[]> {
    return keys.map(() => 100)
  }

  async dumpKeys(keys: readonly Buffer[], database: number): Promise<readonly (SerialisedKey | undefined)[]> {
    this.before('dump')
    return keys.map((key) => {
      const value = this.keyspace.get(key, database)
      return value && {key, payload: value.payload, expiresAtMs: value.expiresAtMs}
    })
  }

  async deleteUnchanged(
    keys: readonly SerialisedKey[],
    database: number,
  ): Promise<readonly ('deleted' | 'changed' | 'gone')[]> {
    this.before('delete')
    return keys.map(({key, payload}) => {
      const value = this.keyspace.get(key, database)
      if (!value) return 'gone'
      if (!value.payload.equals(payload)) return 'changed'
      this.keyspace.delete(key, database)
      return 'deleted'
    })
  }

  async readShape(key: Buffer, database: number): Promise<KeyShape | undefined> {
    const value = this.keyspace.get(key, database)
    return value && {type: 'string', size: value.payload.length}
  }

  async readContent(key: Buffer, database: number): Promise<ContentPage | undefined> {
    return {next: undefined, items: [[this.keyspace.get(key, database)?.payload ?? Buffer.alloc(0)]]}
  }

  async lookUp(): Promise<readonly (Buffer | undefined)[]> {
    return []
  }

  close(): void {}
}
