import * as Flags from '@oclif/core/flags'
import {AdminCommand, nodeFlag, roleFlags} from '../../lib/cli/admin-command.ts'
import {word} from '../../lib/cli/args.ts'
import {changeFlags, list, lockFlags} from '../../lib/cli/flags.ts'
import {requireReached} from '../../lib/engine/asked-nodes.ts'
import {
  isSetAlready,
  keepOnAll,
  planSettings,
  type SettingChange,
  type SettingSet,
  type SettingsOutcome,
  setSettings,
} from '../../lib/engine/cluster-settings.ts'
import type {ClusterSession} from '../../lib/engine/session.ts'
import {ClusterError, InterruptedError, UsageError} from '../../lib/errors.ts'
import {plural} from '../../lib/render/amounts.ts'
import {renderSettingChanges, whichNodes} from '../../lib/render/settings.ts'
import {type ClusterNode, formatAddress, type NodeId} from '../../lib/topology/model.ts'
import {seedAddress} from '../../lib/topology/queries.ts'
import {isOfOneNode, isSecretSetting} from '../../lib/topology/settings.ts'

interface SettingWish {
  readonly name: string
  readonly value: string
}

interface ChangedSetting {
  readonly id: NodeId
  readonly address: string
  readonly name: string
  /** Then there are no values here. */
  readonly isSecret: boolean
  readonly before?: string
  /** As the node tells it; before it was set, as it is asked for. */
  readonly after?: string
}

interface ConfigSetReport {
  readonly outcome: 'set' | 'planned' | 'nothing-to-do'
  readonly settings: readonly ChangedSetting[]
  /** With --rewrite: nodes whose file could not be written, where it lasts until the restart. */
  readonly notKept: readonly {readonly address: string; readonly reason: string}[]
}

export default class ConfigSet extends AdminCommand<typeof ConfigSet> {
  static override summary = 'Set settings on all nodes, or on none.'
  static override description = [
    'What the nodes have is shown first, and read again afterwards. When a node refuses, the others get back what they had. --rewrite makes it outlast a restart. Passwords are read from files or variables and never shown: arguments show in the process list. What is of one node alone, such as its port, needs --node.',
    'Exit codes: 0 set, or so before; 2 the words make no sense; 3 a node that is meant does not answer, nothing was changed; 4 a node refused, and all have what they had; 5 a node refused, and another could not be put back; 130 stopped.',
  ].join('\n\n')
  static override usage = 'config set [SEED] NAME VALUE [NAME VALUE...]'
  static override examples = [
    '<%= config.bin %> config set 127.0.0.1:7000 maxmemory 2gb maxmemory-policy allkeys-lru --rewrite',
    '<%= config.bin %> config set 127.0.0.1:7000 appendonly yes --replicas --yes',
    '<%= config.bin %> config set --secret-file masterauth=new.txt --secret-file requirepass=new.txt',
  ]
  static override args = {
    words: word({description: 'any node of the cluster, then names and values', multiple: true}),
  }
  static override flags = {
    ...changeFlags,
    ...lockFlags,
    node: nodeFlag,
    ...roleFlags,
    rewrite: Flags.boolean({summary: 'Write it to the configuration file of each node, too.', default: false}),
    'secret-file': list({
      summary: 'A setting whose value is the first line of a file, "-" for stdin; may repeat.',
      helpValue: 'NAME=FILE',
    }),
    'secret-env': list({summary: 'A setting whose value is in a variable; may repeat.', helpValue: 'NAME=VARIABLE'}),
  }

  protected override readonly dashExample = 'rcluster config set 127.0.0.1:7000 -- list-max-listpack-size -2'

  async run(): Promise<ConfigSetReport> {
    const {seed, wishes} = this.#wishes()
    const session = await this.openCluster(seed)
    await session.requireOneCluster()
    await this.lockCluster(session)
    const nodes = await this.chosenNodes(session)
    const own = wishes.find(({name}) => isOfOneNode(name))
    if (own && nodes.length > 1) {
      throw new UsageError(`${own.name} is of one node alone, and ${nodes.length} are meant`, {
        suggestions: ['Name the node with --node'],
      })
    }
    const others = session.topology.nodes.length > nodes.length ? [] : ['Leave it out: name the others with --node']
    requireReached(nodes, ['Start it, or have it forgotten', ...others])
    const wanted = wishes.flatMap((wish) => nodes.map((node) => ({node, ...wish})))
    const changes = await this.stoppable(planSettings(session, wanted))
    const todo = changes.filter((change) => !isSetAlready(change))
    const documents = todo.map((change) => documentOf(change, change.value))
    if (todo.length === 0) {
      this.print(`Nothing to do: ${phrase(wishes)} on ${plural(nodes.length, 'node')} already.`)
      const notKept = this.flags.rewrite && !this.flags['dry-run'] ? await this.#keep(session, nodes) : []
      return {outcome: 'nothing-to-do', settings: changes.map((one) => documentOf(one, one.before)), notKept}
    }
    this.print(renderSettingChanges(todo, session.topology.nodes.length, this.style))
    this.#warnOfLogins(wishes)
    if (this.flags['dry-run']) return {outcome: 'planned', settings: documents, notKept: []}
    const touched = nodes.filter(({id}) => todo.some(({node}) => node.id === id))
    await this.confirm(`Set ${names(wishes)} on ${plural(touched.length, 'node')}?`)
    const settings = requireSet(await setSettings(session, changes), session)
    const notKept = this.flags.rewrite ? await this.#keep(session, nodes) : []
    this.print(told(settings))
    return {outcome: 'set', settings: settings.map(({change, after}) => documentOf(change, after)), notKept}
  }

