/** How is a snapshot kept in a file, and read again? What does not fit in every part is refused, by the place in it. */
import {UsageError} from '../errors.ts'
import {fingerprintOf} from '../plan/cluster-sketch.ts'
import {SNAPSHOT_FORMAT, SNAPSHOT_VERSION, type SnapshotFile} from '../plan/cluster-snapshot.ts'
import {formatSlots, parseRanges, slotsInRanges} from '../slots/slot-ranges.ts'
import {type FileKind, firstError, parseDocument, readWhole, requireReplaceable, validatorOf} from './format-file.ts'
import {writeWhole} from './write-whole.ts'

const SNAPSHOT: FileKind = {
  format: SNAPSHOT_FORMAT,
  version: SNAPSHOT_VERSION,
  noun: 'snapshot',
  madeBy: 'A snapshot is written by rcluster snapshot --out FILE',
  seeWith: (file) => `See what has changed since then: rcluster diff ${file} SEED`,
}

/** May a snapshot be written there? @throws as `requireReplaceable` */
export function requireSnapshotPlace(file: string, isReplacing: boolean): void {
  requireReplaceable(file, isReplacing, SNAPSHOT)
}

/** @throws UsageError with what the file system says. */
export function writeSnapshotFile(file: string, snapshot: SnapshotFile, isReplacing: boolean): void {
  requireSnapshotPlace(file, isReplacing)
  try {
    writeWhole(file, formatSnapshotFile(snapshot), 0o600)
  } catch (error) {
    throw new UsageError(`--out ${file} cannot be written: ${(error as Error).message}`, {cause: error})
  }
}

export function formatSnapshotFile(snapshot: SnapshotFile): string {
  return `${JSON.stringify(snapshot, undefined, 2)}\n`
}

/** @throws UsageError that names the file and the place in it. */
export async function readSnapshotFile(file: string): Promise<SnapshotFile> {
  return parseSnapshotFile(readWhole(file, SNAPSHOT), file)
}

/** As `readSnapshotFile`; `file` is what it is called in errors. */
export async function parseSnapshotFile(text: string, file: string): Promise<SnapshotFile> {
  const document = parseDocument(text, file, SNAPSHOT)
  const validate = await validator()
  if (!validate(document)) {
    const {place, problem} = firstError(validate.errors)
    throw damaged(file, place, problem)
  }
  const snapshot = document as SnapshotFile
  requireSense(snapshot, file)
  return snapshot
}

const validator = validatorOf(
  async () => (await import('../../../schemas/snapshot-v1.json', {with: {type: 'json'}})).default,
)

function damaged(file: string, place: string, problem: string): UsageError {
  return new UsageError(`${file} is not a snapshot that can be used: ${place || 'the whole'} ${problem}`, {
    details: {file, place},
    suggestions: ['Take a new one: rcluster snapshot --out FILE'],
  })
}

/** What a schema cannot say. */
function requireSense({cluster}: SnapshotFile, file: string): void {
  const owned = new Set<number>()
  const ids = new Set<string>()
  for (const [index, {id, slots}] of cluster.nodes.entries()) {
    const place = `/cluster/nodes/${index}`
    if (ids.has(id)) throw damaged(file, place, `is node ${id} a second time`)
    ids.add(id)
    for (const slot of readSlots(file, `${place}/slots`, slots)) {
      if (owned.has(slot)) throw damaged(file, `${place}/slots`, `gives slot ${slot} a second owner`)
      owned.add(slot)
    }
  }
  for (const name of ['open', 'disputed'] as const) readSlots(file, `/cluster/${name}`, cluster[name])
  if (fingerprintOf(cluster.nodes) !== cluster.fingerprint) {
    throw damaged(file, '/cluster/fingerprint', 'is not the fingerprint of the nodes')
  }
}

function readSlots(file: string, place: string, text: string): number[] {
  try {
    const slots = slotsInRanges(parseRanges(text))
    if (formatSlots(slots) !== text) throw new RangeError(`"${text}" is not how slots are written`)
    return slots
  } catch (error) {
    throw damaged(file, place, `is wrong: ${(error as Error).message}`)
  }
}
