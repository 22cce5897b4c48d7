/** What are the files of a backup called in the drop-in form, and what is in its nodes.json? As redis-cli has them. */
import {nodesInSeedOrder} from '../../plan/redis-cli/node-order.ts'
import {countSlots} from '../../slots/slot-ranges.ts'
import type {ClusterNode, Topology} from '../../topology/model.ts'
import {vocabularyFor} from './vocabulary.ts'

export const NODES_FILE = 'nodes.json'

export function snapshotName(topology: Topology, {id, address}: ClusterNode): string {
  const product = vocabularyFor(topology).product.toLowerCase()
  return `${product}-node-${address.host}-${address.port}-${id}.rdb`
}

/** One object a node that answers, in the order in which the seed lists them. `current_epoch` is its config epoch, as there. */
export function renderNodesFile(topology: Topology): string {
  const objects = nodesInSeedOrder(topology).map((node) => {
    const slots = node.ranges.map(({start, end}) => (start === end ? `[${start}]` : `[${start},${end}]`)).join(',')
    const fields = [
      ['name', JSON.stringify(node.id)],
      ['host', JSON.stringify(node.address.host)],
      ['port', String(node.address.port)],
      ['replicate', node.primaryId === undefined ? 'null' : JSON.stringify(node.primaryId)],
      ['slots', `[${slots}]`],
      ['slots_count', String(countSlots(node.ranges))],
      ['flags', JSON.stringify(node.role === 'primary' ? 'master' : 'slave')],
      ['current_epoch', String(node.configEpoch)],
    ]
    return `  {\n${fields.map(([name, value]) => `    "${name}": ${value}`).join(',\n')}\n  }`
  })
  return `[\n${objects.join(',\n')}\n]`
}
