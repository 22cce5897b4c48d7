/**
 * Do all nodes tell the same story? Before the first SETSLOT of a run they must: a target whose picture of the source's
 * config epoch is stale takes slots at an epoch that is too low, loses them again and deletes their keys (redis-cli does
 * this when a slot goes to and fro). After the last SETSLOT they must, for the run to call itself done.
 */
import {RefusedError} from '../errors.ts'
import {formatRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeEntry, type NodeId, type NodeView, type Topology} from '../topology/model.ts'
import type {ClusterSession} from './session.ts'
import {pollUntil} from './waiting.ts'

/** For gossip to come around, before the first SETSLOT and after the last. */
export const SETTLE_DEADLINE_MS = 15_000

/** Lines that did not change since the last look are the same entries. */
const tellings = new WeakMap<NodeEntry, string>()

/** A primary as one view has it: id, config epoch, slots. Of a replica only that it is there. */
function tellingOf(entry: NodeEntry): string {
  let telling = tellings.get(entry)
  if (telling === undefined) {
    const {id, role, configEpoch, ranges} = entry
    telling = role === 'primary' ? `${id}@${configEpoch}:${formatRanges(ranges)}` : id
    tellings.set(entry, telling)
  }
  return telling
}

/**
 * The sorted numbers of its tellings are a view's story; a ghost without slots is no part of it. Views share the entries
 * that they tell alike, and numbers are sorted quickly: a thousand views have a thousand tellings, not a million.
 */
function storyteller(members: ReadonlySet<NodeId>): (view: NodeView) => string {
  const numbersByTelling = new Map<string, number>()
  const numbersByEntry = new Map<NodeEntry, number>()
  const numberOf = (entry: NodeEntry): number => {
    let number = numbersByEntry.get(entry)
    if (number === undefined) {
      const telling = tellingOf(entry)
      number = numbersByTelling.get(telling) ?? numbersByTelling.size
      numbersByTelling.set(telling, number)
      numbersByEntry.set(entry, number)
    }
    return number
  }
  return ({entries}) => {
    const numbers = new Uint32Array(entries.length)
    let count = 0
    for (const entry of entries) {
      if (entry.ranges.length > 0 || members.has(entry.id)) numbers[count++] = numberOf(entry)
    }
    return numbers.subarray(0, count).sort().join()
  }
}

export function viewsOf(topology: Topology): NodeView[] {
  return topology.nodes.flatMap((node) => (node.reach.kind === 'reached' ? [node.reach.view] : []))
}

/** All reached nodes print the same (id, epoch, slots), and no two primaries share an epoch. */
export function isSettled(topology: Topology): boolean {
  return haveOneStory(topology) && sharedEpochs(topology).length === 0
}

function haveOneStory(topology: Topology): boolean {
  const [first, ...others] = viewsOf(topology)
  if (!first) return false
  const members = new Set([first, ...others].map(({id}) => id))
  const storyOf = storyteller(members)
  const story = storyOf(first)
  return others.every((view) => storyOf(view) === story)
}

/** IDs of reached primaries whose config epoch another primary has too, all but the first of each epoch. */
function sharedEpochs(topology: Topology): NodeId[] {
  const seen = new Set<number>()
  const shared: NodeId[] = []
  for (const node of topology.nodes) {
    if (node.role !== 'primary' || node.reach.kind !== 'reached') continue
    if (seen.has(node.configEpoch)) shared.push(node.id)
    seen.add(node.configEpoch)
  }
  return shared
}

export interface SettleOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Waits until the cluster is settled and returns that look. Servers mend shared epochs by themselves within seconds;
 * where they have not after two, the nodes concerned are told to take a new one.
 * @throws RefusedError 'disagreement' when the deadline passes, the signal's reason when it aborts.
 */
export async function waitUntilSettled(session: ClusterSession, options: SettleOptions): Promise<Topology> {
  const startedAt = performance.now()
  let isBumped = false
  const settled = await pollUntil(async () => {
    const topology = await session.refresh()
    if (isSettled(topology)) return topology
    if (!isBumped && performance.now() - startedAt > 2000 && haveOneStory(topology)) {
      isBumped = true
      for (const id of sharedEpochs(topology)) await session.node(id).bumpEpoch()
    }
    return undefined
  }, options)
  if (settled) return settled
  options.signal?.throwIfAborted()
  const seed = formatAddress(session.seed)
  throw new RefusedError(
    'disagreement',
    `the nodes did not agree on slots and config epochs within ${Math.round(options.deadlineMs / 1000)} s`,
    {suggestions: [`rcluster check ${seed}`]},
  )
}
