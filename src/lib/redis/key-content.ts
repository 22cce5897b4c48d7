/**
 * What does a key hold, read by the commands of its type? For comparing keys of which the serialised forms differ: servers
 * keep large sets and hashes in orders of their own, and every version has encodings of its own.
 */
import type {ContentPage, KeyShape} from '../engine/source-port.ts'
import {NodeError} from '../errors.ts'
import type {Argument} from './encode-command.ts'
import type {Reply} from './replies.ts'
import {bytesIn, bytesListIn, countIn, integerIn, listIn, listOf, textIn} from './reply-shapes.ts'

type Call = (command: readonly Argument[]) => Promise<Reply>

/** Elements, fields or entries of one page; bytes of a string. */
const PAGE = 1000
const PAGE_BYTES = 1024 * 1024

const SIZE_COMMANDS: Readonly<Record<string, string>> = {
  string: 'STRLEN',
  list: 'LLEN',
  set: 'SCARD',
  hash: 'HLEN',
  zset: 'ZCARD',
  stream: 'XLEN',
}

/** A size of 0 for types that have none that we know of. undefined when the key is gone. */
export async function readKeyShape(call: Call, key: Buffer): Promise<KeyShape | undefined> {
  const type = textIn(await call(['TYPE', key]))
  if (type === 'none') return undefined
  const command = SIZE_COMMANDS[type]
  return {type, size: command === undefined ? 0 : countIn(await call([command, key]))}
}

/**
 * Strings, lists and streams come in their order; of sets, hashes and sorted sets [name] or [name, value], a page at a
 * time, some perhaps twice. undefined for other types.
 */
export async function readContentPage(
  call: Call,
  key: Buffer,
  type: string,
  cursor: string,
): Promise<ContentPage | undefined> {
  switch (type) {
    case 'string':
      return readString(call, key, Number(cursor))
    case 'list':
      return readList(call, key, Number(cursor))
    case 'set':
      return readByCursor(call, 'SSCAN', key, cursor, 1)
    case 'hash':
      return readByCursor(call, 'HSCAN', key, cursor, 2)
    case 'zset':
      return readByCursor(call, 'ZSCAN', key, cursor, 2)
    case 'stream':
      return readStream(call, key, cursor)
    default:
      return undefined
  }
}

/** The values of `names` as `readContentPage` gives them; undefined for those that it does not have. */
export async function lookUpContent(
  call: Call,
  key: Buffer,
  type: string,
  names: readonly Buffer[],
): Promise<readonly (Buffer | undefined)[]> {
  switch (type) {
    case 'set': {
      const found = listOf(names.length)(await call(['SMISMEMBER', key, ...names]))
      return found.map((is, index) => (is === 1 ? names[index] : undefined))
    }
    case 'hash': {
      const values = listOf(names.length)(await call(['HMGET', key, ...names]))
      const lives = await readFieldLives(call, key, names)
      return values.map((value, index) => (Buffer.isBuffer(value) ? withLife(value, lives?.[index]) : undefined))
    }
    case 'zset': {
      const scores = listOf(names.length)(await call(['ZMSCORE', key, ...names]))
      return scores.map((score) => (Buffer.isBuffer(score) ? score : undefined))
    }
    default:
      return names.map(() => undefined)
  }
}

async function readString(call: Call, key: Buffer, at: number): Promise<ContentPage> {
  const part = bytesIn(await call(['GETRANGE', key, at, at + PAGE_BYTES - 1]))
  return {next: part.length < PAGE_BYTES ? undefined : String(at + PAGE_BYTES), items: [[part]]}
}

async function readList(call: Call, key: Buffer, at: number): Promise<ContentPage> {
  const elements = bytesListIn(await call(['LRANGE', key, at, at + PAGE - 1]))
  return {next: elements.length < PAGE ? undefined : String(at + PAGE), items: elements.map((element) => [element])}
}

async function readByCursor(
  call: Call,
  command: string,
  key: Buffer,
  cursor: string,
  width: 1 | 2,
): Promise<ContentPage> {
  const [next, listed] = listIn(await call([command, key, cursor === '' ? 0 : cursor, 'COUNT', PAGE]))
  const flat = bytesListIn(listed)
  const items = Array.from({length: flat.length / width}, (_, n) => flat.slice(n * width, (n + 1) * width))
  const told = textIn(next)
  const page = {next: told === '0' ? undefined : told, items}
  if (command !== 'HSCAN' || items.length === 0) return page
  const lives = await readFieldLives(
    call,
    key,
    items.map(([name]) => name as Buffer),
  )
  if (!lives) return page
  return {...page, items: items.map(([name, value], n) => [name as Buffer, withLife(value as Buffer, lives[n])])}
}

/** Fields with a life of their own: Redis 7.4, Valkey 9. Seconds; undefined where the server has none, or keeps it to itself. */
async function readFieldLives(
  call: Call,
  key: Buffer,
  names: readonly Buffer[],
): Promise<readonly (number | undefined)[] | undefined> {
  try {
    const lives = await call(['HEXPIRETIME', key, 'FIELDS', names.length, ...names])
    return listIn(lives ?? []).map((life) => (integerIn(life) < 0 ? undefined : integerIn(life)))
  } catch (error) {
    const isUnknown = error instanceof NodeError && ['unknown-command', 'permission'].includes(error.failure)
    if (isUnknown) return undefined
    throw error
  }
}

/** The life is part of what a field holds. */
function withLife(value: Buffer, life: number | undefined): Buffer {
  return life === undefined ? value : Buffer.concat([value, Buffer.from(`\u0000expires ${life}`)])
}

/** Entries as [id, field, value, …]; before the first come its groups, as the server describes them. */
async function readStream(call: Call, key: Buffer, cursor: string): Promise<ContentPage> {
  const from = cursor === '' ? '-' : `(${cursor}`
  const entries = listIn(await call(['XRANGE', key, from, '+', 'COUNT', PAGE])).map((entry) => {
    const [id, fields] = listIn(entry)
    return [bytesIn(id), bytesListIn(fields)] as const
  })
  const items: (readonly Buffer[])[] = entries.map(([id, fields]) => [id, ...fields])
  const last = entries.at(-1)
  const page = {next: entries.length < PAGE || !last ? undefined : textIn(last[0]), items}
  return cursor === '' ? {...page, items: [...(await readStreamHead(call, key)), ...items]} : page
}

/** The last ID that was given, and where each group of consumers is. */
async function readStreamHead(call: Call, key: Buffer): Promise<Buffer[][]> {
  const stream = listIn(await call(['XINFO', 'STREAM', key]))
  const groups = listIn(await call(['XINFO', 'GROUPS', key])).map(listIn)
  const told = groups.map((group) =>
    ['name', 'pending', 'last-delivered-id'].map((field) => Buffer.from(fieldOf(group, field))),
  )
  return [[Buffer.from(fieldOf(stream, 'last-generated-id'))], ...told]
}

function fieldOf(reply: readonly Reply[], name: string): string {
  const at = reply.findIndex((word, index) => index % 2 === 0 && text(word) === name)
  return at < 0 ? '' : latin1(reply[at + 1] ?? '')
}

function text(reply: Reply): string {
  return Buffer.isBuffer(reply) ? reply.toString('utf8') : String(reply)
}

function latin1(reply: Reply): string {
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : String(reply)
}
