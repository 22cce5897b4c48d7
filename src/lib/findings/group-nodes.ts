/** Who has the same value? */
import type {ClusterNode} from '../topology/model.ts'

export interface NodeGroup {
  readonly value: string
  readonly nodes: readonly ClusterNode[]
}

/** The largest group first, of equal ones the smallest value; nodes without a value are in none. */
export function groupNodes(
  nodes: readonly ClusterNode[],
  valueAt: (node: ClusterNode) => string | undefined,
): readonly NodeGroup[] {
  const byValue = new Map<string, ClusterNode[]>()
  for (const node of nodes) {
    const value = valueAt(node)
    if (value === undefined) continue
    const group = byValue.get(value)
    if (group) group.push(node)
    else byValue.set(value, [node])
  }
  return [...byValue]
    .map(([value, members]) => ({value, nodes: members}))
    .sort((a, b) => b.nodes.length - a.nodes.length || (a.value < b.value ? -1 : 1))
}

/** Where values are digests, whose order differs from run to run: of groups of one size that of the smallest ID first. */
export function inOrderOfNodes(groups: readonly NodeGroup[]): NodeGroup[] {
  const firstId = ({nodes}: NodeGroup): string => nodes.map(({id}) => id).sort()[0] ?? ''
  return [...groups].sort((a, b) => b.nodes.length - a.nodes.length || (firstId(a) < firstId(b) ? -1 : 1))
}
