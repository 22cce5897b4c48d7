/**
 * What does a command look like on the wire? ioredis asks this for itself, in general and at length: for the hundred
 * keys of a MIGRATE it takes five times as long, and the source idles meanwhile.
 */
import {Command} from 'ioredis'

export type Argument = string | number | Buffer

/** One command, encoded when it is made. Replies are Buffers, and as the server gave them. */
export class EncodedCommand extends Command {
  readonly #bytes: string | Buffer

  /** The first word is the command's name. */
  constructor(words: readonly Argument[]) {
    super(String(words[0]), [], {replyEncoding: null})
    this.#bytes = words.some((word) => typeof word === 'object') ? encodeBinary(words) : encodeText(words)
  }

  get byteLength(): number {
    return this.#bytes.length
  }

  override toWritable(): string | Buffer {
    return this.#bytes
  }
}

function encodeText(words: readonly Argument[]): string {
  let text = `*${words.length}\r\n`
  for (const word of words) text += bulk(String(word))
  return text
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}

/** The longest "$length\r\n" and the line end behind the word. */
const BULK_OVERHEAD = 24

function encodeBinary(words: readonly Argument[]): Buffer {
  const size = words.reduce<number>((sum, word) => sum + BULK_OVERHEAD + lengthOf(word), BULK_OVERHEAD)
  const bytes = Buffer.allocUnsafe(size)
  let end = bytes.write(`*${words.length}\r\n`, 'latin1')
  for (const word of words) {
    if (typeof word !== 'object') {
      end += bytes.write(bulk(String(word)), end, 'utf8')
      continue
    }
    end += bytes.write(`$${word.length}\r\n`, end, 'latin1')
    end += word.copy(bytes, end)
    end += bytes.write('\r\n', end, 'latin1')
  }
  return bytes.subarray(0, end)
}

function lengthOf(word: Argument): number {
  return typeof word === 'object' ? word.length : Buffer.byteLength(String(word))
}
