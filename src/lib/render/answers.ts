/** How is the answer to any command shown? As redis-cli shows replies on a terminal, with nothing in it that could steer one. */
import {clean, cleanLines} from './clean.ts'
import type {Style} from './colour.ts'

/** As the protocol has it; bulk strings are Buffers. */
export type Reply = Buffer | string | number | null | readonly Reply[]

/** `unanswered`: why nothing was heard. */
export type Answer = {readonly reply: Reply} | {readonly error: string} | {readonly unanswered: string}

/** Text where it is UTF-8, base64 where not. */
export type ReplyDocument = string | number | null | {readonly base64: string} | readonly ReplyDocument[]

export function replyDocument(reply: Reply): ReplyDocument {
  if (Array.isArray(reply)) return reply.map(replyDocument)
  if (!Buffer.isBuffer(reply)) return reply as string | number | null
  return isUtf8(reply) ? reply.toString('utf8') : {base64: reply.toString('base64')}
}

/** One block a node: its address, then the answer beside it, or below where it has several lines. */
export function renderAnswers(
  answers: readonly {readonly address: string; readonly answer: Answer}[],
  style: Style,
): string {
  const labels = answers.map(({address}) => address)
  const width = Math.max(0, ...labels.map((label) => label.length))
  const blocks = answers.map(({answer}, index) => {
    const label = labels[index] ?? ''
    if ('unanswered' in answer) return `${label.padEnd(width)}  ${style.chalk.red(clean(answer.unanswered))}`
    if ('error' in answer) return `${label.padEnd(width)}  ${style.chalk.red(`(error) ${clean(answer.error)}`)}`
    const lines = linesOf(answer.reply)
    if (lines.length === 1) return `${label.padEnd(width)}  ${lines[0]}`
    return [style.chalk.bold(label), ...lines.map((line) => `  ${line}`.trimEnd())].join('\n')
  })
  return blocks.join('\n')
}

function linesOf(reply: Reply): string[] {
  if (reply === null) return ['(nil)']
  if (typeof reply === 'number') return [String(reply)]
  if (typeof reply === 'string') return [clean(reply)]
  if (Buffer.isBuffer(reply)) return linesOfBulk(reply)
  const items = reply as readonly Reply[]
  if (items.length === 0) return ['(empty list)']
  const width = String(items.length).length
  return items.flatMap((item, index) => {
    const lead = `${String(index + 1).padStart(width)}) `
    return linesOf(item).map((line, at) => (at === 0 ? `${lead}${line}` : `${' '.repeat(lead.length)}${line}`))
  })
}

/** Text as it stands, line by line; bytes that are no text as escapes. */
function linesOfBulk(bytes: Buffer): string[] {
  if (bytes.length === 0) return ['""']
  if (isUtf8(bytes)) return cleanLines(bytes.toString('utf8').replace(/\r\n/g, '\n').replace(/\n$/, '')).split('\n')
  const escaped = Array.from(bytes, (byte) =>
    byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  )
  return [`"${escaped.join('')}"`]
}

function isUtf8(bytes: Buffer): boolean {
  return bytes.equals(Buffer.from(bytes.toString('utf8'), 'utf8'))
}
