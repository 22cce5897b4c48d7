/**
 * How do nodes that came back at new addresses find the others again? Everybody who has lost one of them is told to MEET it
 * where it is now, both ways: a MEET of a node whose ID is known only corrects its address. Nothing else is changed: IDs,
 * slots and keys stay. Safe to run again.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {insideAddresses, isLoopback} from '../topology/inside-address.ts'
import {formatAddress, type NodeAddress, type NodeId} from '../topology/model.ts'
import {movedNodes} from '../topology/moved-nodes.ts'
import type {NodePort} from './cluster-port.ts'
import {type MeetPoint, readMeetPoints} from './membership.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded, pollUntil} from './waiting.ts'

/** A handshake takes two round trips of the bus; a node that shakes hundreds of hands takes longer. */
const MEET_AGAIN_MS = 1000
const LINKS_DEADLINE_MS = 30_000

/**
 * Returns when all nodes that answer are linked to `ids` at their new addresses, and serve again if they can: servers wait
 * for twice cluster-node-timeout before they forgive a primary that they had given up.
 * @throws InterruptedError naming who is not linked to whom at the deadline.
 */
export async function reMeet(
  session: ClusterSession,
  ids: readonly NodeId[],
  stop: AbortSignal | undefined,
): Promise<void> {
  const moved = new Set(ids)
  // What the others know of nodes is past; but a loopback address is not where they find them.
  const points = await readMeetPoints(session.reachedPorts(), async (id) => {
    const {resolvedAddress, internalAddress} = session.node(id)
    const [seen] = insideAddresses({resolved: resolvedAddress, internal: internalAddress}, undefined)
    return seen && isLoopback(seen.host) ? (await session.waysTo(id))[0] : seen
  })
  let metAt = Number.NEGATIVE_INFINITY
  let apart = pairsApart(session, points, moved)
  await pollUntil(
    async () => {
      if (apart.length === 0) return true
      if (performance.now() - metAt > MEET_AGAIN_MS + 10 * points.length) {
        metAt = performance.now()
        await mapBounded(apart, 256, async ([one, other]) => {
          await meet(one, other)
          await meet(other, one)
        })
      }
      await session.refresh()
      apart = pairsApart(session, points, moved)
      return apart.length === 0 ? true : undefined
    },
    {deadlineMs: LINKS_DEADLINE_MS, signal: stop},
  )
  if (apart.length > 0) {
    stop?.throwIfAborted()
    const named = apart
      .slice(0, 4)
      .map(
        ([one, other]) =>
          `${formatAddress(one.address)} and ${formatAddress(other.address)} (bus port ${other.busPort})`,
      )
    throw new InterruptedError(`no link came about between ${named.join('; ')}`, {
      suggestions: ['Every node must reach every other on its bus port (usually client port + 10000)'],
    })
  }
  await waitForPardon(session, points, stop)
}

async function meet({port}: MeetPoint, {address, busPort}: MeetPoint): Promise<void> {
  try {
    await port.meet(address, busPort)
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
  }
}

async function settingOf(port: NodePort, name: string): Promise<string | undefined> {
  try {
    return await port.readConfig(name)
  } catch (error) {
    if (error instanceof NodeError) return undefined
    throw error
  }
}

/** Each pair once, of which one has moved and either is not linked to the other where that is now. */
function pairsApart(
  {topology}: ClusterSession,
  points: readonly MeetPoint[],
  moved: ReadonlySet<NodeId>,
): (readonly [MeetPoint, MeetPoint])[] {
  const astray = new Set(movedNodes(topology).flatMap(({node, knownAs}) => knownAs.map(({by}) => `${by} ${node.id}`)))
  const isLinked = (by: NodeId, to: NodeId): boolean => {
    const reach = topology.nodesById.get(by)?.reach
    // One that does not answer any more is not waited for.
    if (reach?.kind !== 'reached') return true
    const entry = reach.view.entries.find(({id}) => id === to)
    if (!entry) return false
    return entry.isLinked && !entry.flags.has('suspected') && !astray.has(`${by} ${to}`)
  }
  return points.flatMap((one, index) =>
    points
      .slice(index + 1)
      .filter(
        (other) =>
          (moved.has(one.port.id) || moved.has(other.port.id)) &&
          !(isLinked(one.port.id, other.port.id) && isLinked(other.port.id, one.port.id)),
      )
      .map((other) => [one, other] as const),
  )
}

async function waitForPardon(
  session: ClusterSession,
  points: readonly MeetPoint[],
  stop: AbortSignal | undefined,
): Promise<void> {
  const timeouts = await Promise.all(points.map(({port}) => settingOf(port, 'cluster-node-timeout')))
  const longest = Math.max(...timeouts.map((text) => Number(text) || 15_000))
  const isUp = (): boolean =>
    session.topology.nodes.every(({reach}) => reach.kind === 'unreachable' || reach.view.clusterInfo.state === 'ok')
  // What is still missing then is told, and looked for, by the next look.
  await pollUntil(async () => (isUp() ? true : void (await session.refresh())), {
    deadlineMs: Math.min(2 * longest + 5000, 60_000),
    signal: stop,
  })
}

/** For a question or a line of progress. */
export function describeMoves(session: ClusterSession, ids: readonly NodeId[]): string {
  const addresses = ids.map((id): NodeAddress | undefined => session.topology.nodesById.get(id)?.address)
  return addresses.flatMap((address) => (address ? formatAddress(address) : [])).join(', ')
}
