/**
 * Which clusters has the user given names to, and how is each reached? Kept in the user's config folder, in one file that
 * is private to the user and may be edited by hand. It says where secrets are, and holds none. A file that is damaged, or of
 * a later version, is never written over. See docs/decisions/0025-contexts.md.
 */
import {randomBytes} from 'node:crypto'
import {closeSync, fstatSync, openSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {homedir} from 'node:os'
import path from 'node:path'
import {UsageError} from '../errors.ts'
import {makeFolder} from '../make-folder.ts'
import {nearestWord} from '../nearest-word.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'

/** The word for "no context", which is therefore no name. */
export const NO_CONTEXT = 'none'

/** Where the password is. */
export type PasswordSource = {readonly env: string} | {readonly file: string} | {readonly command: string}

/** All but `seeds` is as the flag of that name says it; files are absolute paths. */
export interface Context {
  /** "host:port", one at least. */
  readonly seeds: readonly string[]
  readonly user?: string
  readonly password?: PasswordSource
  readonly credentials?: string
  readonly tls?: boolean
  readonly cacert?: string
  readonly cacertdir?: string
  readonly cert?: string
  readonly key?: string
  readonly sni?: string
  readonly insecure?: boolean
  readonly tlsVerify?: 'chain' | 'names' | 'full'
  readonly tlsCiphers?: string
  readonly tlsCiphersuites?: string
  readonly addressMap?: readonly string[]
}

export interface Contexts {
  readonly file: string
  /** The name of the one that counts where none is said. */
  readonly standard: string | undefined
  readonly byName: ReadonlyMap<string, Context>
}

const VERSION = 1
const TEXTS = [
  'user',
  'credentials',
  'cacert',
  'cacertdir',
  'cert',
  'key',
  'sni',
  'tlsCiphers',
  'tlsCiphersuites',
] as const
const SWITCHES = ['tls', 'insecure'] as const
const LISTS = ['seeds', 'addressMap'] as const
const VERIFICATIONS = ['chain', 'names', 'full'] as const
/** Thousands of contexts. */
const MOST_BYTES = 4 * 2 ** 20

/** `$XDG_CONFIG_HOME/rcluster/contexts.json`, or else below ~/.config. */
export function contextsFile(env: NodeJS.ProcessEnv): string {
  const {XDG_CONFIG_HOME: configured, HOME: home} = env
  // A relative path is to be passed over, by the specification of these folders.
  const base = configured && path.isAbsolute(configured) ? configured : path.join(home || homedir(), '.config')
  return path.join(base, 'rcluster', 'contexts.json')
}

/** Empty where there is no file. @throws UsageError that names the file, and what is wrong with it. */
export function readContexts(env: NodeJS.ProcessEnv): Contexts {
  const file = contextsFile(env)
  const text = readPrivately(file)
  return text === undefined ? {file, standard: undefined, byName: new Map()} : parseContexts(text, file)
}

/** A context may run a command and says where a password is sent: nobody else may be able to write one. */
function readPrivately(file: string): string | undefined {
  let handle: number
  try {
    handle = openSync(file, 'r')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unusable(file, `cannot be read (${code})`)
  }
  try {
    const {uid, mode, size} = fstatSync(handle)
    const us = process.getuid?.()
    if (us !== undefined && uid !== us && uid !== 0) throw unusable(file, `belongs to another user (uid ${uid})`)
    if (us !== undefined && (mode & 0o022) !== 0) {
      const shown = (mode & 0o777).toString(8)
      throw unusable(file, `can be written by others (mode ${shown})`, [`chmod 600 ${file}`])
    }
    if (size > MOST_BYTES) throw unusable(file, `has ${size} bytes, which are no contexts`)
    return readFileSync(handle, 'utf8')
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw unusable(file, `cannot be read (${(error as NodeJS.ErrnoException).code})`)
  } finally {
    closeSync(handle)
  }
}

/** `file` is what it is called in errors. @throws UsageError. */
export function parseContexts(text: string, file: string): Contexts {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    // The parser quotes what it stumbles on, which may be somebody's password after all.
    const place = /at position \d+( \(line \d+ column \d+\))?/.exec((error as Error).message)?.[0]
    throw unusable(file, `is not JSON${place ? `, ${place}` : ''}`)
  }
  if (!isRecord(document)) throw unusable(file, 'is no document of contexts')
  const {version, default: standard, contexts} = document
  if (typeof version === 'number' && version > VERSION) {
    throw unusable(file, `is of version ${version}, of which this rcluster knows nothing`)
  }
  if (version !== VERSION) throw unusable(file, 'is damaged: /version is not 1')
  if (!isRecord(contexts)) throw unusable(file, 'is damaged: /contexts is no object')
  const byName = new Map<string, Context>()
  for (const [name, value] of Object.entries(contexts)) {
    const place = `/contexts/${name}`
    if (!isContextName(name)) throw unusable(file, `is damaged: ${place} is no name of a context`)
    const problem = problemOf(value)
    if (problem !== undefined) throw unusable(file, `is damaged: ${place}${problem}`)
    byName.set(name, value as Context)
  }
  if (standard !== undefined && !(typeof standard === 'string' && byName.has(standard))) {
    throw unusable(file, 'is damaged: /default names no context of it')
  }
  return {file, standard: standard as string | undefined, byName}
}

