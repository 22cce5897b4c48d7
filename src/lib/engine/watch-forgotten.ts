/**
 * Do forgotten nodes stay forgotten? Servers ban a forgotten ID for a minute; a member that was not told then tells the
 * others again, and so does the node itself where it is alive. Watches until nobody can any more, and forgets again what
 * comes back. Safe to run again.
 */
import {InterruptedError, NodeError} from '../errors.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import {labelNode, seedAddress} from '../topology/queries.ts'
import type {NodePort} from './cluster-port.ts'
import {forgetNodes, knownVictims, type Victims} from './forget-nodes.ts'
import type {ClusterSession} from './session.ts'
import {type StageOptions, Stages, tellingHowFar} from './stages.ts'
import {mapBounded, pollUntil} from './waiting.ts'

export interface WatchOutcome {
  readonly watchedMs: number
  /** How often one of them had to be forgotten again. */
  readonly returns: number
}

export interface WatchOptions extends Omit<StageOptions, 'deadlineMs'> {
  /** Addresses of members that did not answer when the others were told: the first to be asked when they do. */
  readonly notTold: readonly string[]
}

const DEFAULT_BAN_MS = 60_000
const DEFAULT_NODE_TIMEOUT_MS = 15_000
/** For gossip to have made its round after the ban. */
const MARGIN_MS = 2000
/** One that comes back more often than that is brought back by somebody whom forgetting does not reach. */
const MAX_RETURNS = 5
/** Members that were out of reach are asked again this often. */
const LOOK_AROUND_MS = 3000
const FORGET_DEADLINE_MS = 30_000

/**
 * Returns when the last ban has ended and gossip had its time, and no member that answers knows any of them.
 * @throws InterruptedError when one is alive and joins by itself, or comes back again and again; CancelledError when stopped.
 */
export async function watchForgotten(
  session: ClusterSession,
  victims: Victims,
  {notTold, signal, listener}: WatchOptions,
): Promise<WatchOutcome> {
  const startedAt = performance.now()
  await session.refresh()
  const banMs = await readBanMs(session.reachedPorts().filter(({id}) => !victims.ids.has(id)))
  let [endsAt, returns, lookedAt] = [performance.now() + banMs, 0, performance.now()]
  const tell = (text: string): void => listener?.({kind: 'phase', text})
  tell(`Watching for ${Math.ceil(banMs / 1000)} s that they stay forgotten`)
  await pollUntil(
    async () => {
      // At the end once more: it is then that the last ones are back.
      const isOver = performance.now() >= endsAt
      const isTimeToLookAround = isOver || performance.now() - lookedAt > LOOK_AROUND_MS
      if (isTimeToLookAround) lookedAt = performance.now()
      const {nodes} = isTimeToLookAround ? await session.observe() : await session.refresh()
      const sayers = nodes.filter(
        ({id, reach}) =>
          !victims.ids.has(id) && reach.kind === 'reached' && knownVictims(reach.view, victims).length > 0,
      )
      if (sayers.length > 0) {
        requireNotAlive(session, victims)
        const untold = sayers.filter(({address}) => notTold.includes(formatAddress(address)))
        const tellers = (untold.length > 0 ? untold : sayers).map(labelNode).join(', ')
        if (++returns > MAX_RETURNS) {
          throw new InterruptedError(`forgotten ${MAX_RETURNS} times, and known again by ${tellers}`, {
            suggestions: [`See who does not answer: rcluster check ${seedAddress(session.topology)}`],
          })
        }
        tell(`${tellers} still ${untold.length === 1 || sayers.length === 1 ? 'knows' : 'know'} them: forgetting again`)
        await forgetNodes(session, victims, new Stages({deadlineMs: FORGET_DEADLINE_MS, signal, listener}))
        endsAt = performance.now() + banMs
        return undefined
      }
      return isOver ? true : undefined
    },
    {deadlineMs: Number.POSITIVE_INFINITY, maxIntervalMs: 500, signal},
  )
  await tellingHowFar(
    'all that answer have forgotten them, and the watch did not end',
    'Run the command with --watch again, naming whole IDs, to watch on',
    async () => signal?.throwIfAborted(),
  )
  return {watchedMs: performance.now() - startedAt, returns}
}

/** Valkey lets the ban be changed; a node that we cannot ask is taken for one with the servers' default. */
async function readBanMs(ports: readonly NodePort[]): Promise<number> {
  const bans = await mapBounded(ports, 64, async (port) => {
    const ban = await settingOf(port, 'cluster-blacklist-ttl')
    const timeout = await settingOf(port, 'cluster-node-timeout')
    // Every node is pinged at least once in half of cluster-node-timeout.
    return (ban === undefined ? DEFAULT_BAN_MS : 1000 * ban) + (timeout ?? DEFAULT_NODE_TIMEOUT_MS) / 2
  })
  return Math.max(...bans) + MARGIN_MS
}

async function settingOf(port: NodePort, name: string): Promise<number | undefined> {
  try {
    const text = await port.readConfig(name)
    return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text)
  } catch (error) {
    if (error instanceof NodeError) return undefined
    throw error
  }
}

/** @throws InterruptedError naming those that answer. */
function requireNotAlive({topology}: ClusterSession, {ids}: Victims): void {
  const alive = topology.nodes.filter(({id, reach}) => ids.has(id) && reach.kind === 'reached')
  const [first] = alive
  if (!first) return
  const names = (nodes: readonly {id: NodeId}[]): string => nodes.map(({id}) => id).join(' ')
  throw new InterruptedError(
    `${alive.map(labelNode).join(', ')} ${alive.length === 1 ? 'is' : 'are'} alive and came back without being asked, as nodes of Valkey 8.1 and later do`,
    {
      suggestions: [
        `Remove ${alive.length === 1 ? 'it' : 'them'} with a reset: rcluster del-node ${seedAddress(topology)} ${names(alive)}`,
        'Or stop the server, and forget it again',
      ],
    },
  )
}
