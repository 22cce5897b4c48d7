/** Is a node fit to join? It must be in cluster mode, empty, and know nobody: a merge of two clusters loses data. */
import {NodeError, RefusedError, UsageError} from '../errors.ts'
import {requireFitForJoins} from '../findings/require.ts'
import {countSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeAddress, type NodeId, type NodeView} from '../topology/model.ts'
import type {ClusterPort, NodePort} from './cluster-port.ts'
import type {ClusterSession} from './session.ts'
import type {Stages} from './stages.ts'
import {mapBounded, pollUntil} from './waiting.ts'

export interface Newcomer {
  readonly port: NodePort
  readonly view: NodeView
}

export interface EpochOptions {
  /** Nodes keep the config epochs that the plan, or nobody, gives them, at the price of a slower spread of what is new. */
  readonly keepsEpochs?: boolean
}

/**
 * Connects to a node that is to join.
 * @throws RefusedError 'not-cluster-mode', NodeError when it does not answer.
 */
export async function meetNewcomer(port: ClusterPort, address: NodeAddress): Promise<Newcomer> {
  try {
    const node = await port.connect(address)
    return {port: node, view: await node.readView()}
  } catch (error) {
    if (!(error instanceof NodeError && error.failure === 'not-cluster')) throw error
    throw new RefusedError('not-cluster-mode', `${formatAddress(address)} is not in cluster mode`, {
      details: {address: formatAddress(address)},
      suggestions: ['Start that server with cluster-enabled yes'],
      cause: error,
    })
  }
}

/** @throws UsageError when two addresses lead to one node, otherwise the error of the first node that is not fit. */
export async function meetNewcomers(port: ClusterPort, addresses: readonly NodeAddress[]): Promise<Newcomer[]> {
  const met = await mapBounded(addresses, 128, async (address) => {
    try {
      return {address, newcomer: await meetNewcomer(port, address)}
    } catch (error) {
      return {address, error}
    }
  })
  const addressesById = new Map<string, NodeAddress>()
  const newcomers: Newcomer[] = []
  for (const {address, newcomer, error} of met) {
    if (!newcomer) throw error
    const twin = addressesById.get(newcomer.port.id)
    if (twin)
      throw new UsageError(`${formatAddress(twin)} and ${formatAddress(address)} are the same node`, {
        suggestions: ['Name every node once'],
      })
    addressesById.set(newcomer.port.id, address)
    newcomers.push(newcomer)
  }
  return newcomers
}

/**
 * Nodes that joined a moment ago need some seconds until all agree: that is waited for, briefly.
 * @param leavingId whether all know this one does not matter.
 * @throws RefusedError when they do not.
 */
export async function waitUntilFitForJoins(
  session: ClusterSession,
  signal: AbortSignal | undefined,
  leavingId?: NodeId,
): Promise<void> {
  let refusal: unknown
  const fit = await pollUntil(
    async () => {
      try {
        const {topology} = session
        const membershipGaps = topology.membershipGaps.filter(({id}) => id !== leavingId)
        requireFitForJoins({...topology, membershipGaps})
        return true
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error
        refusal = error
        await session.refresh()
        return undefined
      }
    },
    {deadlineMs: 8000, signal},
  )
  if (!fit) throw refusal
}

/** What makes a node not empty, in words: "12 keys", "slots 0-5460", "5 other nodes". Empty when it is. */
export function belongingsOf({view}: Newcomer): string[] {
  const belongings: string[] = []
  const keys = [...view.serverInfo.keysByDatabase.values()].reduce((sum, count) => sum + count, 0)
  if (keys > 0) belongings.push(keys === 1 ? '1 key' : `${keys} keys`)
  const self = view.entries.find((entry) => entry.isMyself)
  const slots = countSlots(self?.ranges ?? [])
  if (slots > 0) belongings.push(slots === 1 ? '1 slot' : `${slots} slots`)
  const others = view.entries.filter((entry) => !entry.isMyself)
  if (others.length > 0) {
    const shown = others.slice(0, 3).map(({id, announced}) => `${formatAddress(announced)} (${id.slice(0, 8)})`)
    const more = others.length > shown.length ? ` and ${others.length - shown.length} more` : ''
    const count = others.length === 1 ? '1 other node' : `${others.length} other nodes`
    belongings.push(`${count} that it knows: ${shown.join(', ')}${more}`)
  }
  return belongings
}

/** @throws RefusedError 'node-not-empty' naming every node that is not, and what it has. */
export function requireEmpty(newcomers: readonly Newcomer[]): void {
  const full = newcomers
    .map((newcomer) => ({address: formatAddress(newcomer.port.address), has: belongingsOf(newcomer)}))
    .filter(({has}) => has.length > 0)
  if (full.length === 0) return
  const named = full.slice(0, 4).map(({address, has}) => `${address} is not empty: it has ${has.join(', ')}`)
  if (full.length > named.length) named.push(`nor are ${full.length - named.length} more`)
  throw new RefusedError('node-not-empty', named.join('; '), {
    details: {nodes: full},
    suggestions: [
      'Take other nodes, or empty these if nothing on them is needed: FLUSHALL and then CLUSTER RESET HARD on each',
    ],
  })
}

/**
 * Makes empty nodes that have an epoch what they were when they were new. They were members of a cluster before: nodes
 * that were told to forget them in the last minute would let them in and throw them out again, so they get new IDs.
 * @returns the ID that a node has now by the one that it had.
 */
export async function startAfresh(ports: readonly NodePort[], stages: Stages): Promise<(id: NodeId) => NodeId> {
  const infos = await mapBounded(ports, 128, (port) => port.readClusterInfo())
  const used = ports.filter((_, index) => (infos[index]?.currentEpoch ?? 0) > 0)
  const idsNow = new Map<NodeId, NodeId>()
  if (used.length > 0) stages.begin('Giving new IDs to nodes that were members before')
  await mapBounded(used, 128, async (port) => {
    const before = port.id
    await port.reset()
    idsNow.set(before, port.id)
  })
  return (id) => idsNow.get(id) ?? id
}
