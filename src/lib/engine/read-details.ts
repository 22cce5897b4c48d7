/**
 * What do the nodes tell beyond their views, for who judges them? One pass over all that were reached, each asked once.
 * Reads only; what a node does not tell is told as unknown.
 */
import {NodeError} from '../errors.ts'
import {countSlots, rangesFromSlots} from '../slots/slot-ranges.ts'
import type {NodeId, NodeView} from '../topology/model.ts'
import {type ClusterDetails, type DetailsWanted, NO_DETAILS, type OrphanKeys} from '../topology/node-details.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

export interface DetailOptions {
  /** undefined: nothing of it. */
  readonly wanted: DetailsWanted | undefined
  /** Ask every primary for the keys of every slot: a second or more, and longer with many primaries. */
  readonly countsKeys: boolean
}

export async function readDetails(
  session: ClusterSession,
  {wanted, countsKeys}: DetailOptions,
): Promise<ClusterDetails> {
  const [nodes, orphanKeys] = await Promise.all([
    wanted
      ? mapBounded(session.reachedPorts(), 128, async (port) => [port.id, await port.readDetails(wanted)] as const)
      : [],
    countsKeys ? readOrphanKeys(session) : undefined,
  ])
  return {...NO_DETAILS, nodes: new Map(nodes), orphanKeys}
}

async function readOrphanKeys(session: ClusterSession): Promise<ClusterDetails['orphanKeys']> {
  const {readKeyEvidence, slotsAt} = await import('./key-evidence.ts')
  try {
    const {keysBySlot, hiddenKeys} = await readKeyEvidence(session, [], 'all')
    return {value: new Map(orphansIn(session, keysBySlot, hiddenKeys, (view) => slotsAt(view).others))}
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return {unknown: error.message}
  }
}

function* orphansIn(
  session: ClusterSession,
  keysBySlot: ReadonlyMap<number, ReadonlyMap<NodeId, number>>,
  hiddenKeys: ReadonlyMap<NodeId, number>,
  othersSlots: (view: NodeView) => readonly number[],
): Iterable<[NodeId, OrphanKeys]> {
  for (const {id, reach} of session.topology.nodes) {
    if (reach.kind === 'unreachable') continue
    const others = new Set(othersSlots(reach.view))
    const held = [...keysBySlot].flatMap(([slot, holders]) => {
      const keys = others.has(slot) ? (holders.get(id) ?? 0) : 0
      return keys > 0 ? [{slot, keys}] : []
    })
    const slots = rangesFromSlots(held.map(({slot}) => slot))
    const hidden = hiddenKeys.get(id) ?? 0
    if (countSlots(slots) === 0 && hidden === 0) continue
    yield [id, {slots, keys: held.reduce((sum, {keys}) => sum + keys, 0), hiddenKeys: hidden}]
  }
}
