/** How is each thing that an import asks of its source said to a server? Implements SourcePort over `Wire`. */
import type {SerialisedKey} from '../engine/cluster-port.ts'
import type {ContentPage, KeyPage, KeyShape, SourceFacts, SourcePort} from '../engine/source-port.ts'
import {mapBounded} from '../engine/waiting.ts'
import {NodeError} from '../errors.ts'
import {keySlot} from '../slots/key-slot.ts'
import type {NodeAddress} from '../topology/model.ts'
import {parseServerInfo} from '../topology/parse-info.ts'
import {type ConnectionOptions, wireOptionsFor} from './connection-options.ts'
import type {Argument} from './encode-command.ts'
import {lookUpContent, readContentPage, readKeyShape} from './key-content.ts'
import type {Reply} from './replies.ts'
import {
  bytesIn,
  bytesListIn,
  clockIn,
  countIn,
  garbled,
  integerIn,
  listIn,
  textIn,
  understand,
  understood,
} from './reply-shapes.ts'
import {Wire, type WireOptions} from './wire.ts'

/** Keys of one SCAN. It holds the server for some 0.3 ms. */
const PAGE_KEYS = 1000
/** The slowest link that is worth waiting for: 1 MB a second. */
const SLOWEST_BYTES_PER_MS = 1000
/** Connections for transactions: each watches the keys of one at a time. */
const WATCHING_WIRES = 8

export function openSourcePort(address: NodeAddress, options: ConnectionOptions): SourcePort {
  return new SourceClient(address, wireOptionsFor(options, [address]))
}

class SourceClient implements SourcePort {
  readonly address: NodeAddress
  readonly #options: WireOptions
  readonly #wires = new Map<string, Wire>()
  #isInCluster = false
  #hasExpireTime = true
  #isMeasuring = true
  /** Of the server's clock to ours. */
  #clockAheadMs = 0
  readonly #pools = new Map<
    number,
    {readonly idle: Wire[]; count: number; readonly waiting: ((wire: Wire) => void)[]}
  >()
  /** Of DUMPs that are not answered yet. */
  #expectedBytes = 0
  #isClosed = false

  constructor(address: NodeAddress, options: WireOptions) {
    this.address = address
    this.#options = options
  }

