/**
 * How are commands and replies exchanged over a connection that is open and logged in? In order, many under way at once.
 * ioredis opens the connection; from then on we speak for ourselves, since its way costs several times the CPU, and on a
 * machine with few cores that is taken from the servers. See docs/decisions/0007-own-conversation.md.
 */
import type {Duplex} from 'node:stream'
import type {Argument} from './encode-command.ts'
import {encodeCommand, encodeCommands} from './encode-command.ts'
import {ErrorReply, type Reply, ReplyReader} from './replies.ts'

/** A large command goes at once: a source is idle until its next MIGRATE is there. */
const HOLD_BELOW_BYTES = 1024

/** Their answers are about the server, not what users stored. */
const BOUNDED_COMMANDS: ReadonlySet<string> = new Set([
  ...['ACL', 'ASKING', 'AUTH', 'CLIENT', 'CLUSTER', 'COMMAND', 'CONFIG', 'DEL', 'INFO', 'MEMORY', 'MIGRATE', 'PING'],
  ...['PTTL', 'READONLY', 'REPLCONF', 'RESTORE', 'SELECT', 'TIME', 'TYPE', 'UNWATCH', 'WATCH'],
])
/** The list of 100 000 clients is some 40 MB. */
const MOST_BYTES_OF_BOUNDED = 64 * 2 ** 20
/** Of any other: what a server takes in one piece by default, and hands out as DUMP. */
const MOST_BYTES = 2 ** 30

function mostBytesOf([name, subcommand]: readonly Argument[]): number {
  return BOUNDED_COMMANDS.has(String(name)) && subcommand !== 'GETKEYSINSLOT' ? MOST_BYTES_OF_BOUNDED : MOST_BYTES
}

interface Asked {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: Error) => void
  /** Of `askAll`: what came so far, an error among answers; `resolve` gets it when `count` of them are there. */
  readonly many: {readonly count: number; readonly replies: (Reply | Error)[]} | undefined
  /** As performance.now() tells time. */
  readonly dueAtMs: number
  readonly deadlineMs: number
  /** More is not waited for: memory is finite. */
  readonly mostBytes: number
}

export interface ConversationOptions {
  /** What the caller gets for an error reply, or for the end of the connection. */
  readonly translate: (error: Error) => Error
  /** The next answer has not come in `deadlineMs`. */
  readonly onOverdue: (deadlineMs: number) => void
}

/** The server said no. */
export class ReplyFailure extends Error {
  override readonly name = 'ReplyError'
}

/** What came is not what a server answers. */
export class ProtocolFailure extends Error {
  /** The first bytes of the piece in which that was found. */
  readonly received: Buffer

  constructor(message: string, received: Buffer) {
    super(message)
    this.received = received
  }
}

export class Conversation {
  readonly #stream: Duplex
  readonly #reader = new ReplyReader()
  readonly #asked: Asked[] = []
  readonly #options: ConversationOptions
  /** Commands that leave at the end of this turn. */
  readonly #held: (string | Buffer)[] = []
  #answered = 0
  #end: Error | undefined
  #lastError: {readonly text: string; readonly error: Error} | undefined
  #timer: NodeJS.Timeout | undefined

