/** Is this an answer to that command at all? What is not is told as such, instead of being taken for a value. Pure. */
import {NodeError} from '../errors.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'
import type {Argument} from './encode-command.ts'
import type {Reply} from './replies.ts'

/**
 * What `read` makes of the answer.
 * @throws NodeError 'garbled' naming the command, without its words, when it can make nothing of it.
 */
export async function understand<T>(
  address: NodeAddress,
  command: readonly Argument[],
  answer: Promise<Reply>,
  read: (reply: Reply) => T,
): Promise<T> {
  return understood(address, command, await answer, read)
}

/** As `understand`, of an answer that is there. */
export function understood<T>(
  address: NodeAddress,
  command: readonly Argument[],
  reply: Reply | undefined,
  read: (reply: Reply) => T,
): T {
  try {
    return read(reply ?? null)
  } catch (error) {
    throw garbled(address, command, error)
  }
}

/** What was thrown while an answer was read, as a NodeError that names the command without its words. */
export function garbled(address: NodeAddress, command: readonly Argument[], error: unknown): NodeError {
  if (error instanceof NodeError) return error
  const name = HAS_SUBCOMMANDS.has(String(command[0])) ? `${command[0]} ${command[1]}` : String(command[0])
  const where = formatAddress(address)
  const why = error instanceof Unexpected ? `it should be ${error.message}` : (error as Error).message
  return new NodeError('garbled', where, `what ${where} answers to ${name} makes no sense: ${why}`, {cause: error})
}

/** The second word of these is no secret and no key. */
const HAS_SUBCOMMANDS: ReadonlySet<string> = new Set(['ACL', 'CLIENT', 'CLUSTER', 'COMMAND', 'CONFIG', 'FUNCTION'])

/** Another kind of answer than was due; the message says which was. */
class Unexpected extends Error {}

export function textIn(reply: Reply | undefined): string {
  if (Buffer.isBuffer(reply)) return reply.toString('utf8')
  if (typeof reply === 'string') return reply
  throw new Unexpected('a text')
}

/** Some commands give numbers as text. */
export function integerIn(reply: Reply | undefined): number {
  if (typeof reply === 'number') return reply
  if ((Buffer.isBuffer(reply) || typeof reply === 'string') && /^-?\d{1,20}$/.test(String(reply))) return Number(reply)
  throw new Unexpected('a number')
}

export function countIn(reply: Reply | undefined): number {
  const value = integerIn(reply)
  if (value >= 0) return value
  throw new Unexpected('0 or more')
}

export function bytesIn(reply: Reply | undefined): Buffer {
  if (Buffer.isBuffer(reply)) return reply
  throw new Unexpected('a value')
}

export function listIn(reply: Reply | undefined): readonly Reply[] {
  if (Array.isArray(reply)) return reply as readonly Reply[]
  throw new Unexpected('a list')
}

/** One item for each of `length` things that were asked. */
export function listOf(length: number): (reply: Reply | undefined) => readonly Reply[] {
  return (reply) => {
    const list = listIn(reply)
    if (list.length === length) return list
    throw new Unexpected(`a list of ${length}`)
  }
}

export function bytesListIn(reply: Reply | undefined): Buffer[] {
  return listIn(reply).map(bytesIn)
}

/** Of a command that changes something. */
export function okIn(reply: Reply | undefined): void {
  if (textIn(reply) !== 'OK') throw new Unexpected('OK')
}

/** TIME, in milliseconds. */
export function clockIn(reply: Reply | undefined): number {
  const [seconds, microseconds] = listIn(reply)
  return countIn(seconds) * 1000 + Math.floor(countIn(microseconds) / 1000)
}
