/** How do fresh nodes become a cluster that agrees? With the calls of NodePort alone. */
import type {NodePort} from '../../src/lib/engine/cluster-port.ts'
import {parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {NodeEntry} from '../../src/lib/topology/model.ts'
import {eventually} from '../support/servers.ts'
import type {Ground} from './terrains.ts'

/** All slots shared out, epochs 1, 2, 3 …, everybody knows everybody and serves. Even shares unless they are given. */
export async function form({nodes}: Ground, shares = evenShares(nodes.length)): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    await node.setConfigEpoch(index + 1)
    if (shares[index] !== '') await node.addSlots(parseRanges(shares[index] as string))
  }
  for (const node of nodes)
    for (const other of nodes) if (other !== node) await node.meet(other.address, busPort(other))
  await agreed(nodes)
}

function evenShares(count: number): string[] {
  const share = Math.ceil(16384 / count)
  return Array.from({length: count}, (_, n) => `${n * share}-${Math.min((n + 1) * share, 16384) - 1}`)
}

export function busPort(node: NodePort): number {
  return node.address.port + 10_000
}

export async function agreed(nodes: readonly NodePort[]): Promise<void> {
  await eventually('all nodes agree and serve', async () => {
    const views = await Promise.all(nodes.map((node) => node.readView()))
    const stories = views.map(({entries}) =>
      entries
        .map(({id, configEpoch, ranges}) => JSON.stringify([id, configEpoch, ranges]))
        .sort()
        .join(),
    )
    return stories.every((story) => story === stories[0]) && views.every(({clusterInfo}) => clusterInfo.state === 'ok')
  })
}

export async function self(port: NodePort): Promise<NodeEntry> {
  const entry = (await port.readView()).entries.find(({isMyself}) => isMyself)
  if (!entry) throw new Error('a node that does not know itself')
  return entry
}
