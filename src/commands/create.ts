import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand} from '../lib/cli/cluster-command.ts'
import {changeFlags, positiveInteger, wholeNumber} from '../lib/cli/flags.ts'
import {requireDistinct} from '../lib/cli/node-argument.ts'
import type {ClusterPort} from '../lib/engine/cluster-port.ts'
import {createCluster} from '../lib/engine/create-cluster.ts'
import {meetNewcomers, type Newcomer, requireEmpty} from '../lib/engine/newcomers.ts'
import {openSession} from '../lib/engine/session.ts'
import {UsageError} from '../lib/errors.ts'
import {inspect} from '../lib/findings/inspect.ts'
import {planCreate} from '../lib/plan/create.ts'
import type {CreatePlan} from '../lib/plan/plan.ts'
import {formatDuration, plural} from '../lib/render/amounts.ts'
import {renderCreatePlan} from '../lib/render/plan.ts'
import {formatAddress, type Topology} from '../lib/topology/model.ts'

interface CreateReport {
  readonly outcome: 'created' | 'planned' | 'already-there'
  readonly plan: CreatePlan | undefined
  readonly nodes: readonly string[]
  readonly elapsedMs: number
}

/** Sixty nodes agree within seconds; what is not there after this will not come by waiting. */
const DEADLINE_MS = 60_000

export default class Create extends ClusterCommand<typeof Create> {
  static override summary = 'Build a cluster from empty nodes.'

  static override description = [
    'The nodes must be in cluster mode, without keys, slots or fellow nodes. Replicas are kept off the host of their primary where that is possible. Returns when all nodes agree and serve.',
    'Exit codes: 0 created, or there already with --if-missing; 2 the words make no sense; 3 a node is not empty or not in cluster mode; 4 a node did not answer, or said no; 5 the nodes did not come together in time; 130 stopped.',
  ].join('\n\n')
  static override usage = ['create NODE… [--replicas N]', 'create --nodes NODE NODE … [--replicas N]']

  static override examples = [
    '<%= config.bin %> create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002',
    '<%= config.bin %> create --replicas 1 --nodes 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4',
    '<%= config.bin %> create 10.0.0.1 10.0.0.2 10.0.0.3 --if-missing --yes --json',
  ]

  static override args = {
    nodes: word({description: 'addresses of empty nodes in cluster mode', multiple: true}),
  }

  static override flags = {
    ...changeFlags,
    nodes: Flags.string({summary: 'The nodes, as flag values.', helpValue: 'NODE', multiple: true}),
    replicas: wholeNumber({summary: 'Replicas of each primary.', aliases: ['cluster-replicas']}),
    primaries: positiveInteger({summary: 'How many primaries; the other nodes become replicas.'}),
    'if-missing': Flags.boolean({
      summary: 'Succeed when these nodes are a healthy cluster already.',
      default: false,
    }),
  }

  async run(): Promise<CreateReport> {
    const startedAt = performance.now()
    const words = [...(this.args.nodes ?? []), ...(this.flags.nodes ?? [])].flatMap((word) => word.split(','))
    const addresses = words.filter((word) => word !== '').map((word) => this.parseAddress(word))
    if (addresses.length === 0) {
      throw new UsageError('create needs the addresses of the nodes', {
        suggestions: ['rcluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002'],
      })
    }
    requireDistinct(addresses)
    const port = await this.openPort()
    const newcomers = await this.stoppable(meetNewcomers(port, addresses))
    if (this.flags['if-missing']) {
      const there = await this.#existing(port, newcomers)
      if (there) {
        const these = there.nodes.length === 1 ? 'this node is' : `these ${there.nodes.length} nodes are`
        this.print(`Nothing to do: ${these} a healthy cluster already.`)
        return {outcome: 'already-there', plan: undefined, nodes: addresses.map(formatAddress), elapsedMs: 0}
      }
    }
    requireEmpty(newcomers)
    const {replicas, primaries} = this.flags
    const nodes = newcomers.map(({port: node}) => ({id: node.id, address: node.address}))
    const plan = planCreate({
      nodes,
      ...(replicas === undefined ? {} : {replicas}),
      ...(primaries === undefined ? {} : {primaries}),
    })
    this.print(renderCreatePlan(plan, this.style))
    const report = {plan, nodes: addresses.map(formatAddress)}
    if (this.flags['dry-run']) return {outcome: 'planned', ...report, elapsedMs: performance.now() - startedAt}
    await this.confirm('Create this cluster?')
    const created = await createCluster(
      plan,
      newcomers.map((newcomer) => newcomer.port),
      {deadlineMs: DEADLINE_MS, signal: this.stopSignal, listener: this.listener()},
    )
    const elapsedMs = performance.now() - startedAt
    const replicaCount = nodes.length - plan.primaries.length
    const counts = `${plural(plan.primaries.length, 'primary')} and ${plural(replicaCount, 'replica')}`
    const verdict = 'All nodes agree and serve, all 16384 slots are covered.'
    this.print(`Created a cluster of ${counts} in ${formatDuration(elapsedMs)}.\n${verdict}`)
    return {outcome: 'created', ...report, plan: created, elapsedMs}
  }

  /** The topology of the cluster that exactly these nodes form, when it is healthy. */
  async #existing(port: ClusterPort, newcomers: readonly Newcomer[]): Promise<Topology | undefined> {
    const [first] = newcomers
    if (!first || (first.view.entries.length === 1 && newcomers.length > 1)) return undefined
    const {topology} = await this.stoppable(openSession(port, [first.port.address]))
    const isSame =
      topology.nodes.length === newcomers.length && newcomers.every(({port: node}) => topology.nodesById.has(node.id))
    return isSame && !inspect(topology).some(({severity}) => severity === 'error') ? topology : undefined
  }
}
