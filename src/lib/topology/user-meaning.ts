/**
 * Do two lists of ACL rules make the same user? Told by what the user may do, for servers write the same rules in other words
 * and Redis 7.0 works them out anew from the commands that they allow. Pure.
 */
import {wordsOfRules} from './user-rules.ts'

/** A command as COMMAND tells it. */
export interface ServerCommand {
  /** In small letters; of a subcommand "config|get". */
  readonly name: string
  /** "@read" and the like. */
  readonly categories: readonly string[]
  readonly subcommands: readonly ServerCommand[]
}

/** Keys, channels, databases and commands: of a user, or of one of its selectors. */
interface Scope {
  /** 'R', 'W' or 'RW' by pattern. */
  keys: Map<string, string>
  channels: Set<string>
  databases: string
  allowed: Set<string>
  /** "select|0": of commands that are not allowed as a whole. */
  firstArguments: Set<string>
  /** Commands that the server does not have yet. */
  isOpen: boolean
}

interface User extends Scope {
  isOn: boolean
  isWithoutPassword: boolean
  isSanitized: boolean
  passwords: Set<string>
  selectors: string[]
  /** What is not understood: the same words mean the same. */
  unknown: string[]
}

const EVERYTHING = '*'

/**
 * Would ACL SETUSER of these rules, on top of nothing, change the user that a line of ACL LIST tells?
 * @param rules a selector is one rule; no password in the clear.
 * @param commands of the server that told it.
 */
export function isSameUser(
  rules: readonly string[],
  told: readonly string[],
  commands: readonly ServerCommand[],
): boolean {
  const index = new Map(commands.flatMap(withSubcommands).map((command) => [command.name, command]))
  // Valkey 9.1 takes these words and keeps nothing of them.
  const known = told.some(isAboutPayload) ? rules : rules.filter((rule) => !isAboutPayload(rule))
  return meaningOf(known, index) === meaningOf(told, index)
}

function isAboutPayload(rule: string): boolean {
  return /^(skip-)?sanitize-payload$/i.test(rule)
}

/** Equal for rules that make the same of a user that was reset. */
function meaningOf(rules: readonly string[], index: ReadonlyMap<string, ServerCommand>): string {
  let user = newUser()
  for (const rule of rules) {
    if (rule.toLowerCase() === 'reset') user = newUser()
    else if (!applyToUser(user, rule, index) && !applyToScope(user, rule, index)) user.unknown.push(rule)
  }
  const {isOn, isWithoutPassword, isSanitized, passwords, selectors, unknown} = user
  const own = [isOn, isWithoutPassword, isSanitized, [...passwords].sort(), [...selectors].sort(), unknown]
  return JSON.stringify([...own, meaningOfScope(user)])
}

function newUser(): User {
  const own = {isOn: false, isWithoutPassword: false, isSanitized: true}
  return {...own, passwords: new Set(), selectors: [], unknown: [], ...newScope()}
}

function newScope(): Scope {
  const sets = {keys: new Map(), channels: new Set<string>(), allowed: new Set<string>()}
  return {...sets, firstArguments: new Set(), databases: EVERYTHING, isOpen: false}
}

function meaningOfScope({keys, channels, databases, allowed, firstArguments, isOpen}: Scope): unknown[] {
  return [[...keys].sort(), [...channels].sort(), databases, [...allowed].sort(), [...firstArguments].sort(), isOpen]
}

/** false: no rule of a user as a whole. */
function applyToUser(user: User, rule: string, index: ReadonlyMap<string, ServerCommand>): boolean {
  if (rule.startsWith('#')) {
    user.passwords.add(rule)
    user.isWithoutPassword = false
    return true
  }
  if (rule.startsWith('!')) return user.passwords.delete(`#${rule.slice(1)}`)
  if (rule.startsWith('(')) {
    const scope = newScope()
    const unknown = wordsOfRules(rule.replace(/^\(|\)$/g, '')).filter((word) => !applyToScope(scope, word, index))
    user.selectors.push(JSON.stringify([unknown, meaningOfScope(scope)]))
    return true
  }
  switch (rule.toLowerCase()) {
    case 'on':
    case 'off':
      user.isOn = rule.toLowerCase() === 'on'
      return true
    case 'nopass':
    case 'resetpass':
      user.isWithoutPassword = rule.toLowerCase() === 'nopass'
      user.passwords.clear()
      return true
    case 'sanitize-payload':
    case 'skip-sanitize-payload':
      user.isSanitized = rule.toLowerCase() === 'sanitize-payload'
      return true
    case 'clearselectors':
      user.selectors = []
      return true
    default:
      return false
  }
}

/** false: no rule of keys, channels, databases or commands. */
function applyToScope(scope: Scope, rule: string, index: ReadonlyMap<string, ServerCommand>): boolean {
  const [, rights, pattern] = /^(?:~|%(R|W|RW|WR)~)(.*)$/is.exec(rule) ?? []
  if (pattern !== undefined) {
    const both = `${scope.keys.get(pattern) ?? ''}${(rights ?? 'RW').toUpperCase()}`
    scope.keys.set(pattern, ['R', 'W'].filter((one) => both.includes(one)).join(''))
    return true
  }
  if (rule.startsWith('&')) return Boolean(scope.channels.add(rule.slice(1)))
  if (/^[+-]./.test(rule)) return applyToCommands(scope, rule.startsWith('+'), rule.slice(1).toLowerCase(), index)
  if (/^db=/i.test(rule)) {
    scope.databases = rule.slice('db='.length).split(',').sort().join()
    return true
  }
  switch (rule.toLowerCase()) {
    case 'allkeys':
      scope.keys.set(EVERYTHING, 'RW')
      return true
    case 'resetkeys':
      scope.keys.clear()
      return true
    case 'allchannels':
      scope.channels.add(EVERYTHING)
      return true
    case 'resetchannels':
      scope.channels.clear()
      return true
    case 'alldbs':
    case 'resetdbs':
      scope.databases = rule.toLowerCase() === 'alldbs' ? EVERYTHING : ''
      return true
    case 'allcommands':
    case 'nocommands':
      return applyToCommands(scope, rule.toLowerCase() === 'allcommands', '@all', index)
    default:
      return false
  }
}

function applyToCommands(
  scope: Scope,
  isAllowed: boolean,
  name: string,
  index: ReadonlyMap<string, ServerCommand>,
): boolean {
  const set = (command: ServerCommand): void => {
    for (const one of withSubcommands(command)) {
      if (isAllowed) scope.allowed.add(one.name)
      else scope.allowed.delete(one.name)
      for (const words of scope.firstArguments) {
        if (words.startsWith(`${one.name}|`)) scope.firstArguments.delete(words)
      }
    }
  }
  if (name === '@all') {
    scope.isOpen = isAllowed
    for (const command of index.values()) set(command)
    return true
  }
  if (name.startsWith('@')) {
    const among = [...index.values()].filter(({categories}) => categories.includes(name))
    for (const command of among) set(command)
    return among.length > 0
  }
  const command = index.get(name)
  if (command) {
    set(command)
    return true
  }
  const [container = ''] = name.split('|')
  if (!isAllowed || !name.includes('|') || !index.has(container)) return false
  if (!scope.allowed.has(container)) scope.firstArguments.add(name)
  return true
}

function withSubcommands(command: ServerCommand): ServerCommand[] {
  return [command, ...command.subcommands]
}
