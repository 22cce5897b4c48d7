import * as Flags from '@oclif/core/flags'
import {word} from '../../lib/cli/args.ts'
import {UserCommand, type UserReport, userFlags} from '../../lib/cli/user-command.ts'
import {requireReached} from '../../lib/engine/asked-nodes.ts'
import {rulesAt, setUser} from '../../lib/engine/cluster-users.ts'
import {UsageError} from '../../lib/errors.ts'
import {plural} from '../../lib/render/amounts.ts'
import {labelNode, seedAddress} from '../../lib/topology/queries.ts'
import {passwordRule} from '../../lib/topology/user-rules.ts'

export default class AclSet extends UserCommand<typeof AclSet> {
  static override summary = 'Make an ACL user, or change one, on all nodes.'
  static override description = [
    'Rules are as ACL SETUSER takes them, and come on top of what the user is: "reset" as the first begins anew, "resetpass" before a new password makes the old ones invalid. Rules with a dash in front stand behind "--". --from copies the user of a node as it is, passwords too.',
    'A password is read from a file, stdin or a variable, never from the line, and goes to the servers as the hash that they keep. One node goes ahead: rules that it refuses reach no other. Then it is read again on each, and must be alike on all.',
    'Exit codes: 0 all nodes have it; 2 the words make no sense; 3 a node that is meant does not answer, nothing was changed; 4 refused, nothing was changed; 5 some nodes have it and others not, the command can be run again; 130 stopped.',
  ].join('\n\n')
  static override usage = ['acl set [SEED] USER RULE... [-- RULE...]', 'acl set [SEED] USER --from NODE']
  static override examples = [
    '<%= config.bin %> acl set app on resetpass "~app:*" +@read +@write --new-password-file app.txt --save -- -@dangerous',
    '<%= config.bin %> acl set 127.0.0.1:7000 app off --yes',
    '<%= config.bin %> acl set 127.0.0.1:7000 app --from 127.0.0.1:7001 --save',
  ]
  static override args = {
    words: word({description: 'any node of the cluster, the user, then rules', multiple: true}),
  }
  static override flags = {
    ...userFlags,
    from: Flags.string({summary: 'Make it what it is on this node.', helpValue: 'NODE'}),
    'new-password-file': Flags.string({
      summary: 'A password that the user gets: the first line of a file, "-" for stdin.',
      helpValue: 'FILE',
      exclusive: ['new-password-env', 'from'],
    }),
    'new-password-env': Flags.string({
      summary: 'As --new-password-file, from a variable.',
      helpValue: 'VARIABLE',
      exclusive: ['from'],
    }),
  }

  async run(): Promise<UserReport> {
    this.requireNoneTakenForFlags()
    const {seed, rest} = this.takeSeed(this.args.words ?? [])
    const [user, ...words] = rest
    const ownRules = this.#rules(user, words)
    const session = await this.openCluster(seed)
    await session.requireOneCluster()
    await this.lockCluster(session)
    const source = this.flags.from === undefined ? undefined : await this.findNode(session, this.flags.from)
    const nodes = (await this.chosenNodes(session)).filter(({id}) => id !== source?.id)
    requireReached(source ? [source, ...nodes] : nodes, ['Start it, or name the nodes that are meant with --node'])
    const name = user as string
    const copied = source && (await this.stoppable(rulesAt(session, source, name)))
    if (source && !copied) {
      throw new UsageError(`${labelNode(source)} has no user ${name}`, {
        suggestions: [`rcluster acl list ${seedAddress(session.topology)}`],
      })
    }
    const rules = copied ?? ownRules
    const report = {user: name, nodes: nodes.map(({id}) => id), notKept: []}
    const shown = source ? `as on ${labelNode(source)}` : shownRules(words, rules.length - words.length)
    this.print(`User ${name} on ${plural(nodes.length, 'node')}: ${shown}`)
    if (nodes.length === 0) return {outcome: 'nothing-to-do', ...report}
    const me = (await session.reachedPorts()[0]?.findForbidden([]))?.user
    if (me === name) this.warnOperator(`${name} is the user of this command: what it loses, rcluster can do no more.`)
    if (this.flags['dry-run']) return {outcome: 'planned', ...report}
    await this.confirm(`Set user ${name} on ${plural(nodes.length, 'node')}?`)
    this.requireAll(await setUser(session, nodes, name, rules), 'took it')
    const notKept = await this.keep(session, source ? [source, ...nodes] : nodes)
    this.print(`User ${name} is so on ${plural(nodes.length, 'node')}, read again on each.`)
    return {outcome: 'set', ...report, notKept}
  }

  protected override readonly dashExample = 'rcluster acl set app on +@read -- -@dangerous'

  /** @throws UsageError for no user, no rule, or a password among the words, which is not repeated. */
  #rules(user: string | undefined, words: readonly string[]): string[] {
    const example = 'rcluster acl set app on "~app:*" +@read --new-password-file FILE'
    if (user === undefined) throw new UsageError('acl set needs a user and rules', {suggestions: [example]})
    if (words.some((rule) => /^[<>#!]/.test(rule))) {
      throw new UsageError('a password among the rules: arguments show in the process list', {
        suggestions: [
          '--new-password-file FILE, or --new-password-env VARIABLE',
          'resetpass among the rules takes the old ones away',
        ],
      })
    }
    const {from, 'new-password-file': file, 'new-password-env': variable} = this.flags
    if (from !== undefined && words.length > 0)
      throw new UsageError('--from says all rules already: name none beside it')
    const password =
      file !== undefined
        ? this.readSecret({flag: '--new-password-file', kind: 'file', place: file})
        : variable !== undefined
          ? this.readSecret({flag: '--new-password-env', kind: 'env', place: variable})
          : undefined
    const rules = [...words, ...(password === undefined ? [] : [passwordRule(password)])]
    if (rules.length === 0 && from === undefined) {
      throw new UsageError(`what user ${user} is to be is not said`, {suggestions: [example]})
    }
    return rules
  }
}

function shownRules(words: readonly string[], passwords: number): string {
  return [...words, ...(passwords > 0 ? ['and a password'] : [])].join(' ')
}
