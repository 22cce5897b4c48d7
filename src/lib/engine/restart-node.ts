/** How does one node of a cluster restart, and when is it back? With its ID, its data and its role, known to all, in sync. */
import {InterruptedError, NodeError} from '../errors.ts'
import {infoOf, type RollAct, type RollStep, serverOf, troublesOf} from '../plan/roll.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {countKeys, labelNode} from '../topology/queries.ts'
import {isVersionReached} from '../topology/versions.ts'
import type {EngineListener} from './events.ts'
import type {ClusterSession} from './session.ts'
import {pollUntil} from './waiting.ts'

/** Makes the node restart, or waits until somebody does. Whether it did is found out by who called. */
export type Restarter = (node: ClusterNode) => Promise<void>

export interface RollRunOptions {
  readonly restart: Restarter
  /** For each node to be back and in sync, and for the cluster to be in order before each step. */
  readonly backMs: number
  readonly untilVersion: string | undefined
  /** See ClusterLock. */
  readonly ready: () => Promise<void>
  /** Ends it between two steps. */
  readonly stop: AbortSignal
  /** Ends it at once. */
  readonly abort: AbortSignal
  readonly listener: EngineListener
  /** One is about to be asked for. */
  readonly onFailover: () => void
  readonly onAct: (act: RollAct) => void
}

/** Another node at its address for so long, seen nowhere else: it will not come back. */
const SOMEBODY_ELSE_MS = 10_000
export const POLL_MS = 500

export async function restartNode(session: ClusterSession, step: RollStep, options: RollRunOptions): Promise<RollAct> {
  const startedAt = performance.now()
  const node = session.topology.nodesById.get(step.node.id) as ClusterNode
  options.listener({kind: 'phase', text: `Restarting ${node.role} ${labelNode(node)}`})
  try {
    await options.restart(node)
  } catch (error) {
    throw await withStateOf(session, node, error)
  }
  const after = await awaitBack(session, node, options)
  const server = serverOf(after)
  if (options.untilVersion !== undefined && !isVersionReached(infoOf(after)?.version ?? '', options.untilVersion)) {
    throw new InterruptedError(`${labelNode(after)} is back as ${server}, and not as ${options.untilVersion}`)
  }
  const address = formatAddress(after.address)
  return {kind: 'restarted', node: {...step.node, address, server}, elapsedMs: performance.now() - startedAt}
}

/** What became of the node, where the one who was to restart it failed. */
async function withStateOf(session: ClusterSession, node: ClusterNode, error: unknown): Promise<unknown> {
  if (!(error instanceof InterruptedError)) return error
  const {now, silence} = await look(session, node)
  const info = now && infoOf(now)
  const state = info
    ? info.runId === infoOf(node)?.runId
      ? 'it runs as before'
      : 'it was restarted all the same'
    : `it does not answer now: ${silence}`
  return new InterruptedError(`${error.message}; ${state}`, {
    details: error.details,
    suggestions: [...(info ? [] : [`Start ${labelNode(node)} again`]), ...error.suggestions],
    cause: error.cause,
  })
}

async function awaitBack(
  session: ClusterSession,
  before: ClusterNode,
  {backMs, abort, listener}: RollRunOptions,
): Promise<ClusterNode> {
  const tell = tellingNews(listener)
  let missing: string | undefined
  let elseSinceMs: number | undefined
  /** What its primary had sent when the link was first seen up. */
  let goal: {readonly primaryId: NodeId; readonly offset: number} | undefined
  const back = await pollUntil(
    async () => {
      const {topology, now, silence, isSomebodyElse} = await look(session, before)
      elseSinceMs = isSomebodyElse ? (elseSinceMs ?? performance.now()) : undefined
      if (elseSinceMs !== undefined && performance.now() - elseSinceMs > SOMEBODY_ELSE_MS) {
        throw new InterruptedError(`${labelNode(before)} did not come back under its ID: ${silence}`, {
          suggestions: ['Start it on its own folder: the ID is in its cluster-config-file (nodes.conf)'],
        })
      }
      if (now) requireData(before, now)
      const primary = now && topology.nodesById.get(now.primaryId ?? '')
      const sent = primary && infoOf(primary)?.replicationOffset
      if (sent !== undefined && now && infoOf(now)?.isPrimaryLinkUp && goal?.primaryId !== primary?.id) {
        goal = {primaryId: primary?.id ?? '', offset: sent}
      }
      missing = now ? missingAt(before, now, goal?.offset) : silence
      missing ??= troublesOf(topology)[0]?.message
      tell(missing)
      return missing === undefined ? now : undefined
    },
    {deadlineMs: backMs, firstIntervalMs: 100, maxIntervalMs: POLL_MS, signal: abort},
  )
  if (back) return back
  abort.throwIfAborted()
  throw new InterruptedError(
    `${labelNode(before)} was not back and in sync within ${Math.round(backMs / 1000)} s: ${missing}`,
    {suggestions: [`rcluster check ${seedOf(session, before)}`]},
  )
}

