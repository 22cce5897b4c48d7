/**
 * Does what a plan brings fit under the maxmemory of its targets? Reads only. Where it fits whatever the slots hold, that
 * is the answer; only where it may not, the keys that come are counted and some of them weighed.
 */
import type {MovePlan} from '../plan/plan.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {replicasOf, serverInfoOf} from '../topology/queries.ts'
import type {PlannedPair} from './planned-pairs.ts'
import type {ClusterSession} from './session.ts'
import {joinVerdicts, NOTHING_TO_SAY, type Verdict} from './verdict.ts'
import {mapBounded} from './waiting.ts'
import {heldBytes, weighPair} from './weigh-moves.ts'

/** Of the room that is left: above this, an estimate that is a little off is one that does not fit. */
const CLOSE = 0.8

export async function judgeRoom(
  session: ClusterSession,
  plan: MovePlan,
  pairs: readonly PlannedPair[],
): Promise<Verdict> {
  const targets = [...new Set(pairs.map((pair) => pair.to))]
  const verdicts = await mapBounded(targets, 64, (to) =>
    judgeTarget(
      session,
      plan,
      to,
      pairs.filter((pair) => pair.to === to),
    ),
  )
  return joinVerdicts(verdicts)
}

async function judgeTarget(
  session: ClusterSession,
  plan: MovePlan,
  to: NodeId,
  pairs: readonly PlannedPair[],
): Promise<Verdict> {
  const {topology} = session
  const limits = [to, ...replicasOf(topology, to).map(({id}) => id)].flatMap((id) => limitOf(topology, id) ?? [])
  const least = Math.min(...limits.map(({room}) => room))
  if (limits.length === 0) return NOTHING_TO_SAY
  const most = pairs.reduce((sum, {from}) => sum + heldBytes(topology, from), 0)
  if (most < least) return NOTHING_TO_SAY
  const loads = await mapBounded(pairs, 64, (pair) => weighPair(session, plan, pair))
  const arriving = loads.reduce((sum, {bytes}) => sum + bytes, 0)
  return joinVerdicts(limits.map((limit) => judgeLimit(limit, arriving, limit.id !== to)))
}

interface Limit {
  readonly id: NodeId
  readonly address: string
  readonly maxBytes: number
  readonly policy: string
  /** What may still come; 0 or less: nothing. */
  readonly room: number
}

/** undefined where there is no limit, or the node does not tell. */
function limitOf(topology: Topology, id: NodeId): Limit | undefined {
  const node = topology.nodesById.get(id)
  const info = serverInfoOf(topology, id)
  if (!node || !info?.maxMemoryBytes || info.usedMemoryBytes === undefined) return undefined
  return {
    id,
    address: formatAddress(node.address),
    maxBytes: info.maxMemoryBytes,
    policy: info.maxMemoryPolicy ?? 'noeviction',
    room: info.maxMemoryBytes - (info.usedMemoryBytes - (info.uncountedMemoryBytes ?? 0)),
  }
}

function judgeLimit({address, maxBytes, policy, room}: Limit, arriving: number, isReplica: boolean): Verdict {
  const isFull = room <= 0 && policy === 'noeviction'
  if (arriving <= room * CLOSE && !isFull) return NOTHING_TO_SAY
  const coming = `about ${megabytes(arriving)} would come`
  const left = room > 0 ? `has ${megabytes(room)} left under` : 'is at'
  const facts = `${address} ${left} its maxmemory of ${megabytes(maxBytes)}, and ${coming}`
  if (isReplica) {
    return {obstacles: [], warnings: [`the replica ${facts}: after a failover it could not take writes (${policy})`]}
  }
  if (policy !== 'noeviction') {
    const isCertain = arriving > room
    const lossReason = `${address} ${isCertain ? 'will' : 'may'} evict keys (${policy})`
    return {
      obstacles: [],
      warnings: [`${facts}: keys ${isCertain ? 'will' : 'may'} be evicted there (${policy})`],
      lossReason,
    }
  }
  if (!isFull && arriving <= room) return {obstacles: [], warnings: [`${facts}: that is close`]}
  const needed = Math.ceil((maxBytes - room + arriving) / CLOSE / 2 ** 20)
  return {
    obstacles: [
      {
        about: 'memory',
        message: facts,
        suggestions: [
          `Raise maxmemory on ${address} (CONFIG SET maxmemory ${needed}mb would do), or move fewer slots, or to another primary`,
        ],
        details: {target: address, arrivingBytes: Math.round(arriving), roomBytes: room},
      },
    ],
    warnings: [],
  }
}

function megabytes(bytes: number): string {
  return `${(Math.max(0, bytes) / 2 ** 20).toFixed(1)} MB`
}
