/** Where nodes are to be found, by what others tell of them. */
import {formatAddress, type NodeAddress, type NodeEntry, type NodeId, type NodeView} from '../topology/model.ts'

/** Where a node is to be found, and what it calls itself. */
export interface Whereabouts {
  readonly id: NodeId
  readonly address: NodeAddress
  readonly hostname?: string | undefined
}

export function isPlaceless({flags, announced}: NodeEntry): boolean {
  return flags.has('noaddr') || announced.port === 0 || announced.host === ''
}

export function whereaboutsOf({id, announced, hostname}: NodeEntry): Whereabouts {
  return {id, address: announced, hostname}
}

/** By which names each node was asked for in one look at the cluster. */
export class NamesAsked {
  readonly #names = new Map<NodeId, Set<string>>()

  add(node: Whereabouts): void {
    const names = this.#names.get(node.id) ?? new Set()
    for (const name of NamesAsked.#namesOf(node)) names.add(name)
    this.#names.set(node.id, names)
  }

  /** Nodes that did not answer where the first to tell of them had them, and of which another knows another name. */
  toldOtherwise(views: ReadonlyMap<NodeId, NodeView>): Whereabouts[] {
    const found = new Map<NodeId, Whereabouts>()
    for (const {entries} of views.values()) {
      for (const entry of entries) {
        const names = this.#names.get(entry.id)
        if (!names || views.has(entry.id) || isPlaceless(entry)) continue
        const node = whereaboutsOf(entry)
        if (!NamesAsked.#namesOf(node).every((name) => names.has(name))) found.set(entry.id, node)
      }
    }
    return [...found.values()]
  }

  static #namesOf({address, hostname}: Whereabouts): string[] {
    return [formatAddress(address), ...(hostname ? [hostname] : [])]
  }
}
