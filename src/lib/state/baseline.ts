/**
 * Which findings are known, and not to be counted again? A file that `check --write-baseline` writes, whole or not at all,
 * and that people may keep beside their scripts.
 */
import {randomBytes} from 'node:crypto'
import {readFileSync, renameSync, rmSync, statSync, writeFileSync} from 'node:fs'
import path from 'node:path'
import {UsageError} from '../errors.ts'

const FORMAT = 'rcluster-baseline'
/** A thousand nodes with a finding each are a hundredth of it. */
const MOST_BYTES = 16 * 2 ** 20

export interface KnownFinding {
  /** 16 hex digits. By this it is known again; the rest is for people. */
  readonly fingerprint: string
  readonly id: string
  readonly message: string
}

/** @throws UsageError for a file that is not there, or no baseline. */
export function readBaseline(file: string): readonly KnownFinding[] {
  let text: string
  try {
    const stat = statSync(file)
    if (!stat.isFile()) throw new Error('it is no file')
    if (stat.size > MOST_BYTES) throw new Error(`${stat.size} bytes are no baseline`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = isMissing ? 'there is no such file' : (error as Error).message
    throw new UsageError(`--baseline ${file} cannot be read: ${why}`, {
      suggestions: isMissing ? [`Make one of what is found now: --write-baseline ${file}`] : [],
      cause: error,
    })
  }
  const findings = parseBaseline(text)
  if (findings) return findings
  throw new UsageError(`--baseline ${file} is no baseline of rcluster, or a damaged one`, {
    suggestions: ['A baseline is written by --write-baseline FILE'],
  })
}

/** undefined: it is none. */
export function parseBaseline(text: string): readonly KnownFinding[] | undefined {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return undefined
  }
  const {format, version, findings} = (document ?? {}) as Record<string, unknown>
  if (format !== FORMAT || version !== 1 || !Array.isArray(findings)) return undefined
  const isKnown = (one: unknown): one is KnownFinding => {
    const {fingerprint, id, message} = (one ?? {}) as Record<string, unknown>
    return (
      typeof fingerprint === 'string' &&
      /^[0-9a-f]{16}$/.test(fingerprint) &&
      typeof id === 'string' &&
      typeof message === 'string'
    )
  }
  return findings.every(isKnown) ? findings : undefined
}

/** One finding a line, in the order of their fingerprints' rules: such files are compared. */
export function formatBaseline(findings: readonly KnownFinding[]): string {
  const lines = findings
    .map(({fingerprint, id, message}) => JSON.stringify({fingerprint, id, message}))
    .map((line) => `    ${line}`)
  const list = lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n  ]`
  return `{\n  "format": "${FORMAT}",\n  "version": 1,\n  "findings": ${list}\n}\n`
}

/**
 * May a baseline be written there? To be asked before the work.
 * @throws UsageError for a folder that is not there, and for a file that is no baseline.
 */
export function requireBaselinePlace(file: string): void {
  const folder = path.dirname(file)
  if (!statSync(folder, {throwIfNoEntry: false})?.isDirectory()) {
    throw new UsageError(`--write-baseline ${file}: there is no folder ${folder}`)
  }
  const there = statSync(file, {throwIfNoEntry: false})
  if (!there) return
  if (there.isFile() && there.size <= MOST_BYTES && parseBaseline(readFileSync(file, 'utf8'))) return
  throw new UsageError(`--write-baseline ${file}: there is something else than a baseline, which is not overwritten`, {
    suggestions: ['Name another file'],
  })
}

/** Aside first, then renamed. @throws UsageError with what the file system says. */
export function writeBaseline(file: string, findings: readonly KnownFinding[]): void {
  const aside = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString('hex')}.tmp`)
  try {
    writeFileSync(aside, formatBaseline(findings), {flag: 'wx', flush: true})
    renameSync(aside, file)
  } catch (error) {
    rmSync(aside, {force: true})
    throw new UsageError(`--write-baseline ${file} cannot be written: ${(error as Error).message}`, {cause: error})
  }
}
