/** What do several nodes answer to one command? Asked all at once; who does not answer is part of the result. */
import {NodeError} from '../errors.ts'
import type {ClusterNode} from '../topology/model.ts'
import type {CommandAnswer} from './cluster-port.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

export interface NodeAnswer {
  readonly node: ClusterNode
  /** `unanswered`: why nothing was heard from the node. */
  readonly answer: CommandAnswer | {readonly unanswered: string}
}

/** In the order of `nodes`. `words` are the command and its arguments, which go to each node byte for byte. */
export function callNodes(
  session: ClusterSession,
  nodes: readonly ClusterNode[],
  words: readonly Buffer[],
  deadlineMs?: number,
): Promise<NodeAnswer[]> {
  return mapBounded(nodes, 128, async (node) => {
    try {
      return {node, answer: await session.node(node.id).callCommand(words, deadlineMs)}
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      return {node, answer: {unanswered: error.message}}
    }
  })
}
