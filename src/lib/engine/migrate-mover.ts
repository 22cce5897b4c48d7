/**
 * How does a group of slots travel between two nodes with SETSLOT and MIGRATE? Works on every server.
 *
 * A group goes through its phases together, so that a phase costs one round trip and not one a slot: all IMPORTING at
 * the target, all MIGRATING at the source, the keys slot by slot, all NODE at the target, then NODE at the source and
 * the others. Nothing is pipelined past "the source was seen empty": a target does not check, and the source deletes
 * what it still holds as soon as it learns of the new owner.
 */
import {NodeError} from '../errors.ts'
import type {NodePort} from './cluster-port.ts'
import {type DrainOptions, drainSlot, type Pair} from './drain.ts'
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

/** Slots whose keys are on their way at the same time: the next one's listing overlaps this one's MIGRATE. */
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
  const databases = Array.from({length: databaseCount}, (_, database) => database)

  const toDrain = having('drain')

  const strays = await atOnce(having('set-importing'), async ({slot}) => {
    await target.setImporting(slot, source.id)
    // Keys of the slot that are there now were not brought by this move.
    const counts = await Promise.all(databases.map((database) => target.countKeys(slot, database)))
    return {slot, isClean: counts.every((count) => count === 0)}
  })
  for (const {slot, isClean} of strays) if (isClean) progress.sourceIsAuthority.add(slot)

  const keysAtSource = (slot: number): Promise<number> => countInAllDatabases(source, slot, databaseCount)
  await atOnce(having('set-migrating'), ({slot}) => source.setMigrating(slot, target.id))
  // From here on no client can create a key of these slots at the source.
  const counted = await Promise.all(toDrain.map(async ({slot}) => ({slot, keys: await keysAtSource(slot)})))

  await mapBounded(
    counted.filter(({keys}) => keys > 0),
    PARALLEL_DRAINS,
    async ({slot}) => {
      progress.begun.add(slot)
      await drainSlot(context.pair, slot, progress.sourceIsAuthority.has(slot), context.drain)
    },
  )
  context.drain.abort?.throwIfAborted()
  await closeGroup(context, group, keysAtSource)
}

/** All together, and none is left under way when one fails: a mark that is set late would stay behind unseen. */
function atOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  return mapBounded(items, items.length, work)
}

async function closeGroup(
  context: MoverContext,
  group: readonly GroupSlot[],
  keysAtSource: (slot: number) => Promise<number>,
): Promise<void> {
  const {source, target} = context.pair
  const toAssign = group.filter(({steps}) => steps.includes('assign-target')).map(({slot}) => slot)
  if (toAssign.length > 0) {
    // The one answer that everything depends on: the source holds no key of these slots, in any database.
    const [sourceInfo, ...left] = await Promise.all([
      source.readClusterInfo(),
      ...toAssign.map(async (slot) => ({slot, keys: await keysAtSource(slot)})),
    ])
    for (const {slot, keys} of left) {
      if (keys > 0) {
        throw new NodeError('keys-left', context.pair.source.id, `slot ${slot} still has ${keys} keys at its source`)
      }
    }
    await requireTargetKnows(context, sourceInfo.myEpoch)
    await atOnce(toAssign, (slot) => target.assignSlot(slot, target.id))
    await requireHigherEpoch(target, sourceInfo.myEpoch)
  }
  const slots = group.filter(({steps}) => steps.includes('assign-source')).map(({slot}) => slot)
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

async function requireHigherEpoch(target: NodePort, sourceEpoch: number): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const {myEpoch} = await target.readClusterInfo()
    if (myEpoch > sourceEpoch) return
    await target.bumpEpoch()
  }
  throw new NodeError('try-again', target.id, `the target's config epoch stays at or below the source's ${sourceEpoch}`)
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
  const counts = await Promise.all(Array.from({length: databaseCount}, (_, database) => node.countKeys(slot, database)))
  return counts.reduce((sum, count) => sum + count, 0)
}
