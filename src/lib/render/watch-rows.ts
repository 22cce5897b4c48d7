/** Which nodes does a watched cluster show, in which order, with what in each column? Pure. */
import {countSlots} from '../slots/slot-ranges.ts'
import {type ClusterNode, formatAddress, type NodeId, type Shard} from '../topology/model.ts'
import {keysOf, replicaLagBytes} from '../topology/queries.ts'
import type {Picture} from '../watch/picture.ts'
import {formatDuration} from './amounts.ts'
import {type NodeState, nodeState} from './topology.ts'

export const SORTS = ['slot', 'node', 'slots', 'keys', 'ops', 'memory', 'lag', 'state'] as const
export type Sort = (typeof SORTS)[number]

export interface WatchRow {
  readonly id: NodeId
  /** Holds what servers say. */
  readonly label: string
  /** A replica, shown below its primary. */
  readonly isBelow: boolean
  readonly isLastBelow: boolean
  readonly role: 'primary' | 'replica'
  readonly slots: number | undefined
  readonly keys: number | undefined
  readonly ops: number | undefined
  readonly memoryBytes: number | undefined
  /** Of maxmemory; undefined without a limit. */
  readonly memoryShare: number | undefined
  readonly lagBytes: number | undefined
  /** Since the replica last said how far it is, as its primary tells; of a link that is down: for how long. */
  readonly lagSeconds: number | undefined
  readonly state: NodeState
}

/** Shards in the order of `sort`, replicas below their primary; nodes without a shard last. */
export function watchRows(picture: Picture, sort: Sort, isReversed: boolean): WatchRow[] {
  const {topology} = picture.round
  const shards = topology.shards.map((shard, index) => {
    const rows = rowsOf(shard, picture)
    return {rows, index, weight: weigh(rows, sort)}
  })
  const direction = isReversed ? -1 : 1
  shards.sort((a, b) => direction * (compare(a.weight, b.weight) || a.index - b.index))
  const shown = new Set(shards.flatMap(({rows}) => rows.map(({id}) => id)))
  const others = topology.nodes.filter(({id}) => !shown.has(id)).map((node) => rowOf(node, picture, false, false))
  return [...shards.flatMap(({rows}) => rows), ...others]
}

function rowsOf({primary, replicas}: Shard, picture: Picture): WatchRow[] {
  return [
    rowOf(primary, picture, false, false),
    ...replicas.map((replica, index) => rowOf(replica, picture, true, index === replicas.length - 1)),
  ]
}

function rowOf(node: ClusterNode, picture: Picture, isBelow: boolean, isLastBelow: boolean): WatchRow {
  const {topology, atMs} = picture.round
  const info = node.reach.kind === 'reached' ? node.reach.view.serverInfo : undefined
  const limit = info?.maxMemoryBytes ?? 0
  const silence = picture.silent.get(node.id)
  const state = nodeState(node, topology)
  const memoryBytes = info?.usedMemoryBytes
  return {
    id: node.id,
    label: node.address.port === 0 ? `noaddr ${node.id.slice(0, 8)}` : formatAddress(node.address),
    isBelow,
    isLastBelow,
    role: node.role,
    slots: node.role === 'primary' ? countSlots(node.ranges) : undefined,
    keys: keysOf(node),
    ops: info?.opsPerSecond,
    memoryBytes,
    memoryShare: limit > 0 && memoryBytes !== undefined ? memoryBytes / limit : undefined,
    lagBytes: node.role === 'replica' ? replicaLagBytes(node, topology) : undefined,
    lagSeconds: node.role === 'replica' ? lagSecondsOf(node, picture) : undefined,
    state: silence
      ? {text: `silent ${formatDuration(Math.max(0, atMs - (silence.heardMs ?? silence.sinceMs)))}`, level: 'bad'}
      : state.text.startsWith('lag ')
        ? {text: 'ok', level: 'good'}
        : state,
  }
}

function lagSecondsOf(replica: ClusterNode, {round: {topology}}: Picture): number | undefined {
  if (replica.reach.kind === 'unreachable') return undefined
  const {isPrimaryLinkUp, primaryLinkDownSeconds} = replica.reach.view.serverInfo
  if (isPrimaryLinkUp === false) return primaryLinkDownSeconds
  const primary = topology.nodesById.get(replica.primaryId ?? '')
  if (primary?.reach.kind !== 'reached') return undefined
  const attached = primary.reach.view.serverInfo.attachedReplicas ?? []
  return attached.find(({address}) => formatAddress(address) === formatAddress(replica.announced))?.lagSeconds
}

/** What a shard is sorted by, the smallest first: of numbers the largest comes first. */
function weigh(rows: readonly WatchRow[], sort: Sort): number | string {
  const [primary] = rows
  const most = (amount: (row: WatchRow) => number | undefined): number =>
    -Math.max(...rows.map((row) => amount(row) ?? -1))
  switch (sort) {
    case 'slot':
      return 0
    case 'node':
      return primary?.label.replace(/\d+/g, (digits) => digits.padStart(5, '0')) ?? ''
    case 'slots':
      return -(primary?.slots ?? 0)
    case 'keys':
      return -(primary?.keys ?? -1)
    case 'ops':
      return -rows.reduce((sum, {ops}) => sum + (ops ?? 0), 0)
    case 'memory':
      return most(({memoryBytes}) => memoryBytes)
    case 'lag':
      return most(({lagBytes}) => lagBytes)
    case 'state':
      return most(({state}) => ({good: 0, poor: 1, bad: 2})[state.level])
  }
}

function compare(a: number | string, b: number | string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
