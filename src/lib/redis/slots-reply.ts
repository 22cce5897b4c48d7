/** Where does CLUSTER SLOTS send clients? One place a node; errors for what is no such answer. Pure. */
import type {ToldPlace} from '../engine/cluster-port.ts'
import type {NodeId} from '../topology/model.ts'
import {isHost} from '../topology/parse-nodes.ts'
import type {Reply} from './replies.ts'
import {countIn, listIn, textIn} from './reply-shapes.ts'

/** Nodes that own no slots, and do not follow one that does, are not in it. */
export function parseSlotsReply(reply: Reply): ReadonlyMap<NodeId, ToldPlace> {
  const places = new Map<NodeId, ToldPlace>()
  for (const range of listIn(reply)) {
    for (const node of listIn(range).slice(2)) {
      const [endpoint, port, id] = listIn(node)
      places.set(textIn(id), {host: hostIn(endpoint), port: countIn(port)})
    }
  }
  return places
}

/** null: the client is to stay with the host that it asked. "?": it should be a hostname, and none is announced. */
function hostIn(endpoint: Reply | undefined): string | undefined {
  if (endpoint === null || endpoint === undefined) return undefined
  const host = textIn(endpoint)
  if (host === '' || host === '?') return undefined
  if (isHost(host)) return host
  throw new Error('it names a host that is none')
}
