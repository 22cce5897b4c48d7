/** Of which nodes is something asked, or to which is it done? In the order of their addresses; each must be there. */
import {RefusedError} from '../errors.ts'
import type {ClusterNode} from '../topology/model.ts'
import {compareAddresses, listNodes} from '../topology/queries.ts'
import type {ClusterSession} from './session.ts'

/** Whom a command is for: nodes by ID, or all of a role. Nothing given: all. */
export interface NodeChoice {
  readonly ids?: readonly string[] | undefined
  readonly role?: 'primary' | 'replica' | undefined
}

export function chooseNodes({topology}: ClusterSession, {ids, role}: NodeChoice = {}): ClusterNode[] {
  return topology.nodes
    .filter((node) => (ids?.includes(node.id) ?? true) && (role === undefined || node.role === role))
    .sort(compareAddresses)
}

/**
 * Before something is changed on all of `nodes`.
 * @throws RefusedError 'unreachable-nodes' naming those that did not answer.
 */
export function requireReached(nodes: readonly ClusterNode[], suggestions: readonly string[]): void {
  const silent = nodes.filter(({reach}) => reach.kind === 'unreachable')
  if (silent.length === 0) return
  const verb = silent.length === 1 ? 'does' : 'do'
  throw new RefusedError('unreachable-nodes', `${listNodes(silent)} ${verb} not answer; nothing was changed`, {
    details: {nodes: silent.map(({id}) => id)},
    suggestions,
  })
}
