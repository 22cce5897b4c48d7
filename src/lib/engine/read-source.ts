/**
 * How are all keys of a source read? By SCAN, measured before they are dumped, so that what is in memory at once is bounded
 * whatever their sizes. Reads only. A lost connection is opened again, unless the server was started anew meanwhile: its
 * cursors mean nothing then.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {formatAddress} from '../topology/model.ts'
import {type Batch, planBatches} from './batches.ts'
import type {SerialisedKey} from './cluster-port.ts'
import {backoffMs} from './retrying.ts'
import type {SourceFacts, SourcePort} from './source-port.ts'
import {forEachBounded, pause} from './waiting.ts'

export interface SourceServer {
  readonly port: SourcePort
  readonly facts: SourceFacts
}

export interface ReadOptions {
  /** As SCAN's MATCH; undefined: all. */
  readonly pattern: string | undefined
  /** Portions under way at each server. */
  readonly concurrency: number
  readonly budget: Budget
  readonly signal?: AbortSignal | undefined
  /** Nothing more is wanted. */
  readonly isOver?: () => boolean
}

/** What SCAN listed and DUMP found. */
export interface DumpedPortion {
  readonly keys: readonly SerialisedKey[]
  /** Listed, and gone when it came to them. */
  readonly vanished: number
}

const PORTION_KEYS = 250
const PORTION_BYTES = 1024 * 1024
/** Where the sizes of keys cannot be asked. */
const UNMEASURED_KEYS = 16
/** No key of a server that uses less can be a trouble. */
const SMALL_SERVER_BYTES = 64 * 1024 * 1024
const PATIENCE_MS = 60_000

/** Bytes that may be in memory at once. Who wants more than all of it waits until it is alone. */
export class Budget {
  readonly #limit: number
  #used = 0
  #waiting: {readonly bytes: number; readonly go: () => void}[] = []

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  /** First come, first served. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) this.#used += bytes
    else await new Promise<void>((go) => this.#waiting.push({bytes, go}))
  }

  give(bytes: number): void {
    this.#used -= bytes
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#used += next.bytes
      next.go()
    }
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#limit
  }
}

/**
 * All keys of one database of `server`, in portions; several portions are worked on at once. Keys that are there from
 * beginning to end come at least once, some perhaps twice; of the others, nothing is promised.
 */
export async function readKeys(
  server: SourceServer,
  database: number,
  options: ReadOptions,
  work: (portion: DumpedPortion) => Promise<void>,
): Promise<void> {
  const {budget, isOver = () => false} = options
  const pages = scan(server, database, options)
  await forEachBounded(pages, options.concurrency, async (keys) => {
    if (isOver()) return
    for (const batch of await batchesOf(server, database, keys, options.signal)) {
      if (isOver()) return
      await budget.take(batch.bytes)
      try {
        const dumped = await persistently(server, options.signal, () =>
          server.port.dumpKeys(batch.keys, database, batch.bytes),
        )
        const found = dumped.filter((key) => key !== undefined)
        await work({keys: found, vanished: dumped.length - found.length})
      } finally {
        budget.give(batch.bytes)
      }
    }
  })
  // It may have been away between two of our questions.
  const {runId} = await persistently(server, options.signal, () => server.port.readFacts())
  if (runId !== server.facts.runId && !isOver()) throw startedAnew(formatAddress(server.port.address))
}

/** Portions of keys. The next page is on its way while one is worked on. */
async function* scan(
  server: SourceServer,
  database: number,
  {pattern, signal, isOver = () => false}: ReadOptions,
): AsyncGenerator<readonly Buffer[]> {
  const ask = (cursor: string) => {
    const page = persistently(server, signal, () => server.port.scanKeys(cursor, database, pattern))
    // Whoever waits for it hears of a failure; nobody may be waiting any more.
    page.catch(() => undefined)
    return page
  }
  let next = ask('0')
  for (;;) {
    const {cursor, keys} = await next
    if (cursor !== '0') next = ask(cursor)
    for (let at = 0; at < keys.length; at += PORTION_KEYS) {
      if (isOver()) return
      yield keys.slice(at, at + PORTION_KEYS)
    }
    if (cursor === '0' || isOver()) return
  }
}

async function batchesOf(
  server: SourceServer,
  database: number,
  keys: readonly Buffer[],
  signal: AbortSignal | undefined,
): Promise<readonly Batch[]> {
  const limits = {maxKeys: PORTION_KEYS, maxBytes: PORTION_BYTES}
  const used = server.facts.info.usedMemoryBytes
  if (used !== undefined && used < SMALL_SERVER_BYTES) return planBatches(keys, [], limits)
  const sizes = await persistently(server, signal, () => server.port.measureKeys(keys, database))
  if (!sizes) return planBatches(keys, [], {...limits, maxKeys: UNMEASURED_KEYS})
  return planBatches(
    keys,
    sizes.map((size) => size ?? 0),
    limits,
  )
}

/** Failures that a source gets over by itself. That slots move there is none of them: keys would be missed. */
const PASSING: ReadonlySet<NodeError['failure']> = new Set<NodeError['failure']>([
  'refused',
  'no-route',
  'timeout',
  'closed',
  'loading',
  'cluster-down',
  'try-again',
])

/** Tries again what the connection failed at, as long as it is the server that it was. */
export async function persistently<T>(
  {port, facts}: SourceServer,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const endsAtMs = performance.now() + PATIENCE_MS
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      if (error.failure === 'moved' || error.failure === 'ask') throw slotsMoved(error)
      if (!PASSING.has(error.failure) || performance.now() > endsAtMs || signal?.aborted) throw error
      await pause(backoffMs(attempt), signal)
      const now = await port.readFacts().catch(() => undefined)
      if (now && now.runId !== facts.runId) throw startedAnew(formatAddress(port.address), error)
    }
  }
}

function slotsMoved(cause: NodeError): InterruptedError {
  return new InterruptedError(`slots of the source move while it is read (${cause.message}): keys would be missed`, {
    suggestions: ['Run the same command again when they have'],
    cause,
  })
}

function startedAnew(address: string, cause?: NodeError): InterruptedError {
  return new InterruptedError(`${address} was started anew while it was read: what is left of it cannot be told`, {
    suggestions: ['Run the same command again: what is there already is only compared'],
    cause,
  })
}
