/** How does a JSON document of ours get out of a file, or into one? Which kind it is stands in it; nothing else is written over. */
import {closeSync, fstatSync, lstatSync, openSync, readFileSync} from 'node:fs'
import path from 'node:path'
import type {ErrorObject, Options, ValidateFunction} from 'ajv'
import {UsageError} from '../errors.ts'

export interface FileKind {
  readonly format: string
  readonly version: number
  /** "plan" */
  readonly noun: string
  /** How one comes to be: a sentence. */
  readonly madeBy: string
  /** How one looks into it: a sentence. */
  readonly seeWith: (file: string) => string
}

/** A thousand nodes and all slots are about 3 MB. */
const MOST_BYTES = 64 * 2 ** 20

/** @throws UsageError for a folder that is not there, a file of another kind, and, without `isReplacing`, for any file. */
export function requireReplaceable(file: string, isReplacing: boolean, kind: FileKind): void {
  const {noun, seeWith} = kind
  const folder = path.dirname(file)
  if (!statOf(folder)?.isDirectory()) throw new UsageError(`--out ${file}: there is no folder ${folder}`)
  const there = statOf(file)
  if (!there) return
  if (!there.isFile() || !isOfKind(file, kind)) {
    throw new UsageError(`--out ${file}: there is something else than a ${noun}, which is not overwritten`, {
      suggestions: ['Name another file'],
    })
  }
  if (isReplacing) return
  throw new UsageError(`--out ${file}: there is a ${noun} already`, {
    suggestions: [seeWith(file), 'Add --yes to overwrite it'],
  })
}

function statOf(file: string): ReturnType<typeof lstatSync> | undefined {
  return lstatSync(file, {throwIfNoEntry: false})
}

function isOfKind(file: string, {format}: FileKind): boolean {
  try {
    return (JSON.parse(readText(file)) as {format?: unknown} | null)?.format === format
  } catch {
    return false
  }
}

/** @throws UsageError that names the file. */
export function readWhole(file: string, {noun}: FileKind): string {
  try {
    return readText(file, noun)
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`, {cause: error})
  }
}

function readText(file: string, noun = 'document'): string {
  const handle = openSync(file, 'r')
  try {
    const stat = fstatSync(handle)
    if (!stat.isFile()) throw new Error('it is no file')
    if (stat.size > MOST_BYTES) throw new Error(`${stat.size} bytes are no ${noun}`)
    return readFileSync(handle, 'utf8')
  } finally {
    closeSync(handle)
  }
}

/** @throws UsageError for what is no JSON, of another kind, or of a later version. */
export function parseDocument(text: string, file: string, kind: FileKind): object {
  const {noun} = kind
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    // The parser quotes what it stumbles on: the file may be anything, and hold anything.
    const place = /at position \d+( \(line \d+ column \d+\))?/.exec((error as Error).message)?.[0]
    throw new UsageError(`${file} is no ${noun}, or a damaged one: it is not JSON${place ? `, ${place}` : ''}`)
  }
  const {format, version, madeBy} = (document ?? {}) as {format?: unknown; version?: unknown; madeBy?: unknown}
  if (format !== kind.format) {
    throw new UsageError(`${file} is no ${noun} of rcluster`, {suggestions: [kind.madeBy]})
  }
  if (typeof version === 'number' && version > kind.version) {
    throw new UsageError(`${file} is a ${noun} of version ${version}, of which this rcluster knows nothing`, {
      suggestions: [`Use the rcluster that made it${typeof madeBy === 'string' ? `: ${madeBy}` : ''}`],
    })
  }
  return document as object
}

/** Loads a schema, and what compiles it, when a document is first held against it. */
export function validatorOf(load: () => Promise<object>, options: Options = {}): () => Promise<ValidateFunction> {
  let validation: Promise<ValidateFunction> | undefined
  return () => {
    validation ??= Promise.all([import('ajv'), load()]).then(([ajv, schema]) =>
      new ajv.default.Ajv({strict: false, ...options}).compile(schema),
    )
    return validation
  }
}

/** Of what a schema found wrong. */
export function firstError(errors: readonly ErrorObject[] | null | undefined): {place: string; problem: string} {
  // "if" and "allOf" only say that what stands within them failed.
  const first = (errors ?? []).find(({keyword}) => keyword !== 'if')
  const allowed = (first?.params as {allowedValues?: readonly unknown[]} | undefined)?.allowedValues
  const extra = (first?.params as {additionalProperty?: string} | undefined)?.additionalProperty
  const tail = allowed ? `: ${allowed.join(', ')}` : extra === undefined ? '' : `: "${extra}"`
  return {place: first?.instancePath ?? '', problem: `${first?.message ?? 'is not as it has to be'}${tail}`}
}