  /** Takes the stream over: nobody else may write to it or read from it any more. */
  constructor(stream: Duplex, options: ConversationOptions) {
    this.#stream = stream
    this.#options = options
    stream.removeAllListeners('data')
    stream.on('data', (chunk: Buffer) => this.#hear(chunk))
    stream.once('close', () => this.end(new Error('Connection is closed.')))
  }

  /**
   * @throws what `translate` makes of a ReplyFailure when the server answers with an error, and of the reason of the end
   *   when the connection ends before.
   */
  ask(command: readonly Argument[], deadlineMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#end) {
        reject(this.#options.translate(this.#end))
        return
      }
      this.#asked.push({
        resolve,
        reject,
        many: undefined,
        dueAtMs: performance.now() + deadlineMs,
        deadlineMs,
        mostBytes: mostBytesOf(command),
      })
      this.#timer ??= this.#wake(deadlineMs)
      this.#send(encodeCommand(command))
    })
  }

  /**
   * Many commands in one write and with one promise, which for hundreds of small ones is most of what they cost. Errors
   * are answers among others; the end of the connection is the answer to all that were not answered before.
   */
  askAll(commands: readonly (readonly Argument[])[], deadlineMs: number): Promise<readonly (Reply | Error)[]> {
    if (commands.length === 0) return Promise.resolve([])
    if (this.#end) {
      const error = this.#options.translate(this.#end)
      return Promise.resolve(commands.map(() => error))
    }
    return new Promise((resolve) => {
      const replies: (Reply | Error)[] = []
      const endAll = (error: Error): void => {
        while (replies.length < commands.length) replies.push(error)
        resolve(replies)
      }
      this.#asked.push({
        resolve: () => resolve(replies),
        reject: endAll,
        many: {count: commands.length, replies},
        dueAtMs: performance.now() + deadlineMs,
        deadlineMs,
        mostBytes: MOST_BYTES,
      })
      this.#timer ??= this.#wake(deadlineMs)
      this.#send(encodeCommands(commands))
    })
  }

  /** What is under way fails with `reason`, and so does all that is asked later. The stream is left to its owner. */
  end(reason: Error): void {
    this.#end ??= reason
    clearTimeout(this.#timer)
    const open = this.#asked.splice(0).slice(this.#answered)
    this.#answered = 0
    for (const {reject} of open) reject(this.#options.translate(this.#end))
  }

  /**
   * One timer for all, since setting one for each of thousands of commands costs more than sending them. The first that
   * waits is the first to be overdue, as long as no later one is given less time.
   */
  #wake(afterMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined
      const first = this.#asked[this.#answered]
      if (!first) return
      const leftMs = first.dueAtMs - performance.now()
      if (leftMs > 0) this.#timer = this.#wake(leftMs)
      else this.#options.onOverdue(first.deadlineMs)
    }, afterMs).unref()
  }

  /**
   * All small commands of one turn of the event loop leave in one write: written one by one, thousands of them cost more
   * in system calls than in everything else, on both sides.
   */
  #send(bytes: string | Buffer): void {
    if (this.#held.length === 0 && bytes.length < HOLD_BELOW_BYTES) process.nextTick(() => this.#sendHeld())
    this.#held.push(bytes)
    if (bytes.length >= HOLD_BELOW_BYTES) this.#sendHeld()
  }

  #sendHeld(): void {
    const held = this.#held.splice(0)
    if (held.length === 0) return
    const [first] = held
    // A large one is not copied once more.
    if (held.length === 1 && first !== undefined) this.#stream.write(first)
    else if (held.every((bytes) => typeof bytes === 'string')) this.#stream.write(held.join(''))
    else
      this.#stream.write(Buffer.concat(held.map((bytes) => (typeof bytes === 'string' ? Buffer.from(bytes) : bytes))))
  }

  #hear(chunk: Buffer): void {
    let replies: (Reply | ErrorReply)[]
    try {
      replies = this.#reader.read(chunk)
    } catch (error) {
      this.#break((error as Error).message, chunk)
      return
    }
    for (const reply of replies) {
      const asked = this.#asked[this.#answered]
      if (!asked) {
        this.#break('Protocol error: an answer to nothing', chunk)
        return
      }
      if (asked.many) {
        const {count, replies} = asked.many
        replies.push(reply instanceof ErrorReply ? this.#sameError(reply.text) : reply)
        if (replies.length < count) continue
      }
      this.#answered++
      if (asked.many) asked.resolve(null)
      else if (reply instanceof ErrorReply) asked.reject(this.#options.translate(new ReplyFailure(reply.text)))
      else asked.resolve(reply)
    }
    const mostBytes = this.#asked[this.#answered]?.mostBytes ?? 0
    if (this.#reader.pendingBytes > mostBytes) {
      const isAsked = mostBytes > 0
      this.#break(
        `Protocol error: an answer ${isAsked ? `of more than ${mostBytes / 2 ** 20} MB` : 'to nothing'}`,
        chunk,
      )
      return
    }
    if (this.#answered === this.#asked.length || this.#answered > 1024) {
      this.#asked.splice(0, this.#answered)
      this.#answered = 0
    }
  }

  /** One Error for equal ones in a row: with its stack trace it costs more than the command. */
  #sameError(text: string): Error {
    if (this.#lastError?.text !== text) {
      this.#lastError = {text, error: this.#options.translate(new ReplyFailure(text))}
    }
    return this.#lastError.error
  }

  #break(message: string, chunk: Buffer): void {
    this.end(new ProtocolFailure(message, Buffer.from(chunk.subarray(0, 16))))
    this.#stream.destroy()
  }
}
