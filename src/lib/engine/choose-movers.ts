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
  const isAble = (id: NodeId): boolean => families.get(id) !== undefined
  const databases = new Map(
    await mapBounded(ids.filter(isAble), 128, async (id) => [id, await session.node(id).readDatabaseCount()] as const),
  )
  return pairs.map(({from, to}) => {
    const why =
      whyNot(session, families, from, to) ??
      whyNotWithReplicas(session, families, to) ??
      whyNotWith(databases.get(from) ?? 1) ??
      (wishes.isThrottled ? 'a bandwidth cannot be given to atomic slot migration' : undefined)
    if (why === undefined) return {from, to, mover: 'atomic'}
    if (choice === 'atomic') {
      throw new RefusedError('target-unfit', `slots cannot move atomically: ${why}`, {
        suggestions: ['Use --mover auto, which goes key by key there'],
      })
    }
    // Where neither end can, there is nothing to wonder about.
    const isWorthSaying = [from, to].some((id) => families.get(id) !== undefined || isOfKnowingRelease(session, id))
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
    const isOne = unable.length === 1
    if (unable.some((id) => isOfKnowingRelease(session, id))) {
      return `${names} ${isOne ? 'does' : 'do'} not tell whether atomic slot migration is there (the user needs +command|info)`
    }
    return `${names} ${isOne ? 'has' : 'have'} no atomic slot migration`
  }
  if (families.get(from) === families.get(to)) return undefined
  return `${label(session, from)} and ${label(session, to)} have different kinds of atomic slot migration`
}

/** Valkey 9 and Redis 8.4 have it; of one that says no, the user may not ask. */
function isOfKnowingRelease(session: ClusterSession, id: NodeId): boolean {
  const reach = session.topology.nodesById.get(id)?.reach
  if (reach?.kind !== 'reached') return false
  const {flavour, version} = reach.view.serverInfo
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return flavour === 'valkey' ? major >= 9 : major > 8 || (major === 8 && minor >= 4)
}

/**
 * Valkey 9.1.2 loses acknowledged writes: what clients write to database 0 while the snapshot goes out is carried out in the
 * last database of the snapshot. Which databases have keys may change at any moment, so their number decides.
 */
function whyNotWith(databaseCount: number): string | undefined {
  if (databaseCount <= 1) return undefined
  return `with ${databaseCount} databases, atomic slot migration of Valkey 9 mixes up writes of different databases`
}

/**
 * Redis 8.6.3 loses keys: what its target refuses while too few replicas are good is left out, and the slots are handed over all
 * the same. Valkey's migration fails then. goodReplicas is told only where min-replicas-to-write asks for some.
 */
function whyNotWithReplicas(
  session: ClusterSession,
  families: ReadonlyMap<NodeId, AtomicFamily | undefined>,
  to: NodeId,
): string | undefined {
  const reach = session.topology.nodesById.get(to)?.reach
  if (families.get(to) !== 'pull' || reach?.kind !== 'reached') return undefined
  if (reach.view.serverInfo.goodReplicas === undefined) return undefined
  return `${label(session, to)} has min-replicas-to-write, and Redis's atomic slot migration leaves out keys that are refused for it`
}

function label(session: ClusterSession, id: NodeId): string {
  const node = session.topology.nodesById.get(id)
  if (!node) return id.slice(0, 8)
  const info = node.reach.kind === 'reached' ? node.reach.view.serverInfo : undefined
  const version = info?.version ? ` (${info.flavour} ${info.version})` : ''
  return `${formatAddress(node.address)}${version}`
}
