/**
 * Who may work with a node now? A pass covers both ends of a pair at once, so no two pairs wait for each other in a
 * circle, and every node serves a bounded number of passes.
 */
import type {NodeId} from '../topology/model.ts'

export class PairGate {
  readonly #limit: number
  readonly #busy = new Map<NodeId, number>()
  readonly #waiting: {nodes: readonly NodeId[]; enter: () => void}[] = []

  /** `limit`: passes a node takes part in at the same time, 1 or more. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Runs `work` while both nodes hold a pass; first come, first served among those whose nodes are free. */
  async pass<T>(source: NodeId, target: NodeId, work: () => Promise<T>): Promise<T> {
    const nodes = [source, target]
    if (this.#isFree(nodes) && !this.#waiting.some((other) => other.nodes.some((node) => nodes.includes(node)))) {
      this.#take(nodes)
    } else {
      await new Promise<void>((enter) => this.#waiting.push({nodes, enter}))
    }
    try {
      return await work()
    } finally {
      for (const node of nodes) this.#busy.set(node, (this.#busy.get(node) ?? 1) - 1)
      this.#admit()
    }
  }

  #isFree(nodes: readonly NodeId[]): boolean {
    return nodes.every((node) => (this.#busy.get(node) ?? 0) < this.#limit)
  }

  #take(nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#busy.set(node, (this.#busy.get(node) ?? 0) + 1)
  }

  #admit(): void {
    for (let index = 0; index < this.#waiting.length; ) {
      const next = this.#waiting[index]
      if (next && this.#isFree(next.nodes)) {
        this.#waiting.splice(index, 1)
        this.#take(next.nodes)
        next.enter()
      } else index++
    }
  }
}
