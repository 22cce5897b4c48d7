/**
 * How does a group of slots travel between two nodes with SETSLOT and MIGRATE? Works on every server.
 *
 * A group goes through its phases together, so that a phase costs one round trip and not one a slot: all IMPORTING at
 * the target, all MIGRATING at the source, the keys slot by slot, all NODE at the target, then NODE at the source and
 * the others. Nothing is pipelined past "the source was seen empty": a target does not check, and the source deletes
 * what it still holds as soon as it learns of the new owner.
 */
import {NodeError} from '../errors.ts'
import {formatSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import {type DrainOptions, drainListed, LIST_LIMIT, listSlot, type Pair} from './drain.ts'
import {isHarmlessAtSource} from './retrying.ts'
import {OwnWord, type Step} from './steps.ts'
import {mapBounded, pause, pollUntil} from './waiting.ts'

/** One slot of a group and what is left to do for it. */
export interface GroupSlot {
  readonly slot: number
  readonly steps: readonly Step['kind'][]
}

/** How far each slot of a group came; kept across retries. */
export interface GroupProgress {
  /**
   * Slot -> the run ID of a source whose copies are the owner's: the target held nothing when this run opened the slot.
   * Of a slot that was open before nothing is known: a run that ended with a key conflict leaves the same marks as one
   * that was killed. A source that restarted, or a replica in its place, may have keys again that had moved.
   */
  readonly sourceIsAuthority: Map<number, string>
  /** Slots that may hold keys on both sides now. */
  readonly begun: Set<number>
  /** Slots that this run marked, or tried to. */
  readonly marked: Set<number>
  /** Slot -> targets where this run set the mark. A mark that was there before is not among them. */
  readonly importedAt: Map<number, Set<NodeId>>
  /** The fewest keys that the source was seen to hold of all of them together. */
  leastKeys: number
}

export function noProgress(): GroupProgress {
  return {
    sourceIsAuthority: new Map(),
    begun: new Set(),
    marked: new Set(),
    importedAt: new Map(),
    leastKeys: Number.POSITIVE_INFINITY,
  }
}

export interface MoverContext {
  readonly pair: Pair
  /** As it was when it was last looked at. */
  readonly sourceRunId: string | undefined
  /** Reached primaries other than source and target. */
  readonly bystanders: readonly NodePort[]
  /** Told of a bystander that does not answer: it need not be waited for again. */
  readonly onSilent?: ((node: NodePort) => void) | undefined
  readonly drain: DrainOptions
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
  for (const {slot} of [...having('set-importing'), ...having('set-migrating')]) progress.marked.add(slot)
  for (const {slot} of having('set-importing')) noteImported(progress, slot, target.id)
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
  const {sourceRunId} = context
  if (sourceRunId !== undefined) {
    for (const {slot, isClean} of strays) if (isClean) progress.sourceIsAuthority.set(slot, sourceRunId)
  }

  await atOnce(having('set-migrating'), ({slot}) => source.setMigrating(slot, target.id))
  const toDrain = slotsOf(having('drain'))
  const keysBySlot = await drainGroup(context, toDrain, progress)
  context.drain.abort?.throwIfAborted()
  await closeGroup(context, group, keysBySlot, progress)
}

function noteImported({importedAt}: GroupProgress, slot: number, target: NodeId): void {
  importedAt.set(slot, (importedAt.get(slot) ?? new Set()).add(target))
}

/** All together, and none is left under way when one fails: a mark that is set late would stay behind unseen. */
function atOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  return mapBounded(items, items.length, work)
}

function slotsOf(group: readonly GroupSlot[]): number[] {
  return group.map(({slot}) => slot)
}

/** What the source holds, over all databases. */
type KeysBySlot = ReadonlyMap<number, number>

async function countAtSource({source, databaseCount}: Pair, slots: readonly number[]): Promise<KeysBySlot> {
  const counts = await atOnce(slots, (slot) => countInAllDatabases(source, slot, databaseCount))
  return new Map(slots.map((slot, index) => [slot, counts[index] as number]))
}

/** Returns when the source was seen to hold no key of these slots. */
async function drainGroup(
  context: MoverContext,
  slots: readonly number[],
  progress: GroupProgress,
): Promise<KeysBySlot> {
  let before: KeysBySlot | undefined
  for (;;) {
    const now = await countAtSource(context.pair, slots)
    const withKeys = slots.filter((slot) => (now.get(slot) ?? 0) > 0)
    const keys = [...now.values()].reduce((sum, count) => sum + count, 0)
    progress.leastKeys = Math.min(progress.leastKeys, keys)
    if (withKeys.length === 0) return now
    for (const slot of withKeys) requireFewer(context.pair, slot, before, now)
    await mapBounded(portionsOf(now, withKeys), PARALLEL_DRAINS, (portion) => drainPortion(context, portion, progress))
    context.drain.abort?.throwIfAborted()
    before = now
  }
}

/** Slots whose keys are listed together; one slot of more keys is a portion of its own. */
function portionsOf(keysBySlot: KeysBySlot, slots: readonly number[]): number[][] {
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
    const isAuthority = (): Promise<boolean> => isStillRunning(pair.source, progress.sourceIsAuthority.get(slot))
    await drainListed(pair, slot, listings[index] ?? [], isAuthority, drain)
  }
}

async function isStillRunning(node: NodePort, runId: string | undefined): Promise<boolean> {
  return runId !== undefined && (await node.readView()).serverInfo.runId === runId
}

/**
 * Every look but the first comes after MIGRATEs that said they moved keys.
 * @throws NodeError, a transient one: the next try marks the slot again, should somebody have taken its mark away.
 */
