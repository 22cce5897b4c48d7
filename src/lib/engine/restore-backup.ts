/**
 * How do the keys of a backup get into a cluster, and are they there? Each is read out of its file again and goes to the
 * owner of its slot. Safe to run again: what is there with the same value is no conflict.
 */
import {compareValues} from '../rdb/compare-values.ts'
import {restorePayload} from '../rdb/payload.ts'
import type {RdbItem} from '../rdb/rdb-items.ts'
import {hasFieldLives} from '../rdb/value-layout.ts'
import {keySlot} from '../slots/key-slot.ts'
import {slotsInRanges} from '../slots/slot-ranges.ts'
import type {NodeId} from '../topology/model.ts'
import {parseUserLine} from '../topology/user-rules.ts'
import {isWithin} from './census.ts'
import type {NodePort} from './cluster-port.ts'
import type {EngineListener} from './events.ts'
import {KeyLoader} from './load-keys.ts'
import type {BusyKeyPolicy, LoadableKey, LoadOutcome} from './load-outcome.ts'
import {type CheckedFile, keysOfFile} from './read-backup.ts'
import {targetPorts} from './restore-target.ts'
import {type Comparison, haveSameLife} from './same-dump.ts'
import type {ClusterSession} from './session.ts'
import {mapBounded} from './waiting.ts'

/** Files read at once: one alone leaves the cluster waiting for the disk. */
const FILES_AT_ONCE = 4
const PORTION_KEYS = 256
const PORTION_BYTES = 1024 * 1024

export interface RestoreOptions {
  readonly conflicts: BusyKeyPolicy
  readonly signal?: AbortSignal | undefined
  readonly listener?: EngineListener | undefined
  readonly maxBytesPerSecond?: number | undefined
}

/** @throws what KeyLoader.finish throws. */
export async function restoreKeys(
  session: ClusterSession,
  files: readonly CheckedFile[],
  {conflicts, signal, listener, maxBytesPerSecond}: RestoreOptions,
): Promise<LoadOutcome> {
  const skews = await readSkews(session)
  listener?.({kind: 'load-started', keys: files.reduce((sum, {census}) => sum + census.keys, 0)})
  const loader = new KeyLoader(session, {
    conflicts,
    signal,
    listener,
    maxBytesPerSecond,
    compare: (keys, node) => Promise.all(keys.map((key) => compareKey(key, node, skews))),
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
  const check = async (key: LoadableKey): Promise<void> => {
    const id = session.topology.owners[keySlot(key.key)]
    const isOver = (): boolean => key.expiresAtMs !== undefined && key.expiresAtMs <= Date.now() + MARGIN_MS
    if (isOver()) {
      expired++
      return
    }
    const comparison = await compareKey(key, session.node(id ?? ''), skews)
    if (comparison === 'same') same++
    else if (comparison === 'unknown') present++
    else if (isOver() || (comparison === 'gone' && hasFieldLives(key.payload[0] ?? 0))) expired++
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

async function* portionsOf(file: CheckedFile, signal: AbortSignal | undefined): AsyncGenerator<LoadableKey[]> {
  const slots = file.source.slots && new Set(slotsInRanges(file.source.slots))
  let portion: LoadableKey[] = []
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

function loadable(item: RdbItem, file: CheckedFile, slots: ReadonlySet<number> | undefined): LoadableKey | undefined {
  if (item.kind !== 'key' || !isWithin(item.key, slots)) return undefined
  const {key, database, expiresAtMs} = item
  return {key, database, expiresAtMs, payload: restorePayload(item, file.rdbVersion)}
}

/** Makes the users of every node what the backup says. The user that all log in as by default comes last. */
export async function restoreUsers(session: ClusterSession, lines: readonly string[]): Promise<number> {
  const isDefault = (line: string): boolean => line.startsWith('user default ')
  const ordered = [...lines.filter((line) => !isDefault(line)), ...lines.filter(isDefault)]
  const ports = session.reachedPorts()
  await mapBounded(ports, 64, async (port) => {
    for (const {name, rules} of ordered.map(parseUserLine)) await port.setUser(name, ['reset', ...rules])
  })
  return ports.length
}
