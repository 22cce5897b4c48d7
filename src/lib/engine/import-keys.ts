/**
 * How do the keys of other servers come into a cluster? Read by SCAN and DUMP, written by RESTORE, through us: neither
 * side need reach the other, and each may have TLS and users of its own. The source is only changed where keys are to be
 * moved, and then a key is deleted there after the cluster has taken it, unless somebody has changed it meanwhile. Safe to
 * run again.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {keySlot} from '../slots/key-slot.ts'
import {formatAddress, type NodeAddress, type NodeId} from '../topology/model.ts'
import type {NodePort, SerialisedKey} from './cluster-port.ts'
import {compareDumps, type Likeness} from './compare-keys.ts'
import type {EngineListener} from './events.ts'
import {KeyLoader} from './load-keys.ts'
import type {BusyKeyPolicy, FailedKey, KeyFate, LoadableKey, LoadOutcome, SettledKey} from './load-outcome.ts'
import {Budget, persistently, type ReadOptions, readKeys, type SourceServer} from './read-source.ts'
import {backoffMs, isTransient, MAX_ATTEMPTS} from './retrying.ts'
import type {Comparison} from './same-dump.ts'
import type {ClusterSession} from './session.ts'
import type {SourcePort} from './source-port.ts'
import {mapBounded, pause} from './waiting.ts'

/** Where the keys of one database of the source go. */
export interface DatabaseRoute {
  readonly from: number
  readonly to: number
}

export interface ImportOptions {
  readonly routes: readonly DatabaseRoute[]
  readonly pattern: string | undefined
  readonly conflicts: BusyKeyPolicy
  /** Delete at the source what the cluster has taken. */
  readonly isMoving: boolean
  /** Before a key is deleted at the source, compare it with the cluster's. */
  readonly isVerifying: boolean
  /** Portions under way at each server, batches under way to each node. */
  readonly concurrency: number
  readonly maxBytesPerSecond?: number | undefined
  /** How far the clocks of the cluster are ahead of the source's. */
  readonly clockShiftMs: number
  /** Another connection to a node of the cluster, for reading what its keys hold. */
  readonly openReader: (address: NodeAddress) => SourcePort
  /** Ends it early: what is under way is finished. */
  readonly signal?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
  /** Told of every key once, when its fate is known. */
  readonly onKey?: ((key: Buffer, fate: KeyFate, reason: string | undefined) => void) | undefined
}

export interface ImportOutcome extends LoadOutcome {
  /** At the source, by us. */
  readonly deleted: number
  /** Copied, and not deleted at the source: they were changed there meanwhile. */
  readonly changed: number
}

export interface KeyDifference {
  readonly key: Buffer
  /** Of the source. */
  readonly database: number
  readonly kind: Exclude<Likeness, 'same'>
}

export interface Verification {
  readonly compared: number
  readonly same: number
  readonly differing: number
  /** The first few. */
  readonly differences: readonly KeyDifference[]
}

interface ImportedKey extends LoadableKey {
  readonly source: SourceServer
  readonly origin: SerialisedKey
  readonly fromDatabase: number
}

/** In memory at once on the way to the loader, which holds as much again. */
const BUDGET_BYTES = 32 * 1024 * 1024
const SERVERS_AT_ONCE = 16
const DIFFERENCES_NAMED = 20
const COMPARED_AT_ONCE = 64

export class Import {
  readonly #session: ClusterSession
  readonly #servers: readonly SourceServer[]
  readonly #options: ImportOptions
  readonly #loader: KeyLoader<ImportedKey>
  readonly #budget = new Budget(BUDGET_BYTES)
  readonly #readers = new Map<NodeId, SourcePort>()
  readonly #underWay = new Set<string>()
  #vanished = 0
  #deleted = 0
  #changed = 0
  readonly #changedKeys: FailedKey[] = []
  readonly #tally = {compared: 0, same: 0, differing: 0, differences: [] as KeyDifference[]}

