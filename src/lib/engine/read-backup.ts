/**
 * What is there to restore, and is it whole? A folder that rcluster or redis-cli --cluster backup wrote, or RDB files of any
 * origin. All of it is read to the end before a key is written anywhere: what is cut or damaged is refused here.
 */
import {createHash} from 'node:crypto'
import {createReadStream} from 'node:fs'
import {readdir, readFile, stat} from 'node:fs/promises'
import path from 'node:path'
import {ClusterError, RefusedError, UsageError} from '../errors.ts'
import {RdbParser, readRdb} from '../rdb/parse-rdb.ts'
import {RdbError} from '../rdb/rdb-error.ts'
import {SLOT_COUNT} from '../slots/slot.ts'
import {countSlots, parseRanges, rangesFromSlots, type SlotRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {type BackupManifest, MANIFEST_NAME, parseManifest} from './backup-manifest.ts'
import {Census} from './census.ts'

export interface RdbSource {
  readonly path: string
  /** Keys of other slots in it are not its own; undefined: all are. */
  readonly slots: SlotRanges | undefined
  readonly expected:
    | {readonly bytes: number; readonly sha256: string; readonly keys: Readonly<Record<string, number>>}
    | undefined
}

export interface BackupSet {
  readonly origin: 'rcluster' | 'redis-cli' | 'files'
  readonly sources: readonly RdbSource[]
  readonly manifest: BackupManifest | undefined
}

/** One file, read to its end and found whole. */
export interface CheckedFile {
  readonly source: RdbSource
  readonly bytes: number
  readonly rdbVersion: number
  readonly census: Census
}

/** `words`: one folder, or RDB files. @throws UsageError, RefusedError 'damaged-backup' */
export async function findBackup(words: readonly string[], isPartialAllowed: boolean): Promise<BackupSet> {
  const [first = ''] = words
  const info = await stat(first).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(error.code === 'ENOENT' ? `there is no ${first}` : `${first} cannot be read: ${error.message}`)
  })
  if (!info.isDirectory()) {
    return {
      origin: 'files',
      sources: words.map((word) => ({path: word, slots: undefined, expected: undefined})),
      manifest: undefined,
    }
  }
  if (words.length > 1) throw new UsageError('one folder is restored at a time')
  const names = new Set(await readdir(first))
  if (names.has(MANIFEST_NAME)) return fromManifest(first, names, isPartialAllowed)
  if (names.has('nodes.json')) return fromNodesFile(first, names)
  const looksCut = [...names].some((name) => name.endsWith('.part') || name.endsWith('.rdb'))
  throw damaged(
    looksCut
      ? `${first} holds no whole backup: it has no ${MANIFEST_NAME}, which is written when all else is there`
      : `${first} holds no backup`,
    looksCut ? ['Take the backup again, or name the .rdb files that are to be restored as they are'] : [],
  )
}

async function fromManifest(folder: string, names: ReadonlySet<string>, isPartialAllowed: boolean): Promise<BackupSet> {
  const manifest = parseManifest(await readFile(path.join(folder, MANIFEST_NAME), 'utf8'), folder)
  const {complete, missingSlots, files} = manifest
  const lost = files.filter(({name}) => !names.has(name)).map(({name}) => name)
  if (lost.length > 0) throw damaged(`${folder} is not whole: ${lost.join(', ')} is missing`)
  const slots = files.flatMap((file) => slotsInRanges(parseRanges(file.slots)))
  const covered = countSlots(rangesFromSlots(slots))
  if (complete && (covered !== SLOT_COUNT || slots.length !== SLOT_COUNT)) {
    throw damaged(`${folder} says that it is complete, but its files hold ${covered} of ${SLOT_COUNT} slots`)
  }
  if (!complete && !isPartialAllowed) {
    throw damaged(`${folder} is a partial backup: slots ${missingSlots} are not in it`, [
      'Add --allow-partial to restore what there is',
    ])
  }
  const sources = files.map(({name, bytes, sha256, keys, slots: own}) => ({
    path: path.join(folder, name),
    slots: parseRanges(own),
    expected: {bytes, sha256, keys},
  }))
  return {origin: 'rcluster', sources, manifest}
}

