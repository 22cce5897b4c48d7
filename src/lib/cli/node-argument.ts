/**
 * What does a word that names a node mean: an address, or a node ID?
 *
 * A word of four or more hex digits without dot or colon is an ID or the start of one ("7000" too: no host is called so);
 * a host of such a name can be given with its port ("beef:6379"). An unbracketed IPv6 address ends at the last colon
 * when a port may follow it, as CLUSTER NODES prints it ("::1:7000"); brackets leave no doubt ("[::1]:7000").
 */
import {isIPv4, isIPv6} from 'node:net'
import {resolve} from 'node:path'
import {UsageError} from '../errors.ts'
import {canonicalHost} from '../topology/canonical-host.ts'
import {formatAddress, type NodeAddress} from '../topology/model.ts'

export const DEFAULT_PORT = 6379

export interface AddressReference {
  readonly kind: 'address'
  readonly address: NodeAddress
  /** Only from a URL. */
  readonly tls?: boolean
  readonly username?: string
  readonly password?: string
}

export type NodeReference = AddressReference | {readonly kind: 'id'; readonly prefix: string}

const FORMS = 'A node is host:port, [ipv6]:port, redis://user:password@host:port, /path/of/a.socket, or a node ID'

/** @throws UsageError naming the text (without credentials) when it is none of the forms. */
export function parseNodeReference(text: string): NodeReference {
  const word = text.trim()
  if (SOCKET_SCHEME.test(word)) return parseSocketUrl(word)
  if (/^[a-z+]+:\/\//i.test(word)) return parseUrl(word)
  if (/^[0-9a-f]{4,40}$/i.test(word)) return {kind: 'id', prefix: word.toLowerCase()}
  if (/^[0-9a-f]{41,}$/i.test(word)) {
    throw new UsageError(`"${word}" is ${word.length} hex digits long; a node ID has 40`)
  }
  return {kind: 'address', address: parseAddress(word)}
}

/** As `parseNodeReference`, for places where an ID makes no sense. */
export function parseAddressReference(text: string): AddressReference {
  const reference = parseNodeReference(text)
  if (reference.kind === 'address') return reference
  const isPort = /^\d{4,5}$/.test(reference.prefix)
  throw new UsageError(`"${text.trim()}" is a node ID, and an address is needed here`, {
    suggestions: isPort ? [`For that port on this machine: 127.0.0.1:${reference.prefix}`] : ['Give it as host:port'],
  })
}

/** "host", "host:port", "host:port@busport", "/path" and "./path"; the bus port is checked by nobody and not kept. */
export function parseAddress(text: string): NodeAddress {
  if (/^\.{0,2}\//.test(text)) return socketAt(text, text)
  const word = text.replace(/@\d{1,5}(,\S*)?$/, '')
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(word)
  if (bracketed) {
    const [, host = '', port] = bracketed
    if (!isIPv6(host)) throw new UsageError(`"${text}": "${host}" is not an IPv6 address`, {suggestions: [FORMS]})
    return {host: canonicalHost(host), port: port === undefined ? DEFAULT_PORT : parsePort(port, text)}
  }
  const colon = word.lastIndexOf(':')
  if (colon === -1) return {host: requireHost(word, text), port: DEFAULT_PORT}
  const [before, after] = [word.slice(0, colon), word.slice(colon + 1)]
  if (before.includes(':')) {
    if (isIPv6(before) && /^\d{1,5}$/.test(after)) return {host: canonicalHost(before), port: parsePort(after, text)}
    if (isIPv6(word)) return {host: canonicalHost(word), port: DEFAULT_PORT}
  }
  return {host: requireHost(before, text), port: parsePort(after, text)}
}

/** `shown`: as it was given, without secrets. */
function socketAt(path: string, shown: string): NodeAddress {
  if (/[\x00-\x1f\x7f]/.test(path)) throw new UsageError('the path of a socket holds control characters')
  if (path.endsWith('/')) throw new UsageError(`"${shown}" is a folder; a socket is a file`, {suggestions: [FORMS]})
  return {host: resolve(path), port: 0}
}

function parsePort(port: string, text: string): number {
  const value = /^\d{1,5}$/.test(port) ? Number(port) : Number.NaN
  if (value >= 1 && value <= 65535) return value
  const problem = port === '' ? 'has no port after the colon' : `has the port "${port}"`
  throw new UsageError(`"${text}" ${problem}; a port is a number from 1 to 65535`)
}

function requireHost(host: string, text: string): string {
  const isHost = /^\d+(\.\d+){3}$/.test(host)
    ? isIPv4(host)
    : /^[\p{L}\p{N}_]([\p{L}\p{N}._-]*)$/u.test(host) && !host.includes('..') && host.length <= 253
  if (isHost) return host
  throw new UsageError(text === '' ? 'a node is named by an empty word' : `"${text}" does not name a node`, {
    suggestions: [FORMS],
  })
}

const SOCKET_SCHEME = /^(?:(?:redis|valkey)\+)?unix:/i

/** unix:///path, redis+unix://user:password@/path, with the database that there is. */
function parseSocketUrl(text: string): AddressReference {
  const [before = '', query] = splitOnce(text.replace(SOCKET_SCHEME, ''), /\?/)
  // Credentials stay out of every message, and some write them into the query.
  const shown = `unix:${before.replace(/\/\/.*@/, '//…@')}`
  if (query !== undefined && !/^(db=0)?$/.test(query)) {
    throw new UsageError(`"${shown}" goes on with "?" and more; a cluster is reached without`, {
      suggestions: ['User and password stand before the path: unix://user:password@/path'],
    })
  }
  const [, login, path] = /^(?:\/\/(?:(.*)@)?(?=\/)|(?!\/\/))(\/.*)$/.exec(before) ?? []
  if (path === undefined) {
    throw new UsageError(`"${shown}" does not name a socket`, {
      suggestions: ['Its path begins with "/": unix:///run/redis/redis.sock'],
    })
  }
  const address = socketAt(decode(path, shown), shown)
  return {kind: 'address', address, ...parseLogin(login, shown)}
}

function parseUrl(text: string): AddressReference {
  // Credentials stay out of every message.
  const shown = text.replace(/\/\/.*@/, '//…@')
  const scheme = /^(?:redis|valkey)(s?):\/\//i.exec(text)
  if (!scheme) throw new UsageError(`"${shown}" is no redis:// or rediss:// address`, {suggestions: [FORMS]})
  const rest = text.slice(scheme[0].length)
  const at = rest.lastIndexOf('@')
  const [place, path] = splitOnce(at === -1 ? rest : rest.slice(at + 1), /[/?#]/)
  if (path !== undefined && !/^0?$/.test(path)) {
    throw new UsageError(`"${shown}" names more than a server; a cluster is reached without a path`)
  }
  const address = place === '' ? {host: '127.0.0.1', port: DEFAULT_PORT} : parseUrlAddress(place, shown)
  if (at === -1) return {kind: 'address', address, tls: scheme[1] !== ''}
  return {kind: 'address', address, tls: scheme[1] !== '', ...parseLogin(rest.slice(0, at), shown)}
}

/** One word is the password, as redis-cli reads it. */
function parseLogin(login: string | undefined, shown: string): Pick<AddressReference, 'username' | 'password'> {
  if (login === undefined) return {}
  const [username, password] = login.includes(':') ? splitOnce(login, /:/) : ['', login]
  return {
    ...(username ? {username: decode(username, shown)} : {}),
    ...(password ? {password: decode(password, shown)} : {}),
  }
}

function parseUrlAddress(place: string, shown: string): NodeAddress {
  try {
    return parseAddress(place)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new UsageError(`"${shown}" does not name a server: ${error.message}`, {suggestions: [FORMS]})
  }
}

function decode(text: string, shown: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new UsageError(`"${shown}" has a user or password that is not percent-encoded`, {
      suggestions: ['Write "%" as "%25", or give the password by RCLUSTER_PASSWORD'],
    })
  }
}

function splitOnce(text: string, separator: RegExp): [string, string | undefined] {
  const at = text.search(separator)
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

/** @throws UsageError when an address is there twice. */
export function requireDistinct(addresses: readonly NodeAddress[]): void {
  const texts = addresses.map(formatAddress)
  const twin = texts.find((text, index) => texts.indexOf(text) !== index)
  if (twin !== undefined) throw new UsageError(`${twin} is named twice`, {suggestions: ['Name every node once']})
}
