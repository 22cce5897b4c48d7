/**
 * How does a group of slots travel between two nodes with SETSLOT and MIGRATE? Works on every server.
 *
 * A group goes through its phases together, so that a phase costs one round trip and not one a slot: all IMPORTING at
 * the target, all MIGRATING at the source, the keys slot by slot, all NODE at the target, then NODE at the source and
 * the others. Nothing is pipelined past "the source was seen empty": a target does not check, and the source deletes
 * what it still holds as soon as it learns of the new owner.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import {formatAddress} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import {type DrainOptions, drainListed, LIST_LIMIT, listSlot, type Pair} from './drain.ts'
import {isHarmlessAtSource} from './retrying.ts'
import type {Step} from './steps.ts'
import {mapBounded, pause, pollUntil} from './waiting.ts'

/** One slot of a group and what is left to do for it. */
export interface GroupSlot {
  readonly slot: number
  readonly steps: readonly Step['kind'][]
}

/** How far each slot of a group came; kept across retries. */
export interface GroupProgress {
  /**
   * The target held nothing of it when this run opened it: the source's copies are the owner's. Of a slot that was open
   * before nothing is known: a run that ended with a key conflict leaves the same marks as one that was killed.
   */
  readonly sourceIsAuthority: Set<number>
  /** Slots that may hold keys on both sides now. */
  readonly begun: Set<number>
}

export interface MoverContext {
  readonly pair: Pair
  /** Reached primaries other than source and target. */
  readonly bystanders: readonly NodePort[]
  readonly drain: DrainOptions
  /** The config epoch of the source that the target was last seen to know. */
  knownSourceEpoch: number
}

/** Portions of a group that are on their way at the same time: one is listed while the other's keys move. */
const PARALLEL_DRAINS = 2
const EPOCH_DEADLINE_MS = 5000

/**
 * Carries out the steps that are left for each slot.
 * @throws NodeError or InterruptedError; look again before going on, some steps may have been done.
 */
export async function moveGroup(
  context: MoverContext,
  group: readonly GroupSlot[],
  progress: GroupProgress,
): Promise<void> {
  const {source, target, databaseCount} = context.pair
  const having = (kind: Step['kind']): GroupSlot[] => group.filter(({steps}) => steps.includes(kind))
  await atOnce(having('name-source'), ({slot}) => target.assignSlot(slot, source.id))
  const strays = await atOnce(having('set-importing'), async ({slot}) => {
    // Keys of the slot that are there now were not brought by this move. Sent behind the mark, since Redis 8.6 hides
    // stray keys of a slot that is not its own, and not after its answer: the source sends no client there yet.
    const marking = target.setImporting(slot, source.id)
    const counting = countInAllDatabases(target, slot, databaseCount)
    counting.catch(() => undefined)
    await marking
    return {slot, isClean: (await counting) === 0}
  })
  for (const {slot, isClean} of strays) if (isClean) progress.sourceIsAuthority.add(slot)

  await atOnce(having('set-migrating'), ({slot}) => source.setMigrating(slot, target.id))
  const toDrain = slotsOf(having('drain'))
  const sight = toDrain.length > 0 ? await drainGroup(context, toDrain, progress) : undefined
  context.drain.abort?.throwIfAborted()
  await closeGroup(context, group, sight)
}

/** All together, and none is left under way when one fails: a mark that is set late would stay behind unseen. */
function atOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  return mapBounded(items, items.length, work)
}

function slotsOf(group: readonly GroupSlot[]): number[] {
  return group.map(({slot}) => slot)
}

/** What a source says of slots that are marked as MIGRATING: no client can create a key of them there any more. */
interface SourceSight {
  readonly epoch: number
  /** The target has the same: the servers are about to settle that by themselves, and may raise the source's. */
  readonly isEpochShared: boolean
  /** Over all databases. */
  readonly keysBySlot: ReadonlyMap<number, number>
}

