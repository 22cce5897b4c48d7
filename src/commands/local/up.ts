import * as Flags from '@oclif/core/flags'
import {BaseCommand} from '../../lib/cli/base-command.ts'
import {positiveInteger, wholeNumber} from '../../lib/cli/flags.ts'
import {createCluster} from '../../lib/engine/create-cluster.ts'
import {meetNewcomer} from '../../lib/engine/newcomers.ts'
import {mapBounded} from '../../lib/engine/waiting.ts'
import {type LocalCluster, startLocal, stopLocal} from '../../lib/local/instances.ts'
import {planCreate} from '../../lib/plan/create.ts'
import {formatDuration, plural} from '../../lib/render/amounts.ts'
import {wrap} from '../../lib/render/wrap.ts'
import {formatAddress} from '../../lib/topology/model.ts'

interface UpReport {
  readonly server: string
  readonly addresses: readonly string[]
  readonly folder: string
  readonly elapsedMs: number
}

const DEADLINE_MS = 60_000

export default class LocalUp extends BaseCommand<typeof LocalUp> {
  static override summary = 'Start a throw-away cluster of real servers on this machine.'
  static override description = [
    'For trying things out: nothing is saved, and "local down" removes all of it. The servers listen on 127.0.0.1 only. The program is --server, RCLUSTER_SERVER, redis-server or valkey-server on PATH, or one that scripts/servers.sh unpacked.',
    'Exit codes: 0 running; 2 the words make no sense; 3 a local cluster runs already, a port is taken or there is no server program; 4 a server did not start; 130 stopped.',
  ].join('\n\n')
  static override usage = 'local up [--primaries N] [--replicas N] [--port N] [--no-cluster]'
  static override examples = [
    '<%= config.bin %> local up',
    '<%= config.bin %> local up --primaries 5 --replicas 0 --port 7100',
  ]

  static override flags = {
    primaries: positiveInteger({summary: 'How many primaries.', default: 3, max: 100}),
    replicas: wholeNumber({summary: 'Replicas of each primary.', default: 1, max: 10}),
    port: positiveInteger({summary: 'First of the ports; by default the lowest free ones from 7000 on.', max: 55_535}),
    server: Flags.string({summary: "The server's program.", helpValue: 'FILE'}),
    'no-cluster': Flags.boolean({summary: 'Leave the servers empty and apart, for trying "create".', default: false}),
  }

  async run(): Promise<UpReport> {
    const startedAt = performance.now()
    const {primaries, replicas, port, server} = this.flags
    const say = this.listener()
    say({kind: 'phase', text: `Starting ${primaries * (1 + replicas)} servers`})
    const local = await startLocal(process.env, {
      primaries,
      replicas,
      signal: this.stopSignal,
      ...(port === undefined ? {} : {port}),
      ...(server === undefined ? {} : {server}),
    })
    if (!this.flags['no-cluster']) await this.#create(local)
    const addresses = local.nodes.map(({address}) => formatAddress(address))
    const elapsedMs = performance.now() - startedAt
    const {family, version} = local.server
    const isApart = this.flags['no-cluster']
    const what = isApart
      ? `${plural(addresses.length, 'empty server')} on ${family} ${version}`
      : `A cluster of ${plural(primaries, 'primary')} with ${plural(replicas, 'replica')} each, on ${family} ${version}`
    const next = isApart ? `rcluster create ${addresses.join(' ')}` : `rcluster info ${addresses[0]}`
    this.print(
      [
        `${what}, started in ${formatDuration(elapsedMs)}:`,
        `  ${wrap(addresses.join(' '), this.style, 2, 2)}`,
        `Next: ${next}; rcluster local down removes ${isApart ? 'them' : 'it'}.`,
      ].join('\n'),
    )
    return {server: local.server.path, addresses, folder: local.base, elapsedMs}
  }

  /** Servers that did not become a cluster are of no use to anybody: they are taken down again. */
  async #create({nodes, replicas}: LocalCluster): Promise<void> {
    const {openClusterPort} = await import('../../lib/redis/connect.ts')
    const port = openClusterPort({connectTimeoutMs: 3000, commandTimeoutMs: 5000})
    try {
      const newcomers = await mapBounded(nodes, 64, ({address}) => meetNewcomer(port, address))
      const ports = newcomers.map((newcomer) => newcomer.port)
      const plan = planCreate({nodes: ports.map(({id, address}) => ({id, address})), replicas})
      await createCluster(plan, ports, {
        deadlineMs: DEADLINE_MS,
        signal: this.stopSignal,
        listener: this.listener(),
      })
    } catch (error) {
      await stopLocal(process.env)
      throw error
    } finally {
      port.close()
    }
  }
}
