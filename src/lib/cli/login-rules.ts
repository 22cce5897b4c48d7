/**
 * What does a credentials file say? A line each: "NODE USER PASSWORD". NODE is an address, a host, or "*"; USER "-" is the
 * default user; the password is the rest of the line. "migrate-to NODE USER PASSWORD" is for the other nodes, when they
 * send keys to that one. No message repeats a line.
 */

import {UsageError} from '../errors.ts'
import {Login, type LoginRule} from '../redis/logins.ts'
import {parsePlace} from './address-rules.ts'
import {readText} from './credentials.ts'

const FORM = ['A line is: NODE USER PASSWORD, for example: 10.0.0.1:6379 ops secret']
const FOR_PEERS = 'migrate-to'

/** @throws UsageError naming the file and the line. */
export function readLoginRules(file: string): LoginRule[] {
  const lines = readText(file === '-' ? 0 : file, '--credentials').split(/\r?\n/)
  const rules = lines.flatMap((line, index) => parseLine(line.trim(), `--credentials ${file}, line ${index + 1}`))
  if (rules.length === 0) throw new UsageError(`--credentials ${file} names no node`, {suggestions: FORM})
  return rules
}

function parseLine(line: string, where: string): LoginRule[] {
  if (line === '' || line.startsWith('#')) return []
  const isForPeers = line.startsWith(`${FOR_PEERS} `)
  const rest = isForPeers ? line.slice(FOR_PEERS.length).trimStart() : line
  const [, node = '', user = '', password = ''] = /^(\S+)\s+(\S+)\s+(.+)$/.exec(rest) ?? []
  if (password === '') throw new UsageError(`${where} has fewer than three words`, {suggestions: FORM})
  // A password that came to stand first may look like anything.
  if (!/^[\p{L}\p{N}_.:%[\]*-]+$/u.test(node)) throw new UsageError(`${where} begins with no node`, {suggestions: FORM})
  return [
    {
      node: parsePlace(node, where, FORM),
      purpose: isForPeers ? 'migrate' : 'ours',
      login: new Login(user === '-' ? undefined : user, password),
    },
  ]
}