async function lookAtSource({pair}: MoverContext, slots: readonly number[]): Promise<SourceSight> {
  const [{myEpoch}, targetInfo, counts] = await Promise.all([
    pair.source.readClusterInfo(),
    pair.target.readClusterInfo(),
    atOnce(slots, (slot) => countInAllDatabases(pair.source, slot, pair.databaseCount)),
  ])
  const keysBySlot = new Map(slots.map((slot, index) => [slot, counts[index] as number]))
  return {epoch: myEpoch, isEpochShared: myEpoch === targetInfo.myEpoch, keysBySlot}
}

/** Returns when the source was seen to hold no key of these slots. */
async function drainGroup(
  context: MoverContext,
  slots: readonly number[],
  progress: GroupProgress,
): Promise<SourceSight> {
  let before: SourceSight | undefined
  for (;;) {
    const sight = await lookAtSource(context, slots)
    const withKeys = [...sight.keysBySlot].filter(([, keys]) => keys > 0).map(([slot]) => slot)
    if (withKeys.length === 0) return sight
    for (const slot of withKeys) requireFewer(context.pair, slot, before, sight)
    await mapBounded(portionsOf(sight, withKeys), PARALLEL_DRAINS, (portion) =>
      drainPortion(context, portion, progress),
    )
    context.drain.abort?.throwIfAborted()
    before = sight
  }
}

/** Slots whose keys are listed together; one slot of more keys is a portion of its own. */
function portionsOf({keysBySlot}: SourceSight, slots: readonly number[]): number[][] {
  const portions: number[][] = []
  let keys = 0
  for (const slot of slots) {
    const count = keysBySlot.get(slot) ?? 0
    const portion = portions.at(-1)
    if (portion && keys + count <= LIST_LIMIT) {
      portion.push(slot)
      keys += count
    } else {
      portions.push([slot])
      keys = count
    }
  }
  return portions
}

/** One slot after the other: while keys are on both sides, clients cannot use several of them in one command. */
async function drainPortion(
  {pair, drain}: MoverContext,
  slots: readonly number[],
  progress: GroupProgress,
): Promise<void> {
  const listings = await atOnce(slots, (slot) => listSlot(pair, slot, drain.slotsWithBigKeys?.has(slot) ?? false))
  for (const [index, slot] of slots.entries()) {
    progress.begun.add(slot)
    await drainListed(pair, slot, listings[index] ?? [], progress.sourceIsAuthority.has(slot), drain)
  }
}

/** Every look but the first comes after MIGRATEs that said they moved keys. */
function requireFewer({source}: Pair, slot: number, before: SourceSight | undefined, now: SourceSight): void {
  const keys = now.keysBySlot.get(slot) ?? 0
  if (keys < (before?.keysBySlot.get(slot) ?? Number.POSITIVE_INFINITY)) return
  throw new InterruptedError(
    `slot ${slot}: ${keys} keys stay on ${formatAddress(source.address)} although MIGRATE says they moved`,
  )
}

/** `sight`: the source, seen when all keys had moved; undefined when the target has the slots already. */
async function closeGroup(
  context: MoverContext,
  group: readonly GroupSlot[],
  sight: SourceSight | undefined,
): Promise<void> {
  const {source, target} = context.pair
  const toAssign = slotsOf(group.filter(({steps}) => steps.includes('assign-target')))
  if (toAssign.length > 0) {
    // The one answer that everything depends on: the source holds no key of these slots, in any database.
    const notSeenEmpty = toAssign.filter((slot) => sight?.keysBySlot.get(slot) !== 0)
    if (!sight || notSeenEmpty.length > 0) {
      throw new NodeError('keys-left', source.id, `slots ${formatSlots(notSeenEmpty)} may have keys at their source`)
    }
    if (sight.isEpochShared) {
      throw new NodeError('try-again', target.id, `source and target share the config epoch ${sight.epoch}`)
    }
    await requireTargetKnows(context, sight.epoch)
    await atOnce(toAssign, (slot) => target.assignSlot(slot, target.id))
  }
  const slots = slotsOf(group.filter(({steps}) => steps.includes('assign-source')))
  if (slots.length > 0) await requireHigherEpoch(context.pair)
  await Promise.all([
    ...slots.map((slot) =>
      source.assignSlot(slot, target.id).catch((error: unknown) => {
        if (!isHarmlessAtSource(error)) throw error
      }),
    ),
    // They learn it from the target's broadcast as well: an unreachable one is no reason to stop.
    ...context.bystanders.flatMap((node) =>
      slots.map((slot) => node.assignSlot(slot, target.id).catch(() => undefined)),
    ),
  ])
}

