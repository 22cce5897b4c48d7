/**
 * What does --address-map say? "ANNOUNCED=DIALLED": an address or a host each, "*" for any; a node ID may stand for what
 * is announced; "@FILE" names a file with a rule a line.
 */
import {readFileSync} from 'node:fs'
import {UsageError} from '../errors.ts'
import type {AddressRule} from '../redis/address-map.ts'
import {parseAddress} from './node-argument.ts'

const EXAMPLES = [
  'For example: --address-map 172.17.0.2:6379=127.0.0.1:7000, --address-map "*=127.0.0.1" (ports kept), --address-map @FILE',
]

/** @throws UsageError naming the entry, and its file and line. */
export function parseAddressMap(entries: readonly string[]): AddressRule[] {
  return entries.flatMap((entry) =>
    entry.startsWith('@') ? rulesOfFile(entry.slice(1)) : [parseAddressRule(entry, `--address-map "${entry}"`)],
  )
}

function rulesOfFile(file: string): AddressRule[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    throw new UsageError(`--address-map @${file} cannot be read (${code})`, {cause: error})
  }
  return text.split(/\r?\n/).flatMap((line, index) => {
    const rule = line.replace(/(^|\s)#.*$/, '').trim()
    return rule === ''
      ? []
      : [parseAddressRule(rule.replace(/\s*=\s*|\s+/, '='), `--address-map @${file}, line ${index + 1}: "${rule}"`)]
  })
}

/** @throws UsageError that begins with `where` */
export function parseAddressRule(text: string, where: string): AddressRule {
  const [announced, dialled, more] = text.split('=').map((part) => part.trim())
  if (!announced || !dialled || more !== undefined) {
    throw new UsageError(`${where} is not ANNOUNCED=DIALLED`, {suggestions: EXAMPLES})
  }
  if (/^[0-9a-f]{8,40}$/i.test(announced)) {
    return {announced: {id: announced.toLowerCase()}, dialled: parsePlace(dialled, where)}
  }
  return {announced: parsePlace(announced, where), dialled: parsePlace(dialled, where)}
}

/** An address or a host, the parts undefined where it says "*" or nothing. @throws UsageError that begins with `where` */
export function parsePlace(
  text: string,
  where: string,
  suggestions: readonly string[] = EXAMPLES,
): {host: string | undefined; port: number | undefined} {
  const hasPort = /^\[.*\]:|^[^:[\]]*:[^:]*$/.test(text)
  const colon = hasPort ? text.lastIndexOf(':') : text.length
  const [host, port] = [text.slice(0, colon), text.slice(colon + 1)]
  // What a wildcard stands for is put in, so that the rest is checked as any address is.
  const isAnyPort = port === '' || port === '*'
  try {
    const address = parseAddress(`${host === '*' ? 'any' : host}${isAnyPort ? '' : `:${port}`}`)
    return {host: host === '*' ? undefined : address.host, port: isAnyPort ? undefined : address.port}
  } catch (error) {
    throw new UsageError(`${where}: ${(error as Error).message}`, {suggestions})
  }
}
