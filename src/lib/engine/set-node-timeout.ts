/** How do all nodes of a cluster get the same cluster-node-timeout? Set, written to their files, read again. */
import type {ClusterNode} from '../topology/model.ts'
import {compareAddresses} from '../topology/queries.ts'
import {failureOf, keepSettings} from './keep-setting.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

const SETTING = 'cluster-node-timeout'

export interface NodeTimeout {
  readonly node: ClusterNode
  /** Milliseconds; undefined when the node did not tell. */
  readonly timeoutMs: number | undefined
  /** Why it did not tell, or did not take the new one. */
  readonly failure: string | undefined
}

export interface NodeTimeoutSet extends NodeTimeout {
  /** Why it is not in the node's file and lasts until the node restarts; undefined when it is. */
  readonly isLostBecause: string | undefined
}

export function readNodeTimeouts(session: ClusterSession): Promise<NodeTimeout[]> {
  return mapBounded(nodesOf(session), 128, (node) => readOne(session, node))
}

/** One result a node, in the order of the addresses. `timeoutMs` is 1 or more. */
export function setNodeTimeout(session: ClusterSession, timeoutMs: number): Promise<NodeTimeoutSet[]> {
  return mapBounded(nodesOf(session), 128, async (node) => {
    const failure = await failureOf(async () => session.node(node.id).writeConfig(SETTING, String(timeoutMs)))
    if (failure !== undefined) return {node, timeoutMs: undefined, failure, isLostBecause: undefined}
    const isLostBecause = await keepSettings(session.node(node.id))
    const now = await readOne(session, node)
    const isTaken = now.timeoutMs === timeoutMs
    return {
      ...now,
      failure: isTaken ? undefined : (now.failure ?? `it says ${now.timeoutMs ?? 'nothing'}`),
      isLostBecause,
    }
  })
}

function nodesOf({topology}: ClusterSession): ClusterNode[] {
  return [...topology.nodes].sort(compareAddresses)
}

async function readOne(session: ClusterSession, node: ClusterNode): Promise<NodeTimeout> {
  let text: string | undefined
  const failure = await failureOf(async () => {
    text = await session.node(node.id).readConfig(SETTING)
  })
  return {node, timeoutMs: text === undefined ? undefined : Number(text), failure}
}
