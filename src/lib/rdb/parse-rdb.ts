/**
 * What do RDB data say, as they come in? Pieces of any size go in, items come out as soon as they are whole; what is held
 * meanwhile is one record, so no more than the largest value and a piece. Throws RdbError and nothing else.
 */
import {Crc64} from './crc64.ts'
import {Cursor, Shortage} from './cursor.ts'
import type {RdbItem, RdbKey} from './rdb-items.ts'
import {isValueType, type RdbFamily, skipModuleData, skipValue} from './value-layout.ts'

/** Of both families, but for 243. */
const OPCODE = {
  /** Redis 8.6: what modules attached to a key. Valkey 9: slots on their way in. */
  metadataOrSlotImport: 243,
  slotInfo: 244,
  library: 245,
  moduleData: 247,
  idle: 248,
  frequency: 249,
  aux: 250,
  sizes: 251,
  expiresAtMs: 252,
  expiresAt: 253,
  database: 254,
  end: 255,
} as const

/** From this version on it is Valkey's own, and so are the magic bytes; Redis counts up to below. */
const FIRST_OF_VALKEY = 80
const FIRST_WITH_CHECKSUM = 5

export class RdbParser {
  readonly #cursor = new Cursor()
  readonly #crc = new Crc64()
  /** Not yet in the window: joining is put off until a record can be whole. */
  #waiting: Buffer[] = []
  #held = 0
  #needed = 0
  #family: RdbFamily | undefined
  #version = 0
  #database = 0
  #expiresAtMs: number | undefined
  #idleSeconds: number | undefined
  #frequency: number | undefined
  #hasEnded = false

  /** `totalBytes`, where known, lets a length that leads beyond the end be refused at once. */
  constructor(totalBytes = Number.POSITIVE_INFINITY) {
    this.#cursor.total = totalBytes
  }

  /** From the first items on. */
  get version(): number {
    return this.#version
  }

