/**
 * Which node of each shard is a backup taken from? Pure. A replica that is in touch with its primary spares the primary the
 * fork; which of several is decided by how far it lags, then by ID.
 */
import type {SlotRanges} from '../slots/slot-ranges.ts'
import type {ClusterNode, Shard, Topology} from '../topology/model.ts'
import {slotsOf} from '../topology/queries.ts'

export interface BackupSource {
  readonly primary: ClusterNode
  /** The primary itself, or one of its replicas. */
  readonly node: ClusterNode
  readonly slots: SlotRanges
  /** How far a replica was behind; undefined for a primary, and where it is not told. */
  readonly lagBytes: number | undefined
  /** What the node's data takes in memory: RDB rarely takes more. */
  readonly memoryBytes: number | undefined
  readonly keys: number | undefined
}

/** Sources in the order of the shards, those with slots only; `missing` are shards of which no node can be asked. */
export interface BackupPlan {
  readonly sources: readonly BackupSource[]
  readonly missing: readonly {readonly primary: ClusterNode; readonly slots: SlotRanges}[]
}

export function planBackup(topology: Topology, options: {readonly isFromPrimaries: boolean}): BackupPlan {
  const sources: BackupSource[] = []
  const missing: {primary: ClusterNode; slots: SlotRanges}[] = []
  for (const shard of topology.shards) {
    const {primary} = shard
    const slots = slotsOf(topology, primary.id)
    if (slots.length === 0) continue
    const node = pickNode(shard, options.isFromPrimaries)
    if (!node) {
      missing.push({primary, slots})
      continue
    }
    const info = serverInfo(node)
    sources.push({
      primary,
      node,
      slots,
      lagBytes: node === primary ? undefined : lagOf(node, primary),
      memoryBytes: info?.usedMemoryBytes,
      keys: info && [...info.keysByDatabase.values()].reduce((sum, count) => sum + count, 0),
    })
  }
  return {sources, missing}
}

function pickNode({primary, replicas}: Shard, isFromPrimaries: boolean): ClusterNode | undefined {
  const inTouch = replicas.filter((node) => {
    const info = serverInfo(node)
    return info?.isPrimaryLinkUp === true && !info.isLoading && !node.flags.has('failed')
  })
  const nearest = inTouch.toSorted(
    (a, b) => (lagOf(a, primary) ?? 0) - (lagOf(b, primary) ?? 0) || (a.id < b.id ? -1 : 1),
  )[0]
  const usable = serverInfo(primary) && !serverInfo(primary)?.isLoading ? primary : undefined
  return isFromPrimaries ? usable : (nearest ?? usable)
}

function lagOf(replica: ClusterNode, primary: ClusterNode): number | undefined {
  const [ahead, behind] = [serverInfo(primary)?.replicationOffset, serverInfo(replica)?.replicationOffset]
  return ahead === undefined || behind === undefined ? undefined : Math.max(0, ahead - behind)
}

function serverInfo(node: ClusterNode) {
  return node.reach.kind === 'reached' ? node.reach.view.serverInfo : undefined
}
