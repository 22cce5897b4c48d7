/** Which function libraries go from which node to which primaries? Those of different code are never guessed. Pure. */
import {RefusedError} from '../errors.ts'
import {groupNodes, type NodeGroup} from '../findings/group-nodes.ts'
import {type ClusterNode, formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {listNodes, seedAddress} from '../topology/queries.ts'

/** Digest of the code by the library's name. */
export type Libraries = ReadonlyMap<string, string>

export interface FunctionSyncOptions {
  /** Whose code is right. */
  readonly from?: NodeId | undefined
  /** Other code of the same name is overwritten: by that of `from`, else by that of more than half of the primaries. */
  readonly isReplacing: boolean
}

export interface LibraryCopy {
  readonly library: string
  /** Of the code. */
  readonly digest: string
  readonly from: NodeId
  readonly to: NodeId
  readonly isReplacing: boolean
}

export interface FunctionSyncPlan {
  readonly version: 1
  readonly kind: 'functions-sync'
  /** By target, then by library. */
  readonly copies: readonly LibraryCopy[]
}

/**
 * @param libraries of all primaries, and of `from`.
 * @throws RefusedError 'target-unfit' for other code of the same name, unless it is said which one counts.
 */
export function planFunctionSync(
  topology: Topology,
  libraries: ReadonlyMap<NodeId, Libraries>,
  {from, isReplacing}: FunctionSyncOptions,
): FunctionSyncPlan {
  const targets = topology.nodes.filter(({id, role}) => role === 'primary' && libraries.has(id))
  const donors = from === undefined ? targets : topology.nodes.filter(({id}) => id === from)
  const names = [...new Set(donors.flatMap(({id}) => [...(libraries.get(id)?.keys() ?? [])]))].sort()
  const copies = names.flatMap((library) => {
    const codeAt = ({id}: ClusterNode): string | undefined => libraries.get(id)?.get(library)
    const groups = groupNodes(targets, codeAt)
    const right = from === undefined ? commonCode(topology, library, groups, targets.length, isReplacing) : donors[0]
    if (!right) return []
    const digest = codeAt(right) as string
    const others = groups.filter(({value}) => value !== digest)
    if (others.length > 0 && !isReplacing) throw conflict(topology, library, groups, right)
    return targets
      .filter((target) => codeAt(target) !== digest)
      .map(
        (target): LibraryCopy => ({
          library,
          digest,
          from: right.id,
          to: target.id,
          isReplacing: codeAt(target) !== undefined,
        }),
      )
  })
  copies.sort((a, b) => (a.to === b.to ? 0 : a.to < b.to ? -1 : 1))
  return {version: 1, kind: 'functions-sync', copies}
}

function commonCode(
  topology: Topology,
  library: string,
  groups: readonly NodeGroup[],
  count: number,
  isReplacing: boolean,
): ClusterNode | undefined {
  const [most] = groups
  const isMajority = (most?.nodes.length ?? 0) * 2 > count
  if (groups.length > 1 && !(isReplacing && isMajority)) throw conflict(topology, library, groups, undefined)
  return most?.nodes[0]
}

function conflict(
  topology: Topology,
  library: string,
  groups: readonly NodeGroup[],
  right: ClusterNode | undefined,
): RefusedError {
  const who = groups.map(({nodes}) => listNodes(nodes, 3)).join(', other on ')
  const node = right ?? groups[0]?.nodes[0]
  const example = node ? formatAddress(node.address) : 'NODE'
  return new RefusedError(
    'target-unfit',
    right
      ? `${library} has other code on ${listNodes(
          groups.flatMap(({nodes}) => nodes).filter((one) => one.id !== right.id),
          3,
        )} than on ${listNodes([right])}`
      : `the code of ${library} differs: one on ${who}`,
    {
      details: {library, nodes: groups.map(({nodes}) => nodes.map(({id}) => id))},
      suggestions: [
        `Say whose code counts, and that others are overwritten: rcluster functions sync ${seedAddress(topology)} --from ${example} --replace`,
      ],
    },
  )
}
