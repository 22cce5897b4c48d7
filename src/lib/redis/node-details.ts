/** How are a node's details asked for, and what do the answers say? What is secret in them becomes a digest at once. Pure. */
import {createHash} from 'node:crypto'
import {NodeError} from '../errors.ts'
import type {DetailsWanted, NodeDetails, Told} from '../topology/node-details.ts'
import {digestSecret} from '../topology/secret-digest.ts'
import {isSecretSetting} from '../topology/settings.ts'
import {sketchUser} from '../topology/user-rules.ts'
import type {Reply} from './replies.ts'
import {listIn, textIn} from './reply-shapes.ts'

/** One by one, for servers before 7 take one name a CONFIG GET, and a pattern brings passwords along. */
export function detailCommands({settings, libraries, users}: DetailsWanted): readonly string[][] {
  return [
    ...settings.map((name) => ['CONFIG', 'GET', name]),
    ...(libraries ? [['FUNCTION', 'LIST', 'WITHCODE']] : []),
    ...(users ? [['ACL', 'LIST']] : []),
  ]
}

/** Answers in the order of the commands. */
export function nodeDetails(wanted: DetailsWanted, answers: readonly (Reply | NodeError)[]): NodeDetails {
  const rest = answers.slice(wanted.settings.length)
  return {
    settings: namedSettings(wanted.settings, answers),
    libraries: wanted.libraries ? librariesIn(rest[0]) : NOT_ASKED,
    users: wanted.users ? usersIn(rest[wanted.libraries ? 1 : 0]) : NOT_ASKED,
  }
}

const NOT_ASKED = {unknown: 'it was not asked'}

/** CONFIG GET of a pattern. */
export function settingsIn(reply: Reply): ReadonlyMap<string, string> {
  const words = listIn(reply).map(textIn)
  const settings = new Map<string, string>()
  for (let at = 0; at + 1 < words.length; at += 2) {
    const [name = '', value = ''] = words.slice(at, at + 2)
    settings.set(name, isSecretSetting(name) && value !== '' ? digestSecret(value) : value)
  }
  return settings
}

function namedSettings(names: readonly string[], answers: readonly (Reply | NodeError)[]): NodeDetails['settings'] {
  const settings = new Map<string, string>()
  for (const [index, name] of names.entries()) {
    const told = read('CONFIG GET', answers[index], (reply) => {
      const [, value] = listIn(reply)
      return value === undefined ? undefined : textIn(value)
    })
    if ('unknown' in told) return told
    if (told.value !== undefined) settings.set(name, told.value)
  }
  return {value: settings}
}

function librariesIn(answer: Reply | NodeError | undefined): NodeDetails['libraries'] {
  // Servers before 7 have no functions.
  if (answer instanceof NodeError && answer.failure === 'unknown-command') return {value: new Map()}
  return read('FUNCTION LIST', answer, (reply) => {
    const libraries = listIn(reply).map((library): [string, string] => {
      const words = listIn(library)
      const after = (name: string): Reply | undefined =>
        words[words.findIndex((word) => Buffer.isBuffer(word) && word.toString() === name) + 1]
      const code = after('library_code')
      if (!Buffer.isBuffer(code)) throw new Error('a library without code')
      return [textIn(after('library_name')), createHash('sha256').update(code).digest('hex')]
    })
    return new Map(libraries)
  })
}

function usersIn(answer: Reply | NodeError | undefined): NodeDetails['users'] {
  return read('ACL LIST', answer, (reply) => {
    const users = listIn(reply).map((line) => sketchUser(textIn(line)))
    return new Map(users.map(({name, digest}) => [name, digest]))
  })
}

function read<T>(command: string, answer: Reply | NodeError | undefined, parse: (reply: Reply) => T): Told<T> {
  if (answer instanceof NodeError) return {unknown: reasonOf(command, answer)}
  try {
    return {value: parse(answer ?? null)}
  } catch {
    return {unknown: `what it answers to ${command} makes no sense`}
  }
}

/** Without the node's address: the same trouble of many nodes is told once. */
function reasonOf(command: string, {failure}: NodeError): string {
  switch (failure) {
    case 'permission':
      return `our user may not ${command}`
    case 'unknown-command':
      return `the server has no ${command}`
    case 'loading':
      return 'it is loading its data'
    default:
      return `it did not answer ${command} (${failure})`
  }
}