/** The target bumps its epoch above those that it knows, so it has to know the source's. */
async function requireTargetKnows(context: MoverContext, sourceEpoch: number): Promise<void> {
  if (context.knownSourceEpoch === sourceEpoch) return
  const {source, target} = context.pair
  const known = await pollUntil(
    async () => {
      const {entries} = await target.readView()
      return entries.some((entry) => entry.id === source.id && entry.configEpoch === sourceEpoch) ? true : undefined
    },
    {deadlineMs: EPOCH_DEADLINE_MS},
  )
  if (!known) {
    throw new NodeError('try-again', target.id, `the target does not know its source's config epoch ${sourceEpoch} yet`)
  }
  context.knownSourceEpoch = sourceEpoch
}

/** Asked on a retry as well: the target may have taken the slots in the try before, and too low. */
async function requireHigherEpoch({source, target}: Pair): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const [own, sources] = await Promise.all([target.readClusterInfo(), source.readClusterInfo()])
    if (own.myEpoch > sources.myEpoch) return
    // A source that has yielded its last slot by itself follows the target already, and tells the target's epoch.
    if (own.myEpoch === sources.myEpoch && (await isReplica(source))) return
    await target.bumpEpoch()
  }
  throw new NodeError('try-again', target.id, "the target's config epoch is not above its source's yet")
}

async function isReplica(port: NodePort): Promise<boolean> {
  const {entries} = await port.readView()
  return entries.some((entry) => entry.isMyself && entry.role === 'replica')
}

/**
 * Closes what can be closed after a failure: a slot of which no key has moved goes back to what it was. A slot with
 * keys on both sides stays open, since STABLE there would strand the moved ones.
 * @returns the slots that stay open.
 */
export async function closeUntouched(pair: Pair, slots: readonly number[]): Promise<number[]> {
  const stillOpen: number[] = []
  await mapBounded(slots, 64, async (slot) => {
    try {
      if (!(await closeIfEmptyAtTarget(pair, slot))) stillOpen.push(slot)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      stillOpen.push(slot)
    }
  })
  return stillOpen.sort((a, b) => a - b)
}

/** A client that was sent to the target a moment ago may still write there. */
const STRAGGLER_MS = 20

async function closeIfEmptyAtTarget({source, target, databaseCount}: Pair, slot: number): Promise<boolean> {
  const hasKeysAtTarget = async (): Promise<boolean> => (await countInAllDatabases(target, slot, databaseCount)) > 0
  if (await hasKeysAtTarget()) return false
  await source.setStable(slot)
  await pause(STRAGGLER_MS)
  if (await hasKeysAtTarget()) {
    await source.setMigrating(slot, target.id)
    return false
  }
  await target.setStable(slot)
  return true
}

/** Keys that `node` holds of the slot. */
export async function countInAllDatabases(node: NodePort, slot: number, databaseCount: number): Promise<number> {
  if (databaseCount === 1) return node.countKeys(slot, 0)
  const counts = await Promise.all(Array.from({length: databaseCount}, (_, database) => node.countKeys(slot, database)))
  return counts.reduce((sum, count) => sum + count, 0)
}
