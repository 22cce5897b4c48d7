/**
 * What does "[options] --cluster SUB words [options]" ask for, as redis-cli and valkey-cli read it? Pure. The answer is in
 * terms of our hidden drop-in commands and their flags, or the words with which redis-cli would refuse it.
 *
 * Stricter than they are where they go on with something else than was written: numbers that are none, words that they
 * would drop.
 */
import {UsageError} from '../../errors.ts'
import {formatAddress, isSocket} from '../../topology/model.ts'
import {parseAddress, parseNodeReference} from '../node-argument.ts'
import {DROP_IN_OPTIONS, type DropInOption} from './options.ts'

export type FlagValue = true | string | readonly string[]

export interface DropInRequest {
  readonly subcommand: string
  /** Addresses among them are in one form, "host:port". */
  readonly words: readonly string[]
  /** By the names of our flags. */
  readonly flags: Readonly<Record<string, FlagValue>>
}

type Environment = Readonly<Record<string, string | undefined>>

/** How many words each takes, and how many of the first are addresses. 'seed': "host:port" or "host port". */
const SUBCOMMANDS: ReadonlyMap<string, {least: number; most: number; addresses: number | 'seed'}> = new Map([
  ['create', {least: 1, most: Number.POSITIVE_INFINITY, addresses: Number.POSITIVE_INFINITY}],
  ['check', {least: 1, most: 2, addresses: 'seed'}],
  ['info', {least: 1, most: 2, addresses: 'seed'}],
  ['fix', {least: 1, most: 2, addresses: 'seed'}],
  ['reshard', {least: 1, most: 2, addresses: 'seed'}],
  ['rebalance', {least: 1, most: 2, addresses: 'seed'}],
  ['add-node', {least: 2, most: 2, addresses: 2}],
  ['del-node', {least: 2, most: 2, addresses: 1}],
  ['call', {least: 2, most: Number.POSITIVE_INFINITY, addresses: 1}],
  ['set-timeout', {least: 2, most: 2, addresses: 1}],
  ['import', {least: 1, most: 1, addresses: 1}],
  ['backup', {least: 2, most: 2, addresses: 1}],
  ['help', {least: 0, most: Number.POSITIVE_INFINITY, addresses: 0}],
] as const)

const WRONG_COUNT = '[ERR] Wrong number of arguments for specified --cluster sub command'
const NO_ADDRESS =
  '[ERR] Invalid arguments: you need to pass either a valid address (ie. 120.0.0.1:7000) or space separated IP and port (ie. 120.0.0.1 7000)'

/** @throws UsageError whose message is to be printed as it is. */
export function parseDropInArgv(argv: readonly string[], env: Environment): DropInRequest {
  const read = readTokens(argv)
  const {flags} = read
  if (isClusterYes(env)) flags.set('yes', true)
  const hasPassword =
    flags.has('password') || flags.has('askpass') || PASSWORD_VARIABLES.some((name) => Boolean(env[name]))
  // As there: a user without a password is not sent, TLS options without --tls do nothing.
  if (!hasPassword) flags.delete('user')
  if (!flags.has('tls')) for (const name of TLS_FLAGS) flags.delete(name)
  const words = readWords(read.subcommand, read.words, flags)
  flags.delete('host')
  flags.delete('port')
  flags.delete('socket')
  return {subcommand: read.subcommand, words, flags: Object.fromEntries(flags)}
}

/** oclif takes a value that looks like a flag for one that was forgotten; a password may look so. */
const DISGUISE = '\0'

/** Undoes what `toNativeArgv` did to a flag's value. */
export function undisguised(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(undisguised)
  return typeof value === 'string' && value.startsWith(DISGUISE) ? value.slice(DISGUISE.length) : value
}

/** What oclif is to run: "drop-in:create", flags, "--", words. */
export function toNativeArgv({subcommand, words, flags}: DropInRequest): string[] {
  const tokens = Object.entries(flags).flatMap(([name, value]) => {
    if (value === true) return [`--${name}`]
    const values = typeof value === 'string' ? [value] : value
    return values.map((one) => `--${name}=${one.startsWith('-') ? DISGUISE : ''}${one}`)
  })
  return [`drop-in:${subcommand}`, ...tokens, '--', ...words]
}

const PASSWORD_VARIABLES = ['RCLUSTER_PASSWORD', 'VALKEYCLI_AUTH', 'REDISCLI_AUTH']
const TLS_FLAGS = ['sni', 'cacert', 'cacertdir', 'cert', 'key', 'insecure', 'tls-ciphers', 'tls-ciphersuites']

function isClusterYes(env: Environment): boolean {
  return (env['VALKEYCLI_CLUSTER_YES'] ?? env['REDISCLI_CLUSTER_YES']) === '1'
}

interface Tokens {
  readonly subcommand: string
  readonly words: readonly string[]
  readonly flags: Map<string, FlagValue>
}

