import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {BaseCommand} from '../lib/cli/base-command.ts'
import {
  BROUGHT,
  isKnownTo,
  RIGHTS,
  type Right,
  ruleLine,
  SERVER_FAMILIES,
  SERVER_MOVE,
  type ServerFamily,
  uniteRights,
} from '../lib/engine/rights.ts'
import {UsageError} from '../lib/errors.ts'
import {nearestWord} from '../lib/nearest-word.ts'
import {type OptionalRight, type RightsDocument, renderRules} from '../lib/render/rights.ts'

interface AclReport {
  readonly commands: readonly string[]
  readonly rules: readonly RightsDocument[]
  readonly optional: readonly OptionalRight[]
}

const BRINGING = '+restore-asking'

const NAMES: Readonly<Record<ServerFamily, string>> = {
  'redis-6.2': 'Redis 6.2',
  'redis-7.0': 'Redis 7.0 to 8.2',
  'redis-8.4': 'Redis 8.4 and later',
  'valkey-7.2': 'Valkey 7.2 to 8.1',
  'valkey-9.0': 'Valkey 9.0 and later',
}

export default class Acl extends BaseCommand<typeof Acl> {
  static override summary = 'Print the least ACL rule that is enough for commands of rcluster.'
  static override description = [
    'The rule holds for every node. MIGRATE logs in at its target as the same user, and the rule has what that takes. Words that a command works without are listed apart, with what they are for; --optional takes them into the rule. No node is asked. The users of a cluster are the matter of acl list, acl set and acl delete.',
    'Exit codes: 0; 2 there is no such command.',
  ].join('\n\n')
  static override usage = ['acl COMMAND...', 'acl --all']
  static override examples = [
    '<%= config.bin %> acl reshard',
    '<%= config.bin %> acl explain slot',
    '<%= config.bin %> acl check reshard del-node --optional --server valkey-9.0 --user ops',
    '<%= config.bin %> acl --all --json',
  ]
  static override args = {
    commands: word({description: 'commands of rcluster: one rule that is enough for all of them', multiple: true}),
  }
  static override flags = {
    all: Flags.boolean({summary: 'For every command.', default: false}),
    optional: Flags.boolean({summary: 'With the words that commands work without.', default: false}),
    server: Flags.option({options: SERVER_FAMILIES})({summary: 'Only for these servers, and later ones.'}),
    user: Flags.string({summary: 'The name in the rule.', default: 'rcluster', helpValue: 'NAME'}),
    'migrate-user': Flags.string({
      summary: 'The nodes send keys to one another as this user, as --credentials says: its rule, too.',
      helpValue: 'NAME',
    }),
  }

  async run(): Promise<AclReport> {
    const commands = this.#commands()
    const all = uniteRights(commands)
    const bringer = this.flags['migrate-user']
    const rights = bringer === undefined ? all : all.filter(({word: one}) => one !== BRINGING)
    const families = this.flags.server ? [this.flags.server] : SERVER_FAMILIES
    const isTaken = (right: Right): boolean => right.isOnlyFor === undefined || this.flags.optional
    const rules = rulesOf(families, (family) => wordsOf(rights.filter(isTaken), family), this.flags.user)
    if (bringer !== undefined && all.some((right) => right.word === BRINGING && isTaken(right))) {
      const of = 'who brings keys, "migrate-to" in a file for --credentials'
      rules.push(...rulesOf(families, (family) => wordsOf(BROUGHT, family), bringer).map((rule) => ({...rule, of})))
    }
    const movesAtomically = rights.some((right) => right.word === '+cluster|migrateslots' && isTaken(right))
    if (movesAtomically) {
      const pushing = families.filter((family) => SERVER_MOVE.every((right) => isKnownTo(right, family)))
      const of = 'the primaryuser of the nodes, where it is set'
      const own = rulesOf(pushing, (family) => wordsOf(SERVER_MOVE, family), 'PRIMARYUSER')
      rules.push(...own.map((rule) => ({...rule, of, rule: rule.rule.replace(' on >PASSWORD resetchannels', '')})))
    }
    const optional = this.flags.optional ? [] : optionalOf(rights, families)
    const title = `For ${commands.join(', ')}, on every node`
    this.print(renderRules(title, rules, optional, this.style))
    return {commands, rules, optional}
  }

  /** @throws UsageError for what is no command. */
  #commands(): string[] {
    const known = Object.keys(RIGHTS)
    const named = commandsIn(this.args.commands ?? [], known)
    if (this.flags.all) return known
    const unknown = named.find((name) => !known.includes(name))
    if (unknown === undefined && named.length > 0) return [...new Set(named)]
    const what = unknown === undefined ? 'no command was named' : `no rule is known for "${unknown}"`
    const nearest = unknown === undefined ? undefined : nearestWord(unknown, known)
    throw new UsageError(what, {
      suggestions: [
        ...(nearest ? [`Did you mean "${nearest}"?`] : []),
        `One or more of: ${known.join(', ')}`,
        'rcluster acl --all',
      ],
    })
  }
}

/** "explain slot" is one command, quoted or not. */
function commandsIn(words: readonly string[], known: readonly string[]): string[] {
  const commands: string[] = []
  for (let at = 0; at < words.length; at++) {
    const [first = '', next] = words.slice(at, at + 2)
    const pair = `${first} ${next}`
    const isPair = next !== undefined && known.includes(pair)
    commands.push(isPair ? pair : first.trim().replace(/[\s:]+/g, ' '))
    if (isPair) at++
  }
  return commands
}

function wordsOf(rights: readonly Right[], family: ServerFamily): string[] {
  return rights.filter((right) => isKnownTo(right, family)).map(({word: one}) => one)
}

/** One for all families that need the same words. */
function rulesOf(
  families: readonly ServerFamily[],
  words: (family: ServerFamily) => readonly string[],
  user: string,
): RightsDocument[] {
  const byRule = new Map<string, ServerFamily[]>()
  for (const family of families) {
    const rule = ruleLine(user, words(family))
    byRule.set(rule, [...(byRule.get(rule) ?? []), family])
  }
  return [...byRule].map(([rule, own]) => ({servers: own.map((family) => NAMES[family]).join(', '), rule}))
}

/** Words for the same end together. */
function optionalOf(rights: readonly Right[], families: readonly ServerFamily[]): OptionalRight[] {
  const rows = new Map<string, {words: string[]; isOnlyFor: string; servers?: string}>()
  for (const right of rights) {
    const knowing = families.filter((family) => isKnownTo(right, family))
    if (right.isOnlyFor === undefined || knowing.length === 0) continue
    const isEverywhere = knowing.length === families.length
    const others = families.filter((family) => !knowing.includes(family))
    const named = others.length < knowing.length ? others : knowing
    const list = named.map((family) => NAMES[family]).join(', ')
    const servers = isEverywhere ? undefined : named === others ? `not ${list}` : list
    const key = `${right.isOnlyFor} ${servers}`
    const row = rows.get(key) ?? {words: [], isOnlyFor: right.isOnlyFor, ...(servers ? {servers} : {})}
    row.words.push(right.word)
    rows.set(key, row)
  }
  return [...rows.values()]
}
