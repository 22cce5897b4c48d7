/**
 * Does a cluster still hold what was put into it? Data of every type, a digest of all of it, and a client that writes
 * meanwhile and remembers what was acknowledged.
 */
import {fork} from 'node:child_process'
import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {fileURLToPath} from 'node:url'
import {Redis} from 'ioredis'
import {keySlot} from '../../src/lib/slots/key-slot.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {splitAddress} from './servers.ts'

/** Keys of the writer; digests leave them out, because they change. */
export const LIVE_PREFIX = 'live:'

const BATCH = 1000

type Word = string | number | Buffer

interface Primaries {
  readonly clients: readonly Redis[]
  /** ownerOf[slot]: which client, or undefined. */
  readonly ownerOf: readonly (number | undefined)[]
  close(): void
}

/** Login and TLS of the clients; PEM as text. */
export interface Access {
  readonly username?: string
  readonly password?: string
  readonly tls?: {readonly ca: string; readonly cert: string; readonly key: string}
}

function connect(address: string, database: number, access: Access): Redis {
  const client = new Redis({
    ...splitAddress(address),
    ...access,
    db: database,
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    commandTimeout: 60_000,
  })
  client.on('error', () => {})
  return client
}

/** A connection to each primary that owns slots, as the first address that answers tells. */
async function openPrimaries(addresses: readonly string[], database: number, access: Access): Promise<Primaries> {
  let failure: unknown = new Error('no address was given')
  for (const address of addresses) {
    const seed = connect(address, 0, access)
    try {
      const rows = (await seed.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
      const names = [...new Set(rows.map(([, , [host, port]]) => `${host}:${port}`))]
      const ownerOf = new Array<number | undefined>(SLOT_COUNT).fill(undefined)
      for (const [start, end, [host, port]] of rows) ownerOf.fill(names.indexOf(`${host}:${port}`), start, end + 1)
      const clients = names.map((name) => connect(name, database, access))
      return {clients, ownerOf, close: () => clients.forEach((client) => void client.disconnect())}
    } catch (error) {
      failure = error
    } finally {
      seed.disconnect()
    }
  }
  throw new Error('no node answered', {cause: failure})
}

/** Mulberry32: the same numbers, 0 up to 1, for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Every seventh name is binary: NUL, line ends, spaces, bytes that are no UTF-8. */
function keyName(n: number): Buffer {
  if (n % 7 !== 0) return Buffer.from(`key:${n}`)
  return Buffer.concat([Buffer.from([0x00, 0xff, 0x0d, 0x0a, 0xc3, 0x28, 0x20, 0x22]), Buffer.from(`binary:${n}`)])
}

/** What makes key `n`: its type goes round with n, its content comes from `random`. */
function commandsFor(n: number, random: () => number): Word[][] {
  const key = keyName(n)
  const text = (bytes: number) => {
    const word = Math.floor(random() * 2 ** 32).toString(36)
    return `${n}:${word}:`.padEnd(bytes, word)
  }
  const items = 1 + Math.floor(random() * 8)
  const each = <T>(make: (i: number) => T) => Array.from({length: items}, (_, i) => make(i))
  const commands: Word[][] = []
  switch (n % 10) {
    case 4:
      commands.push(['HSET', key, ...each((i) => [`field${i}`, text(20)]).flat()])
      break
    case 5:
      commands.push(['RPUSH', key, ...each(() => text(20))])
      break
    case 6:
      commands.push(['SADD', key, ...each((i) => `${i}${text(20)}`)])
      break
    case 7:
      commands.push(['ZADD', key, ...each((i) => [random() * 1e6, `${i}${text(20)}`]).flat()])
      break
    case 8:
      commands.push(...each((i) => ['XADD', key, `${n + 1}-${i + 1}`, 'field', text(20)]))
      commands.push(['XGROUP', 'CREATE', key, 'readers', '0'])
      break
    case 9:
      commands.push(['SET', key, Buffer.from(each(() => Math.floor(random() * 256)))])
      break
    default:
      commands.push(['SET', key, text(n % 1000 === 1 ? 20_000 : 100)])
  }
  // A day: long enough not to run out in a test.
  if (n % 11 === 3) commands.push(['PEXPIRE', key, 86_400_000])
  return commands
}

export interface DataSetOptions {
  /** How many; key n is the same for the same seed. */
  readonly keys: number
  readonly seed?: number
  /** The first n, to add to a set that is there already. */
  readonly from?: number
  /** Valkey 9 with cluster-databases has more than database 0. */
  readonly database?: number
  readonly access?: Access
}

/** Strings, hashes, lists, sets, sorted sets, streams with a group, binary names and values, some that will expire. */
export async function loadDataSet(addresses: readonly string[], options: DataSetOptions): Promise<void> {
  const {keys, seed = 1, from = 0, database = 0, access = {}} = options
  const primaries = await openPrimaries(addresses, database, access)
  const random = randomNumbers(seed)
  try {
    const waiting = primaries.clients.map(() => [] as Word[][])
    const send = async (owner: number) => {
      const commands = waiting[owner]!.splice(0)
      if (commands.length > 0) await runPipeline(primaries.clients[owner]!, commands)
    }
    for (let n = from; n < from + keys; n++) {
      const owner = primaries.ownerOf[keySlot(keyName(n))]
      if (owner === undefined) throw new Error(`nobody owns the slot of key ${n}`)
      waiting[owner]!.push(...commandsFor(n, random))
      // All nodes work at once; what waits for one of them is bounded.
      if (waiting[owner]!.length >= BATCH) await Promise.all(primaries.clients.map((_, at) => send(at)))
    }
    await Promise.all(primaries.clients.map((_, at) => send(at)))
  } finally {
    primaries.close()
  }
}

/** Replies in order, Buffers inside. @throws the first error reply. */
async function runPipeline(client: Redis, commands: readonly Word[][]): Promise<unknown[]> {
  const pipeline = client.pipeline()
  for (const [name, ...args] of commands) pipeline.callBuffer(String(name), ...args)
  const replies = (await pipeline.exec()) ?? []
  return replies.map(([error, value]) => {
    if (error) throw error
    return value
  })
}

export interface DataSetDigest {
  /** Key (one character a byte) -> hash of its type, its value, and whether it expires. */
  readonly keys: ReadonlyMap<string, string>
  /** Keys that more than one primary holds. There should be none outside a move. */
  readonly duplicates: readonly string[]
}

const READERS: Readonly<Record<string, (key: Buffer) => Word[][]>> = {
  string: (key) => [['GET', key]],
  hash: (key) => [['HGETALL', key]],
  list: (key) => [['LRANGE', key, 0, -1]],
  set: (key) => [['SMEMBERS', key]],
  zset: (key) => [['ZRANGE', key, 0, -1, 'WITHSCORES']],
  stream: (key) => [
    ['XRANGE', key, '-', '+'],
    ['XINFO', 'GROUPS', key],
  ],
}

/** Every key of every primary, read by its type: the digest does not depend on the server's version or encoding. */
export async function digestDataSet(
  addresses: readonly string[],
  database = 0,
  access: Access = {},
): Promise<DataSetDigest> {
  const primaries = await openPrimaries(addresses, database, access)
  const keys = new Map<string, string>()
  const duplicates: string[] = []
  try {
    await Promise.all(
      primaries.clients.map(async (client) => {
        // SCAN may give a key twice on one node, which is no finding.
        const here = new Map<string, string>()
        for (const type of Object.keys(READERS)) await digestType(client, type, here)
        for (const [key, digest] of here) {
          if (keys.has(key)) duplicates.push(key)
          keys.set(key, digest)
        }
      }),
    )
  } finally {
    primaries.close()
  }
  return {keys, duplicates: duplicates.sort()}
}

async function digestType(client: Redis, type: string, into: Map<string, string>): Promise<void> {
  const read = READERS[type]!
  let cursor: Word = '0'
  do {
    const page: [Buffer, Buffer[]] = (await client.callBuffer('SCAN', cursor, 'COUNT', BATCH, 'TYPE', type)) as [
      Buffer,
      Buffer[],
    ]
    cursor = page[0].toString()
    const found = page[1].filter((key) => !key.toString('latin1').startsWith(LIVE_PREFIX))
    const commands = found.map((key) => [['PTTL', key], ...read(key)])
    const replies = await runPipeline(client, commands.flat())
    let at = 0
    found.forEach((key, n) => {
      const mine = replies.slice(at, at + commands[n]!.length)
      at += mine.length
      const [ttl, ...values] = mine
      // Gone between SCAN and now.
      if (ttl === -2) return
      into.set(key.toString('latin1'), digestValue(type, ttl !== -1, values))
    })
  } while (cursor !== '0')
}

function digestValue(type: string, isExpiring: boolean, values: unknown[]): string {
  const hash = createHash('sha1').update(`${type} ${isExpiring}`)
  const [first, ...rest] = values
  if (type === 'hash') feedSorted(hash, pairs(first as Buffer[]))
  else if (type === 'set') feedSorted(hash, first as Buffer[])
  else feed(hash, first)
  feed(hash, rest)
  return hash.digest('base64')
}

type Hash = ReturnType<typeof createHash>

/** With lengths, so that ["ab"] and ["a", "b"] differ. */
function feed(hash: Hash, value: unknown): void {
  if (Array.isArray(value)) {
    hash.update(`*${value.length}`)
    for (const item of value) feed(hash, item)
  } else if (Buffer.isBuffer(value)) {
    hash.update(`$${value.length}:`).update(value)
  } else {
    hash.update(`:${String(value)};`)
  }
}

function feedSorted(hash: Hash, items: readonly (Buffer | Buffer[])[]): void {
  const digests = items.map((item) => {
    const one = createHash('sha1')
    feed(one, item)
    return one.digest('hex')
  })
  hash.update(digests.sort().join())
}

function pairs(flat: readonly Buffer[]): Buffer[][] {
  return Array.from({length: flat.length / 2}, (_, n) => flat.slice(2 * n, 2 * n + 2))
}

/** Three empty lists when nothing was lost, changed or added. At most 20 keys each, escaped to be read. */
export function compareDigests(before: DataSetDigest, after: DataSetDigest) {
  const show = (keys: string[]) => keys.slice(0, 20).map((key) => JSON.stringify(key))
  const all = [...before.keys]
  return {
    missing: show(all.filter(([key]) => !after.keys.has(key)).map(([key]) => key)),
    changed: show(all.filter(([key, hash]) => (after.keys.get(key) ?? hash) !== hash).map(([key]) => key)),
    added: show([...after.keys.keys()].filter((key) => !before.keys.has(key))),
    duplicates: show([...after.duplicates]),
  }
}

export interface WriterResult {
  /** Writes and reads that were answered. */
  readonly ops: number
  /** How many keys it wrote. */
  readonly keys: number
  /** What the client could not deal with by following a redirection; the first 20 texts. */
  readonly errors: readonly string[]
  readonly errorCount: number
  /** Keys whose acknowledged value was not what a later read gave. */
  readonly lost: readonly string[]
  /** The first of them: what was read, when, instead of what. */
  readonly losses: readonly object[]
  /** Milliseconds from sending to the answer, redirections included. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface Writer {
  /** Ends the writing, reads every key once more, and tells. */
  stop(): Promise<WriterResult>
  /** It does nothing from now on, until `thaw`. */
  freeze(): void
  thaw(): void
  /** Ends it at once, with nothing told. */
  kill(): void
}

/**
 * A cluster client in a process of its own, so that its times are its own: it sets and reads keys spread over all slots.
 * Resolves when it is at work. CLUSTERDOWN and lost connections are errors: they are not retried.
 */
export async function startWriter(
  seedAddresses: readonly string[],
  options: {
    readonly opsPerSecond?: number
    readonly keys?: number
    readonly access?: Access
    /** What stands before its command where it is to run on another host. */
    readonly prefix?: readonly string[]
    /** Where it reaches a node that announces "host:port". */
    readonly natMap?: Readonly<Record<string, {readonly host: string; readonly port: number}>>
  } = {},
): Promise<Writer> {
  const script = fileURLToPath(new URL('live-writer.js', import.meta.url))
  const {opsPerSecond = 500, keys = 2000, access = {}, prefix = [], natMap} = options
  const seeds = seedAddresses.map(splitAddress)
  const [execPath, ...execArgv] = [...prefix, process.execPath]
  const child = fork(script, [JSON.stringify({seeds, opsPerSecond, keys, prefix: LIVE_PREFIX, access, natMap})], {
    execPath,
    execArgv,
  })
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the writer ended by itself: ${signal ?? `exit code ${code}`}`)
  })
  // Only an error for whom it keeps waiting.
  ended.catch(() => {})
  await Promise.race([once(child, 'message'), ended])
  return {
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill: () => void child.kill('SIGKILL'),
    stop: async () => {
      const answer = once(child, 'message')
      child.send('stop')
      const [result] = (await Promise.race([answer, ended])) as [WriterResult]
      return result
    },
  }
}
