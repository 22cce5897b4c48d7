/**
 * How are the pieces of RDB data read: bytes, lengths, strings? Over a window of what has come in so far. Whoever runs into
 * its end gets a `Shortage` and begins the record anew when there is more, so nothing here waits.
 */
import {constants} from 'node:buffer'
import {decompressLzf} from './lzf.ts'
import {RdbError} from './rdb-error.ts'

/** Not a fault: there are more bytes to come. */
export class Shortage extends Error {
  /** How large the window has to be, at least. */
  needed = 0
}

// One for all: a record that is cut by the end of a chunk is no reason to collect a stack trace each time.
const SHORTAGE = new Shortage()

const LZF = 3

export class Cursor {
  /** What has come in and is not yet done with. */
  window: Buffer = Buffer.alloc(0)
  at = 0
  /** Where in the data the window begins. */
  base = 0
  /** How long the data is; Infinity while not known. */
  total = Number.POSITIVE_INFINITY

  get offset(): number {
    return this.base + this.at
  }

  fail(message: string, offset = this.offset): never {
    throw new RdbError(offset, message)
  }

  byte(): number {
    if (this.at >= this.window.length) this.#lack(1)
    return this.window[this.at++] as number
  }

  skip(count: number): void {
    if (count > this.window.length - this.at) this.#lack(count)
    this.at += count
  }

  /** A view, not a copy. */
  take(count: number): Buffer {
    this.skip(count)
    return this.window.subarray(this.at - count, this.at)
  }

  /** How many of something follow. */
  length(): number {
    const first = this.byte()
    if (first >> 6 === 3) this.fail('a string stands where a length was expected', this.offset - 1)
    return this.#length(first)
  }

  /** A number in the form of a length of which only the end matters. It may need 64 bits. */
  skipInteger(): void {
    const first = this.byte()
    if (first < 0x40) return
    if (first < 0x80) this.skip(1)
    else if (first === 0x80) this.skip(4)
    else if (first === 0x81) this.skip(8)
    else this.fail(`byte ${first} begins no number`, this.offset - 1)
  }

  /** As `skipInteger`, with all 64 bits. */
  integer(): bigint {
    const start = this.at
    this.skipInteger()
    const first = this.window[start] as number
    if (first < 0x40) return BigInt(first)
    if (first < 0x80) return BigInt(((first & 0x3f) << 8) | (this.window[start + 1] as number))
    return first === 0x80 ? BigInt(this.window.readUInt32BE(start + 1)) : this.window.readBigUInt64BE(start + 1)
  }

  skipString(): void {
    const first = this.byte()
    this.skip(first >> 6 === 3 ? this.#encodedLength(first & 0x3f) : this.#length(first))
  }

  /** Of the rest of a string that is encoded in this way. */
  #encodedLength(encoding: number): number {
    if (encoding < LZF) return 1 << encoding
    if (encoding !== LZF) this.fail(`string encoding ${encoding} is unknown`, this.offset - 1)
    const compressed = this.length()
    this.length()
    return compressed
  }

  /** A part that earlier layouts of the same value do not have. */
  skipLater(part: () => void): void {
    part()
  }

  string(): Buffer {
    const first = this.byte()
    if (first >> 6 !== 3) return this.take(this.#length(first))
    switch (first & 0x3f) {
      case 0:
        return Buffer.from(String(this.take(1).readInt8()))
      case 1:
        return Buffer.from(String(this.take(2).readInt16LE()))
      case 2:
        return Buffer.from(String(this.take(4).readInt32LE()))
      case LZF:
        return this.#compressed()
      default:
        return this.fail(`string encoding ${first & 0x3f} is unknown`, this.offset - 1)
    }
  }

  #compressed(): Buffer {
    const start = this.offset - 1
    const [compressed, length] = [this.length(), this.length()]
    return decompressLzf(this.take(compressed), length) ?? this.fail('a compressed string is damaged', start)
  }

  #length(first: number): number {
    if (first < 0x40) return first
    if (first < 0x80) return ((first & 0x3f) << 8) | this.byte()
    if (first === 0x80) return this.take(4).readUInt32BE()
    if (first !== 0x81) this.fail(`byte ${first} begins no length`, this.offset - 1)
    const bytes = this.take(8)
    const length = bytes.readUInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4)
    return length
  }

  #lack(count: number): never {
    const needed = this.at + count
    if (this.base + needed > this.total) {
      this.fail(`the data ends after ${this.total} bytes, in the middle of a record`)
    }
    if (needed > constants.MAX_LENGTH) this.fail(`a value of ${count} bytes is more than can be held`)
    SHORTAGE.needed = needed
    throw SHORTAGE
  }
}
