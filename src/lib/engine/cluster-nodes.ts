/** What does every node say of the cluster, word for word? CLUSTER NODES as text, for the record. Reads only. */
import {NodeError} from '../errors.ts'
import type {NodeId} from '../topology/model.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

const COMMAND = [Buffer.from('CLUSTER'), Buffer.from('NODES')]

/** Of the nodes that the last look reached; one that no longer answers is left out. */
export async function readClusterNodes(session: ClusterSession): Promise<ReadonlyMap<NodeId, string>> {
  const texts = new Map<NodeId, string>()
  await mapBounded(session.reachedPorts(), 64, async (port) => {
    try {
      const answer = await port.callCommand(COMMAND)
      if ('reply' in answer) texts.set(port.id, String(answer.reply))
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
    }
  })
  return texts
}