  get family(): RdbFamily {
    return this.#family ?? 'redis'
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** @throws RdbError; nothing more must be pushed then. */
  push(chunk: Buffer): RdbItem[] {
    this.#waiting.push(chunk)
    this.#held += chunk.length
    return this.#held < this.#needed ? [] : this.#parse()
  }

  /** There is no more. @throws RdbError when there should have been. */
  end(): RdbItem[] {
    this.#cursor.total = this.#cursor.base + this.#held
    const items = this.#parse()
    if (!this.#hasEnded) this.#cursor.fail('the data ends without an end mark')
    return items
  }

  #parse(): RdbItem[] {
    const cursor = this.#cursor
    cursor.window = this.#waiting.length === 1 ? (this.#waiting[0] as Buffer) : Buffer.concat(this.#waiting)
    cursor.at = 0
    const items: RdbItem[] = []
    let done = 0
    this.#needed = 0
    try {
      while (!this.#hasEnded) {
        this.#record(items)
        done = cursor.at
      }
      if (cursor.at < cursor.window.length) cursor.fail('something follows the end of the RDB data')
    } catch (error) {
      if (!(error instanceof Shortage)) throw error
      // Never a byte at a time: a value with many parts would be begun anew at each of them.
      this.#needed = Math.max(error.needed - done, 2 * (cursor.window.length - done))
    }
    if (!this.#hasEnded) this.#crc.update(cursor.window, 0, done)
    cursor.base += done
    cursor.at = 0
    cursor.window = cursor.window.subarray(done)
    this.#waiting = cursor.window.length > 0 ? [cursor.window] : []
    this.#held = cursor.window.length
    return items
  }

  /** One record, or a Shortage with nothing changed. */
  #record(items: RdbItem[]): void {
    const cursor = this.#cursor
    if (this.#family === undefined) {
      this.#header()
      return
    }
    const start = cursor.at
    const opcode = cursor.byte()
    switch (opcode) {
      case OPCODE.slotInfo:
        for (let n = 0; n < 3; n++) cursor.skipInteger()
        return
      case OPCODE.library:
        items.push({kind: 'library', code: cursor.string()})
        return
      case OPCODE.moduleData: {
        const module = moduleName(cursor.integer())
        skipModuleData(cursor)
        items.push({kind: 'module-data', module})
        return
      }
      case OPCODE.idle:
        this.#idleSeconds = cursor.length()
        return
      case OPCODE.frequency:
        this.#frequency = cursor.byte()
        return
      case OPCODE.aux:
        items.push({kind: 'aux', name: cursor.string().toString(), value: cursor.string()})
        return
      case OPCODE.sizes:
        cursor.skipInteger()
        cursor.skipInteger()
        return
      case OPCODE.expiresAtMs:
        this.#expiresAtMs = Number(cursor.take(8).readBigInt64LE())
        return
      case OPCODE.expiresAt:
        this.#expiresAtMs = 1000 * cursor.take(4).readInt32LE()
        return
      case OPCODE.database:
        this.#database = cursor.length()
        return
      case OPCODE.end:
        items.push({kind: 'end', isChecked: this.#checkEnd()})
        return
      case OPCODE.metadataOrSlotImport:
        if (this.#family === 'valkey') {
          this.#skipSlotImport()
          items.push({kind: 'slot-import'})
          return
        }
        if (this.#version < 13) break
        this.#key(items, this.#metadata(start))
        return
      default:
        if (!isValueType(opcode, this.#family)) break
        cursor.at = start
        this.#key(items, undefined)
        return
    }
    const name = this.#family === 'redis' ? 'Redis' : 'Valkey'
    cursor.fail(
      `${opcode} is no opcode or type of ${name} RDB version ${this.#version} that is known`,
      cursor.base + start,
    )
  }

  #header(): void {
    const cursor = this.#cursor
    const magic = cursor.take(9).toString('latin1')
    const match = /^(?:(REDIS)(\d{4})|(VALKEY)(\d{3}))$/.exec(magic)
    const version = Number(match?.[2] ?? match?.[4])
    const family = match?.[3] ? 'valkey' : 'redis'
    if (!match) cursor.fail('this is no RDB data: it begins neither with REDIS nor with VALKEY', 0)
    if (version < 1 || version >= FIRST_OF_VALKEY !== (family === 'valkey')) {
      cursor.fail(`${magic} is no RDB version that is known`, 0)
    }
    this.#version = version
    this.#family = family
  }

  #key(items: RdbItem[], metadata: Buffer | undefined): void {
    const cursor = this.#cursor
    const type = cursor.byte()
    const key = cursor.string()
    const start = cursor.at
    skipValue(cursor, type, this.family)
    const item: RdbKey = {
      kind: 'key',
      database: this.#database,
      key,
      type,
      metadata,
      value: cursor.window.subarray(start, cursor.at),
      expiresAtMs: this.#expiresAtMs,
      idleSeconds: this.#idleSeconds,
      frequency: this.#frequency,
    }
    items.push(item)
    this.#expiresAtMs = undefined
    this.#idleSeconds = undefined
    this.#frequency = undefined
  }

  /** A count of classes; for each four bytes that name it, and what its module wrote. */
  #metadata(start: number): Buffer {
    const cursor = this.#cursor
    for (let left = cursor.length(); left > 0; left--) {
      cursor.skip(4)
      skipModuleData(cursor)
    }
    return cursor.window.subarray(start, cursor.at)
  }

  #skipSlotImport(): void {
    const cursor = this.#cursor
    cursor.skipString()
    for (let left = cursor.length(); left > 0; left--) {
      cursor.skipInteger()
      cursor.skipInteger()
    }
  }

  #checkEnd(): boolean {
    const cursor = this.#cursor
    const end = cursor.at
    if (this.#version < FIRST_WITH_CHECKSUM) {
      this.#hasEnded = true
      return false
    }
    const told = cursor.take(8)
    this.#hasEnded = true
    // Zero: rdbchecksum no.
    if (told.every((byte) => byte === 0)) return false
    if (!this.#crc.update(cursor.window, 0, end).digest().equals(told)) {
      cursor.fail('the checksum does not fit: the data is damaged', cursor.base + end)
    }
    return true
  }
}

const MODULE_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** A module type's ID is nine characters of six bits each, and ten bits for its version. */
function moduleName(id: bigint): string {
  let name = ''
  for (let shift = 58n; shift >= 10n; shift -= 6n) name += MODULE_CHARACTERS[Number((id >> shift) & 63n)]
  return name
}

/** All items of `source` in batches, in order. @throws RdbError, and whatever `source` throws. */
export async function* readRdb(source: AsyncIterable<Buffer>, parser = new RdbParser()): AsyncGenerator<RdbItem[]> {
  for await (const chunk of source) {
    const items = parser.push(chunk)
    if (items.length > 0) yield items
  }
  const rest = parser.end()
  if (rest.length > 0) yield rest
}
