/**
 * What does a command look like on the wire? Asked for every MIGRATE with its hundred keys, while the source idles: keys
 * that still stand as the server listed them are copied as they stand, all in one.
 */
export type Argument = string | number | Buffer

/** The first word is the command's name. */
export function encodeCommand(words: readonly Argument[]): string | Buffer {
  return words.some((word) => typeof word === 'object') ? encodeBinary(words) : encodeText(words)
}

/** Many commands in one piece. */
export function encodeCommands(commands: readonly (readonly Argument[])[]): Buffer {
  let size = 0
  for (const words of commands) {
    size += BULK_OVERHEAD
    // A character is at most three bytes; commands are mostly ASCII, and memory that is left over costs nothing.
    for (const word of words) size += BULK_OVERHEAD + (typeof word === 'object' ? word.length : 3 * String(word).length)
  }
  const bytes = Buffer.allocUnsafe(size)
  let end = 0
  // Text is gathered up to the next bytes: each write costs more than what it writes.
  let text = ''
  for (const words of commands) {
    text += `*${words.length}\r\n`
    for (const word of words) {
      if (typeof word !== 'object') {
        text += bulk(String(word))
        continue
      }
      end += bytes.write(`${text}$${word.length}\r\n`, end)
      bytes.set(word, end)
      end += word.length
      text = '\r\n'
    }
  }
  end += bytes.write(text, end)
  return bytes.subarray(0, end)
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
const CR = 13
const LF = 10
const DOLLAR = 36

function encodeBinary(words: readonly Argument[]): Buffer {
  const size = words.reduce<number>((sum, word) => sum + BULK_OVERHEAD + lengthOf(word), BULK_OVERHEAD)
  const bytes = Buffer.allocUnsafe(size)
  let end = bytes.write(`*${words.length}\r\n`, 'latin1')
  for (let index = 0; index < words.length; ) {
    const word = words[index] as Argument
    if (typeof word !== 'object') {
      end += bytes.write(bulk(String(word)), end, 'utf8')
      index++
      continue
    }
    const run = framedRun(words, index)
    if (run) {
      end += run.bytes.copy(bytes, end)
      index += run.count
      continue
    }
    end += bytes.write(`$${word.length}\r\n`, end, 'latin1')
    end += word.copy(bytes, end)
    end += bytes.write('\r\n', end, 'latin1')
    index++
  }
  return bytes.subarray(0, end)
}

function lengthOf(word: Argument): number {
  return typeof word === 'object' ? word.length : Buffer.byteLength(String(word))
}

/** The words from `from` on that lie in one piece of memory just as they have to be sent; undefined when not even one. */
function framedRun(words: readonly Argument[], from: number): {bytes: Buffer; count: number} | undefined {
  const first = words[from] as Buffer
  const memory = new Uint8Array(first.buffer)
  const start = first.byteOffset - headerLength(first.length)
  let expected = start
  let index = from
  for (; index < words.length; index++) {
    const word = words[index]
    if (typeof word !== 'object' || word.buffer !== first.buffer) break
    if (word.byteOffset - headerLength(word.length) !== expected || !isFramed(memory, word)) break
    expected = word.byteOffset + word.length + 2
  }
  if (index === from) return undefined
  return {bytes: Buffer.from(first.buffer, start, expected - start), count: index - from}
}

/** Of "$12\r\n". */
function headerLength(length: number): number {
  let digits = 1
  for (let rest = length; rest >= 10; rest = Math.floor(rest / 10)) digits++
  return digits + 3
}

/** Is the word in memory between its own "$length\r\n" and "\r\n"? Looked at byte by byte, not assumed. */
function isFramed(memory: Uint8Array, {byteOffset, length}: Buffer): boolean {
  const end = byteOffset + length
  if (byteOffset < headerLength(length) || end + 2 > memory.length) return false
  if (memory[end] !== CR || memory[end + 1] !== LF) return false
  if (memory[byteOffset - 1] !== LF || memory[byteOffset - 2] !== CR) return false
  let at = byteOffset - 3
  for (let rest = length; ; rest = Math.floor(rest / 10)) {
    if (memory[at--] !== 48 + (rest % 10)) return false
    if (rest < 10) return memory[at] === DOLLAR
  }
}
