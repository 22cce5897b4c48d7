/**
 * Which keys of a plan are so big that their move stalls a node? Reads only, in portions that a node answers in a
 * fraction of a millisecond.
 *
 * Asking for the size of every key would take longer than moving the small ones. So the memory that a node uses is
 * held against what a few of its keys weigh: where nothing is left over that could hide a big key, that is the answer,
 * and only where there is, many more keys are looked at.
 */
import {NodeError} from '../errors.ts'
import {BIG_KEY_BYTES, byStall, expectedStallMs} from '../plan/big-keys.ts'
import type {BigKey, BigKeySurvey, SlotMove} from '../plan/plan.ts'
import type {NodeId, ServerInfo} from '../topology/model.ts'
import {serverInfoOf} from '../topology/queries.ts'
import type {NodePort} from './cluster-port.ts'
import {peopledDatabases} from './peopled-databases.ts'
import type {ClusterSession} from './session.ts'
import {spread} from './spread.ts'
import {mapBounded} from './waiting.ts'

export interface BigKeyOptions {
  /** Default BIG_KEY_BYTES. */
  readonly thresholdBytes?: number | undefined
  /** Look at every key however long it takes, since the operator relies on the answer. */
  readonly isThorough?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** Keys measured at once: 0.4 ms of a busy node's time. */
const PORTION_KEYS = 200
/** On the way at once to each node, so that one is answered while the next travels. */
const PORTIONS_IN_FLIGHT = 2
/** The first look: 20 to 50 ms in all. Many slots rather than many keys, since keys of a slot are often of one kind. */
const SAMPLED_SLOTS = 128
const SAMPLED_KEYS = 512
/** The second look, where the first leaves something unexplained; in time, it is bounded for all nodes together. */
const SEARCHED_KEYS = 100_000
const SEARCH_MS = 1000
/** GETKEYSINSLOT has no cursor: what one answer may hold. 1000 keys took 0.9 ms of a busy node's time. */
const LISTED_AT_MOST = 1000
const LISTED_AT_MOST_THOROUGHLY = 10_000
const STRIDE = 16
/** An empty server in cluster mode uses more than this before it holds anything. */
const STARTUP_BYTES = 2 ** 20
/** What a key costs beside what MEMORY USAGE tells: its place in the hash table, an expiry, an entry by slot. */
const BYTES_BESIDE_KEY = 64
/** Keys from this part of the threshold on are counted one by one and do not stand for others. */
const RARE_PART = 1 / 16

/**
 * Looks at the keys of `moves` at their sources.
 * @throws NodeError as the nodes answer; a user who may not ask for sizes gets an empty answer that is not complete,
 *   unless `isThorough`.
 */
export async function findBigKeys(
  session: ClusterSession,
  moves: readonly SlotMove[],
  options: BigKeyOptions = {},
): Promise<BigKeySurvey> {
  const {thresholdBytes = BIG_KEY_BYTES, isThorough = false} = options
  const endsAtMs = performance.now() + SEARCH_MS
  const sources = [...new Set(moves.map(({from}) => from))]
  const looks = await mapBounded(sources, 128, async (id) => {
    const own = moves.filter(({from}) => from === id)
    const look = new SourceLook(session, session.node(id), own, {...options, thresholdBytes, isThorough, endsAtMs})
    try {
      await look.run()
    } catch (error) {
      if (isThorough || !(error instanceof NodeError && error.failure === 'permission')) throw error
      look.giveUp()
    }
    return look
  })
  const found = await mapBounded(looks, 128, (look) => withTypes(session.node(look.source), look.found))
  const keys = found.flat().sort(byStall)
  const sum = (of: (look: SourceLook) => number): number => looks.reduce((total, look) => total + of(look), 0)
  return {
    thresholdBytes,
    keys,
    left: [],
    keysLookedAt: sum((look) => look.keysLookedAt),
    keysThere: sum((look) => (look.isComplete ? look.keysLookedAt : Math.max(look.keysThere, look.keysLookedAt))),
    isComplete: looks.every((look) => look.isComplete),
    mayHideOthers: looks.some((look) => look.mayHideOthers),
    nodeTimeoutMs: await readNodeTimeout(session, keys),
  }
}

interface LookOptions {
  readonly thresholdBytes: number
  readonly isThorough: boolean
  readonly endsAtMs: number
  readonly signal?: AbortSignal | undefined
}

/** The keys that leave one node. */
class SourceLook {
  readonly #source: NodePort
  readonly #moves: readonly SlotMove[]
  readonly #options: LookOptions
  readonly #found = new Map<string, BigKey>()
  #tally = new Tally()
  readonly #info: ServerInfo | undefined
  readonly #keysOnNode: number
  keysThere = 0
  isComplete = true
  mayHideOthers = false

