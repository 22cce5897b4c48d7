/** Is a folder fit to take a backup? Empty, or not there yet, with space enough; and what was begun in it can be undone. */
import {readdir, rm, rmdir, statfs} from 'node:fs/promises'
import path from 'node:path'
import {RefusedError} from '../errors.ts'
import {makeFolder} from '../make-folder.ts'
import {MANIFEST_NAME} from './backup-manifest.ts'

export interface BackupFolder {
  readonly path: string
  readonly isThere: boolean
  /** For users without privileges; undefined where the system does not tell. */
  readonly freeBytes: number | undefined
}

/** Changes nothing. @throws RefusedError 'unfit-folder' */
export async function inspectFolder(folder: string): Promise<BackupFolder> {
  const target = path.resolve(folder)
  let entries: string[]
  try {
    entries = await readdir(target)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      throw unfit(`${target} cannot be read as a folder: ${(error as Error).message}`, error)
    return {path: target, isThere: false, freeBytes: await freeSpace(path.dirname(target))}
  }
  if (entries.length > 0) {
    const what = entries.includes(MANIFEST_NAME)
      ? 'a backup is in it'
      : entries.some((name) => name.endsWith('.part') || name.endsWith('.rdb'))
        ? 'it looks like a backup that was cut off'
        : `it holds ${entries.slice(0, 3).join(', ')}${entries.length > 3 ? ' …' : ''}`
    throw unfit(`${target} is not empty: ${what}`)
  }
  return {path: target, isThere: true, freeBytes: await freeSpace(target)}
}

/** Of the nearest folder that is there. */
async function freeSpace(folder: string): Promise<number | undefined> {
  for (let at = folder; ; at = path.dirname(at)) {
    try {
      const {bavail, bsize} = await statfs(at)
      return bavail * bsize
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || at === path.dirname(at)) return undefined
    }
  }
}

/** For nobody else's eyes: values and password hashes. @throws RefusedError 'unfit-folder' */
export async function claimFolder(folder: BackupFolder): Promise<void> {
  if (folder.isThere) return
  try {
    makeFolder(folder.path, 0o700)
  } catch (error) {
    throw unfit(`${folder.path} cannot be made: ${(error as Error).message}`, error)
  }
}

/** Takes away what a backup that failed had put there, and the folder if it made that. */
export async function clearFolder(folder: BackupFolder, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await rm(path.join(folder.path, name), {force: true}).catch(() => undefined)
    await rm(path.join(folder.path, `${name}.part`), {force: true}).catch(() => undefined)
  }
  if (!folder.isThere) await rmdir(folder.path).catch(() => undefined)
}

function unfit(message: string, cause?: unknown): RefusedError {
  return new RefusedError('unfit-folder', message, {
    suggestions: ['Name a folder that is empty, or not there yet'],
    cause,
  })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
