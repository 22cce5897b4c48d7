/**
 * Can the replicas of a plan's nodes keep up with it? A frozen replica stops every SETSLOT of its primary on Valkey 8 and
 * later, and too few good ones stop every write where min-replicas-to-write asks for them. Reads only.
 */
import {NodeError} from '../errors.ts'
import {type AttachedReplica, type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {primaries, replicasOf, serverInfoOf} from '../topology/queries.ts'
import {endsOf, type PlannedPair} from './planned-pairs.ts'
import type {ClusterSession} from './session.ts'
import {joinVerdicts, NOTHING_TO_SAY, type Obstacle, type Verdict} from './verdict.ts'
import {mapBounded} from './waiting.ts'

/** A replica tells every second how far it is; on a busy machine it may be late by some. */
const SILENT_SECONDS = 10

export async function judgeFollowers(session: ClusterSession, pairs: readonly PlannedPair[]): Promise<Verdict> {
  const byMigrate = new Set(endsOf(pairs.filter(({isAtomic}) => !isAtomic)))
  const targets = new Set(pairs.map(({to}) => to))
  const verdicts = await mapBounded(endsOf(pairs), 64, async (id) =>
    joinVerdicts([
      judgeFrozen(session.topology, id, byMigrate.has(id)),
      await judgeGoodReplicas(session, id, byMigrate.has(id)),
      targets.has(id) ? judgeUnlinked(session.topology, id) : NOTHING_TO_SAY,
    ]),
  )
  return joinVerdicts([...verdicts, judgeBystanders(session.topology, byMigrate)])
}

/** They are told of each move as well, and nothing depends on their answers; but they are waited for. */
function judgeBystanders(topology: Topology, byMigrate: ReadonlySet<NodeId>): Verdict {
  if (byMigrate.size === 0) return NOTHING_TO_SAY
  const others = primaries(topology).filter(({id}) => !byMigrate.has(id))
  const slow = others.flatMap(({id}) => judgeFrozen(topology, id, true).obstacles)
  return {obstacles: [], warnings: slow.map(({message}) => `${message}, which makes the moves slow`)}
}

/** Valkey 8 and later wait with every SETSLOT until the replicas that are attached have it, and refuse after 2 s. */
function judgeFrozen(topology: Topology, id: NodeId, isByMigrate: boolean): Verdict {
  const info = serverInfoOf(topology, id)
  if (!isByMigrate || info?.flavour !== 'valkey' || Number.parseInt(info.version, 10) < 8) return NOTHING_TO_SAY
  const obstacles = (info.attachedReplicas ?? [])
    .filter(({isOnline}) => isOnline)
    .flatMap((attached): Obstacle[] => {
      const replica = replicasOf(topology, id).find((one) => isAt(one, attached))
      const isSilent = replica?.reach.kind === 'unreachable' && replica.reach.failure === 'timeout'
      const isLate = (attached.lagSeconds ?? 0) > SILENT_SECONDS
      if (!isSilent && !isLate) return []
      const name = formatAddress(replica?.address ?? attached.address)
      const how = isSilent ? 'does not answer' : `has said nothing for ${attached.lagSeconds} s`
      return [
        {
          about: 'replicas',
          message: `the replica ${name} of ${nameOf(topology, id)} ${how} but is still attached: ${nameOf(topology, id)} would wait for it with every SETSLOT, in vain`,
          suggestions: [`Wake or end the replica ${name}: one that is gone holds nobody up`],
          details: {primary: nameOf(topology, id), replica: name},
        },
      ]
    })
  return {obstacles, warnings: []}
}

async function judgeGoodReplicas(session: ClusterSession, id: NodeId, isByMigrate: boolean): Promise<Verdict> {
  const good = serverInfoOf(session.topology, id)?.goodReplicas
  // Told only where a number is asked for: none is too few of any.
  if (good === undefined) return NOTHING_TO_SAY
  const wanted = Math.max(1, (await readWanted(session, id)) ?? 1)
  if (good >= wanted) return NOTHING_TO_SAY
  const name = nameOf(session.topology, id)
  const message = `${name} takes no writes: ${good} of its replicas ${good === 1 ? 'is' : 'are'} up to date, and min-replicas-to-write asks for ${wanted}`
  if (!isByMigrate) return {obstacles: [], warnings: [message]}
  return {
    obstacles: [
      {
        about: 'replicas',
        message,
        suggestions: [
          `Bring its replicas back, or for the time of the move: rcluster call ${name} -- CONFIG SET min-replicas-to-write 0`,
        ],
        details: {node: name, goodReplicas: good, wantedReplicas: wanted},
      },
    ],
    warnings: [],
  }
}

/** undefined where the user may not ask. */
async function readWanted(session: ClusterSession, id: NodeId): Promise<number | undefined> {
  try {
    return Number((await session.node(id).readConfig('min-replicas-to-write')) ?? 1)
  } catch (error) {
    if (error instanceof NodeError && error.failure === 'permission') return undefined
    throw error
  }
}

/** What comes to a target is as safe as the replicas that it has. */
function judgeUnlinked(topology: Topology, id: NodeId): Verdict {
  const lost = replicasOf(topology, id).filter(({reach}) =>
    reach.kind === 'unreachable' ? true : reach.view.serverInfo.isPrimaryLinkUp === false,
  )
  if (lost.length === 0) return NOTHING_TO_SAY
  const names = lost.map(({address}) => formatAddress(address)).join(' and ')
  const verb = lost.length === 1 ? 'does' : 'do'
  return {
    obstacles: [],
    warnings: [`${names} ${verb} not follow ${nameOf(topology, id)} now: what moves there has that many copies less`],
  }
}

function isAt(node: ClusterNode, {address}: AttachedReplica): boolean {
  return [node.address, node.announced].some((one) => formatAddress(one) === formatAddress(address))
}

function nameOf(topology: Topology, id: NodeId): string {
  const node = topology.nodesById.get(id)
  return node ? formatAddress(node.address) : id.slice(0, 8)
}