function readTokens(argv: readonly string[]): Tokens {
  const flags = new Map<string, FlagValue>()
  let subcommand: string | undefined
  let words: string[] = []
  for (let at = 0; at < argv.length; ) {
    const token = argv[at++]!
    if (token === '--help' || (token === '--cluster' && argv[at] === '--help')) {
      return {subcommand: 'help', words: [], flags: new Map()}
    }
    if (token === '--cluster') {
      const sub = argv[at++]
      if (sub === undefined || subcommand !== undefined) throw unrecognized(token)
      if (!SUBCOMMANDS.has(sub)) throw new UsageError('Unknown --cluster subcommand')
      subcommand = sub
      words = wordsFrom(argv, at)
      at += words.length
      continue
    }
    if (!token.startsWith('-')) {
      // As there: words may follow later when none came first. What it would drop then is refused here.
      if (subcommand === undefined || words.length > 0) {
        throw new UsageError(`[ERR] Unexpected argument: '${withoutSecret(token, argv[at - 2])}'`)
      }
      words = wordsFrom(argv, at - 1)
      at += words.length - 1
      continue
    }
    const option = DROP_IN_OPTIONS.get(token)
    if (!option) throw unrecognized(token)
    at += readOption(token, option, argv.slice(at), flags)
  }
  // The door looked for it, but it may have been the value of another option.
  if (subcommand === undefined) throw unrecognized('--cluster')
  return {subcommand, words, flags}
}

/** An option that was left without its value swallows the next one: the word after that may be a password. */
function withoutSecret(token: string, wordBefore: string | undefined): string {
  return wordBefore === '-a' || wordBefore === '--pass' ? '…' : token
}

function wordsFrom(argv: readonly string[], at: number): string[] {
  const end = argv.findIndex((token, index) => index >= at && token.startsWith('-'))
  return argv.slice(at, end === -1 ? undefined : end)
}

/** @returns how many of `rest` belong to the option. */
function readOption(
  token: string,
  option: DropInOption,
  rest: readonly string[],
  flags: Map<string, FlagValue>,
): number {
  if (option.takes === 'nothing') {
    if (option.flag !== undefined) flags.set(option.flag, true)
    return 0
  }
  const [first, ...more] = rest
  if (first === undefined) throw unrecognized(token)
  if (option.takes === 'url') {
    readUrl(first, flags)
    return 1
  }
  if (option.takes === 'value') {
    const value = option.read ? prefixed(() => option.read!(first, token)) : first
    if (option.flag === undefined) return 1
    if (value === undefined || value === '') flags.delete(option.flag)
    else flags.set(option.flag, value)
    return 1
  }
  const end = more.findIndex((word) => word.startsWith('-') || !option.isMore.test(word))
  const all = [first, ...more.slice(0, end === -1 ? undefined : end)]
  const values = all.flatMap((word) => word.split(/[\s,]+/)).filter((word) => word !== '')
  if (option.read) for (const value of values) prefixed(() => option.read!(value, token))
  flags.set(option.flag, [...((flags.get(option.flag) as readonly string[] | undefined) ?? []), ...values])
  return all.length
}

function readUrl(text: string, flags: Map<string, FlagValue>): void {
  const reference = prefixed(() => parseNodeReference(text))
  if (reference.kind !== 'address') throw new UsageError('Invalid URI scheme')
  const {address, tls, username, password} = reference
  if (tls === undefined && !isSocket(address)) throw new UsageError('Invalid URI scheme')
  if (isSocket(address)) {
    flags.set('socket', address.host)
  } else {
    flags.set('host', address.host)
    flags.set('port', String(address.port))
  }
  if (tls) flags.set('tls', true)
  if (username) flags.set('user', username)
  if (password) flags.set('password', password)
}

function readWords(subcommand: string, typed: readonly string[], flags: ReadonlyMap<string, FlagValue>): string[] {
  const {least, most, addresses} = SUBCOMMANDS.get(subcommand)!
  const words = [...typed]
  const isElsewhere = words.length === 0 && ['host', 'port', 'socket'].some((name) => flags.has(name))
  if (addresses === 'seed' && isElsewhere) {
    const host = String(flags.get('host') ?? '127.0.0.1')
    const address = formatAddress({host, port: Number(flags.get('port') ?? 6379)})
    // As there: a socket goes before host and port.
    words.push(String(flags.get('socket') ?? address))
  }
  const isLastFromStdin = flags.has('stdin-last')
  const count = words.length + (isLastFromStdin ? 1 : 0)
  if (count < least || count > most) throw new UsageError(WRONG_COUNT)
  if (addresses === 'seed') {
    // What stdin brings is seen when it is read.
    if (isLastFromStdin || flags.has('stdin-tag')) return words
    return [readSeed(words)]
  }
  const tag = flags.get('stdin-tag')
  return words.map((word, index) => (index < addresses && word !== tag ? readAddress(word) : word))
}

/** "host:port", or "host" and "port". */
export function readSeed([host = '', port]: readonly string[]): string {
  return readAddress(port === undefined ? host : `${bracketed(host)}:${port}`)
}

/** "host:port", "[v6]:port", with "@busport" or without; a port must be there. */
function readAddress(text: string): string {
  if (!/^\.{0,2}\/|:\d+(@.*)?$/.test(text)) throw new UsageError(NO_ADDRESS)
  try {
    return formatAddress(parseAddress(text))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new UsageError(`${NO_ADDRESS}\n${error.message}`)
  }
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

function prefixed<V>(work: () => V): V {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new UsageError(`[ERR] ${error.message}`)
  }
}

/** What follows a "=" may be a secret: it is not repeated. */
function unrecognized(token: string): UsageError {
  return new UsageError(`Unrecognized option or bad number of args for: '${token.replace(/=.*$/s, '')}'`)
}
