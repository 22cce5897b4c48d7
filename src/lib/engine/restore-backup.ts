/**
 * How does a backup get into a cluster? What forbids it is found before the first key; then functions, keys, and a look at
 * what is there. Safe to run again: what is there with the same value is no conflict.
 */
import {InterruptedError, NodeError, RefusedError} from '../errors.ts'
import {compareValues} from '../rdb/compare-values.ts'
import {isVersionTaken, payloadVersion, restorePayload} from '../rdb/payload.ts'
import type {RdbItem} from '../rdb/rdb-items.ts'
import {keySlot} from '../slots/key-slot.ts'
import {slotsInRanges} from '../slots/slot-ranges.ts'
import {formatAddress, type NodeId, type Topology} from '../topology/model.ts'
import {primaries, slotsOf} from '../topology/queries.ts'
import {isWithin} from './census.ts'
import type {NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import {
  type BusyKeyPolicy,
  type Comparison,
  haveSameLife,
  KeyLoader,
  type LoadableKey,
  type LoadOutcome,
} from './load-keys.ts'
import {type CheckedFile, keysOfFile} from './read-backup.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

/** Files read at once: one alone leaves the cluster waiting for the disk. */
const FILES_AT_ONCE = 4
const PORTION_KEYS = 256
const PORTION_BYTES = 1024 * 1024

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

export interface RestoreOptions {
  readonly conflicts: BusyKeyPolicy
  readonly signal?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
  readonly maxBytesPerSecond?: number | undefined
}

interface BackupKey extends LoadableKey {
  readonly file: CheckedFile
}

/** @throws what KeyLoader.finish throws. */
export async function restoreKeys(
  session: ClusterSession,
  files: readonly CheckedFile[],
  {conflicts, signal, listener, maxBytesPerSecond}: RestoreOptions,
): Promise<LoadOutcome> {
  const skews = await readSkews(session)
  listener?.({kind: 'load-started', keys: files.reduce((sum, {census}) => sum + census.keys, 0)})
  const loader = new KeyLoader<BackupKey>(session, {
    conflicts,
    signal,
    listener,
    maxBytesPerSecond,
    compare: (key, node) => compareKey(key, node, skews),
  })
  await mapBounded(files, FILES_AT_ONCE, async (file) => {
    for await (const portion of portionsOf(file, undefined)) {
      await loader.add(portion)
      if (loader.hasStopped) return
    }
  })
  return loader.finish()
}

export interface Verification {
  readonly same: number
  /** Ended meanwhile, or before. */
  readonly expired: number
  /** Laid out differently by the server, so that only their presence and life were compared. */
  readonly present: number
  readonly missing: readonly Buffer[]
  readonly different: readonly Buffer[]
}

/** Asks the owner of each key for its value, and compares. */
export async function verifyKeys(
  session: ClusterSession,
  files: readonly CheckedFile[],
  {signal, listener}: Pick<RestoreOptions, 'signal' | 'listener'>,
): Promise<Verification> {
  const skews = await readSkews(session)
  let [same, expired, present] = [0, 0, 0]
  const missing: Buffer[] = []
  const different: Buffer[] = []
  listener?.({kind: 'load-started', keys: files.reduce((sum, {census}) => sum + census.keys, 0)})
  const check = async (key: BackupKey): Promise<void> => {
    const id = session.topology.owners[keySlot(key.key)]
    const isOver = (): boolean => key.expiresAtMs !== undefined && key.expiresAtMs <= Date.now() + MARGIN_MS
    if (isOver()) {
      expired++
      return
    }
    const comparison = await compareKey(key, session.node(id ?? ''), skews)
    if (comparison === 'same') same++
    else if (comparison === 'unknown') present++
    else if (isOver() || (comparison === 'gone' && mayEndByItself(key))) expired++
    else (comparison === 'gone' ? missing : different).push(Buffer.from(key.key))
  }
  await mapBounded(files, FILES_AT_ONCE, async (file) => {
    for await (const portion of portionsOf(file, signal)) {
      await Promise.all(portion.map(check))
      const bytes = portion.reduce((sum, {payload}) => sum + payload.length, 0)
      listener?.({kind: 'keys-loaded', keys: portion.length, bytes})
    }
  })
  return {same, expired, present, missing, different}
}

/** Times of two machines are compared. */
const MARGIN_MS = 2000

/** Ports by node, and how far the clock of each is ahead of ours. */
async function readSkews(session: ClusterSession): Promise<ReadonlyMap<NodeId, number>> {
  const entries = await mapBounded(targetPorts(session), 64, async (port) => {
    const clockMs = await port.readClock()
    return [port.id, clockMs === undefined ? 0 : clockMs - Date.now()] as const
  })
  return new Map(entries)
}

async function compareKey(
  {key, database, payload, expiresAtMs}: LoadableKey,
  node: NodePort,
  skews: ReadonlyMap<NodeId, number>,
): Promise<Comparison> {
  const theirs = await node.dumpKey(key, database)
  if (!theirs) return 'gone'
  const theirEndMs = theirs.ttlMs === undefined ? undefined : Date.now() + (skews.get(node.id) ?? 0) + theirs.ttlMs
  if (!haveSameLife(expiresAtMs, theirEndMs)) return 'different'
  return compareValues(payload, theirs.payload)
}

/** A hash whose fields have lives of their own ends with the last of them. */
function mayEndByItself({payload}: LoadableKey): boolean {
  const type = payload[0] ?? 0
  return type >= 22 && type <= 25
}

async function* portionsOf(file: CheckedFile, signal: AbortSignal | undefined): AsyncGenerator<BackupKey[]> {
  const slots = file.source.slots && new Set(slotsInRanges(file.source.slots))
  let portion: BackupKey[] = []
  let bytes = 0
  for await (const items of keysOfFile(file, signal)) {
    for (const item of items) {
      const key = loadable(item, file, slots)
      if (!key) continue
      portion.push(key)
      bytes += key.payload.length
      if (portion.length < PORTION_KEYS && bytes < PORTION_BYTES) continue
      yield portion
      portion = []
      bytes = 0
    }
  }
  if (portion.length > 0) yield portion
}

function loadable(item: RdbItem, file: CheckedFile, slots: ReadonlySet<number> | undefined): BackupKey | undefined {
  if (item.kind !== 'key' || !isWithin(item.key, slots)) return undefined
  const {key, database, expiresAtMs} = item
  return {key, database, expiresAtMs, payload: restorePayload(item, file.rdbVersion), file}
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
  const mayBeGone = files.reduce((sum, {census}) => sum + census.expiring, 0)
  if (found < expected - mayBeGone) {
    throw new InterruptedError(`${expected} keys were written, and the cluster has ${found}`, {
      details: {expected, found},
      suggestions: ['Something else deletes or evicts keys there: look at maxmemory-policy and at other clients'],
    })
  }
  return {expected, found}
}

/** Makes the users of every node what the backup says. The user that all log in as by default comes last. */
export async function restoreUsers(session: ClusterSession, lines: readonly string[]): Promise<number> {
  const isDefault = (line: string): boolean => line.startsWith('user default ')
  const ordered = [...lines.filter((line) => !isDefault(line)), ...lines.filter(isDefault)]
  const ports = session.reachedPorts()
  await mapBounded(ports, 64, async (port) => {
    for (const line of ordered) await port.writeUser(line)
  })
  return ports.length
}
