/**
 * Which primary holds how many keys of the slots that may need a repair? Reads only. All counts of a node travel together,
 * so that a thousand slots cost what one costs.
 */
import type {KeyEvidence} from '../plan/repair-facts.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import type {NodeId, NodeView} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import {countInAllDatabases} from './migrate-mover.ts'
import type {ClusterSession} from './session.ts'
import {OwnWord} from './steps.ts'
import {mapBounded} from './waiting.ts'

/** Clients write while we count: what was seen three times is no chance. */
const LOOKS = 3

/**
 * Of all reached primaries.
 * @param search where to look for keys of slots that are not their node's. 'all': everywhere; 'hints': on nodes that have
 *   more keys than their own slots; 'hidden': as 'hints', but only on servers that do not show such keys when asked (Redis
 *   8.4 and later, those that move slots by themselves).
 */
export async function readKeyEvidence(
  session: ClusterSession,
  slots: readonly number[],
  search: 'none' | 'hidden' | 'hints' | 'all',
): Promise<KeyEvidence> {
  const keysBySlot = new Map<number, Map<NodeId, number>>()
  const hiddenKeys = new Map<NodeId, number>()
  const add = (id: NodeId, counts: ReadonlyMap<number, number>): void => {
    for (const [slot, keys] of counts) {
      if (keys === 0) continue
      const holders = keysBySlot.get(slot) ?? new Map<NodeId, number>()
      keysBySlot.set(slot, holders)
      holders.set(id, keys)
    }
  }
  const nodes = session.topology.nodes.flatMap((node) =>
    node.role === 'primary' && node.reach.kind === 'reached' ? [{node, view: node.reach.view}] : [],
  )
  const peopled = nodes.filter(({view}) => !isKnownEmpty(view)).map(({node}) => session.node(node.id))
  const wanted = new Set(slots)
  await mapBounded(peopled, 64, async (port) => {
    if (search === 'none' || (search === 'hidden' && (await port.readAtomicFamily()) !== 'pull')) return
    const {found, hidden} = await findStrays(port, search === 'all')
    for (const slot of found.keys()) wanted.add(slot)
    if (hidden > 0) hiddenKeys.set(port.id, hidden)
  })
  // On every node: what the owners have of the slots with stray keys belongs to the picture.
  await mapBounded(peopled, 64, async (port) => add(port.id, await countKeysOf(port, [...wanted])))
  return {keysBySlot, hiddenKeys}
}

/** Over all databases; every slot that was asked for is there. */
export async function countKeysOf(port: NodePort, slots: readonly number[]): Promise<Map<number, number>> {
  const databaseCount = await port.readDatabaseCount()
  const counts = await Promise.all(slots.map((slot) => countInAllDatabases(port, slot, databaseCount)))
  return new Map(slots.map((slot, index) => [slot, counts[index] as number]))
}

/** Keys in all databases; undefined where INFO is forbidden. */
function totalOf({serverInfo}: NodeView): number | undefined {
  if (serverInfo.version === '') return undefined
  return [...serverInfo.keysByDatabase.values()].reduce((sum, keys) => sum + keys, 0)
}

function isKnownEmpty(view: NodeView): boolean {
  return totalOf(view) === 0
}

interface Strays {
  /** Keys of slots that the node neither owns nor imports. */
  readonly found: ReadonlyMap<number, number>
  /** How many more keys it has than it shows. */
  readonly hidden: number
}

/** A node that has as many keys as its own slots hold has no others: the rest is then not asked for. */
async function findStrays(port: NodePort, isThorough: boolean): Promise<Strays> {
  let found: ReadonlyMap<number, number> = new Map()
  let hidden = Number.POSITIVE_INFINITY
  for (let look = 0; look < LOOKS && hidden > 0; look++) {
    const before = await port.readView()
    const {own, others} = slotsAt(before)
    const ownCounts = await countKeysOf(port, own)
    const total = Math.min(...[before, await port.readView()].map((view) => totalOf(view) ?? Number.POSITIVE_INFINITY))
    let rest = total - sumOf(ownCounts)
    if (rest > 0 || isThorough) {
      const counts = await countKeysOf(port, others)
      found = new Map([...counts].filter(([, keys]) => keys > 0))
      rest -= sumOf(counts)
    } else found = new Map()
    hidden = Math.max(0, Math.min(hidden, rest))
  }
  return {found, hidden: Number.isFinite(hidden) ? hidden : 0}
}

/** Slots whose keys every server shows, and the others. */
export function slotsAt(view: NodeView): {own: number[]; others: number[]} {
  const word = new OwnWord(view)
  const [own, others]: [number[], number[]] = [[], []]
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const {hasClaim, importingFrom} = word.about(slot)
    if (hasClaim || importingFrom !== undefined) own.push(slot)
    else others.push(slot)
  }
  return {own, others}
}

function sumOf(counts: ReadonlyMap<number, number>): number {
  let sum = 0
  for (const keys of counts.values()) sum += keys
  return sum
}
