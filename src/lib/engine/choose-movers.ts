/** Which way do slots travel between two nodes? Reads only. */
import {RefusedError} from '../errors.ts'
import type {PairMover, SlotMove} from '../plan/plan.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import type {AtomicFamily} from './cluster-port.ts'
import {movesByPair} from './groups.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

/** 'auto': atomic where both ends can. */
export type MoverChoice = 'auto' | 'migrate' | 'atomic'

/** @throws RefusedError when the choice is 'atomic' and a pair of nodes cannot; NodeError when a node does not answer. */
export async function chooseMovers(
  session: ClusterSession,
  moves: readonly SlotMove[],
  choice: MoverChoice,
  wishes: {readonly isThrottled?: boolean} = {},
): Promise<PairMover[]> {
  const pairs = movesByPair(moves).flatMap(([first]) => (first ? [{from: first.from, to: first.to}] : []))
  if (choice === 'migrate') return pairs.map((pair) => ({...pair, mover: 'migrate'}))
  const ids = [...new Set(pairs.flatMap(({from, to}) => [from, to]))]
  const families = new Map<NodeId, AtomicFamily | undefined>(
    await mapBounded(ids, 128, async (id) => [id, await session.node(id).readAtomicFamily()] as const),
  )
  return pairs.map(({from, to}) => {
    const why =
      whyNot(session, families, from, to) ??
      (wishes.isThrottled ? 'a bandwidth cannot be given to atomic slot migration' : undefined)
    if (why === undefined) return {from, to, mover: 'atomic'}
    if (choice === 'atomic') {
      throw new RefusedError('target-unfit', `slots cannot move atomically: ${why}`, {
        suggestions: ['Use --mover auto, which goes key by key there'],
      })
    }
    // Where neither end can, there is nothing to wonder about.
    const isWorthSaying = families.get(from) !== undefined || families.get(to) !== undefined
    return {from, to, mover: 'migrate', ...(isWorthSaying ? {reason: why} : {})}
  })
}

function whyNot(
  session: ClusterSession,
  families: ReadonlyMap<NodeId, AtomicFamily | undefined>,
  from: NodeId,
  to: NodeId,
): string | undefined {
  const unable = [from, to].filter((id) => families.get(id) === undefined)
  if (unable.length > 0) {
    const names = unable.map((id) => label(session, id)).join(' and ')
    return `${names} ${unable.length === 1 ? 'has' : 'have'} no atomic slot migration`
  }
  if (families.get(from) === families.get(to)) return undefined
  return `${label(session, from)} and ${label(session, to)} have different kinds of atomic slot migration`
}

function label(session: ClusterSession, id: NodeId): string {
  const node = session.topology.nodesById.get(id)
  if (!node) return id.slice(0, 8)
  const info = node.reach.kind === 'reached' ? node.reach.view.serverInfo : undefined
  const version = info?.version ? ` (${info.flavour} ${info.version})` : ''
  return `${formatAddress(node.address)}${version}`
}
