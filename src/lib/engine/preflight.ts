/**
 * Is the cluster fit for a plan of slot moves? Asked before the plan is shown and again before the first mark is set:
 * reads, and one MIGRATE a pair that moves nothing. All that stands in the way is told at once.
 */
import {NodeError, RefusedError} from '../errors.ts'
import type {MovePlan, SlotMove} from '../plan/plan.ts'
import {formatRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress} from '../topology/model.ts'
import {serverInfoOf, slotsOf} from '../topology/queries.ts'
import {isUnderWay} from './atomic-mover.ts'
import type {SlotMigration} from './cluster-port.ts'
import type {Pair} from './drain.ts'
import type {EngineListener} from './events.ts'
import {judgeFollowers} from './followers.ts'
import {judgeRoom} from './memory-room.ts'
import {countInAllDatabases} from './migrate-mover.ts'
import {judgeRights, type RightsOptions} from './missing-rights.ts'
import {judgePayloads} from './payload-fitness.ts'
import {type PlannedPair, pairsOf} from './planned-pairs.ts'
import type {ClusterSession} from './session.ts'
import {spread} from './spread.ts'
import {joinVerdicts, NOTHING_TO_SAY, type Verdict} from './verdict.ts'
import {mapBounded, pollUntil} from './waiting.ts'
import {wavesOf} from './waves.ts'

/** A key larger than this is not used as the probe: the source would stall for it. */
const PROBE_MAX_BYTES = 64 * 1024
const PROBE_TIMEOUT_MS = 3000
const PROBED_SLOTS = 8
/** Where a key for the probe is looked for, at the least. */
const SEARCHED_SLOTS = 256

export interface PreflightOptions extends RightsOptions {
  /** Keys by slot, of sources that were asked; where it is absent, some slots are. */
  readonly counts?: ReadonlyMap<number, number> | undefined
}

/** Changes nothing. @throws NodeError when a node does not answer. */
export async function lookBeforeMoves(
  session: ClusterSession,
  plan: MovePlan,
  options: PreflightOptions = {},
): Promise<Verdict> {
  if (plan.moves.length === 0) return NOTHING_TO_SAY
  const pairs = pairsOf(plan)
  const verdicts = await Promise.all([
    judgeRights(session, pairs, options),
    ...[
      judgePairs(session, pairs, options),
      judgeFollowers(session, pairs),
      judgePayloads(session, pairs),
      judgeRoom(session, plan, pairs),
    ].map((judging) => judging.catch(obstacleWhereDenied)),
  ])
  return joinVerdicts(withoutEchoes(verdicts))
}

/** What could not be asked for want of a right. */
function obstacleWhereDenied(error: unknown): Verdict {
  if (!(error instanceof NodeError && error.failure === 'permission')) throw error
  const {message, address} = error
  const suggestions = ['On every node: rcluster acl reshard']
  return {
    obstacles: [{about: 'rights', message, suggestions, details: {node: address}, cause: error}],
    warnings: [],
  }
}

/** Whatever else fails for want of a right is told by the rights, if they tell. */
function withoutEchoes(verdicts: readonly Verdict[]): Verdict[] {
  const isDenied = (cause: unknown): boolean => cause instanceof NodeError && cause.failure === 'permission'
  const isTold = verdicts.some(({obstacles}) =>
    obstacles.some(({about, cause}) => about === 'rights' && !isDenied(cause)),
  )
  return verdicts.map((verdict) => ({
    ...verdict,
    obstacles: verdict.obstacles.filter(({cause}) => !(isTold && isDenied(cause))),
  }))
}

/** A MIGRATE holds its source: two nodes that try the way to each other at once would wait for one another in vain. */
async function judgePairs(
  session: ClusterSession,
  pairs: readonly PlannedPair[],
  options: PreflightOptions,
): Promise<Verdict> {
  const verdicts: Verdict[] = []
  for (const wave of wavesOf(pairs, (pair) => pair)) {
    verdicts.push(...(await mapBounded(wave, 64, (pair) => judgePair(session, pair, options))))
  }
  return joinVerdicts(verdicts)
}

async function judgePair(
  session: ClusterSession,
  {from, to, isAtomic, moves}: PlannedPair,
  {counts}: PreflightOptions,
): Promise<Verdict> {
  const [source, target] = [session.node(from), session.node(to)]
  const databaseCount = await source.readDatabaseCount()
  const pair: Pair = {source, target, targetAddress: await session.wayBetween(from, to), databaseCount}
  const databases = await judgeDatabases(pair)
  // Servers that move slots by themselves find their own way; should they fail, MIGRATE is tried without a probe.
  if (databases.obstacles.length > 0 || isAtomic) return databases
  if (serverInfoOf(session.topology, from)?.keysByDatabase.size === 0) return databases
  const slots = await slotsForProbe(session, pair, moves, counts)
  const first = await judgeRoute(pair, slots)
  if (!first.obstacles.some(isNobodyThere)) return first
  // A host with several addresses: we may have reached it at one that the source does not.
  for (const targetAddress of await session.waysTo(to)) {
    if (formatAddress(targetAddress) === formatAddress(pair.targetAddress)) continue
    const verdict = await judgeRoute({...pair, targetAddress}, slots)
    if (verdict.obstacles.length > 0) continue
    session.proveWay(from, to, targetAddress)
    return verdict
  }
  return first
}

