/**
 * What did the server answer? Reads RESP2 as it comes in, in pieces of any size, each byte once. Bulk strings are views of
 * what was received and nothing is decoded: lists of a thousand keys come by the thousand.
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
const LF = 10
const [PLUS, MINUS, COLON, DOLLAR, STAR] = [43, 45, 58, 36, 42]
/** Deeper than any reply of a server that is one: COMMAND DOCS of Redis 8.6 comes to 10. */
const MAX_DEPTH = 32
/** Longer than any status or error that a script may make up. */
const MAX_LINE_BYTES = 2 ** 20
/** A server's own limit is 512 MB, and can be raised. */
const MAX_BULK_BYTES = 2 ** 32
const MAX_ITEMS = 2 ** 32

/** A bulk string of which more is missing than this is collected in one piece of memory, instead of joined chunk by chunk. */
const LARGE_BYTES = 256 * 1024
/** What an item of a list costs us beside its bytes. */
const ITEM_BYTES = 128

interface OpenList {
  readonly items: Reply[]
  readonly length: number
}

export class ReplyReader {
  /** Begins with the first item that is not all there. */
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** Lists whose items are still coming, the outermost first. */
  readonly #open: OpenList[] = []
  /** What has come of a large one, at the beginning of memory for all of it. */
  #large: {readonly bytes: Buffer; filled: number} | undefined
  /** How many bytes there must be before it is worth reading on. */
  #wanted = 0
  /** Of the reply that is coming, in lists that are open. */
  #takenBytes = 0

  /** About how much memory the reply takes of which a part has come, as far as is known of it; 0 between replies. */
  get pendingBytes(): number {
    const announced = this.#large ? this.#large.bytes.length : Math.max(this.#wanted, this.#bytes.length)
    return this.#takenBytes + announced
  }

  /**
   * Every reply that is complete now, in order.
   * @throws Error when this is not the protocol; what came before in the same chunk is lost with it.
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
    this.#at = 0
    this.#wanted = 0
    const replies: (Reply | ErrorReply)[] = []
    let start = 0
    for (;;) {
      const reply = this.#next()
      if (reply === undefined) break
      start = this.#at
      if (reply === OPENED) continue
      const whole = this.#place(reply)
      if (whole === undefined) continue
      replies.push(whole)
      this.#takenBytes = 0
    }
    this.#bytes = this.#bytes.subarray(start)
    this.#wanted = Math.max(0, this.#wanted - start)
    if (this.#wanted - this.#bytes.length > LARGE_BYTES) {
      this.#large = {bytes: Buffer.allocUnsafeSlow(this.#wanted), filled: this.#bytes.length}
      this.#bytes.copy(this.#large.bytes)
      this.#bytes = Buffer.alloc(0)
    }
    return replies
  }

  /** Puts an item into the list that it belongs to. @returns the reply that is complete with it. */
  #place(item: Reply | ErrorReply): Reply | ErrorReply | undefined {
    let done = item
    for (;;) {
      const list = this.#open.at(-1)
      if (!list) return done
      // An error inside of a list is a text among others.
      list.items.push(done instanceof ErrorReply ? done.text : done)
      if (list.items.length < list.length) return undefined
      this.#open.pop()
      done = list.items
    }
  }

  /** The next item; undefined when it is not all there. */
  #next(): Reply | ErrorReply | typeof OPENED | undefined {
    const start = this.#at
    const kind = this.#bytes[start]
    if (kind === undefined) return undefined
    if (kind !== PLUS && kind !== MINUS && kind !== COLON && kind !== DOLLAR && kind !== STAR) {
      throw new Error(`Protocol error: unknown RESP type ${kind}`)
    }
    const lineEnd = this.#bytes.indexOf(CR, start)
    if (lineEnd < 0 || lineEnd + 1 >= this.#bytes.length) {
      if (this.#bytes.length - start > MAX_LINE_BYTES) throw new Error('Protocol error: a line without an end')
      return undefined
    }
    if (this.#bytes[lineEnd + 1] !== LF) throw new Error('Protocol error: half a line end')
    this.#at = lineEnd + 2
    if (this.#open.length > 0) this.#takenBytes += ITEM_BYTES + this.#at - start
    if (kind === PLUS) return this.#bytes.toString('utf8', start + 1, lineEnd)
    if (kind === MINUS) return new ErrorReply(this.#bytes.toString('utf8', start + 1, lineEnd))
    const value = this.#number(start + 1, lineEnd)
    if (kind === COLON) return value
    if (value < 0) return null
    return kind === DOLLAR ? this.#bulk(start, value) : this.#list(value)
  }

  /** `start`: where its line begins. */
  #bulk(start: number, length: number): Buffer | undefined {
    if (length > MAX_BULK_BYTES) throw new Error('Protocol error: too long for a value')
    const from = this.#at
    const end = from + length
    if (end + 2 > this.#bytes.length) {
      this.#at = start
      this.#wanted = end + 2
      // Counted when it is there.
      if (this.#open.length > 0) this.#takenBytes -= ITEM_BYTES + from - start
      return undefined
    }
    if (this.#bytes[end] !== CR || this.#bytes[end + 1] !== LF)
      throw new Error('Protocol error: a value without an end')
    this.#at = end + 2
    if (this.#open.length > 0) this.#takenBytes += length + 2
    return this.#bytes.subarray(from, end)
  }

  #list(length: number): Reply | typeof OPENED {
    if (length === 0) return []
    if (length > MAX_ITEMS) throw new Error('Protocol error: too long for a list')
    if (this.#open.length >= MAX_DEPTH) throw new Error('Protocol error: nested too deeply')
    this.#open.push({items: [], length})
    return OPENED
  }

  #number(start: number, end: number): number {
    const isNegative = this.#bytes[start] === MINUS
    const first = isNegative ? start + 1 : start
    if (first === end || end - start > MAX_DIGITS) throw new Error('Protocol error: not a number')
    let value = 0
    for (let at = first; at < end; at++) {
      const digit = (this.#bytes[at] as number) - 48
      if (digit < 0 || digit > 9) throw new Error('Protocol error: not a number')
      value = value * 10 + digit
    }
    return isNegative ? -value : value
  }
}

/** A list has begun. */
const OPENED = Symbol('opened')
/** Of -2^63. */
const MAX_DIGITS = 20
