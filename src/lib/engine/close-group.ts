/**
 * What becomes of the open slots of a group that cannot go on? No slot stays open that can be closed: those that are empty
 * at their source go forward, those of which nothing has moved go back. The others keep their marks, for a STABLE would
 * strand the keys that have moved.
 */
import {ClusterError} from '../errors.ts'
import {
  closeUntouched,
  countInAllDatabases,
  type GroupProgress,
  type GroupSlot,
  type MoverContext,
  moveGroup,
  rememberedByFallen,
} from './migrate-mover.ts'
import {AstrayError, readOwnWords, type ShardsAtStart} from './shards-at-start.ts'
import type {OwnWord} from './steps.ts'
import {mapBounded} from './waiting.ts'

/**
 * @returns the slots that are at their target now.
 * @throws ClusterError when source or target cannot be asked, or told.
 */
export async function closeWhatCanBe(
  context: MoverContext,
  slots: readonly number[],
  progress: GroupProgress,
  shards: ShardsAtStart,
): Promise<number[]> {
  const {source, target, databaseCount} = context.pair
  const [sourceWord, targetWord] = await readOwnWords(context.pair)
  const left: GroupSlot[] = []
  const astray: number[] = []
  for (const slot of slots) {
    try {
      left.push(...shards.outlooks(sourceWord, targetWord, [slot]))
    } catch (error) {
      if (!(error instanceof AstrayError)) throw error
      astray.push(slot)
    }
  }
  const empty: GroupSlot[] = []
  for (const entry of left) {
    const isBegun = progress.begun.has(entry.slot) || !entry.steps.includes('assign-target')
    if (isBegun && (await countInAllDatabases(source, entry.slot, databaseCount)) === 0) empty.push(entry)
  }
  const hasMoved = await succeeds(() => moveGroup(context, empty, progress))
  const undone = left.filter((entry) => !(hasMoved && empty.includes(entry))).map(({slot}) => slot)
  const isOpen = (slot: number): boolean =>
    sourceWord.about(slot).migratingTo !== undefined || targetWord.about(slot).importingFrom !== undefined
  const untouched = undone.filter((slot) => isOpen(slot) && !targetWord.about(slot).hasClaim)
  // Their marks tell the next run that somebody else may have them, too.
  const kept = new Set((await rememberedByFallen(target, untouched, progress))?.slots)
  await closeUntouched(
    context.pair,
    untouched.filter((slot) => !kept.has(slot)),
  )
  const ours = astray.filter((slot) => progress.marked.has(slot) && isOurMark(targetWord, slot, source.id))
  await mapBounded(ours, 64, async (slot) => {
    // The slot is somebody else's now; keys that are there must not be put out of reach.
    if ((await countInAllDatabases(target, slot, databaseCount)) === 0) await target.setStable(slot)
  })
  const remaining = new Set([...undone, ...astray])
  return slots.filter((slot) => !remaining.has(slot))
}

function isOurMark(word: OwnWord, slot: number, source: string): boolean {
  return word.about(slot).importingFrom === source
}

async function succeeds(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error
    return false
  }
}
