/**
 * How is a cluster backed up? One RDB of each shard, all at once, then what belongs to the cluster as a whole, then another
 * look: slots that moved meanwhile may be in two files or in none. Changes nothing on the servers. The shards' files are
 * each of one moment, but not of the same moment.
 */
import path from 'node:path'
import {ClusterError, RefusedError} from '../errors.ts'
import type {BackupPlan, BackupSource} from '../plan/backup.ts'
import {formatRanges, rangesFromSlots, slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type Topology} from '../topology/model.ts'
import {labelNode, slotMapFingerprint, slotsOf} from '../topology/queries.ts'
import {type BackupFolder, claimFolder, clearFolder} from './backup-folder.ts'
import type {BackupFile, BackupManifest} from './backup-manifest.ts'
import type {EngineListener} from './events.ts'
import {fetchSnapshot, type SnapshotFile} from './fetch-snapshot.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded, orAbort} from './waiting.ts'

export interface ShardFile extends SnapshotFile {
  readonly name: string
  readonly source: BackupSource
}

export interface TakeOptions {
  /** What a shard's file is called within the folder. */
  readonly nameOf: (source: BackupSource, index: number) => string
  readonly concurrency: number
  readonly silenceMs: number
  readonly signal?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
}

/**
 * Fills the folder and calls `finish`, which writes what makes it a backup. Whatever goes wrong before that has ended takes
 * away all that was written.
 */
export async function takeBackup(
  session: ClusterSession,
  plan: BackupPlan,
  folder: BackupFolder,
  options: TakeOptions,
  finish: (files: readonly ShardFile[]) => Promise<void>,
  ownNames: readonly string[],
): Promise<readonly ShardFile[]> {
  const before = session.topology
  const names = plan.sources.map(options.nameOf)
  await claimFolder(folder)
  try {
    const files = await takeShards(session, plan, folder.path, options)
    options.listener?.({kind: 'phase', text: 'Checking that no slot moved meanwhile'})
    await requireNoMigration(session)
    requireUnmoved(before, await orAbort(session.observe(), options.signal))
    options.signal?.throwIfAborted()
    await finish(files)
    return files
  } catch (error) {
    await clearFolder(folder, [...names, ...ownNames])
    throw told(error, folder)
  }
}

/** System errors of files are no faults of ours. */
function told(error: unknown, folder: BackupFolder): unknown {
  if (error instanceof ClusterError || !(error instanceof Error) || !('syscall' in error)) return error
  return new RefusedError('unfit-folder', `${folder.path}: ${error.message}; what was written there is removed again`, {
    cause: error,
  })
}

/** The first failure stops all others. */
async function takeShards(
  session: ClusterSession,
  {sources}: BackupPlan,
  folder: string,
  {nameOf, concurrency, silenceMs, signal, listener}: TakeOptions,
): Promise<ShardFile[]> {
  const keys = sources.every((source) => source.keys !== undefined)
    ? sources.reduce((sum, source) => sum + (source.keys ?? 0), 0)
    : undefined
  listener?.({kind: 'phase', text: 'Waiting for the nodes to send their data'})
  // Not before the first byte: nodes may wait five seconds for more replicas, and then the rate would be wrong for long.
  let hasBegun = false
  const onRead = (read: number, bytes: number): void => {
    if (!hasBegun) listener?.({kind: 'load-started', keys})
    hasBegun = true
    listener?.({kind: 'keys-loaded', keys: read, bytes})
  }
  const failing = new AbortController()
  const stop = signal ? AbortSignal.any([signal, failing.signal]) : failing.signal
  return mapBounded(sources, concurrency, async (source, index) => {
    const name = nameOf(source, index)
    try {
      const file = await fetchSnapshot(session.node(source.node.id), path.join(folder, name), {
        slots: source.slots,
        silenceMs,
        signal: stop,
        onRead,
      })
      if (file.census.isImportingSlots) throw slotsOnTheWay(labelNode(source.node))
      return {...file, name, source}
    } catch (error) {
      failing.abort(error)
      throw error
    }
  })
}

/** @throws RefusedError 'open-slots' while servers move slots by themselves. */
export async function requireNoMigration(session: ClusterSession): Promise<void> {
  const running = await mapBounded(session.reachedPorts(), 64, async (port) => {
    const all = await port.listSlotMigrations()
    return all.some(({status}) => status === 'running' || status === 'retrying') ? [formatAddress(port.address)] : []
  })
  const [first] = running.flat()
  if (first !== undefined) throw slotsOnTheWay(first)
}

