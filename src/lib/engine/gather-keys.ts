/**
 * How do keys get to the node that should have them, from one that should not? One MIGRATE of compared keys after the
 * other, without the marks of a move: the slot's owner stays who it is. Safe to run again: it lists what is still there.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import {type DrainOptions, drainListed, listSlot, type Pair} from './drain.ts'
import {countKeysOf} from './key-evidence.ts'
import {countInAllDatabases} from './migrate-mover.ts'
import {OwnWord} from './steps.ts'
import {mapBounded} from './waiting.ts'

export interface Gathering {
  /** `source` holds keys that `target` should have. */
  readonly pair: Pair
  readonly slots: readonly number[]
  /** Who settledly owns each slot: the target, or the node from which the target imports. */
  readonly ownerOf: (slot: number) => NodeId
  readonly drain: DrainOptions
}

/** Slots whose keys travel side by side. */
const PARALLEL_SLOTS = 4

/**
 * Slots with keys that differ at both ends stay as they are, the others are brought to their end.
 * @throws InterruptedError naming the slots that are left; NodeError as the servers answer.
 */
export async function gatherKeys(gathering: Gathering): Promise<void> {
  const {pair, slots, drain} = gathering
  await openBothEnds(gathering)
  const conflicts: InterruptedError[] = []
  await mapBounded(slots, PARALLEL_SLOTS, async (slot) => {
    try {
      await gatherSlot(pair, slot, drain)
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error
      conflicts.push(error)
    }
  })
  const stuck = new Set(conflicts.map(({details}) => details['slot'] as number))
  await leave(
    gathering,
    slots.filter((slot) => !stuck.has(slot)),
  )
  const [first] = conflicts
  if (!first) return
  const more = conflicts.length === 1 ? '' : `; ${conflicts.length - 1} more slots like this`
  throw new InterruptedError(`${first.message}${more}`, {
    details: {...first.details, slots: [...stuck].sort((a, b) => a - b)},
    suggestions: first.suggestions,
  })
}

/** MIGRATE works on keys of a slot that its node owns or imports, and RESTORE at one that owns or imports it. */
async function openBothEnds({pair, slots, ownerOf}: Gathering): Promise<void> {
  const {source, target} = pair
  const [atSource, atTarget] = await Promise.all([source.readView(), target.readView()])
  const [sourceWord, targetWord] = [new OwnWord(atSource), new OwnWord(atTarget)]
  await Promise.all(
    slots.map(async (slot) => {
      const there = targetWord.about(slot)
      if (!there.hasClaim && there.importingFrom === undefined) await target.setImporting(slot, ownerOf(slot))
      const here = sourceWord.about(slot)
      if (!here.hasClaim && here.importingFrom === undefined) await source.setImporting(slot, ownerOf(slot))
    }),
  )
}

async function gatherSlot(pair: Pair, slot: number, drain: DrainOptions): Promise<void> {
  let before = Number.POSITIVE_INFINITY
  for (;;) {
    const [keys, listings] = await Promise.all([
      countInAllDatabases(pair.source, slot, pair.databaseCount),
      listSlot(pair, slot),
    ])
    if (keys === 0) return
    if (keys >= before) {
      throw new InterruptedError(
        `slot ${slot}: ${keys} keys stay on ${formatAddress(pair.source.address)} although MIGRATE says they moved`,
        {details: {slot}},
      )
    }
    before = keys
    await drainListed(pair, slot, listings, async () => false, drain)
    drain.abort?.throwIfAborted()
  }
}

/** Nothing of the slots is left at the source: it gives up its claim, or its mark. */
async function leave({pair: {source}, slots, ownerOf}: Gathering, done: readonly number[]): Promise<void> {
  if (slots.length === 0) return
  const [view, counts] = await Promise.all([source.readView(), countKeysOf(source, done)])
  const word = new OwnWord(view)
  await Promise.all(
    done.map(async (slot) => {
      if (counts.get(slot) !== 0) return
      const {hasClaim, importingFrom, migratingTo} = word.about(slot)
      try {
        if (hasClaim && ownerOf(slot) !== source.id) await source.assignSlot(slot, ownerOf(slot))
        else if (importingFrom !== undefined || migratingTo !== undefined) await source.setStable(slot)
      } catch (error) {
        // A client has written there just now: the next look finds it.
        if (!(error instanceof NodeError && error.failure === 'keys-left')) throw error
      }
    }),
  )
}
