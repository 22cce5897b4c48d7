/** What became of a cluster? Comparable between two runs: nodes are named by their place in the list, not by ID. */

import {formatRanges} from '../../src/lib/slots/slot-ranges.ts'
import {parseNodes} from '../../src/lib/topology/parse-nodes.ts'
import {eventually, rawCommand} from './servers.ts'

export interface NodePicture {
  readonly role: string
  readonly slots: string
  readonly epoch: number
  /** The place of the node that it replicates. */
  readonly follows: number | undefined
  readonly keys: number
  /** Places of all nodes that it knows, itself included; -1 for one that is not in the list. */
  readonly knows: readonly number[]
  /** What it knows to be open. */
  readonly open: number
  readonly nodeTimeoutMs: number
}

/** Each node about itself. Waits until none is in a handshake and all say the same of one another. */
export async function pictureOf(addresses: readonly string[]): Promise<readonly NodePicture[]> {
  let picture: NodePicture[] = []
  let last = ''
  await eventually('the nodes have settled', async () => {
    const looks = await Promise.all(addresses.map(look))
    const ids = looks.map(({entries}) => entries.find(({isMyself}) => isMyself)?.id ?? '')
    picture = looks.map(({entries, keys, nodeTimeoutMs}) => {
      const self = entries.find(({isMyself}) => isMyself)!
      return {
        role: self.role,
        slots: formatRanges(self.ranges),
        epoch: self.configEpoch,
        follows: self.primaryId === undefined ? undefined : ids.indexOf(self.primaryId),
        keys,
        knows: entries.map(({id}) => ids.indexOf(id)).sort((a, b) => a - b),
        open: self.migrating.length + self.importing.length,
        nodeTimeoutMs,
      }
    })
    // What each says of the others, where it knows them.
    const facts = ids.map((id) => {
      const said = looks.flatMap(({entries}) => entries.filter((entry) => entry.id === id))
      return new Set(said.map((e) => `${e.role} ${formatRanges(e.ranges)} ${e.primaryId} ${[...e.flags].sort()}`)).size
    })
    const text = JSON.stringify(picture)
    const isStill = text === last
    last = text
    return isStill && facts.every((count) => count === 1)
  })
  return picture
}

async function look(address: string) {
  const [nodes, keys, setting] = await Promise.all([
    rawCommand(address, ['CLUSTER', 'NODES']),
    rawCommand(address, ['DBSIZE']),
    rawCommand(address, ['CONFIG', 'GET', 'cluster-node-timeout']),
  ])
  return {entries: parseNodes(String(nodes)), keys: Number(keys), nodeTimeoutMs: Number((setting as string[])[1])}
}
