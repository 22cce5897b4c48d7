import {AdminCommand} from '../../lib/cli/admin-command.ts'
import {word} from '../../lib/cli/args.ts'
import {chooseNodes} from '../../lib/engine/asked-nodes.ts'
import {readSettings} from '../../lib/engine/cluster-settings.ts'
import {UsageError} from '../../lib/errors.ts'
import {findSettingDifferences} from '../../lib/findings/differences.ts'
import {plural} from '../../lib/render/amounts.ts'
import {renderSettingDifferences} from '../../lib/render/settings.ts'
import {formatAddress, type NodeId} from '../../lib/topology/model.ts'
import {toldValue} from '../../lib/topology/node-details.ts'
import {isSecretSetting} from '../../lib/topology/settings.ts'

interface DifferingSetting {
  readonly name: string
  /** Then the values are not told. */
  readonly isSecret: boolean
  /** The commonest first. */
  readonly values: readonly {readonly value?: string; readonly nodes: readonly NodeId[]}[]
}

interface ConfigDiffReport {
  readonly pattern: string
  readonly isAlike: boolean
  /** How many settings there are that fit. */
  readonly compared: number
  readonly settings: readonly DifferingSetting[]
  /** Nodes that did not tell, and why. */
  readonly notTold: readonly {readonly address: string; readonly reason: string}[]
}

export default class ConfigDiff extends AdminCommand<typeof ConfigDiff> {
  static override summary = 'Show settings that differ between nodes.'
  static override description = [
    'Without those that every node has for itself: ports, addresses, files, folders. What only servers of other versions know is compared among those. Of passwords it is told that they differ, never what they are. PATTERN is as CONFIG GET takes it: "repl-*".',
    'Exit codes: 0 all nodes are alike; 1 some settings differ, or a node could not be asked; 2 the words make no sense; 4 no seed answers.',
  ].join('\n\n')
  static override usage = 'config diff [SEED] [PATTERN]'
  static override examples = [
    '<%= config.bin %> config diff 127.0.0.1:7000',
    '<%= config.bin %> config diff 127.0.0.1:7000 "maxmemory*"',
    '<%= config.bin %> config diff --json',
  ]
  static override args = {
    words: word({description: 'any node of the cluster, then which settings', multiple: true}),
  }

  async run(): Promise<ConfigDiffReport> {
    const {seed, rest} = this.takeSeed(this.args.words ?? [])
    const [pattern = '*', ...more] = rest
    if (more.length > 0) {
      throw new UsageError(`one pattern is enough, and more were given: ${rest.join(' ')}`, {
        suggestions: ['Quote it, or the shell makes file names of it: "maxmemory*"'],
      })
    }
    const session = await this.openCluster(seed)
    const told = await this.stoppable(readSettings(session, chooseNodes(session), pattern))
    const byId = new Map(told.map(({node, settings}) => [node.id, toldValue(settings)]))
    const nodes = told.map(({node}) => node)
    const differences = findSettingDifferences(nodes, ({id}) => byId.get(id))
    const compared = new Set([...byId.values()].flatMap((settings) => [...(settings?.keys() ?? [])])).size
    const notTold = told.flatMap(({node, settings}) =>
      'unknown' in settings ? [{address: formatAddress(node.address), reason: settings.unknown}] : [],
    )
    this.requireTold(told.length, notTold)
    for (const {reason} of notTold.slice(0, 4)) this.warnOperator(`Not compared: ${reason}`)
    if (differences.length > 0) this.print(renderSettingDifferences(differences, this.style))
    else if (compared === 0) this.print(`No setting fits ${pattern}.`)
    else this.print(`${plural(compared, 'setting')}: alike on all ${plural(nodes.length - notTold.length, 'node')}.`)
    if (differences.length > 0 || notTold.length > 0) process.exitCode = 1
    return {
      pattern,
      isAlike: differences.length === 0,
      compared,
      settings: differences.map(({name, groups}) => {
        const isSecret = isSecretSetting(name)
        const values = groups.map(({value, nodes: own}) => ({
          ...(isSecret ? {} : {value}),
          nodes: own.map(({id}) => id),
        }))
        return {name, isSecret, values}
      }),
      notTold,
    }
  }
}