  /** @throws UsageError for a name without a value, the same name twice, or a secret among the words. */
  #wishes(): {seed: string | undefined; wishes: SettingWish[]} {
    const {seed, rest} = this.takeSeed(this.args.words ?? [])
    const example = 'rcluster config set 127.0.0.1:7000 maxmemory 2gb'
    if (rest.length % 2 === 1) {
      throw new UsageError(`${rest.at(-1)} has no value`, {
        suggestions: [example, `An empty one: ${rest.at(-1)} ''`, 'A seed without a port is named by --seed'],
      })
    }
    const wishes: SettingWish[] = []
    for (let at = 0; at < rest.length; at += 2) {
      const [name = '', value = ''] = rest.slice(at, at + 2)
      wishes.push({name: name.toLowerCase(), value})
    }
    const open = wishes.find(({name, value}) => isSecretSetting(name) && value !== '')
    if (open) {
      throw new UsageError(`${open.name} is a secret, and arguments show in the process list`, {
        suggestions: [`--secret-file ${open.name}=FILE, or --secret-env ${open.name}=VARIABLE`],
      })
    }
    for (const [flag, kind] of [
      ['secret-file', 'file'],
      ['secret-env', 'env'],
    ] as const) {
      for (const text of this.flags[flag] ?? []) {
        const [, name, place] = /^([^=]+)=(.+)$/s.exec(text) ?? []
        if (name === undefined || place === undefined)
          throw new UsageError(`--${flag} takes NAME=${kind === 'file' ? 'FILE' : 'VARIABLE'}`)
        wishes.push({name: name.toLowerCase(), value: this.readSecret({flag: `--${flag}`, kind, place})})
      }
    }
    const twice = wishes.find(({name}, index) => wishes.findIndex((other) => other.name === name) < index)
    if (twice) throw new UsageError(`${twice.name} is given twice`)
    if (wishes.length === 0) throw new UsageError('config set needs a name and a value', {suggestions: [example]})
    return {seed, wishes}
  }

  /** Each setting that replicas log in with at their primary goes by the other. */
  #warnOfLogins(wishes: readonly SettingWish[]): void {
    const has = (pattern: RegExp): boolean => wishes.some(({name}) => pattern.test(name))
    if (!has(/^requirepass$/) || has(/^(master|primary)auth$/)) return
    this.warnOperator(
      'With another requirepass replicas and MIGRATE are let in only where masterauth, and the password of this command, are the same: set masterauth with it, unless that is done.',
    )
  }

  async #keep(session: ClusterSession, nodes: readonly ClusterNode[]): Promise<ConfigSetReport['notKept']> {
    const lost = await keepOnAll(session, nodes)
    if (lost.length > 0) {
      this.warnOperator(`It lasts until the restart of ${whichNodes(lost.map(({node}) => node))}: ${lost[0]?.reason}`)
    }
    return lost.map(({node, reason}) => ({address: formatAddress(node.address), reason}))
  }
}

/** @throws ClusterError when a node refused, and says what the others have. */
function requireSet(outcome: SettingsOutcome, session: ClusterSession): readonly SettingSet[] {
  if (outcome.kind === 'set') return outcome.settings
  const reasons = outcome.failures.slice(0, 3).join('; ')
  if (outcome.kind === 'put-back') {
    throw new ClusterError('E_NODE', 4, `${reasons}; all nodes have what they had before`, {})
  }
  const stuck = outcome.stuck.map((change) => documentOf(change, undefined))
  const where = stuck.map(({name, address}) => `${name} of ${address}`).join(', ')
  throw new InterruptedError(`${reasons}; what these have now is not known: ${where}; all others have what they had`, {
    details: {unknown: stuck},
    suggestions: [
      'Run the command again when they answer: it is safe to repeat',
      `See what differs: rcluster config diff ${seedAddress(session.topology)}`,
    ],
  })
}

function documentOf({node, name, isSecret, before}: SettingChange, after: string | undefined): ChangedSetting {
  const label = {id: node.id, address: formatAddress(node.address), name, isSecret}
  return isSecret ? label : {...label, before, ...(after === undefined ? {} : {after})}
}

function names(wishes: readonly SettingWish[]): string {
  return wishes.map(({name}) => name).join(', ')
}

function phrase(wishes: readonly SettingWish[]): string {
  return wishes
    .map(({name, value}) => `${name} is ${isSecretSetting(name) ? 'as asked' : value === '' ? 'empty' : value}`)
    .join(', and ')
}

/** "maxmemory is 2147483648 on 6 nodes" */
function told(settings: readonly SettingSet[]): string {
  const lines = new Map<string, ClusterNode[]>()
  for (const {change, after} of settings) {
    const value = change.isSecret ? 'as asked' : after === '' ? 'empty' : after
    const line = `${change.name} is ${value}`
    lines.set(line, [...(lines.get(line) ?? []), change.node])
  }
  return [...lines].map(([line, nodes]) => `${line} on ${plural(nodes.length, 'node')}.`).join('\n')
}
