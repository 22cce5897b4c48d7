import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {renderSlotMap} from '../lib/render/slot-map.ts'
import {renderTopology} from '../lib/render/topology.ts'
import {type TopologyDocument, topologyDocument} from '../lib/render/topology-document.ts'

export default class Info extends ClusterCommand<typeof Info> {
  static override summary = 'Show the nodes: roles, slots, keys, memory, replication.'
  static override description = [
    'Asks every node and shows what they say, replicas below their primary. Changes nothing.',
    'Exit codes: 0 all nodes answered, 1 some did not (what is known is shown all the same), 2 the words make no sense, 4 no seed answers.',
  ].join('\n\n')
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 127.0.0.1:7000 --map',
    '<%= config.bin %> <%= command.id %> rediss://admin@cache.example.com:6380 --askpass --json',
  ]
  static override usage = '<%= command.id %> [SEED]'
  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }
  static override flags = {
    map: Flags.boolean({summary: 'Draw the 16384 slots.', default: false}),
  }

  async run(): Promise<TopologyDocument> {
    const {topology} = await this.openCluster(seedFromWords(this.args.seed))
    this.print(renderTopology(topology, this.style))
    if (this.flags.map) this.print(`\n${renderSlotMap(topology, this.style)}`)
    const document = topologyDocument(topology)
    if (document.unreachable.length > 0) process.exitCode = 1
    return document
  }
}
