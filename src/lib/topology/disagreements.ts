/** On whose slots do the views differ? Views that assign all slots alike are one group, and read once. */

import {SLOT_COUNT} from '../slots/slot.ts'
import {formatRanges} from '../slots/slot-ranges.ts'
import type {Disagreement, NodeEntry, NodeId, NodeView} from './model.ts'

/** One way to assign the slots, and who sees it that way. */
export interface OwnerMap {
  /** owners[slot]; length 16384. */
  readonly owners: readonly (NodeId | undefined)[]
  /** The highest config epoch at which any of these views holds the owner. */
  readonly epochs: ReadonlyMap<NodeId, number>
  readonly saidBy: readonly NodeId[]
}

/** Groups in the order of their first view. */
export function groupByOwnerMap(views: readonly NodeView[]): OwnerMap[] {
  const digest = createDigest()
  const groups = new Map<string, NodeView[]>()
  for (const view of views) {
    const key = digest(view)
    const group = groups.get(key)
    if (group) group.push(view)
    else groups.set(key, [view])
  }
  return [...groups.values()].map((group) => ({
    owners: ownersIn(group[0]!),
    epochs: epochsIn(group),
    saidBy: group.map((view) => view.id),
  }))
}

/**
 * Equal digests mean equal owner maps, and the other way round: every distinct "this node has these slots" gets a
 * number, and a view's digest is its sorted numbers. Sorting numbers is what keeps a thousand views quick.
 */
function createDigest(): (view: NodeView) => string {
  const numberByText = new Map<string, number>()
  const numberByEntry = new Map<NodeEntry, number>()
  const numberOf = (entry: NodeEntry): number => {
    let number = numberByEntry.get(entry)
    if (number === undefined) {
      const text = `${entry.id}:${formatRanges(entry.ranges)}`
      number = numberByText.get(text) ?? numberByText.size
      numberByText.set(text, number)
      numberByEntry.set(entry, number)
    }
    return number
  }
  return (view) => {
    const numbers = new Uint32Array(view.entries.length)
    let count = 0
    for (const entry of view.entries) if (entry.ranges.length > 0) numbers[count++] = numberOf(entry)
    return numbers.subarray(0, count).sort().join()
  }
}

function ownersIn(view: NodeView): (NodeId | undefined)[] {
  const owners = new Array<NodeId | undefined>(SLOT_COUNT).fill(undefined)
  for (const {id, ranges} of view.entries) {
    for (const {start, end} of ranges) owners.fill(id, start, end + 1)
  }
  return owners
}

function epochsIn(views: readonly NodeView[]): ReadonlyMap<NodeId, number> {
  const epochs = new Map<NodeId, number>()
  for (const {entries} of views) {
    for (const {id, ranges, configEpoch} of entries) {
      if (ranges.length > 0 && configEpoch > (epochs.get(id) ?? -1)) epochs.set(id, configEpoch)
    }
  }
  return epochs
}

/** One disagreement for each set of opinions, with all slots that it is about; by first slot. */
export function findDisagreements(maps: readonly OwnerMap[]): Disagreement[] {
  if (maps.length < 2) return []
  const bySet = new Map<string, {ranges: {start: number; end: number}[]; opinions: Disagreement['opinions']}>()
  for (let start = 0, end: number; start < SLOT_COUNT; start = end + 1) {
    end = start
    while (end + 1 < SLOT_COUNT && maps.every(({owners}) => owners[end + 1] === owners[start])) end++
    const first = maps[0]!.owners[start]
    if (maps.every(({owners}) => owners[start] === first)) continue
    const key = maps.map(({owners}) => owners[start] ?? '-').join()
    const known = bySet.get(key)
    if (known) known.ranges.push({start, end})
    else bySet.set(key, {ranges: [{start, end}], opinions: opinionsOn(start, maps)})
  }
  return [...bySet.values()]
}

/** By owner ID; "nobody" last. */
function opinionsOn(slot: number, maps: readonly OwnerMap[]): Disagreement['opinions'] {
  const byOwner = new Map<NodeId | undefined, {configEpoch: number | undefined; saidBy: NodeId[]}>()
  for (const {owners, epochs, saidBy} of maps) {
    const owner = owners[slot]
    const epoch = owner === undefined ? undefined : epochs.get(owner)
    const opinion = byOwner.get(owner) ?? {configEpoch: undefined, saidBy: []}
    opinion.saidBy.push(...saidBy)
    if (epoch !== undefined) opinion.configEpoch = Math.max(epoch, opinion.configEpoch ?? 0)
    byOwner.set(owner, opinion)
  }
  return [...byOwner]
    .map(([owner, {configEpoch, saidBy}]) => ({owner, configEpoch, saidBy: saidBy.sort()}))
    .sort((a, b) => ((a.owner ?? '~') < (b.owner ?? '~') ? -1 : 1))
}
