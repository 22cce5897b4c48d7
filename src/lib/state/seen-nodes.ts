/**
 * Which nodes did the last commands see? For completion, which asks no node: a convenience that is a day old at most, in
 * one file that is private to the user. Nothing is ever dialled, and no secret sent, because it stands there.
 */
import {readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {countSlots} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Role, type Topology} from '../topology/model.ts'
import {slotsOf} from '../topology/queries.ts'
import {stateFolder} from './state-folder.ts'

export interface SeenNode {
  readonly id: NodeId
  /** "host:port", where it is dialled. */
  readonly address: string
  readonly hostname?: string
  readonly role: Role
  readonly slots: number
}

export interface SeenCluster {
  /** ISO 8601. */
  readonly seenAt: string
  /** By which it was found. */
  readonly context?: string
  /** By address. */
  readonly nodes: readonly SeenNode[]
}

interface SeenFile {
  readonly version: 1
  /** The latest first. */
  readonly clusters: readonly SeenCluster[]
}

const LIFE_MS = 24 * 60 * 60 * 1000
const MOST_CLUSTERS = 8
/** A cluster that is as it was is not written down again each time. */
const FRESH_MS = 60 * 1000

function seenFile(env: NodeJS.ProcessEnv): string {
  return join(stateFolder(env), 'seen-nodes.json')
}

/** The latest first; none where nothing can be read. Names that a shell could take for more than a word are left out. */
export function readSeenClusters(env: NodeJS.ProcessEnv, now: Date): SeenCluster[] {
  try {
    const {version, clusters} = JSON.parse(readFileSync(seenFile(env), 'utf8')) as SeenFile
    if (version !== 1) return []
    return clusters
      .filter(({seenAt}) => Math.abs(now.getTime() - Date.parse(seenAt)) < LIFE_MS)
      .map((cluster) => ({...cluster, nodes: cluster.nodes.filter(isHarmless)}))
  } catch {
    return []
  }
}

function isHarmless({id, address, hostname = 'none'}: SeenNode): boolean {
  return /^[0-9a-f]{40}$/.test(id) && /^[\p{L}\p{N}_.:[\]-]+$/u.test(address) && /^[\p{L}\p{N}_.-]+$/u.test(hostname)
}

/** Writes nothing where nothing can be written. */
export function noteSeenNodes(
  env: NodeJS.ProcessEnv,
  topology: Topology,
  context: string | undefined,
  now: Date,
): void {
  const nodes = topology.nodes.map(
    ({id, address, hostname, role}): SeenNode => ({
      ...{id, address: formatAddress(address), role, slots: countSlots(slotsOf(topology, id))},
      ...(hostname ? {hostname} : {}),
    }),
  )
  nodes.sort((a, b) => a.address.localeCompare(b.address, 'en', {numeric: true}))
  const cluster: SeenCluster = {seenAt: now.toISOString(), ...(context ? {context} : {}), nodes}
  const [last, ...before] = readSeenClusters(env, now)
  if (last && isSame(last, cluster) && now.getTime() - Date.parse(last.seenAt) < FRESH_MS) return
  const members = new Set(nodes.map(({id}) => id))
  const others = [...(last ? [last] : []), ...before].filter(({nodes: own}) => !own.some(({id}) => members.has(id)))
  const document: SeenFile = {version: 1, clusters: [cluster, ...others].slice(0, MOST_CLUSTERS)}
  let aside: string | undefined
  try {
    const file = seenFile(env)
    aside = `${file}.${process.pid}.tmp`
    writeFileSync(aside, `${JSON.stringify(document)}\n`, {mode: 0o600})
    renameSync(aside, file)
  } catch {
    if (aside !== undefined) rmSync(aside, {force: true})
  }
}

function isSame(a: SeenCluster, b: SeenCluster): boolean {
  return a.context === b.context && JSON.stringify(a.nodes) === JSON.stringify(b.nodes)
}