function missingAt(before: ClusterNode, now: ClusterNode, goal: number | undefined): string | undefined {
  const info = infoOf(now)
  if (info?.runId === infoOf(before)?.runId) return 'it is the same process as before: nobody has restarted it'
  if (info?.isLoading) return 'it is loading its data'
  if (now.role !== before.role) return `it is a ${now.role}, and was a ${before.role}`
  if (now.role === 'primary') return undefined
  if (!info?.isPrimaryLinkUp) return 'it has no link to its primary yet'
  return (info.replicationOffset ?? 0) >= (goal ?? 0) ? undefined : 'it has not caught up with its primary'
}

/** @throws InterruptedError for a primary that lost most of its keys. A replica gets them from its primary. */
function requireData(before: ClusterNode, now: ClusterNode): void {
  if (before.role !== 'primary' || before.reach.kind !== 'reached' || now.reach.kind !== 'reached') return
  if (now.reach.view.serverInfo.runId === infoOf(before)?.runId || now.reach.view.serverInfo.isLoading) return
  const keys = countKeys(before.reach.view)
  const left = countKeys(now.reach.view)
  // Clients may have written, and keys expired, by now.
  if (left * 2 >= keys) return
  const has = left === 0 ? 'empty' : `with ${plural(left)}`
  throw new InterruptedError(`primary ${labelNode(now)} came back ${has}, and had ${plural(keys)}`, {
    details: {node: now.id, keysBefore: keys, keys: left},
    suggestions: ['Stop it, put its files back (dump.rdb, appendonlydir) and start it again before clients write'],
  })
}

interface Sight {
  readonly topology: Topology
  /** undefined: it does not answer, for `silence`. */
  readonly now: ClusterNode | undefined
  readonly silence: string
  readonly isSomebodyElse: boolean
}

async function look(session: ClusterSession, node: ClusterNode): Promise<Sight> {
  try {
    const topology = await session.observe()
    const now = topology.nodesById.get(node.id)
    if (now?.reach.kind === 'reached') return {topology, now, silence: '', isSomebodyElse: false}
    const why = now?.reach ?? {failure: 'no-route', message: 'no node knows it any more'}
    if (why.failure === 'no-route') return await lookWhereItWas(session, node, why.message)
    return {topology, now: undefined, silence: why.message, isSomebodyElse: why.failure === 'wrong-node'}
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    // The only node of its cluster: nobody else tells of it.
    return lookWhereItWas(session, node, error.message)
  }
}

/** Whoever answers there under the ID is among the nodes from the next look on. */
async function lookWhereItWas(session: ClusterSession, {id, address}: ClusterNode, silence: string): Promise<Sight> {
  const unseen = {topology: session.topology, now: undefined}
  try {
    session.adopt(await session.port.connect(address, id))
    return {...unseen, silence, isSomebodyElse: false}
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    return {...unseen, silence: error.message, isSomebodyElse: error.failure === 'wrong-node'}
  }
}

/** Resolves as soon as the node is another process, or does not answer. @throws the signal's reason when it aborts. */
export async function waitUntilTouched(session: ClusterSession, node: ClusterNode, signal: AbortSignal): Promise<void> {
  const runId = infoOf(node)?.runId
  await pollUntil(
    async () => {
      try {
        const {serverInfo} = await session.node(node.id).readVitals()
        return serverInfo.runId === runId ? undefined : true
      } catch (error) {
        if (error instanceof NodeError) return true
        throw error
      }
    },
    {deadlineMs: Number.POSITIVE_INFINITY, maxIntervalMs: POLL_MS, signal},
  )
  signal.throwIfAborted()
}

function plural(keys: number): string {
  return keys === 1 ? '1 key' : `${keys} keys`
}

/** Another one than the node in question. */
function seedOf({topology}: ClusterSession, {id}: ClusterNode): string {
  const other = topology.nodes.find((node) => node.id !== id && node.reach.kind === 'reached')
  return formatAddress((other ?? (topology.nodesById.get(id) as ClusterNode)).address)
}

export function tellingNews(listener: EngineListener): (what: string | undefined) => void {
  let told: string | undefined
  return (what) => {
    if (what === undefined || what === told) return
    told = what
    listener({kind: 'phase', text: `Waiting: ${what}`})
  }
}
