import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {BaseCommand} from '../lib/cli/base-command.ts'
import {parseNodeReference} from '../lib/cli/node-argument.ts'
import {UsageError} from '../lib/errors.ts'
import {plural} from '../lib/render/amounts.ts'
import {renderTable} from '../lib/render/table.ts'
import {forgetCluster, type KnownCluster, type KnownNode, readKnownClusters} from '../lib/state/known-addresses.ts'
import {formatAddress} from '../lib/topology/model.ts'

interface AddressesReport {
  readonly outcome: 'listed' | 'forgotten'
  readonly clusters: readonly {
    readonly savedAt: string
    readonly file: string
    readonly nodes: readonly {readonly id: string; readonly dialled: string; readonly announced: string}[]
  }[]
}

export default class Addresses extends BaseCommand<typeof Addresses> {
  static override summary = 'Show where nodes behind published ports were reached, as it is remembered.'
  static override description = [
    'Nodes in containers announce addresses that lead nowhere from outside. Where they were reached instead (through the seeds of an earlier command, or by create) is kept by node ID in the state folder, so that one seed is enough later on. It is a hint: a node with another ID that answers there is never taken for it. --no-remember and RCLUSTER_REMEMBER=0 do without.',
    'Asks no node.',
    'Exit codes: 0 shown or forgotten; 2 nothing is remembered of that node.',
  ].join('\n\n')
  static override usage = 'addresses [NODE] [--forget]'
  static override examples = [
    '<%= config.bin %> addresses',
    '<%= config.bin %> addresses 127.0.0.1:7000 --forget',
    '<%= config.bin %> addresses --forget',
  ]
  static override args = {
    node: word({description: 'a node of the only cluster that is meant: one of its addresses, or its ID'}),
  }
  static override flags = {
    forget: Flags.boolean({summary: 'Remember it no longer; without NODE all of it.', default: false}),
  }

  async run(): Promise<AddressesReport> {
    const {node} = this.args
    const all = readKnownClusters(process.env)
    const meant = node === undefined ? all : all.filter(({nodes}) => nodes.some(matches(node)))
    if (node !== undefined && meant.length === 0) {
      throw new UsageError(`no address of ${node} is remembered`, {suggestions: ['rcluster addresses']})
    }
    if (this.flags.forget) for (const cluster of meant) forgetCluster(cluster)
    this.print(this.flags.forget ? `Forgot the addresses of ${plural(meant.length, 'cluster')}.` : this.#table(meant))
    return {
      outcome: this.flags.forget ? 'forgotten' : 'listed',
      clusters: meant.map(({savedAt, file, nodes}) => ({savedAt, file, nodes: nodes.map(shown)})),
    }
  }

  #table(clusters: readonly KnownCluster[]): string {
    if (clusters.length === 0)
      return 'No addresses are remembered: all nodes were reached where they announce themselves.'
    return clusters
      .map(({savedAt, file, nodes}) =>
        [
          `${plural(nodes.length, 'node')} of a cluster, as of ${savedAt}, in ${file}`,
          renderTable(
            [{title: 'Node'}, {title: 'Announces'}, {title: 'Reached at'}],
            nodes.map(shown).map(({id, announced, dialled}) => [id.slice(0, 8), announced, dialled]),
            this.style,
          ),
        ].join('\n'),
      )
      .join('\n\n')
  }
}

/** @throws UsageError when `text` is no node in any form. */
function matches(text: string): (node: KnownNode) => boolean {
  const reference = parseNodeReference(text)
  if (reference.kind === 'id') return ({id}) => id.startsWith(reference.prefix)
  const address = formatAddress(reference.address)
  return ({dialled, announced}) => formatAddress(dialled) === address || formatAddress(announced) === address
}

function shown({id, dialled, announced}: KnownNode): AddressesReport['clusters'][number]['nodes'][number] {
  return {id, dialled: formatAddress(dialled), announced: formatAddress(announced)}
}