function requireFewer({source}: Pair, slot: number, before: KeysBySlot | undefined, now: KeysBySlot): void {
  const keys = now.get(slot) ?? 0
  if (keys < (before?.get(slot) ?? Number.POSITIVE_INFINITY)) return
  const address = formatAddress(source.address)
  throw new NodeError(
    'keys-left',
    address,
    `slot ${slot}: ${keys} keys stay on ${address} although MIGRATE says they moved`,
  )
}

/** `keysBySlot`: what the source was seen to hold after the last MIGRATE. */
async function closeGroup(
  context: MoverContext,
  group: readonly GroupSlot[],
  keysBySlot: KeysBySlot,
  progress: GroupProgress,
): Promise<void> {
  const {source, target} = context.pair
  const toAssign = slotsOf(group.filter(({steps}) => steps.includes('assign-target')))
  if (toAssign.length > 0) {
    // The one answer that everything depends on: the source holds no key of these slots, in any database.
    const notSeenEmpty = toAssign.filter((slot) => keysBySlot.get(slot) !== 0)
    if (notSeenEmpty.length > 0) {
      throw new NodeError('keys-left', source.id, `slots ${formatSlots(notSeenEmpty)} may have keys at their source`)
    }
    await requireNoneFallen(context.pair, toAssign, progress)
    await requireGrounds(context.pair, toAssign)
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
    ...context.bystanders.map((node) => tellBystander(context, node, slots)),
  ])
}

/** They learn it from the target's broadcast as well: an unreachable one is no reason to stop, and waited for once. */
async function tellBystander({pair, onSilent}: MoverContext, node: NodePort, slots: readonly number[]): Promise<void> {
  await Promise.all(
    slots.map((slot) =>
      node.assignSlot(slot, pair.target.id).catch((error: unknown) => {
        if (error instanceof NodeError && SILENT.has(error.failure)) onSilent?.(node)
      }),
    ),
  )
}

const SILENT: ReadonlySet<NodeError['failure']> = new Set<NodeError['failure']>([
  'timeout',
  'closed',
  'refused',
  'no-route',
])

/**
 * Which of these slots may a primary remember importing that is down now, and was replaced? On Valkey it comes back with its
 * mark. Finds it the slot gone from the source, it takes the slot, with a new epoch, and so all slots of its shard: what the
 * shard was told since is deleted. While the source has the slot, it hears of its heir and follows it.
 * See docs/decisions/0035-marks-of-the-fallen.md.
 */
export async function rememberedByFallen(
  target: NodePort,
  slots: readonly number[],
  {importedAt}: GroupProgress,
): Promise<{readonly slots: readonly number[]; readonly fallen: string} | undefined> {
  const isFresh = (slot: number): boolean => importedAt.get(slot)?.size === 1 && importedAt.get(slot)!.has(target.id)
  const remembered = slots.filter((slot) => !isFresh(slot))
  if (remembered.length === 0) return undefined
  // As long as the target holds it for failed, it has not heard from the target.
  const {serverInfo, entries} = await target.readView()
  if (serverInfo.flavour === 'redis' && serverInfo.version !== '') return undefined
  const fallen = entries.find(
    ({isMyself, role, flags, ranges}) =>
      !isMyself && role === 'primary' && ranges.length === 0 && (flags.has('failed') || flags.has('suspected')),
  )
  return fallen && {slots: remembered, fallen: formatAddress(fallen.announced)}
}

/** @throws NodeError 'try-again' until the node is back, or the cluster has forgotten it. */
async function requireNoneFallen({target}: Pair, slots: readonly number[], progress: GroupProgress): Promise<void> {
  const remembered = await rememberedByFallen(target, slots, progress)
  if (!remembered) return
  const which = formatSlots(remembered.slots)
  throw new NodeError(
    'try-again',
    target.id,
    `${remembered.fallen}, which is down, may take slots ${which} back when it returns, and its shard with them: start it, or give it up with rcluster forget`,
  )
}

/**
 * "Seen empty" means something only while no client can create a key there: as long as the source leads its shard and
 * marks the slots, and the target, which has to mark them too, or it would take them without a new epoch, knows the
 * source as their owner and its config epoch, above which it goes. A failover, a restart from an old picture or a
 * SETSLOT by other hands in between changes one of these.
 * @throws NodeError 'try-again' when it does not hold: whoever looks again sees what is left to do.
 */
async function requireGrounds({source, target}: Pair, slots: readonly number[]): Promise<void> {
  let lack = ''
  const isGrounded = await pollUntil(
    async () => {
      const [atSource, atTarget] = await Promise.all([source.readView(), target.readView()])
      const [own, theirs] = [new OwnWord(atSource), new OwnWord(atTarget)]
      const unmarked = slots.filter(
        (slot) => own.about(slot).migratingTo !== target.id || theirs.about(slot).importingFrom !== source.id,
      )
      if (unmarked.length > 0) {
        throw new NodeError('try-again', source.id, `the marks of slots ${formatSlots(unmarked)} were taken away`)
      }
      const sourceEpoch = atSource.clusterInfo.myEpoch
      // The servers are about to settle that by themselves, and may raise the source's.
      if (sourceEpoch === atTarget.clusterInfo.myEpoch) {
        throw new NodeError('try-again', target.id, `source and target share the config epoch ${sourceEpoch}`)
      }
      const known = atTarget.entries.find(({id}) => id === source.id)
      if (known?.configEpoch !== sourceEpoch) {
        lack = `the target does not know its source's config epoch ${sourceEpoch} yet`
        return undefined
      }
      lack = 'the target knows another owner of the slots, or none'
      return slots.every((slot) => known.ranges.some(({start, end}) => start <= slot && slot <= end)) ? true : undefined
    },
    {deadlineMs: EPOCH_DEADLINE_MS},
  )
  if (!isGrounded) throw new NodeError('try-again', target.id, lack)
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
