/** How is a server setting changed for the time of some work, and restored whatever happens? */
import {NodeError} from '../errors.ts'
import {formatAddress, type NodeId} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

export interface HeldSetting {
  readonly name: string
  readonly value: string
}

/** A setting that a node had before it was changed for a while. */
export interface HeldAt {
  readonly id: NodeId
  readonly name: string
  readonly before: string
}

/**
 * With `yes`, the default, a primary that gives up its last slot turns into a replica of whoever took it, and its
 * replicas with it: live clients then meet CLUSTERDOWN or LOADING (measured on Valkey 9.1 and Redis 8.6). Servers before
 * Redis 7 have no such setting and do not wander.
 */
export const STAY_PUT: HeldSetting = {name: 'cluster-allow-replica-migration', value: 'no'}

/** By default a primary waits 5 s for more replicas before it starts a synchronisation; ours are all there. */
export const SYNC_AT_ONCE: HeldSetting = {name: 'repl-diskless-sync-delay', value: '0'}

/**
 * Runs `work` while `nodes` have the setting. A server without it is passed over; one that forbids CONFIG is noted and
 * passed over: what these settings do is a matter of comfort, not of safety.
 */
export async function holdSetting<T>(
  nodes: readonly NodePort[],
  setting: HeldSetting,
  listener: EngineListener | undefined,
  work: () => Promise<T>,
  onHeld?: (held: readonly HeldAt[]) => void,
): Promise<T> {
  const held: {node: NodePort; before: string}[] = []
  try {
    await mapBounded(nodes, 64, async (node) => {
      await tolerating(node, `${setting.name} could not be set`, listener, async () => {
        const before = await node.readConfig(setting.name)
        if (before === undefined || before === setting.value) return
        // Told before it is done: who is killed in between has restored one setting too many, not one too few.
        held.push({node, before})
        onHeld?.(held.map((one) => ({id: one.node.id, name: setting.name, before: one.before})))
        await node.writeConfig(setting.name, setting.value)
      })
    })
    return await work()
  } finally {
    await restoreSettings(
      held.map(({node, before}) => ({node, name: setting.name, before})),
      listener,
    )
  }
}

/** Of runs that were cut off, or of ours: puts back what was changed for their time, on nodes that answer. */
export async function restoreHeld(
  session: ClusterSession,
  held: readonly HeldAt[],
  listener: EngineListener | undefined,
): Promise<void> {
  const isReached = (id: NodeId): boolean => session.topology.nodesById.get(id)?.reach.kind === 'reached'
  await restoreSettings(
    held.filter(({id}) => isReached(id)).map(({id, ...setting}) => ({node: session.node(id), ...setting})),
    listener,
  )
}

/** Puts settings back; a node that cannot be told is noted with what to do by hand. */
export async function restoreSettings(
  settings: readonly {readonly node: NodePort; readonly name: string; readonly before: string}[],
  listener: EngineListener | undefined,
): Promise<void> {
  await mapBounded(settings, 64, ({node, name, before}) =>
    tolerating(node, `set ${name} back to "${before}" by hand`, listener, () => node.writeConfig(name, before)),
  )
}

async function tolerating(
  node: NodePort,
  what: string,
  listener: EngineListener | undefined,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    listener?.({kind: 'note', text: `${formatAddress(node.address)}: ${what} (${error.message})`})
  }
}