/** redis-cli writes nodes.json before the first RDB and stops at the first error, so every file must be looked for. */
async function fromNodesFile(folder: string, names: ReadonlySet<string>): Promise<BackupSet> {
  let nodes: unknown
  try {
    nodes = JSON.parse(await readFile(path.join(folder, 'nodes.json'), 'utf8'))
  } catch (error) {
    throw damaged(`${path.join(folder, 'nodes.json')} cannot be read: ${(error as Error).message}`)
  }
  const sources: RdbSource[] = []
  const lost: string[] = []
  for (const node of Array.isArray(nodes) ? (nodes as Record<string, unknown>[]) : []) {
    const slots = slotsOfNodesEntry(node['slots'])
    if (slots.length === 0) continue
    const tail = `-node-${String(node['host'])}-${String(node['port'])}-${String(node['name'])}.rdb`
    const name = [...names].find((one) => one.endsWith(tail))
    if (name === undefined) lost.push(`*${tail}`)
    else sources.push({path: path.join(folder, name), slots: rangesFromSlots(slots), expected: undefined})
  }
  if (lost.length > 0) throw damaged(`${folder} is not whole: ${lost.join(', ')} is missing`)
  const all = sources.flatMap(({slots}) => slotsInRanges(slots ?? []))
  const covered = new Set(all).size
  if (covered !== SLOT_COUNT || all.length !== SLOT_COUNT) {
    throw damaged(`${folder} is not whole: its nodes.json has ${covered} of ${SLOT_COUNT} slots`)
  }
  return {origin: 'redis-cli', sources, manifest: undefined}
}

/** [[0, 5460], …] */
function slotsOfNodesEntry(slots: unknown): number[] {
  if (!Array.isArray(slots)) return []
  return slots.flatMap((range) => {
    const [start, end] = Array.isArray(range) ? (range as unknown[]) : [range, range]
    const text = `${String(start)}-${String(end ?? start)}`
    try {
      return slotsInRanges(parseRanges(text))
    } catch {
      throw damaged(`nodes.json has the slots ${text}, which are none`)
    }
  })
}

/** Reads the whole file. @throws RefusedError 'damaged-backup' naming what is wrong with it. */
export async function checkFile(
  source: RdbSource,
  signal: AbortSignal | undefined,
  onRead?: (keys: number, bytes: number) => void,
): Promise<CheckedFile> {
  const {expected} = source
  try {
    const {size} = await stat(source.path)
    if (expected && size !== expected.bytes) {
      throw damaged(`${source.path} has ${size} bytes, where the backup was made with ${expected.bytes}`)
    }
    const parser = new RdbParser(size)
    const census = new Census(source.slots, Date.now())
    const hash = createHash('sha256')
    let read = 0
    for await (const chunk of chunksOf(source.path)) {
      signal?.throwIfAborted()
      if (expected) hash.update(chunk)
      read += chunk.length
      const keys = census.add(parser.push(chunk))
      onRead?.(keys, chunk.length)
    }
    census.add(parser.end())
    if (expected && hash.digest('hex') !== expected.sha256) {
      throw damaged(`${source.path} is not as it was written: its SHA-256 differs from that in ${MANIFEST_NAME}`)
    }
    const counts = Object.fromEntries(census.keysByDatabase)
    if (expected && JSON.stringify(sorted(counts)) !== JSON.stringify(sorted(expected.keys))) {
      throw damaged(`${source.path} does not hold the keys that ${MANIFEST_NAME} counts`)
    }
    return {source, bytes: read, rdbVersion: parser.version, census}
  } catch (error) {
    if (error instanceof RdbError) throw damaged(`${source.path}: ${error.message}`, [], error)
    if (error instanceof ClusterError || !(error instanceof Error) || !('syscall' in error)) throw error
    throw damaged(`${source.path} cannot be read: ${error.message}`, [], error)
  }
}

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort(([a], [b]) => Number(a) - Number(b))
}

/** The keys of a file that `checkFile` found whole, as they come. */
export async function* keysOfFile({source}: CheckedFile, signal: AbortSignal | undefined) {
  for await (const items of readRdb(chunksOf(source.path))) {
    signal?.throwIfAborted()
    yield items
  }
}

function chunksOf(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, {highWaterMark: 1024 * 1024})
}

function damaged(message: string, suggestions: readonly string[] = [], cause?: unknown): RefusedError {
  return new RefusedError('damaged-backup', message, {suggestions, cause})
}
