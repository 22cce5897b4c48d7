// How does the bench speak to a server? One socket, commands in, answers out, in order; as little work as can be, so
// that filling is quick and the live client's times are the server's.
import {once} from 'node:events'
import net from 'node:net'

/** An error reply. */
export class ServerError extends Error {}

export function encode(words) {
  const parts = [`*${words.length}\r\n`]
  for (const word of words) parts.push(`$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  return parts.join('')
}

export class Connection {
  #socket
  #waiting = []
  #first = 0
  #rest = Buffer.alloc(0)
  #failure

  /** @throws Error when nothing listens there. */
  static async open(port, host = '127.0.0.1') {
    const socket = net.connect({host, port, noDelay: true})
    await once(socket, 'connect')
    return new Connection(socket)
  }

  constructor(socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
  }

  /** `onReply(reply)`: text, a number, null, an array, or a ServerError as a value. */
  send(bytes, onReply) {
    if (this.#failure) {
      onReply(this.#failure)
      return
    }
    this.#waiting.push(onReply)
    this.#socket.write(bytes)
  }

  /** @throws ServerError, or Error when the connection breaks or `deadlineMs` passes. */
  async call(words, deadlineMs = 30_000) {
    let timer
    const answer = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer to ${words[0]} in ${deadlineMs} ms`)), deadlineMs)
      this.send(encode(words.map(String)), (reply) => (reply instanceof Error ? reject(reply) : resolve(reply)))
    })
    try {
      return await answer
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Writes `chunks` of whole commands, `count` in all, as fast as the server reads; resolves when all are answered.
   * @throws the first error reply.
   */
  async pour(chunks) {
    /** @type {Error | undefined} */
    let failure
    let left = 0
    let onDone = () => {}
    const onReply = (reply) => {
      if (reply instanceof Error) failure ??= reply
      if (--left === 0) onDone()
    }
    for (const {buffers, count} of chunks) {
      left += count
      for (let n = 0; n < count; n++) this.#waiting.push(onReply)
      this.#socket.cork()
      let isTaken = true
      for (const buffer of buffers) isTaken = this.#socket.write(buffer)
      this.#socket.uncork()
      if (!isTaken && !this.#failure) await this.#drained()
      const broken = failure ?? this.#failure
      if (broken instanceof Error) throw broken
    }
    if (left > 0) {
      await new Promise((resolve) => {
        onDone = resolve
      })
    }
    if (failure instanceof Error) throw failure
  }

  #drained() {
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
    })
  }

  close() {
    this.#socket.destroy()
  }

  #fail(error) {
    this.#failure ??= error
    const waiting = this.#waiting.slice(this.#first)
    this.#waiting = []
    this.#first = 0
    for (const onReply of waiting) onReply(this.#failure)
  }

  #take(chunk) {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const parsed = parse(data, at)
      if (!parsed) break
      at = parsed.end
      const onReply = this.#waiting[this.#first++]
      if (this.#first > 4096) {
        this.#waiting = this.#waiting.slice(this.#first)
        this.#first = 0
      }
      onReply?.(parsed.value)
    }
    this.#rest = at === data.length ? Buffer.alloc(0) : data.subarray(at)
  }
}

/** One reply from `at` on; undefined when it is not whole yet. */
function parse(data, at) {
  const lineEnd = data.indexOf('\r\n', at)
  if (lineEnd === -1) return undefined
  const line = data.latin1Slice(at + 1, lineEnd)
  let end = lineEnd + 2
  switch (data[at]) {
    case 0x2b: // +
      return {value: line, end}
    case 0x2d: // -
      return {value: new ServerError(line), end}
    case 0x3a: // :
      return {value: Number(line), end}
    case 0x24: {
      // $
      const length = Number(line)
      if (length < 0) return {value: null, end}
      if (data.length < end + length + 2) return undefined
      return {value: data.latin1Slice(end, end + length), end: end + length + 2}
    }
    case 0x2a: {
      // *
      const items = []
      for (let n = Number(line); n > 0; n--) {
        const item = parse(data, end)
        if (!item) return undefined
        items.push(item.value)
        end = item.end
      }
      return {value: items, end}
    }
    default:
      throw new Error(`not a reply: ${line}`)
  }
}
