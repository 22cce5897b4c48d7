/** Which slots may lose their keys, by the operator's word? Slots, or the node whose shard is lost. Pure. */
import {UsageError} from '../errors.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import type {Topology} from '../topology/model.ts'
import {findNode, shardOf, slotsOf} from '../topology/queries.ts'

/**
 * @param text 'all', or words with commas between them: slots ("0-99"), or a node of a shard by ID, prefix or address: then
 *   all slots of its primary. A word of digits alone is a slot if there is one of that number.
 * @throws UsageError for a word that is neither.
 */
export function slotsGivenUp(text: string | undefined, topology: Topology): ReadonlySet<number> {
  const given = new Set<number>()
  for (const word of (text ?? '').split(',').map((part) => part.trim())) {
    if (word === '') continue
    for (const slot of slotsNamed(word, topology)) given.add(slot)
  }
  return given
}

function slotsNamed(word: string, topology: Topology): readonly number[] {
  if (word === 'all') return slotsInRanges([{start: 0, end: SLOT_COUNT - 1}])
  let failure: unknown
  try {
    return slotsInRanges(parseRanges(word))
  } catch (error) {
    failure = error
  }
  const node = findNode(topology, word)
  const primary = node && (shardOf(topology, node.id)?.primary ?? node)
  if (primary) return slotsInRanges(slotsOf(topology, primary.id))
  throw new UsageError(`--accept-data-loss: "${word}" is neither slots nor a node of this cluster`, {
    suggestions: [
      'For example: --accept-data-loss 0-99,4000, or --accept-data-loss 127.0.0.1:7002, or --accept-data-loss all',
    ],
    cause: failure,
  })
}
