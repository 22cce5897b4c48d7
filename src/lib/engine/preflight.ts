/**
 * Can these pairs of nodes move slots at all? Asked before the first mark is set: reads, and one MIGRATE a pair that
 * moves nothing.
 */
import {NodeError, RefusedError} from '../errors.ts'
import type {MovePlan} from '../plan/plan.ts'
import {formatRanges} from '../slots/slot-ranges.ts'
import {formatAddress} from '../topology/model.ts'
import {isUnderWay} from './atomic-mover.ts'
import type {SlotMigration} from './cluster-port.ts'
import type {Pair} from './drain.ts'
import type {EngineListener} from './events.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded, pollUntil} from './waiting.ts'

/** A key larger than this is not used as the probe: the source would stall for it. */
const PROBE_MAX_BYTES = 64 * 1024
const PROBE_TIMEOUT_MS = 3000

export interface PairToProbe {
  readonly pair: Pair
  /** Slots of the pair that hold keys and are not open at the target, any of them serves the probe. */
  readonly slotsWithKeys: readonly number[]
}

/** @throws RefusedError 'target-unfit' saying which node cannot reach, log in to or write to which other, and why. */
export async function requireMovable(pairs: readonly PairToProbe[]): Promise<void> {
  await mapBounded(pairs, 64, async ({pair, slotsWithKeys}) => {
    await requireDatabases(pair)
    await requireMemory(pair)
    await requireRoute(pair, slotsWithKeys)
  })
}

async function requireDatabases({source, target, databaseCount}: Pair): Promise<void> {
  const there = await target.readDatabaseCount()
  if (there >= databaseCount) return
  throw new RefusedError(
    'target-unfit',
    `${formatAddress(target.address)} has ${there} databases and ${formatAddress(source.address)} has ${databaseCount}`,
    {suggestions: ['Give all nodes the same number of cluster-databases']},
  )
}

async function requireMemory({target}: Pair): Promise<void> {
  const {serverInfo} = await target.readView()
  const {usedMemoryBytes: used, maxMemoryBytes: max, maxMemoryPolicy: policy} = serverInfo
  if (used === undefined || !max || policy !== 'noeviction' || used < max) return
  throw new RefusedError(
    'target-unfit',
    `${formatAddress(target.address)} is at its maxmemory (${used} of ${max} bytes) and cannot take keys`,
    {suggestions: ['Raise maxmemory there, or move the slots to another primary']},
  )
}

/**
 * MIGRATE with COPY of a real key to a target that is not importing its slot: the target refuses it with MOVED, which
 * proves address, login and network. A missing key would prove nothing, since the source then answers NOKEY without
 * connecting (seen on 7.0).
 */
async function requireRoute(pair: Pair, slots: readonly number[]): Promise<void> {
  for (const slot of slots.slice(0, 8)) {
    for (let database = 0; database < pair.databaseCount; database++) {
      const keys = await pair.source.listKeys(slot, 4, database)
      const sizes = await pair.source.measureKeys(keys, database)
      const key = keys.find((_, index) => (sizes[index] ?? Number.POSITIVE_INFINITY) <= PROBE_MAX_BYTES)
      if (!key) continue
      if ((await probe(pair, key, database)) === 'proved') return
    }
  }
}

async function probe(pair: Pair, key: Buffer, database: number): Promise<'proved' | 'gone'> {
  try {
    await pair.source.migrateKeys({
      target: pair.targetAddress,
      targetWantsLogin: pair.target.wantsLogin,
      keys: [key],
      database,
      timeoutMs: PROBE_TIMEOUT_MS,
      isReplacing: false,
      isCopying: true,
    })
    return 'gone'
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    if (error.isFromTarget && (error.failure === 'moved' || error.failure === 'busy-key')) return 'proved'
    const source = formatAddress(pair.source.address)
    const target = formatAddress(pair.targetAddress)
    throw new RefusedError('target-unfit', `${source} cannot move keys to ${target}: ${error.message}`, {
      details: {source, target, failure: error.failure},
      suggestions: [`Make ${target} reachable and writable for ${source}, then run the command again`],
      cause: error,
    })
  }
}

/** A migration that a killed run left behind ends by itself, within seconds. */
const FOREIGN_DEADLINE_MS = 30_000

/**
 * Servers may be moving slots by themselves: begun by a run of ours that was killed, or by somebody else. The plan's
 * nodes are waited for until they are done with that.
 * @throws RefusedError 'busy' when they are not in time.
 */
export async function waitForForeignMigrations(
  session: ClusterSession,
  plan: MovePlan,
  listener: EngineListener,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ids = [...new Set(plan.moves.flatMap(({from, to}) => [from, to]))]
  const read = async (): Promise<SlotMigration | undefined> => {
    const lists = await mapBounded(ids, 128, async (id) => {
      try {
        return await session.node(id).listSlotMigrations()
      } catch (error) {
        // Who may not look may not begin one either, and goes key by key, which the servers refuse while one is under way.
        if (error instanceof NodeError && error.failure === 'permission') return []
        throw error
      }
    })
    return lists.flat().find(isUnderWay)
  }
  let underWay = await read()
  if (!underWay) return
  listener({kind: 'phase', text: `Waiting for a slot migration that is under way (${formatRanges(underWay.ranges)})`})
  await pollUntil(
    async () => {
      underWay = await read()
      return underWay ? undefined : true
    },
    {deadlineMs: FOREIGN_DEADLINE_MS, signal},
  )
  signal?.throwIfAborted()
  if (!underWay) return
  const ranges = formatRanges(underWay.ranges)
  throw new RefusedError(
    'busy',
    `another slot migration is under way on these nodes: slots ${ranges}, ${underWay.stage}`,
    {
      details: {migration: underWay.id, slots: ranges},
      suggestions: ['Wait until it is done, or cancel it where it was begun'],
    },
  )
}
