/** How does it look what has changed between two moments of a cluster? */
import type {ClusterSnapshot, SnapshotDifference, SnapshotNode} from '../plan/cluster-snapshot.ts'
import {formatSlots, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import type {NodeId} from '../topology/model.ts'
import {plural} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {wrap} from './wrap.ts'

/** "6 nodes, 3 primaries, 16384 slots" */
export function summariseSnapshot({nodes}: ClusterSnapshot): string {
  const slots = nodes.reduce((sum, node) => sum + slotsInRanges(parseRanges(node.slots)).length, 0)
  const primaries = nodes.filter(({role}) => role === 'primary').length
  return `${plural(nodes.length, 'node')}, ${primaries} of them ${primaries === 1 ? 'a primary' : 'primaries'}, ${plural(slots, 'slot')} with an owner`
}

const INDENT = 10

export function renderDifference(
  difference: SnapshotDifference,
  before: ClusterSnapshot,
  after: ClusterSnapshot,
  style: Style,
): string {
  const {chalk} = style
  const known = new Map([...before.nodes, ...after.nodes].map((node) => [node.id, node]))
  const label = (id: NodeId | undefined): string => (id === undefined ? 'nobody' : labelOf(known.get(id), id))
  const heirsOf = (id: NodeId | undefined): ReadonlySet<NodeId | undefined> =>
    new Set(before.nodes.flatMap((node) => (id !== undefined && node.primaryId === id ? [node.id] : [])))
  const line = (word: string, text: string): string =>
    `${word.padEnd(INDENT)}${wrap(clean(text), style, INDENT, INDENT)}`
  const role = (text: string): string => {
    const id = /^replica of ([0-9a-f]{40})$/.exec(text)?.[1]
    return id === undefined ? text : `replica of ${label(id)}`
  }
  return [
    ...difference.gone.map((node) => chalk.red(line('gone', describe(node, label)))),
    ...difference.joined.map((node) => chalk.green(line('new', describe(node, label)))),
    ...difference.roles.map(({id, before: old, after: now}) =>
      line('role', `${label(id)}: ${role(old)}, now ${role(now)}`),
    ),
    ...difference.slots.map(({slots, count, from, to}) =>
      line(
        'slots',
        `${slots} (${count}) from ${label(from)} to ${label(to)}${heirsOf(from).has(to) ? ', its replica then' : ''}`,
      ),
    ),
    ...difference.addresses.map(({id, before: old, after: now}) =>
      line('address', `${id.slice(0, 8)}: ${old}, now ${now}`),
    ),
    ...difference.servers.map(({id, before: old, after: now}) => line('version', `${label(id)}: ${old}, now ${now}`)),
  ].join('\n')
}

function describe(node: SnapshotNode, label: (id: NodeId | undefined) => string): string {
  const slots = node.slots === '' ? [] : slotsInRanges(parseRanges(node.slots))
  const what =
    node.role === 'replica' ? `a replica of ${label(node.primaryId)}` : `a primary of ${plural(slots.length, 'slot')}`
  return `${labelOf(node, node.id)}, ${what}${slots.length > 0 ? ` ${formatSlots(slots)}` : ''}`
}

/** Where it was last. */
function labelOf(node: SnapshotNode | undefined, id: NodeId): string {
  return `${node?.address ?? '?'} (${id.slice(0, 8)})`
}
