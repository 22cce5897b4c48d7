/** How does a report get into a file? Written whole or not at all, and never over something else than a report by chance. */
import {closeSync, lstatSync, openSync, readSync} from 'node:fs'
import path from 'node:path'
import {UsageError} from '../errors.ts'
import {writeWhole} from './write-whole.ts'

/** In the first lines of every report; of metrics, which have no comments of their own, the first family. */
const MARK = 'rcluster-report'
const METRICS_MARK = '# TYPE rcluster_'
const HEAD_BYTES = 4096

export type ReportFlag = '--svg' | '--html' | '--metrics'

/**
 * May a report be written there? To be asked before the work. A report may always be replaced by a newer one.
 * @throws UsageError for a folder that is not there, what is no plain file, and, without `isReplacing`, another file.
 */
export function requireReportFile(flag: ReportFlag, file: string, isReplacing: boolean): void {
  if (file === '') throw new UsageError(`${flag} names no file`)
  const folder = path.dirname(file)
  if (!statOf(flag, folder)?.isDirectory()) throw new UsageError(`${flag} ${file}: there is no folder ${folder}`)
  const there = statOf(flag, file)
  if (!there) return
  if (!there.isFile())
    throw new UsageError(`${flag} ${file}: what is there is no file`, {suggestions: ['Name another']})
  if (isReplacing || there.size === 0 || isReport(file)) return
  throw new UsageError(`${flag} ${file}: there is a file that is no report of rcluster`, {
    suggestions: ['Name another file, or add --yes to overwrite it'],
  })
}

function statOf(flag: ReportFlag, file: string): ReturnType<typeof lstatSync> | undefined {
  try {
    return lstatSync(file, {throwIfNoEntry: false})
  } catch (error) {
    throw new UsageError(`${flag} ${file}: ${(error as Error).message}`, {cause: error})
  }
}

function isReport(file: string): boolean {
  const head = Buffer.alloc(HEAD_BYTES)
  try {
    const handle = openSync(file, 'r')
    try {
      const text = head.toString('latin1', 0, readSync(handle, head))
      return text.includes(MARK) || text.startsWith(METRICS_MARK)
    } finally {
      closeSync(handle)
    }
  } catch {
    return false
  }
}

/** @throws UsageError with what the file system says. */
export function writeReportFile(flag: ReportFlag, file: string, text: string, isReplacing: boolean): void {
  requireReportFile(flag, file, isReplacing)
  try {
    writeWhole(file, flag === '--metrics' ? text : marked(text), 0o644)
  } catch (error) {
    throw new UsageError(`${flag} ${file} cannot be written: ${(error as Error).message}`, {cause: error})
  }
}

/** Behind the first line: before a DOCTYPE nothing may stand. */
function marked(markup: string): string {
  return markup.replace('\n', `\n<!-- ${MARK} -->\n`)
}
