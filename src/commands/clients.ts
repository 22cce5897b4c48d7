import {isIP} from 'node:net'
import * as Flags from '@oclif/core/flags'
import {word} from '../lib/cli/args.ts'
import {ClusterCommand, seedFromWords} from '../lib/cli/cluster-command.ts'
import {readToldAddresses, type ToldNode} from '../lib/engine/told-addresses.ts'
import {type AddressPair, type ClientFacts, PASSWORD_VARIABLE, plainKey} from '../lib/render/clients/client-facts.ts'
import {
  CLIENT_LIBRARIES,
  type ClientLibrary,
  clientSettings,
  renderClientFacts,
  renderClientSettings,
} from '../lib/render/clients/client-settings.ts'
import {formatAddress, type NodeAddress, type NodeId, type Topology} from '../lib/topology/model.ts'
import {listNodes} from '../lib/topology/queries.ts'

interface ClientsReport {
  /** With what the nodes tell them, clients get through: startup nodes are enough. */
  readonly isDirect: boolean
  readonly startupNodes: readonly NodeAddress[]
  /** By the address that clients are told: ioredis takes it as natMap, node-redis as nodeAddressMap. */
  readonly natMap: Readonly<Record<string, NodeAddress>>
  /** Only for clients that go by CLUSTER NODES: besides `natMap`. */
  readonly listedMap: Readonly<Record<string, NodeAddress>>
  readonly tls: boolean
  readonly login: {readonly user: string | null; readonly passwordVariable: string} | null
  readonly nodes: readonly {
    readonly id: NodeId
    readonly role: 'primary' | 'replica'
    readonly reachedAt: string
    readonly told: readonly string[]
    readonly listed: readonly string[]
    readonly astray: readonly string[]
  }[]
  /** IDs of nodes that could not be asked, and are in no map. */
  readonly unreachable: readonly NodeId[]
  readonly settings: Readonly<Partial<Record<ClientLibrary, string>>>
}

/** A client needs one that answers; a few more are for days when that one does not. */
const MOST_STARTUP_NODES = 8

export default class Clients extends ClusterCommand<typeof Clients> {
  static override summary = 'Print what client libraries need to reach the cluster from here.'
  static override description = [
    'Asks every node where it sends clients, tries whether one gets there from this machine, and prints startup nodes and, where it takes one, the map of addresses, as settings of ioredis, node-redis, redis-py, go-redis, Jedis and Lettuce that can be pasted. With --for only the settings go to stdout. Never prints a password. Changes nothing.',
    'Exit codes: 0 all nodes answered, 1 some did not (they are not in the map), 2 the words make no sense, 4 no seed answers.',
  ].join('\n\n')
  static override usage = 'clients [SEED] [--for LIBRARY]'
  static override examples = [
    '<%= config.bin %> clients 127.0.0.1:7000',
    '<%= config.bin %> clients 127.0.0.1:7000 --for ioredis > cluster.mjs',
    '<%= config.bin %> clients rediss://app@cache.example.com:6380 --askpass --cacert ca.pem --json',
  ]
  static override args = {
    seed: word({description: 'any node of the cluster, as host:port', multiple: true}),
  }
  static override flags = {
    for: Flags.option({options: CLIENT_LIBRARIES})({summary: 'Only the settings of this library.'}),
  }

  async run(): Promise<ClientsReport> {
    const session = await this.openCluster(seedFromWords(this.args.seed))
    const direct = await this.openPort({addressMap: undefined, knownAddresses: undefined})
    const told = await this.stoppable(readToldAddresses(session, direct))
    const facts = await this.#facts(told)
    this.#warn(told, facts, session.topology)
    const library = this.flags.for
    const settings = clientSettings(library === undefined ? CLIENT_LIBRARIES : [library], facts)
    const overview = renderClientFacts(facts, this.style)
    if (library === undefined) this.print(`${overview}\n`)
    else for (const line of overview.split('\n').filter((text) => text !== '')) this.note(line)
    this.print(renderClientSettings(settings, this.style))
    const unreachable = session.topology.nodes.filter(({reach}) => reach.kind === 'unreachable').map(({id}) => id)
    if (unreachable.length > 0) process.exitCode = 1
    return {
      isDirect: facts.addressMap.length === 0 && !facts.isNameless,
      startupNodes: facts.startupNodes,
      natMap: mapDocument(facts.addressMap),
      listedMap: mapDocument(facts.listedMap),
      tls: facts.isTls,
      login: facts.hasPassword ? {user: facts.user ?? null, passwordVariable: PASSWORD_VARIABLE} : null,
      nodes: told.map(({node, told: places, listed, astray}) => ({
        id: node.id,
        role: node.role,
        reachedAt: formatAddress(node.address),
        told: places.map(formatAddress),
        listed: listed.map(formatAddress),
        astray: astray.map(formatAddress),
      })),
      unreachable,
      settings,
    }
  }

  async #facts(told: readonly ToldNode[]): Promise<ClientFacts> {
    const {logins, tls} = await this.connectionOptions()
    const login = told[0] && logins?.at([told[0].node.address, told[0].node.announced]).login
    const pairs = (which: 'told' | 'listed'): AddressPair[] =>
      told.flatMap((one) =>
        one[which]
          .filter((address) => one.astray.includes(address))
          .map((address) => ({told: address, reachedAt: one.node.address})),
      )
    const byRole = [...told].sort((a, b) => Number(a.node.role === 'replica') - Number(b.node.role === 'replica'))
    return {
      // By the name that the nodes tell, where that leads there: a certificate may go by it.
      startupNodes: byRole
        .slice(0, MOST_STARTUP_NODES)
        .map(({node, told: places, astray}) => places.find((place) => !astray.includes(place)) ?? node.address),
      addressMap: pairs('told'),
      listedMap: pairs('listed'),
      isNameless: told.some(({isNameless}) => isNameless),
      isTls: tls !== undefined,
      caFile: this.flags.cacert,
      user: login?.username,
      hasPassword: login !== undefined,
    }
  }

  #warn(told: readonly ToldNode[], facts: ClientFacts, topology: Topology): void {
    const nameless = told.filter(({isNameless}) => isNameless).map(({node}) => node)
    if (nameless.length > 0) {
      this.warnOperator(
        `Clients are told no host for ${listNodes(nameless)}: cluster-preferred-endpoint-type wants a hostname there, and none is announced. To announce one: rcluster create ALL-NODES --if-missing --announce.`,
      )
    }
    const silent = topology.nodes.filter(({reach}) => reach.kind === 'unreachable')
    if (silent.length > 0) this.warnOperator(`${listNodes(silent)} did not answer, and is in no map.`)
    if (facts.isTls && facts.startupNodes.some(({host}) => isIP(host) !== 0)) {
      this.warnOperator(
        'Libraries verify that a certificate names what they dial, IP addresses too, which rcluster does of names only.',
      )
    }
    if (this.flags.cert !== undefined) {
      this.warnOperator(
        'The client certificate (--cert, --key) is not in the settings: add it where the library takes it.',
      )
    }
    if (this.flags.insecure) {
      this.warnOperator(
        'The settings verify the certificates of the nodes, which rcluster was told not to do (--insecure).',
      )
    }
  }
}

function mapDocument(pairs: readonly AddressPair[]): Record<string, NodeAddress> {
  return Object.fromEntries(pairs.map(({told, reachedAt}) => [plainKey(told), reachedAt]))
}