/** undefined: it is a context. */
function problemOf(value: unknown): string | undefined {
  if (!isRecord(value)) return ' is no object'
  const known: readonly string[] = [...TEXTS, ...SWITCHES, ...LISTS, 'password', 'tlsVerify']
  // What is not understood may be what keeps a secret from the wrong server.
  const stranger = Object.keys(value).find((name) => !known.includes(name))
  if (stranger !== undefined) return `/${stranger} is not known`
  const isText = (text: unknown): boolean => typeof text === 'string' && text !== ''
  for (const name of TEXTS) if (value[name] !== undefined && !isText(value[name])) return `/${name} is no text`
  for (const name of SWITCHES) {
    if (value[name] !== undefined && typeof value[name] !== 'boolean') return `/${name} is neither true nor false`
  }
  for (const name of LISTS) {
    const list = value[name]
    if (list !== undefined && !(Array.isArray(list) && list.every(isText))) return `/${name} is no list of texts`
  }
  const {tlsVerify} = value
  if (tlsVerify !== undefined && !VERIFICATIONS.some((one) => one === tlsVerify)) return '/tlsVerify is not known'
  if (!Array.isArray(value['seeds']) || value['seeds'].length === 0) return ' has no seeds'
  if ((value['cert'] === undefined) !== (value['key'] === undefined)) return ' has one of cert and key'
  const {password} = value
  if (password === undefined) return undefined
  const [entry, ...more] = isRecord(password) ? Object.entries(password) : []
  const isSource = entry && more.length === 0 && ['env', 'file', 'command'].includes(entry[0]) && isText(entry[1])
  return isSource ? undefined : '/password is none of {"env": …}, {"file": …}, {"command": …}'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unusable(file: string, problem: string, suggestions: readonly string[] = []): UsageError {
  return new UsageError(`${file} ${problem}`, {
    details: {file},
    suggestions: [...suggestions, `Correct the file or move it away; --context ${NO_CONTEXT} does without`],
  })
}

export function isContextName(name: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,63}$/.test(name) && name !== NO_CONTEXT
}

/** @throws UsageError that names the file, when it cannot be written: then it is as it was. */
export function writeContexts({file, standard, byName}: Contexts): void {
  const sorted = [...byName].sort(([a], [b]) => (a < b ? -1 : 1))
  const document = {version: VERSION, default: standard, contexts: Object.fromEntries(sorted)}
  try {
    makeFolder(path.dirname(file), 0o700)
    // A link into a folder of dotfiles stays one.
    const target = realPath(file)
    const aside = `${target}.${randomBytes(4).toString('hex')}.tmp`
    try {
      writeFileSync(aside, `${JSON.stringify(document, undefined, 2)}\n`, {mode: 0o600, flag: 'wx', flush: true})
      renameSync(aside, target)
    } catch (error) {
      rmSync(aside, {force: true})
      throw error
    }
  } catch (error) {
    throw new UsageError(`${file} cannot be written: ${(error as Error).message}`, {cause: error})
  }
}

function realPath(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

/** @throws UsageError when there is none of this name, with the one that was probably meant. */
export function requireContext({byName}: Contexts, name: string): Context {
  const context = byName.get(name)
  if (context) return context
  const names = [...byName.keys()].sort()
  const nearest = nearestWord(name, names)
  const list = names.length === 0 ? 'There are none yet: rcluster context add NAME --seed HOST:PORT' : names.join(', ')
  throw new UsageError(`there is no context "${name}"`, {
    details: {context: name},
    suggestions: nearest ? [`Did you mean "${nearest}"?`] : [names.length === 0 ? list : `The contexts are ${list}`],
  })
}

/** A context, and what made it the one. */
export interface ChosenContext {
  readonly name: string
  readonly context: Context
  /** 'line': --context was said. */
  readonly by: 'line' | 'variable' | 'default'
}

/** @throws UsageError for a name that is none, or a file that cannot be used. */
export function chooseContext(said: string | undefined, env: NodeJS.ProcessEnv): ChosenContext | undefined {
  const named = said ?? (env['RCLUSTER_CONTEXT'] || undefined)
  if (named === NO_CONTEXT) return undefined
  const contexts = readContexts(env)
  const name = named ?? contexts.standard
  if (name === undefined) return undefined
  const by = said !== undefined ? 'line' : named !== undefined ? 'variable' : 'default'
  return {name, context: requireContext(contexts, name), by}
}

/** What of `addresses` keeps the context from being used: only one that was said goes with any address. */
export function strangersTo({context, by}: ChosenContext, addresses: readonly NodeAddress[]): string[] {
  if (by === 'line') return []
  const own = new Set(context.seeds.map((seed) => seed.toLowerCase()))
  return addresses.map(formatAddress).filter((address) => !own.has(address.toLowerCase()))
}