  constructor(session: ClusterSession, source: NodePort, moves: readonly SlotMove[], options: LookOptions) {
    this.#source = source
    this.#moves = moves
    this.#options = options
    this.#info = serverInfoOf(session.topology, source.id)
    this.#keysOnNode = [...(this.#info?.keysByDatabase.values() ?? [])].reduce((sum, count) => sum + count, 0)
  }

  get source(): NodeId {
    return this.#source.id
  }

  get found(): BigKey[] {
    return [...this.#found.values()]
  }

  get keysLookedAt(): number {
    return this.#tally.keys
  }

  giveUp(): void {
    this.isComplete = false
    this.mayHideOthers = true
  }

  async run(): Promise<void> {
    const {isThorough, thresholdBytes, endsAtMs} = this.#options
    const info = this.#info
    if (info && (this.#keysOnNode === 0 || (this.#bytesHeld ?? Infinity) < thresholdBytes)) return
    const databases = await peopledDatabases(this.#source, info)
    if (isThorough) {
      await this.#estimateKeys(this.#moves, databases)
      await this.#look(this.#moves, databases, LISTED_AT_MOST_THOROUGHLY, () => true)
      this.mayHideOthers = !this.isComplete
      return
    }
    const sampled = spread(this.#moves, SAMPLED_SLOTS)
    await this.#estimateKeys(sampled, databases)
    await this.#look(sampled, databases, Math.ceil(SAMPLED_KEYS / sampled.length / databases.length), () => true)
    if (sampled.length < this.#moves.length) this.isComplete = false
    if (this.isComplete || this.#isExplained) return
    this.#tally = new Tally()
    this.isComplete = true
    const perSlot = Math.min(LISTED_AT_MOST, Math.ceil(SEARCHED_KEYS / this.#moves.length / databases.length))
    await this.#look(this.#moves, databases, perSlot, () => performance.now() < endsAtMs && !this.#isExplained)
    this.mayHideOthers = !this.isComplete && !this.#isExplained
  }

  get #bytesHeld(): number | undefined {
    const used = this.#info?.usedMemoryBytes
    return used === undefined ? undefined : used - STARTUP_BYTES
  }

  /** Do the keys looked at leave too little of the memory in use for one more big key? */
  get #isExplained(): boolean {
    const unexplained = (this.#bytesHeld ?? Infinity) - this.#tally.explain(this.#keysOnNode)
    return unexplained < this.#options.thresholdBytes
  }

  async #estimateKeys(sampled: readonly SlotMove[], databases: readonly number[]): Promise<void> {
    let counted = 0
    for (const database of databases) {
      for (const some of inPortions(sampled, PORTION_KEYS)) {
        const counts = await Promise.all(some.map(({slot}) => this.#source.countKeys(slot, database)))
        counted += counts.reduce((sum, count) => sum + count, 0)
      }
    }
    this.keysThere = Math.round((counted * this.#moves.length) / sampled.length)
  }

  /** At most `perSlot` keys of each slot and database, while `mayGoOn`; whatever is not looked at makes it incomplete. */
  async #look(
    moves: readonly SlotMove[],
    databases: readonly number[],
    perSlot: number,
    mayGoOn: () => boolean,
  ): Promise<void> {
    const inOrder = databases.flatMap((database) =>
      inPortions(moves, Math.max(1, Math.floor(PORTION_KEYS / perSlot))).map((some) => ({database, moves: some})),
    )
    // Here and there, so that a look that is cut short has been everywhere.
    const portions = Array.from({length: STRIDE}, (_, from) => inOrder.filter((_, at) => at % STRIDE === from)).flat()
    await mapBounded(portions, PORTIONS_IN_FLIGHT, async (portion) => {
      this.#options.signal?.throwIfAborted()
      if (!mayGoOn()) {
        this.isComplete = false
        return
      }
      const listed = await Promise.all(
        portion.moves.map(async (move) => {
          const keys = await this.#source.listKeys(move.slot, perSlot, portion.database)
          if (keys.length >= perSlot) this.isComplete = false
          return keys.map((key) => ({move, key}))
        }),
      )
      for (const some of inPortions(listed.flat(), PORTION_KEYS)) await this.#measure(some, portion.database)
    })
  }

  async #measure(listed: readonly {move: SlotMove; key: Buffer}[], database: number): Promise<void> {
    this.#options.signal?.throwIfAborted()
    const sizes = await this.#source.measureKeys(
      listed.map(({key}) => key),
      database,
    )
    const {thresholdBytes} = this.#options
    for (const [index, {move, key}] of listed.entries()) {
      const bytes = sizes[index] ?? 0
      this.#tally.add(bytes, bytes >= thresholdBytes * RARE_PART)
      if (bytes < thresholdBytes) continue
      const keyHex = key.toString('hex')
      this.#found.set(`${database} ${keyHex}`, {...move, database, keyHex, bytes, stallMs: expectedStallMs(bytes)})
    }
  }
}

/** What the keys looked at weigh, to tell what those that were not looked at do. */
class Tally {
  keys = 0
  #common = 0
  #sum = 0
  #sumOfSquares = 0
  #rareBytes = 0

  /** `isRare`: it stands for itself alone. */
  add(bytes: number, isRare: boolean): void {
    this.keys++
    if (isRare) {
      this.#rareBytes += bytes
      return
    }
    this.#common++
    this.#sum += bytes
    this.#sumOfSquares += bytes * bytes
  }

  /** The bytes that `count` keys like these take, generously: the mean is taken two standard errors higher than seen. */
  explain(count: number): number {
    if (this.#common === 0) return this.#rareBytes
    const mean = this.#sum / this.#common
    const variance = Math.max(0, this.#sumOfSquares / this.#common - mean * mean)
    return this.#rareBytes + count * (mean + 2 * Math.sqrt(variance / this.#common) + BYTES_BESIDE_KEY)
  }
}

/** Big keys are few: their types, on which the stall depends, are worth a look. */
async function withTypes(source: NodePort, keys: readonly BigKey[]): Promise<BigKey[]> {
  const databases = [...new Set(keys.map(({database}) => database))]
  const typed: BigKey[] = []
  for (const database of databases) {
    const own = keys.filter((key) => key.database === database)
    for (const portion of inPortions(own, PORTION_KEYS)) typed.push(...(await readTypes(source, portion, database)))
  }
  return typed
}

async function readTypes(source: NodePort, keys: readonly BigKey[], database: number): Promise<BigKey[]> {
  try {
    const names = keys.map(({keyHex}) => Buffer.from(keyHex, 'hex'))
    const types = await source.readKeyTypes(names, database)
    return keys.map((key, index) => {
      const type = types[index]
      return type === undefined ? key : {...key, type, stallMs: expectedStallMs(key.bytes, type)}
    })
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'permission') return [...keys]
    throw error
  }
}

/** The shortest of the nodes that the keys stall; undefined where none of them tells. */
async function readNodeTimeout(session: ClusterSession, keys: readonly BigKey[]): Promise<number | undefined> {
  const ids = [...new Set(keys.flatMap(({from, to}) => [from, to]))]
  const told = await mapBounded(ids, 128, async (id) => {
    try {
      return Number((await session.node(id).readConfig('cluster-node-timeout')) ?? Number.NaN)
    } catch (error) {
      if (error instanceof NodeError && error.failure === 'permission') return Number.NaN
      throw error
    }
  })
  const times = told.filter((time) => time > 0)
  return times.length > 0 ? Math.min(...times) : undefined
}

function inPortions<T>(items: readonly T[], size: number): T[][] {
  return Array.from({length: Math.ceil(items.length / size)}, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
