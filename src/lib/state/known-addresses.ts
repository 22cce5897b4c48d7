/**
 * Where were the nodes of a cluster reached that announce addresses which lead nowhere from here? Found once (through
 * seeds, a map, or by create), remembered by node ID, so that the next command needs one seed only. A hint and no more:
 * whoever answers there has to have that ID. One file a cluster, private to the user.
 */
import {createHash} from 'node:crypto'
import {readdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ClusterNode, NodeAddress, NodeId} from '../topology/model.ts'
import {isHost} from '../topology/parse-nodes.ts'
import {stateFolder} from './state-folder.ts'

/** One node, as it was reached the last time. */
export interface KnownNode {
  readonly id: NodeId
  readonly dialled: NodeAddress
  readonly announced: NodeAddress
}

export interface KnownCluster {
  readonly version: 1
  /** Sorted by ID. */
  readonly nodes: readonly KnownNode[]
  /** ISO 8601. */
  readonly savedAt: string
  /** The file that holds it. */
  readonly file: string
}

/** Newest first; files that are no records of this version are passed over. Empty where nothing can be read. */
export function readKnownClusters(env: NodeJS.ProcessEnv): KnownCluster[] {
  const known: KnownCluster[] = []
  for (const file of recordFiles(env)) {
    try {
      const record = JSON.parse(readFileSync(file, 'utf8')) as KnownCluster
      const isWhole =
        record.version === 1 && !Number.isNaN(Date.parse(record.savedAt)) && record.nodes.every(isKnownNode)
      if (isWhole) known.push({...record, file})
    } catch {
      // Another process may be writing, or somebody has edited it.
    }
  }
  return known.sort((a, b) => (a.savedAt < b.savedAt ? 1 : -1))
}

function recordFiles(env: NodeJS.ProcessEnv): string[] {
  try {
    const folder = stateFolder(env)
    return readdirSync(folder)
      .filter((name) => /^addresses-[0-9a-f]+\.json$/.test(name))
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}

function isKnownNode({id, dialled, announced}: KnownNode): boolean {
  const isAddress = (at: NodeAddress | undefined): boolean =>
    typeof at?.host === 'string' &&
    at.host !== '' &&
    isHost(at.host) &&
    Number.isInteger(at.port) &&
    at.port > 0 &&
    at.port < 65_536
  return /^[0-9a-f]{40}$/.test(id) && isAddress(dialled) && isAddress(announced)
}

/** Of all clusters; the newest record of a node counts. */
export function knownAddresses(env: NodeJS.ProcessEnv): Map<NodeId, NodeAddress> {
  const oldestFirst = readKnownClusters(env).reverse()
  return new Map(oldestFirst.flatMap(({nodes}) => nodes.map(({id, dialled}) => [id, dialled] as const)))
}

/** What one look at a cluster found. */
export interface FoundNodes {
  /** Reached elsewhere than where they announce themselves. */
  readonly mapped: readonly Pick<ClusterNode, 'id' | 'address' | 'announced'>[]
  /** All that were reached: what was known of them and is not so any more goes. */
  readonly direct: readonly NodeId[]
  /** What is known of others of these stays; nodes of the cluster that are none of them go. */
  readonly members: ReadonlySet<NodeId>
}

/**
 * Writes nothing when nothing is new, or nothing can be written: it is a convenience.
 * @returns the file, when a cluster has become known that was not before.
 */
export function rememberNodes(
  env: NodeJS.ProcessEnv,
  {mapped, direct, members}: FoundNodes,
  now: Date,
): string | undefined {
  const own = readKnownClusters(env).filter((cluster) => cluster.nodes.some(({id}) => members.has(id)))
  const asked = new Set(direct)
  const before = own.flatMap((cluster) => cluster.nodes).filter(({id}) => members.has(id) && !asked.has(id))
  const found = mapped.map(({id, address, announced}): KnownNode => ({id, dialled: address, announced}))
  const byId = new Map([...before, ...found].map((node) => [node.id, node]))
  const nodes = [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  if (own.length === 1 && JSON.stringify(own[0]?.nodes) === JSON.stringify(nodes)) return undefined
  if (own.length === 0 && nodes.length === 0) return undefined
  try {
    const file = nodes[0] && writeRecord(env, nodes[0].id, {version: 1, nodes, savedAt: now.toISOString()})
    for (const cluster of own) if (cluster.file !== file) forgetCluster(cluster)
    return own.length === 0 ? file : undefined
  } catch {
    return undefined
  }
}

/** Written aside first: a record is whole or it is not there. */
function writeRecord(env: NodeJS.ProcessEnv, firstId: NodeId, record: Omit<KnownCluster, 'file'>): string {
  const name = createHash('sha256').update(firstId).digest('hex').slice(0, 12)
  const file = join(stateFolder(env), `addresses-${name}.json`)
  writeFileSync(`${file}.${process.pid}.tmp`, `${JSON.stringify(record)}\n`, {mode: 0o600})
  renameSync(`${file}.${process.pid}.tmp`, file)
  return file
}

export function forgetCluster({file}: KnownCluster): void {
  rmSync(file, {force: true})
}
