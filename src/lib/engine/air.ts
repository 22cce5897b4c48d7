/**
 * Do a node's own clients suffer? A PING on a connection of its own waits as they do. Only its best answers count: one
 * slow answer is chance, and if even the best of several is slow, the node has more to do than it can.
 */
import {NodeError} from '../errors.ts'
import type {NodeId} from '../topology/model.ts'
import type {NodePort} from './cluster-port.ts'
import {pause} from './waiting.ts'

const PING_EVERY_MS = 100
const ANSWERS = 5
/** Well above what our own MIGRATEs cost, so that we do not give way to ourselves. */
const SUFFERING_MS = 10
const SUFFERING_PAUSES = 10

export class AirGauge {
  readonly #sufferingMs: number
  readonly #answers = new Map<NodeId, number[]>()
  readonly #end = new AbortController()

  constructor(maxPauseMs: number) {
    this.#sufferingMs = Math.max(SUFFERING_MS, SUFFERING_PAUSES * maxPauseMs)
  }

  /** Asks the nodes from now on, until `close`. */
  watch(nodes: readonly NodePort[]): void {
    for (const node of nodes) void this.#ask(node)
  }

  isSuffering(id: NodeId): boolean {
    const answers = this.#answers.get(id) ?? []
    return answers.length === ANSWERS && Math.min(...answers) > this.#sufferingMs
  }

  close(): void {
    this.#end.abort()
  }

  async #ask(node: NodePort): Promise<void> {
    while (!this.#end.signal.aborted) {
      const answers = this.#answers.get(node.id) ?? []
      try {
        answers.push(await node.measureLatency())
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        // Whether it is there at all is for others to find out.
        answers.length = 0
      }
      this.#answers.set(node.id, answers.slice(-ANSWERS))
      await pause(PING_EVERY_MS, this.#end.signal)
    }
  }
}
