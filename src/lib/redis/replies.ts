/**
 * What did the server answer? Reads RESP2 as it comes in, in pieces of any size. Bulk strings are views of what was
 * received and nothing is decoded: lists of a thousand keys come by the thousand.
 */

/** What a command may answer, nested as the protocol nests it; bulk strings are Buffers. */
export type Reply = Buffer | string | number | null | readonly Reply[]

/** "-ERR …", without the dash. */
export class ErrorReply {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const CR = 13
const [PLUS, MINUS, COLON, DOLLAR, STAR] = [43, 45, 58, 36, 42]
/** Deeper than any reply of a server that is one. */
const MAX_DEPTH = 8

/** A bulk string of which more is missing than this is collected in one piece of memory, instead of joined chunk by chunk. */
const LARGE_BYTES = 256 * 1024

export class ReplyReader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** How many bytes there must be before it is worth reading on. */
  #wanted = 0
  /** What has come of a large one, at the beginning of memory for all of it. */
  #large: {readonly bytes: Buffer; filled: number} | undefined

  /**
   * Every reply that is complete now, in order.
   * @throws Error when this is not the protocol.
   */
  read(chunk: Buffer): (Reply | ErrorReply)[] {
    const large = this.#large
    if (!large) return this.#readAll(chunk)
    const missing = large.bytes.length - large.filled
    const taken = chunk.copy(large.bytes, large.filled, 0, missing)
    large.filled += taken
    if (taken < missing) return []
    this.#large = undefined
    const replies = this.#readAll(large.bytes)
    return taken < chunk.length ? [...replies, ...this.read(chunk.subarray(taken))] : replies
  }

  #readAll(chunk: Buffer): (Reply | ErrorReply)[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const replies: (Reply | ErrorReply)[] = []
    let start = 0
    for (;;) {
      this.#at = start
      this.#wanted = 0
      const reply = start < this.#bytes.length ? this.#next(0) : undefined
      if (reply === undefined) break
      replies.push(reply)
      start = this.#at
    }
    this.#bytes = this.#bytes.subarray(start)
    if (this.#wanted - start - this.#bytes.length > LARGE_BYTES) {
      this.#large = {bytes: Buffer.allocUnsafeSlow(this.#wanted - start), filled: this.#bytes.length}
      this.#bytes.copy(this.#large.bytes)
      this.#bytes = Buffer.alloc(0)
    }
    return replies
  }

  /** undefined when it is not all there. */
  #next(depth: number): Reply | ErrorReply | undefined {
    if (depth > MAX_DEPTH) throw new Error('Protocol error: nested too deeply')
    const lineEnd = this.#bytes.indexOf(CR, this.#at)
    const kind = this.#bytes[this.#at]
    if (kind !== PLUS && kind !== MINUS && kind !== COLON && kind !== DOLLAR && kind !== STAR) {
      if (kind === undefined) return undefined
      throw new Error(`Protocol error: unknown RESP type ${kind}`)
    }
    if (lineEnd < 0 || lineEnd + 1 >= this.#bytes.length) return undefined
    const start = this.#at + 1
    this.#at = lineEnd + 2
    if (kind === PLUS) return this.#bytes.toString('utf8', start, lineEnd)
    if (kind === MINUS) return new ErrorReply(this.#bytes.toString('utf8', start, lineEnd))
    const value = this.#number(start, lineEnd)
    if (kind === COLON) return value
    if (value < 0) return null
    return kind === DOLLAR ? this.#bulk(value) : this.#array(value, depth)
  }

  #bulk(length: number): Buffer | undefined {
    const start = this.#at
    if (start + length + 2 > this.#bytes.length) {
      this.#wanted = start + length + 2
      return undefined
    }
    this.#at = start + length + 2
    return this.#bytes.subarray(start, start + length)
  }

  #array(length: number, depth: number): Reply | undefined {
    const items: Reply[] = []
    for (let n = 0; n < length; n++) {
      const item = this.#next(depth + 1)
      if (item === undefined) return undefined
      // An error inside of a list is a text among others.
      items.push(item instanceof ErrorReply ? item.text : item)
    }
    return items
  }

  #number(start: number, end: number): number {
    const isNegative = this.#bytes[start] === MINUS
    let value = 0
    for (let at = isNegative ? start + 1 : start; at < end; at++) {
      const digit = (this.#bytes[at] as number) - 48
      if (digit < 0 || digit > 9) throw new Error('Protocol error: not a number')
      value = value * 10 + digit
    }
    return isNegative ? -value : value
  }
}