function slotsOnTheWay(node: string): RefusedError {
  return new RefusedError(
    'open-slots',
    `slots are on their way from or to ${node}; their keys may be in two files or in none`,
    {
      suggestions: ['Wait until the slots have arrived, and run the command again'],
    },
  )
}

/** @throws RefusedError 'stale-plan' naming the slots that have another owner now, or none. */
export function requireUnmoved(before: Topology, after: Topology): void {
  const moved: number[] = []
  for (const [slot, owner] of before.owners.entries()) if (after.owners[slot] !== owner) moved.push(slot)
  const what =
    moved.length > 0
      ? `${moved.length === 1 ? 'slot' : 'slots'} ${formatRanges(rangesFromSlots(moved))} changed owner`
      : after.openSlots.length > 0
        ? `${after.openSlots.length} slots were opened`
        : after.disagreements.length > 0
          ? 'the nodes came to disagree'
          : undefined
  if (what === undefined) return
  throw new RefusedError('stale-plan', `${what} while the backup was taken, so it was removed`, {
    details: {slots: formatRanges(rangesFromSlots(moved))},
    suggestions: ['Run the command again while no slots move and no primary fails over'],
  })
}

/** FUNCTION DUMP of every primary, equal ones told once. */
export async function collectFunctions(
  session: ClusterSession,
  plan: BackupPlan,
): Promise<BackupManifest['functions']> {
  const byDump = new Map<string, {libraries: readonly string[]; dump: string; primaryIds: string[]}>()
  const all = await mapBounded(plan.sources, 64, async ({primary, node}) => {
    const port = session.node(primary.reach.kind === 'reached' ? primary.id : node.id)
    const libraries = await port.listFunctions()
    if (!libraries || libraries.length === 0) return undefined
    return {libraries, dump: (await port.dumpFunctions()).toString('base64'), primaryId: primary.id}
  })
  for (const one of all) {
    if (!one) continue
    // Libraries come in no order, and so the dumps of equal ones may differ.
    const key = JSON.stringify(one.libraries) + one.dump.length
    const known = byDump.get(key)
    if (known) known.primaryIds.push(one.primaryId)
    else byDump.set(key, {libraries: one.libraries, dump: one.dump, primaryIds: [one.primaryId]})
  }
  return [...byDump.values()]
}

export function buildManifest(
  topology: Topology,
  plan: BackupPlan,
  files: readonly ShardFile[],
  functions: BackupManifest['functions'],
  users: readonly string[] | null,
): BackupManifest {
  const started = Math.min(...files.map(({startedAt}) => startedAt.getTime()))
  const finished = Math.max(...files.map(({finishedAt}) => finishedAt.getTime()))
  const here = new Set(plan.sources.flatMap(({slots}) => slotsInRanges(slots)))
  const missing = topology.owners.flatMap((_owner, slot) => (here.has(slot) ? [] : [slot]))
  return {
    version: 1,
    kind: 'rcluster-backup',
    complete: missing.length === 0,
    missingSlots: formatRanges(rangesFromSlots(missing)),
    startedAt: new Date(started).toISOString(),
    finishedAt: new Date(finished).toISOString(),
    note: 'Each file is its shard at one moment between startedAt and finishedAt, not all at the same moment.',
    cluster: {
      slotMapFingerprint: slotMapFingerprint(topology),
      nodes: topology.nodes.map((node) => {
        const info = node.reach.kind === 'reached' ? node.reach.view.serverInfo : undefined
        return {
          id: node.id,
          address: formatAddress(node.address),
          role: node.role,
          primaryId: node.primaryId ?? null,
          slots: formatRanges(slotsOf(topology, node.id)),
          server: info ? `${info.flavour} ${info.version}` : null,
        }
      }),
    },
    files: files.map(fileEntry),
    functions,
    users,
  }
}

function fileEntry({name, source, census, ...file}: ShardFile): BackupFile {
  const {primary, node, slots, lagBytes} = source
  return {
    name,
    bytes: file.bytes,
    sha256: file.sha256,
    rdbVersion: file.rdbVersion,
    serverVersion: census.serverVersion,
    primaryId: primary.id,
    takenFrom: {id: node.id, address: formatAddress(node.address), role: node.role},
    slots: formatRanges(slots),
    keys: Object.fromEntries([...census.keysByDatabase].sort(([a], [b]) => a - b)),
    expiringKeys: census.expiring,
    strays: census.strays,
    replicationOffset: file.replicationOffset ?? null,
    lagBytes: lagBytes ?? null,
    startedAt: file.startedAt.toISOString(),
    finishedAt: file.finishedAt.toISOString(),
  }
}
