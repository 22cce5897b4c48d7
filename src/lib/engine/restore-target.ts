/**
 * Is a cluster fit to take a backup: empty or meant to be written to, of a version that reads it, with the databases and the
 * memory? And does it hold as many keys afterwards as were written? Reads only.
 */
import {InterruptedError, NodeError, RefusedError} from '../errors.ts'
import {isVersionTaken, payloadVersion} from '../rdb/payload.ts'
import {formatAddress, type Topology} from '../topology/model.ts'
import {primaries, slotsOf} from '../topology/queries.ts'
import type {NodePort} from './cluster-port.ts'
import type {BusyKeyPolicy, LoadOutcome} from './load-outcome.ts'
import type {CheckedFile} from './read-backup.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

export interface TargetFacts {
  readonly keys: number
  readonly databases: number
  /** Versions of payloads that the primaries write, and so the latest they take; empty where none tells. */
  readonly rdbVersions: readonly {readonly address: string; readonly version: number}[]
  /** What may still be written under maxmemory; undefined without such a limit somewhere. */
  readonly freeBytes: number | undefined
}

/** Ports of the primaries with slots. */
export function targetPorts(session: ClusterSession): NodePort[] {
  return primaries(session.topology)
    .filter(({id}) => slotsOf(session.topology, id).length > 0)
    .map(({id}) => session.node(id))
}

/** Reads only. */
export async function inspectTarget(session: ClusterSession): Promise<TargetFacts> {
  const {topology} = session
  const ports = targetPorts(session)
  const databases = await mapBounded(ports, 64, (port) => port.readDatabaseCount())
  const versions = await mapBounded(ports, 64, async (port) => {
    try {
      return {address: formatAddress(port.address), version: payloadVersion(await port.dumpFunctions())}
    } catch (error) {
      // Before Redis 7 there are no functions, and not every user may dump them: then RESTORE itself will tell.
      if (error instanceof NodeError && ['unknown-command', 'permission', 'rejected'].includes(error.failure)) return
      throw error
    }
  })
  return {
    keys: countKeys(topology),
    databases: Math.min(...databases),
    rdbVersions: versions.flatMap((one) =>
      one?.version === undefined ? [] : [{address: one.address, version: one.version}],
    ),
    freeBytes: freeMemory(topology),
  }
}

function countKeys(topology: Topology): number {
  let keys = 0
  for (const {reach} of primaries(topology)) {
    if (reach.kind !== 'reached') continue
    for (const count of reach.view.serverInfo.keysByDatabase.values()) keys += count
  }
  return keys
}

function freeMemory(topology: Topology): number | undefined {
  let free = 0
  for (const {id, reach} of primaries(topology)) {
    if (reach.kind !== 'reached' || slotsOf(topology, id).length === 0) continue
    const {maxMemoryBytes, usedMemoryBytes} = reach.view.serverInfo
    if (!maxMemoryBytes || usedMemoryBytes === undefined) return undefined
    free += Math.max(0, maxMemoryBytes - usedMemoryBytes)
  }
  return free
}

/**
 * `conflicts` undefined: the cluster has to be empty.
 * @throws RefusedError 'node-not-empty', 'target-unfit'
 */
export function requireRestorable(
  files: readonly CheckedFile[],
  target: TargetFacts,
  conflicts: BusyKeyPolicy | undefined,
): void {
  if (target.keys > 0 && conflicts === undefined) {
    throw new RefusedError('node-not-empty', `the cluster is not empty: it has ${target.keys} keys`, {
      details: {keys: target.keys},
      suggestions: [
        'Add --on-conflict fail to go on with a restore that was cut off: keys that are there with the same value are fine',
        'Add --on-conflict skip or replace to say whose value wins, or name the nodes of an empty cluster',
      ],
    })
  }
  for (const {rdbVersion, source} of files) {
    const deaf = target.rdbVersions.find(({version}) => !isVersionTaken(rdbVersion, version))
    if (!deaf) continue
    throw new RefusedError(
      'target-unfit',
      `${source.path} was written by a server of another line or a later version: it is RDB version ${rdbVersion}, and ${deaf.address} takes ${deaf.version >= 80 ? '1-11 and 80-' : 'up to '}${deaf.version}`,
      {suggestions: ['Restore into a cluster of the version that it was taken from, or a later one of the same line']},
    )
  }
  const database = Math.max(0, ...files.flatMap(({census}) => [...census.keysByDatabase.keys()]))
  if (database >= target.databases) {
    throw new RefusedError(
      'target-unfit',
      `the backup has keys in database ${database}, and the cluster has ${target.databases === 1 ? 'database 0 alone' : `databases 0-${target.databases - 1}`}`,
      {suggestions: ['Valkey 9 and later: set cluster-databases in the configuration of all nodes and restart them']},
    )
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  if (target.freeBytes !== undefined && bytes > target.freeBytes) {
    throw new RefusedError(
      'target-unfit',
      `the cluster may take ${target.freeBytes} bytes more under its maxmemory, and the files alone have ${bytes}`,
      {suggestions: ['Raise maxmemory, or restore into more nodes']},
    )
  }
}

/**
 * After a restore into an empty cluster: are as many keys there as were written?
 * @throws InterruptedError when there are fewer, in any database.
 */
export async function requireCounts(
  session: ClusterSession,
  files: readonly CheckedFile[],
  outcome: LoadOutcome,
): Promise<{expected: number; found: number}> {
  const topology = await session.observe()
  const expected = outcome.copied + outcome.identical + outcome.skipped
  const found = countKeys(topology)
  const mayBeGone = files.reduce((sum, {census}) => sum + census.mortal, 0)
  if (found < expected - mayBeGone) {
    throw new InterruptedError(`${expected} keys were written, and the cluster has ${found}`, {
      details: {expected, found},
      suggestions: ['Something else deletes or evicts keys there: look at maxmemory-policy and at other clients'],
    })
  }
  return {expected, found}
}