  async readFacts(): Promise<SourceFacts> {
    const told = await understand(this.address, ['INFO'], this.#wire('data', 0).call(['INFO']), textIn)
    this.#isInCluster = /^cluster_enabled:1\b/m.test(told)
    return {
      info: parseServerInfo(told),
      isInCluster: this.#isInCluster,
      isReplica: /^role:slave\b/m.test(told),
      runId: /^run_id:([0-9a-f]+)/m.exec(told)?.[1] ?? '',
    }
  }

  async readClock(): Promise<number | undefined> {
    const answer = this.#wire('data', 0).call(['TIME'])
    const clockMs = await understand(this.address, ['TIME'], answer, clockIn).catch(unlessForbidden(undefined))
    if (clockMs === undefined) return undefined
    this.#clockAheadMs = clockMs - Date.now()
    return clockMs
  }

  async scanKeys(cursor: string, database: number, pattern: string | undefined): Promise<KeyPage> {
    const match = pattern === undefined ? [] : ['MATCH', pattern]
    const answer = this.#wire('data', database).call(['SCAN', cursor, ...match, 'COUNT', PAGE_KEYS])
    return understand(this.address, ['SCAN'], answer, (reply) => {
      const [next, keys] = listIn(reply)
      return {cursor: String(integerIn(next) === 0 ? 0 : next), keys: bytesListIn(keys)}
    })
  }

  async measureKeys(keys: readonly Buffer[], database: number): Promise<readonly (number | undefined)[] | undefined> {
    if (!this.#isMeasuring) return undefined
    const told = await this.#wire('data', database).callAll(keys.map((key) => ['MEMORY', 'USAGE', key]))
    const failure = told.find((reply) => reply instanceof NodeError)
    if (!failure)
      return told.map((size) => (size === null ? undefined : this.#understood('MEMORY', size as Reply, countIn)))
    if (!isForbidden(failure)) throw failure
    this.#isMeasuring = false
    return undefined
  }

  async dumpKeys(
    keys: readonly Buffer[],
    database: number,
    expectedBytes: number,
  ): Promise<readonly (SerialisedKey | undefined)[]> {
    this.#expectedBytes += expectedBytes
    const deadlineMs = this.#options.commandTimeoutMs + this.#expectedBytes / SLOWEST_BYTES_PER_MS
    try {
      return await this.#dump(this.#wire('data', database), keys, deadlineMs)
    } finally {
      this.#expectedBytes -= expectedBytes
    }
  }

  /** With PEXPIRETIME, new in 7; before, with PTTL and what we know of the server's clock. */
  async #dump(wire: Wire, keys: readonly Buffer[], deadlineMs: number): Promise<(SerialisedKey | undefined)[]> {
    const [word, fromMs] = this.#hasExpireTime
      ? (['PEXPIRETIME', 0] as const)
      : (['PTTL', Date.now() + this.#clockAheadMs] as const)
    const commands: Argument[][] = []
    for (const key of keys) commands.push(['DUMP', key], [word, key])
    const replies = await wire.callAll(commands, deadlineMs)
    const dumped: (SerialisedKey | undefined)[] = []
    for (const [index, key] of keys.entries()) {
      const [payload, life] = [replies[2 * index], replies[2 * index + 1]]
      if (payload instanceof NodeError) throw payload
      if (life instanceof NodeError) {
        if (!this.#hasExpireTime || !isForbidden(life)) throw life
        this.#hasExpireTime = false
        return this.#dump(wire, keys, deadlineMs)
      }
      const lifeMs = this.#understood(word, life, integerIn)
      // -2: it expired between the two.
      const isGone = payload === null || lifeMs === -2
      const expiresAtMs = lifeMs < 0 ? undefined : fromMs + lifeMs
      dumped.push(isGone ? undefined : {key, payload: this.#understood('DUMP', payload, bytesIn), expiresAtMs})
    }
    return dumped
  }

  async deleteUnchanged(
    keys: readonly SerialisedKey[],
    database: number,
  ): Promise<readonly ('deleted' | 'changed' | 'gone')[]> {
    const all = keys.map((key, index) => ({key, index}))
    const groups = this.#isInCluster ? bySlot(all) : [all]
    const fates = new Array<'deleted' | 'changed' | 'gone'>(keys.length).fill('changed')
    await mapBounded(groups, WATCHING_WIRES, async (group) => {
      const own = group.map(({key}) => key)
      const told = await this.#alone(database, (wire) => this.#deleteGroup(wire, own))
      for (const [at, {index}] of group.entries()) fates[index] = told[at] ?? 'changed'
    })
    return fates
  }

  /** Runs `work` on a connection on which nobody else watches keys meanwhile. */
  async #alone<T>(database: number, work: (wire: Wire) => Promise<T>): Promise<T> {
    const pool = this.#pools.get(database) ?? {idle: [], count: 0, waiting: []}
    this.#pools.set(database, pool)
    let wire = pool.idle.pop()
    if (!wire && pool.count < WATCHING_WIRES) {
      pool.count++
      wire = this.#wire(`watching ${pool.count}`, database)
    }
    wire ??= await new Promise<Wire>((resolve) => pool.waiting.push(resolve))
    try {
      return await work(wire)
    } finally {
      const next = pool.waiting.shift()
      if (next) next(wire)
      else pool.idle.push(wire)
    }
  }

  async #deleteGroup(wire: Wire, keys: readonly SerialisedKey[]): Promise<('deleted' | 'changed' | 'gone')[]> {
    const bytes = keys.reduce((sum, {payload}) => sum + payload.length, 0)
    const deadlineMs = this.#options.commandTimeoutMs + bytes / SLOWEST_BYTES_PER_MS
    await wire.call(['WATCH', ...keys.map(({key}) => key)])
    const now = await this.#dump(
      wire,
      keys.map(({key}) => key),
      deadlineMs,
    )
    const fates = keys.map((key, index) => {
      const seen = now[index]
      if (!seen) return 'gone' as const
      return seen.payload.equals(key.payload) && isSameEnd(seen.expiresAtMs, key.expiresAtMs) ? 'deleted' : 'changed'
    })
    const doomed = keys.filter((_, index) => fates[index] === 'deleted')
    if (doomed.length === 0) {
      await wire.call(['UNWATCH'])
      return fates
    }
    const [, , done] = await wire.sequence([['MULTI'], ['DEL', ...doomed.map(({key}) => key)], ['EXEC']], deadlineMs)
    if (done !== null) return fates
    // Somebody was quicker at one of them: which, is found out one by one.
    if (keys.length === 1) return ['changed']
    const one: ('deleted' | 'changed' | 'gone')[] = []
    for (const [index, key] of keys.entries()) {
      const fate = fates[index] as 'deleted' | 'changed' | 'gone'
      one.push(fate === 'deleted' ? ((await this.#deleteGroup(wire, [key]))[0] ?? 'changed') : fate)
    }
    return one
  }

  readShape(key: Buffer, database: number): Promise<KeyShape | undefined> {
    return this.#content(readKeyShape(this.#caller(database), key))
  }

  readContent(key: Buffer, database: number, type: string, cursor: string): Promise<ContentPage | undefined> {
    return this.#content(readContentPage(this.#caller(database), key, type, cursor))
  }

  lookUp(
    key: Buffer,
    database: number,
    type: string,
    names: readonly Buffer[],
  ): Promise<readonly (Buffer | undefined)[]> {
    return this.#content(lookUpContent(this.#caller(database), key, type, names))
  }

  #content<T>(work: Promise<T>): Promise<T> {
    return work.catch((error: unknown) => {
      throw garbled(this.address, ['the commands of a type'], error)
    })
  }

  #understood<T>(command: string, reply: Reply | undefined, read: (reply: Reply) => T): T {
    return understood(this.address, [command], reply, read)
  }

  close(): void {
    this.#isClosed = true
    for (const wire of this.#wires.values()) wire.close()
  }

  #caller(database: number): (command: readonly Argument[]) => Promise<Reply> {
    const wire = this.#wire('data', database)
    return (command) => wire.call(command)
  }

  #wire(purpose: string, database: number): Wire {
    const name = `${purpose} ${database}`
    let wire = this.#wires.get(name)
    if (!wire) {
      wire = new Wire(this.address, this.#options, database)
      if (this.#isClosed) wire.close()
      this.#wires.set(name, wire)
    }
    return wire
  }
}

/** Reckoned from PTTL, the end of one life comes out a few milliseconds apart. */
function isSameEnd(a: number | undefined, b: number | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Math.abs(a - b) < 1000
}

/** In a cluster a transaction has one slot. */
function bySlot(keys: readonly IndexedKey[]): IndexedKey[][] {
  const groups = new Map<number, IndexedKey[]>()
  for (const one of keys) {
    const slot = keySlot(one.key.key)
    const group = groups.get(slot)
    if (group) group.push(one)
    else groups.set(slot, [one])
  }
  return [...groups.values()]
}

interface IndexedKey {
  readonly key: SerialisedKey
  readonly index: number
}

/** The server has no such command, or the user may not use it. */
function isForbidden(error: unknown): boolean {
  return error instanceof NodeError && (error.failure === 'unknown-command' || error.failure === 'permission')
}

function unlessForbidden<T>(answer: T): (error: unknown) => T {
  return (error) => {
    if (isForbidden(error)) return answer
    throw error
  }
}