  /** `servers` are all primaries of the source; none of their slots may be on its way. */
  constructor(session: ClusterSession, servers: readonly SourceServer[], options: ImportOptions) {
    this.#session = session
    this.#servers = servers
    this.#options = options
    const {conflicts, signal, listener, concurrency, maxBytesPerSecond} = options
    this.#loader = new KeyLoader<ImportedKey>(session, {
      conflicts,
      signal,
      listener,
      concurrency,
      maxBytesPerSecond,
      compare: (keys, node) => this.#compare(keys, node),
      onSettled: (settled) => this.#settle(settled),
    })
  }

  /** So far. */
  get outcome(): ImportOutcome {
    const outcome = this.#loader.outcome
    return {
      ...outcome,
      expired: outcome.expired + this.#vanished,
      failures: [...outcome.failures, ...this.#changedKeys],
      deleted: this.#deleted,
      changed: this.#changed,
    }
  }

  /**
   * @throws what KeyLoader.finish throws, and NodeError or InterruptedError of a source that cannot be read to its end.
   *   `outcome` tells what was done till then.
   */
  async run(): Promise<ImportOutcome> {
    let failure: unknown
    try {
      // One after another: where two databases become one, the first has its keys there before the second comes.
      for (const route of this.#options.routes) {
        if (this.#loader.hasStopped) break
        await mapBounded(this.#servers, SERVERS_AT_ONCE, (server) => this.#read(server, route))
        await this.#loader.settle()
      }
    } catch (error) {
      failure = error
      await this.#loader.settle()
    }
    await this.#loader.finish()
    if (failure !== undefined) throw failure as Error
    return this.outcome
  }

  /** Ends the connections of its own. */
  close(): void {
    for (const reader of this.#readers.values()) reader.close()
  }

  async #read(source: SourceServer, {from, to}: DatabaseRoute): Promise<void> {
    const {clockShiftMs, listener} = this.#options
    const isOver = (): boolean => this.#loader.hasStopped
    await readKeys(source, from, {...this.#readOptions, isOver}, async ({keys, vanished}) => {
      this.#vanished += vanished
      if (vanished > 0) listener?.({kind: 'keys-loaded', keys: vanished, bytes: 0})
      await this.#loader.add(
        keys
          .filter(({key}) => this.#isNew(key))
          .map((origin) => ({
            key: origin.key,
            payload: origin.payload,
            expiresAtMs: origin.expiresAtMs === undefined ? undefined : origin.expiresAtMs + clockShiftMs,
            database: to,
            source,
            origin,
            fromDatabase: from,
          })),
      )
    })
  }

  /** SCAN may list a key twice, the second time soon after the first. */
  #isNew(key: Buffer): boolean {
    const name = key.toString('latin1')
    if (this.#underWay.has(name)) return false
    this.#underWay.add(name)
    return true
  }

  get #readOptions(): ReadOptions {
    const {pattern, concurrency, signal} = this.#options
    return {pattern, concurrency, signal, budget: this.#budget}
  }

  /** Keys that the cluster has already. */
  async #compare(keys: readonly ImportedKey[], node: NodePort): Promise<readonly Comparison[]> {
    const port = this.#readerAt(node)
    const {database} = keys[0] as ImportedKey
    const theirs = await port.dumpKeys(
      keys.map(({key}) => key),
      database,
      bytesOf(keys),
    )
    return mapBounded(keys, COMPARED_AT_ONCE, async ({source, origin, fromDatabase}, index) => {
      if (!theirs[index]) return 'gone'
      const here = {port: source.port, database: fromDatabase}
      const there = {port, database}
      const likeness = await compareDumps(here, there, origin, theirs[index], this.#options.clockShiftMs)
      return likeness === 'same' || likeness === 'unknown' ? likeness : 'different'
    })
  }

  #readerAt(node: NodePort): SourcePort {
    let reader = this.#readers.get(node.id)
    if (!reader) {
      reader = this.#options.openReader(node.address)
      this.#readers.set(node.id, reader)
    }
    return reader
  }

  /** What the cluster has, the source need not have any more. */
  async #settle(settled: readonly SettledKey<ImportedKey>[]): Promise<void> {
    if (this.#options.isMoving) await this.#deleteSettled(settled)
    const {onKey} = this.#options
    if (onKey) for (const {key, fate, reason} of settled) onKey(key.key, fate, reason)
    for (const {key} of settled) this.#underWay.delete(key.key.toString('latin1'))
  }

  async #deleteSettled(settled: readonly SettledKey<ImportedKey>[]): Promise<void> {
    const groups = new Map<string, ImportedKey[]>()
    for (const {key, fate} of settled) {
      if (fate !== 'copied' && fate !== 'identical') continue
      const name = `${formatAddress(key.source.port.address)} ${key.fromDatabase}`
      groups.set(name, [...(groups.get(name) ?? []), key])
    }
    for (const keys of groups.values()) await this.#deleteAtSource(keys)
  }

  async #deleteAtSource(keys: readonly ImportedKey[]): Promise<void> {
    const {source, fromDatabase, database} = keys[0] as ImportedKey
    if (this.#options.isVerifying) {
      const origins = keys.map(({origin}) => origin)
      const route = {from: fromDatabase, to: database}
      const likenesses = await this.#followingMoves(() => this.#verifyPortion(source, route, origins))
      this.#note(likenesses, origins, fromDatabase)
      const alike = keys.filter((_, index) => likenesses[index] === 'same')
      if (alike.length > 0) await this.#deleteAlike(alike)
    } else await this.#deleteAlike(keys)
  }

  async #deleteAlike(keys: readonly ImportedKey[]): Promise<void> {
    const {source, fromDatabase} = keys[0] as ImportedKey
    const fates = await persistently(source, this.#options.signal, () =>
      source.port.deleteUnchanged(
        keys.map(({origin}) => origin),
        fromDatabase,
      ),
    )
    for (const [index, fate] of fates.entries()) {
      if (fate === 'deleted') this.#deleted++
      if (fate !== 'changed') continue
      this.#changed++
      if (this.#changedKeys.length >= DIFFERENCES_NAMED) continue
      const key = Buffer.from((keys[index] as ImportedKey).key)
      this.#changedKeys.push({key, database: fromDatabase, reason: 'it was changed at the source after it was copied'})
    }
  }

  /** What was compared so far. */
  get verification(): Verification {
    return {...this.#tally, differences: [...this.#tally.differences]}
  }

  #note(likenesses: readonly Likeness[], keys: readonly SerialisedKey[], database: number): void {
    for (const [index, kind] of likenesses.entries()) {
      this.#tally.compared++
      if (kind === 'same') {
        this.#tally.same++
        continue
      }
      this.#tally.differing++
      if (this.#tally.differences.length >= DIFFERENCES_NAMED) continue
      const key = Buffer.from((keys[index] as SerialisedKey).key)
      this.#tally.differences.push({key, database, kind})
    }
  }

  /** Reads the source once more, and holds every key of it against the cluster's. Changes nothing. */
  async verify(): Promise<Verification> {
    const {routes, signal, listener} = this.#options
    const isOver = (): boolean => signal?.aborted === true
    for (const route of routes) {
      await mapBounded(this.#servers, SERVERS_AT_ONCE, (server) =>
        readKeys(server, route.from, {...this.#readOptions, isOver}, async ({keys}) => {
          const likenesses = await this.#followingMoves(() => this.#verifyPortion(server, route, keys))
          this.#note(likenesses, keys, route.from)
          listener?.({kind: 'keys-loaded', keys: keys.length, bytes: bytesOf(keys)})
        }),
      )
    }
    if (signal?.aborted) throw signal.reason as Error
    return this.verification
  }

  /** The cluster goes on living while it is looked at. */
  async #followingMoves<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (!isTransient(error) || attempt === MAX_ATTEMPTS || this.#options.signal?.aborted) throw error
        await pause(backoffMs(attempt), this.#options.signal)
        await this.#session.refresh()
      }
    }
  }

  async #verifyPortion(
    server: SourceServer,
    {from, to}: DatabaseRoute,
    keys: readonly SerialisedKey[],
  ): Promise<Likeness[]> {
    const {clockShiftMs} = this.#options
    const likenesses = new Array<Likeness>(keys.length).fill('missing')
    const byNode = new Map<NodeId, number[]>()
    for (const [index, {key}] of keys.entries()) {
      const slot = keySlot(key)
      const owner = this.#session.topology.owners[slot]
      if (owner === undefined) throw new NodeError('cluster-down', `slot ${slot}`, `slot ${slot} is served by no node`)
      byNode.set(owner, [...(byNode.get(owner) ?? []), index])
    }
    await mapBounded([...byNode], COMPARED_AT_ONCE, async ([id, indexes]) => {
      const there = {port: this.#readerAt(this.#session.node(id)), database: to}
      const own = indexes.map((index) => keys[index] as SerialisedKey)
      const theirs = await there.port.dumpKeys(
        own.map(({key}) => key),
        to,
        bytesOf(own),
      )
      await mapBounded(own, COMPARED_AT_ONCE, async (mine, at) => {
        const here = {port: server.port, database: from}
        const likeness = await compareDumps(here, there, mine, theirs[at], clockShiftMs)
        likenesses[indexes[at] as number] =
          likeness === 'same' ? 'same' : await this.#again(server, from, mine, likeness)
      })
    })
    return likenesses
  }

  /** A key whose time came between the two looks differs in nothing. */
  async #again(server: SourceServer, database: number, mine: SerialisedKey, found: Likeness): Promise<Likeness> {
    if (mine.expiresAtMs === undefined) return found
    const [now] = await server.port.dumpKeys([mine.key], database, mine.payload.length)
    return now ? found : 'same'
  }
}

function bytesOf(keys: readonly SerialisedKey[]): number {
  return keys.reduce((sum, {payload}) => sum + payload.length, 0)
}

/** @throws InterruptedError when slots of the source have gone elsewhere since `before`: keys may have been missed. */
export function requireUnmoved(before: string, after: string): void {
  if (before === after) return
  throw new InterruptedError('slots of the source moved while it was read: keys may have been missed', {
    suggestions: ['Run the same command again: what is there already is only compared'],
  })
}
