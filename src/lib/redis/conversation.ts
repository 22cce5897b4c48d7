/**
 * How are commands and replies exchanged over a connection that is open and logged in? In order, many under way at once.
 * ioredis opens the connection; from then on we speak for ourselves, since its way costs several times the CPU, and on a
 * machine with few cores that is taken from the servers. See docs/decisions/0007-own-conversation.md.
 */
import type {Duplex} from 'node:stream'
import type {Argument} from './encode-command.ts'
import {encodeCommand} from './encode-command.ts'
import {ErrorReply, type Reply, ReplyReader} from './replies.ts'

/** A large command goes at once: it is worth a write of its own, and a source is idle until its next MIGRATE is there. */
const HOLD_BELOW_BYTES = 1024

interface Asked {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: Error) => void
}

/** The server said no. */
export class ReplyFailure extends Error {
  override readonly name = 'ReplyError'
}

export class Conversation {
  readonly #stream: Duplex
  readonly #reader = new ReplyReader()
  readonly #asked: Asked[] = []
  #answered = 0
  #end: Error | undefined

  /** Takes the stream over: nobody else may write to it or read from it any more. */
  constructor(stream: Duplex) {
    this.#stream = stream
    stream.removeAllListeners('data')
    stream.on('data', (chunk: Buffer) => this.#hear(chunk))
    stream.once('close', () => this.end(new Error('Connection is closed.')))
  }

  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** @throws ReplyFailure when the server answers with an error; the reason of the end when the connection ends before. */
  ask(command: readonly Argument[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#end) {
        reject(this.#end)
        return
      }
      this.#asked.push({resolve, reject})
      const bytes = encodeCommand(command)
      if (bytes.length < HOLD_BELOW_BYTES) this.#holdWrites()
      this.#stream.write(bytes)
    })
  }

  /** What is under way fails with `reason`, and so does all that is asked later. The stream is left to its owner. */
  end(reason: Error): void {
    this.#end ??= reason
    for (const {reject} of this.#asked.splice(0).slice(this.#answered)) reject(this.#end)
    this.#answered = 0
  }

  /**
   * All small commands of one turn of the event loop leave in one write: written one by one, thousands of them cost more
   * in system calls than in everything else, on both sides.
   */
  #holdWrites(): void {
    const stream = this.#stream
    if (stream.writableCorked > 0) return
    stream.cork()
    process.nextTick(() => stream.uncork())
  }

  #hear(chunk: Buffer): void {
    let replies: (Reply | ErrorReply)[]
    try {
      replies = this.#reader.read(chunk)
    } catch (error) {
      this.#break(error as Error)
      return
    }
    for (const reply of replies) {
      const asked = this.#asked[this.#answered]
      if (!asked) {
        this.#break(new Error('Protocol error: an answer to nothing'))
        return
      }
      this.#answered++
      if (reply instanceof ErrorReply) asked.reject(new ReplyFailure(reply.text))
      else asked.resolve(reply)
    }
    if (this.#answered === this.#asked.length || this.#answered > 1024) {
      this.#asked.splice(0, this.#answered)
      this.#answered = 0
    }
  }

  #break(error: Error): void {
    this.end(error)
    this.#stream.destroy()
  }
}
