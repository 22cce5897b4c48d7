/** What do nodes not have alike? Only nodes that told of it are compared. Pure. */
import type {ClusterNode} from '../topology/model.ts'
import {isOfOneNode, withoutOldNames} from '../topology/settings.ts'
import {groupNodes, type NodeGroup} from './group-nodes.ts'

export interface Difference {
  readonly name: string
  /** The largest group first. */
  readonly groups: readonly NodeGroup[]
}

/** The value of who does not have something at all. */
export const MISSING = 'missing'

/** Names that do not have one value on all nodes that told of theirs, in order. */
export function findDifferences(
  nodes: readonly ClusterNode[],
  told: (node: ClusterNode) => ReadonlyMap<string, string> | undefined,
): Difference[] {
  const names = new Set(nodes.flatMap((node) => [...(told(node)?.keys() ?? [])]))
  return [...names].sort().flatMap((name) => {
    const groups = groupNodes(nodes, (node) => {
      const values = told(node)
      return values && (values.get(name) ?? MISSING)
    })
    return groups.length > 1 ? [{name, groups}] : []
  })
}

/** Settings that are alike on some nodes and not on others: without what every node has for itself, and what only some know. */
export function findSettingDifferences(
  nodes: readonly ClusterNode[],
  told: (node: ClusterNode) => ReadonlyMap<string, string> | undefined,
): Difference[] {
  const names = new Set(nodes.flatMap((node) => [...(told(node)?.keys() ?? [])]))
  return withoutOldNames(names)
    .filter((name) => !isOfOneNode(name))
    .map((name) => ({name, groups: groupNodes(nodes, (node) => told(node)?.get(name))}))
    .filter(({groups}) => groups.length > 1)
}
