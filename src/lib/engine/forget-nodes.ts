/**
 * How is a node forgotten? By all members at once, well inside the 60 s for which a forgotten ID is banned: one that
 * still knows it would tell the others again afterwards. Safe to run again.
 */
import {InterruptedError} from '../errors.ts'
import {formatAddress, isPlaceless, type NodeEntry, type NodeId, type NodeView} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import type {ClusterSession} from './session.ts'
import type {Stages} from './stages.ts'
import {mapBounded, pollUntil} from './waiting.ts'

export interface Victims {
  readonly ids: ReadonlySet<NodeId>
  /** Where handshakes go that nobody answers: their IDs differ from node to node, and from try to try. */
  readonly handshakeAddresses?: ReadonlySet<string>
}

/**
 * Returns when no member that answers knows any of them.
 * @returns addresses of members that do not answer, and so were not told.
 * @throws InterruptedError naming the members that still know one at the deadline.
 */
export async function forgetNodes(session: ClusterSession, victims: Victims, stages: Stages): Promise<string[]> {
  const members = session.reachedPorts().filter(({id}) => !victims.ids.has(id))
  const notTold = session.topology.nodes
    .filter(({id, reach}) => reach.kind === 'unreachable' && !victims.ids.has(id))
    .map(({id, address}) => (isPlaceless(address) ? id : formatAddress(address)))
  const stubborn = await forgetEverywhere(members, victims, stages)
  if (stubborn.length === 0) return notTold
  throw new InterruptedError(`${stubborn.join(', ')} still know the removed nodes`, {
    suggestions: ['Run the command again: forgetting is safe to repeat'],
  })
}

/** @returns addresses of members that still know a victim at the deadline. */
async function forgetEverywhere(members: readonly NodePort[], victims: Victims, stages: Stages): Promise<string[]> {
  let stubborn: readonly NodePort[] = members
  const handshakes = new Map<NodePort, readonly NodeId[]>()
  await pollUntil(
    async () => {
      await mapBounded(stubborn, 128, (port) =>
        Promise.all([...victims.ids, ...(handshakes.get(port) ?? [])].map((id) => port.forget(id))),
      )
      const views = await mapBounded(members, 128, (port) => port.readView())
      stubborn = members.filter((port, index) => {
        const view = views[index]
        const known = view ? knownVictims(view, victims) : []
        handshakes.set(
          port,
          known.map(({id}) => id).filter((id) => !victims.ids.has(id)),
        )
        return known.length > 0
      })
      return stubborn.length === 0 ? true : undefined
    },
    {deadlineMs: stages.leftMs, signal: stages.signal},
  )
  return stubborn.map(({address}) => formatAddress(address))
}

/** The entries of a view that are about them. */
export function knownVictims({entries}: NodeView, victims: Victims): NodeEntry[] {
  return entries.filter((entry) => isVictim(entry, victims))
}

function isVictim({id, flags, announced}: NodeEntry, {ids, handshakeAddresses}: Victims): boolean {
  return ids.has(id) || (flags.has('handshake') && (handshakeAddresses?.has(formatAddress(announced)) ?? false))
}