function isNobodyThere({about, cause}: Verdict['obstacles'][number]): boolean {
  return about === 'route' && cause instanceof NodeError && cause.failure === 'io'
}

async function judgeDatabases({source, target, databaseCount}: Pair): Promise<Verdict> {
  const there = await target.readDatabaseCount()
  if (there >= databaseCount) return NOTHING_TO_SAY
  return {
    obstacles: [
      {
        about: 'databases',
        message: `${formatAddress(target.address)} has ${there} databases and ${formatAddress(source.address)} has ${databaseCount}`,
        suggestions: ['Give all nodes the same number of cluster-databases'],
      },
    ],
    warnings: [],
  }
}

/**
 * Slots with keys that are not open: those of the plan, else any other of the source, since slots that are empty now may
 * have keys when they move. A source without a key proves nothing.
 */
async function slotsForProbe(
  session: ClusterSession,
  {source, databaseCount}: Pair,
  moves: readonly SlotMove[],
  counts: ReadonlyMap<number, number> | undefined,
): Promise<number[]> {
  const isOpen = new Set(session.topology.openSlots.map(({slot}) => slot))
  const findFilled = async (slots: readonly number[], known?: ReadonlyMap<number, number>): Promise<number[]> => {
    const closed = slots.filter((slot) => !isOpen.has(slot))
    const asked = known ? closed : spread(closed, SEARCHED_SLOTS)
    const keys = known
      ? asked.map((slot) => known.get(slot) ?? 0)
      : await Promise.all(asked.map((slot) => countInAllDatabases(source, slot, databaseCount)))
    return asked.filter((_, index) => (keys[index] ?? 0) > 0)
  }
  const planned = await findFilled(
    moves.map(({slot}) => slot),
    counts,
  )
  return planned.length > 0 ? planned : findFilled(slotsInRanges(slotsOf(session.topology, source.id)))
}

/**
 * MIGRATE with COPY of a real key to a target that is not importing its slot: the target refuses it with MOVED, which
 * proves address, login and network. A missing key would prove nothing, since the source then answers NOKEY without
 * connecting (seen on 7.0).
 */
async function judgeRoute(pair: Pair, slots: readonly number[]): Promise<Verdict> {
  for (const slot of slots.slice(0, PROBED_SLOTS)) {
    for (let database = 0; database < pair.databaseCount; database++) {
      const key = await findSmallKey(pair, slot, database)
      const verdict = key && (await probe(pair, key, database))
      if (verdict) return verdict
    }
  }
  return NOTHING_TO_SAY
}

/** undefined when there is none, or our user may not look. */
async function findSmallKey({source}: Pair, slot: number, database: number): Promise<Buffer | undefined> {
  try {
    const keys = await source.listKeys(slot, 4, database)
    const sizes = await source.measureKeys(keys, database)
    return keys.find((_, index) => (sizes[index] ?? Number.POSITIVE_INFINITY) <= PROBE_MAX_BYTES)
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'permission') return undefined
    throw error
  }
}

/** undefined when the key went away meanwhile. */
async function probe(pair: Pair, key: Buffer, database: number): Promise<Verdict | undefined> {
  try {
    await pair.source.migrateKeys({
      target: pair.targetAddress,
      targetLogin: pair.target.peerLogin,
      keys: [key],
      database,
      timeoutMs: PROBE_TIMEOUT_MS,
      isReplacing: false,
      isCopying: true,
    })
    return undefined
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    if (error.isFromTarget && (error.failure === 'moved' || error.failure === 'busy-key')) return NOTHING_TO_SAY
    const source = formatAddress(pair.source.address)
    const target = formatAddress(pair.targetAddress)
    return {
      obstacles: [
        {
          about: 'route',
          message: `${source} cannot move keys to ${target}: ${error.message}`,
          suggestions: [suggestionOn(error, source, target)],
          details: {source, target, failure: error.failure},
          cause: error,
        },
      ],
      warnings: [],
    }
  }
}

function suggestionOn({failure, isFromTarget}: NodeError, source: string, target: string): string {
  if (isFromTarget && (failure === 'auth' || failure === 'permission')) {
    return `Say as whom ${source} is to log in there, in a file for --credentials: migrate-to ${target} USER PASSWORD`
  }
  return `Make ${target} reachable and writable for ${source}, then run the command again`
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
