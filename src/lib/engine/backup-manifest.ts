/**
 * What does a backup say of itself? manifest.json is written last and in one step, so a folder without one is no backup.
 * Nothing that is read from one is taken for granted: it may have been cut, edited, or written by a later version.
 */
import {open, rename} from 'node:fs/promises'
import path from 'node:path'
import {RefusedError} from '../errors.ts'
import {parseRanges} from '../slots/slot-ranges.ts'
import type {NodeId, Role} from '../topology/model.ts'

export const MANIFEST_NAME = 'manifest.json'

export interface BackupFile {
  /** Within the folder. */
  readonly name: string
  readonly bytes: number
  readonly sha256: string
  /** "REDIS" up to 79, "VALKEY" from 80 on. */
  readonly rdbVersion: number
  /** Of the server that wrote it. */
  readonly serverVersion: string
  readonly primaryId: NodeId
  readonly takenFrom: {readonly id: NodeId; readonly address: string; readonly role: Role}
  /** "0-5460" */
  readonly slots: string
  /** By database number. Keys of other slots are counted in `strays` alone, and are not restored. */
  readonly keys: Readonly<Record<string, number>>
  readonly expiringKeys: number
  readonly strays: number
  /** Where the replication stream of the shard stood. */
  readonly replicationOffset: number | null
  /** How far behind its primary the replica was when it was chosen. */
  readonly lagBytes: number | null
  readonly startedAt: string
  readonly finishedAt: string
}

export interface BackupManifest {
  readonly version: 1
  readonly kind: 'rcluster-backup'
  /** False: taken with --allow-partial, and `missingSlots` are not in it. */
  readonly complete: boolean
  readonly missingSlots: string
  readonly startedAt: string
  readonly finishedAt: string
  readonly note: string
  readonly cluster: {
    readonly slotMapFingerprint: string
    readonly nodes: readonly {
      readonly id: NodeId
      readonly address: string
      readonly role: Role
      readonly primaryId: NodeId | null
      readonly slots: string
      /** "redis 7.0.15"; null when the node did not answer. */
      readonly server: string | null
    }[]
  }
  readonly files: readonly BackupFile[]
  /** One entry where all primaries have the same libraries, none where they have none. */
  readonly functions: readonly {
    readonly libraries: readonly string[]
    /** FUNCTION DUMP, base64. */
    readonly dump: string
    readonly primaryIds: readonly NodeId[]
  }[]
  /** ACL LIST, with the hashes of passwords; null with --no-acl. */
  readonly users: readonly string[] | null
}

/** Whole under its name or not there, also after a power cut. */
export async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const target = path.join(folder, name)
  const file = await open(`${target}.part`, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${target}.part`, target)
  const directory = await open(folder, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

export function formatManifest(manifest: BackupManifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`
}

/** @throws RefusedError 'damaged-backup' naming what is wrong. */
export function parseManifest(text: string, folder: string): BackupManifest {
  const wrong = (what: string): never => {
    throw new RefusedError('damaged-backup', `${path.join(folder, MANIFEST_NAME)}: ${what}`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return wrong('it is no JSON')
  }
  const manifest = value as BackupManifest
  if (!isRecord(value) || value['kind'] !== 'rcluster-backup') return wrong('it is not the manifest of a backup')
  if (value['version'] !== 1) return wrong(`version ${String(value['version'])} is not known to this rcluster`)
  if (typeof value['complete'] !== 'boolean' || typeof value['missingSlots'] !== 'string') {
    return wrong('it does not say whether the backup is complete')
  }
  if (!Array.isArray(value['files'])) return wrong('it lists no files')
  const names = new Set<string>()
  for (const file of value['files'] as unknown[]) {
    if (!isFile(file)) return wrong('it lists a file without a name, size, checksum, slots or keys')
    if (names.has(file.name)) return wrong(`it lists ${file.name} twice`)
    names.add(file.name)
  }
  const {functions, users} = manifest
  const isFunctions =
    Array.isArray(functions) && functions.every((one) => typeof one?.dump === 'string' && Array.isArray(one.libraries))
  if (!isFunctions) return wrong('it does not tell of functions')
  if (users !== null && !(Array.isArray(users) && users.every((line) => typeof line === 'string'))) {
    return wrong('its users are no list of lines')
  }
  return manifest
}

function isFile(file: unknown): file is BackupFile {
  if (!isRecord(file)) return false
  const {name, bytes, sha256, slots, keys} = file
  if (typeof name !== 'string' || name !== path.basename(name) || name.startsWith('.')) return false
  if (typeof bytes !== 'number' || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return false
  if (typeof slots !== 'string' || !isRecord(keys)) return false
  try {
    parseRanges(slots)
  } catch {
    return false
  }
  return Object.values(keys).every((count) => typeof count === 'number')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
