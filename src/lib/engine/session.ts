/**
 * Which nodes are there, and how is each reached? One session serves one command: it finds the cluster from a seed,
 * keeps a port to every node and looks again whenever asked. Reads only.
 */
import {NodeError, type NodeFailure, RefusedError, UsageError} from '../errors.ts'
import {insideAddresses, isElsewhere, isMapped, isSameAddress, waysTo} from '../topology/inside-address.ts'
import {mergeViews} from '../topology/merge-views.ts'
import {
  type ClusterNode,
  formatAddress,
  isSocket,
  type NodeAddress,
  type NodeId,
  type NodeView,
  type Topology,
  type WhyUnreachable,
} from '../topology/model.ts'
import {findFormer, findNode, listNodes, requireNode} from '../topology/queries.ts'
import type {ClusterPort, NodePort} from './cluster-port.ts'
import {NotYet, type Patience} from './patience.ts'
import {mapBounded} from './waiting.ts'
import {isPlaceless, NamesAsked, type Whereabouts, whereaboutsOf} from './whereabouts.ts'

/** Connections opened at once: enough for a thousand nodes in a few rounds, few enough for any file limit. */
const PARALLEL_CONNECTS = 128

const NOBODY_THERE: ReadonlySet<NodeFailure> = new Set<NodeFailure>([
  'refused',
  'unresolved',
  'no-route',
  'timeout',
  'closed',
  'not-redis',
  'not-cluster',
])

export class ClusterSession {
  readonly seed: NodeAddress
  readonly #port: ClusterPort
  readonly #ports = new Map<NodeId, NodePort>()
  #unreached = new Map<NodeId, WhyUnreachable>()
  readonly #otherSeeds: readonly NodeAddress[]
  readonly #seedId: NodeId
  #topology: Topology | undefined
  #patience: Patience | undefined

  /** Seeds that were tried in vain a moment ago: the first look does not wait for them again. */
  #silent: ReadonlyMap<string, NodeError>

  /** Where another node answered than the one that was expected. */
  #occupied: NodeAddress[] = []
  /** Further seeds and occupied places that were asked who is there; each is asked once a look at everything. */
  #probed = new Set<string>()
  /** Who was there, and is not needed yet, or of another cluster. */
  #strangers: NodePort[] = []
  /** Members that were not where the others say. */
  readonly #foundElsewhere = new Set<NodeId>()
  /** By which address a source has reached a target, by both IDs. */
  readonly #provenWays = new Map<string, NodeAddress>()

  constructor(
    port: ClusterPort,
    seed: NodePort,
    otherSeeds: readonly NodeAddress[],
    silent: ReadonlyMap<string, NodeError> = new Map(),
  ) {
    this.#silent = silent
    this.#port = port
    this.seed = seed.address
    this.#seedId = seed.id
    this.#otherSeeds = otherSeeds
    this.#ports.set(seed.id, seed)
  }

  /** The latest look. */
  get topology(): Topology {
    if (!this.#topology) throw new Error('observe() comes first')
    return this.#topology
  }

  get port(): ClusterPort {
    return this.#port
  }

  /** @throws NodeError when the last look could not reach it. */
  node(id: NodeId): NodePort {
    const port = this.#ports.get(id)
    if (port) return port
    const known = this.#topology?.nodesById.get(id)
    const why = this.#unreached.get(id)
    const address = known ? formatAddress(known.address) : id
    throw new NodeError(
      (why?.failure as NodeError['failure']) ?? 'closed',
      address,
      why?.message ?? `${address} is not connected`,
    )
  }

  /** Ports of all nodes that the last look reached. */
  reachedPorts(): NodePort[] {
    return this.topology.nodes.filter((node) => node.reach.kind === 'reached').map((node) => this.node(node.id))
  }

  /**
   * Nodes that were reached where no other node would look for them: behind published ports, tunnels and the like, or at
   * another address of their host. Empty when names are all that differs.
   */
  mappedNodes(): ClusterNode[] {
    return this.topology.nodes.filter((node) => {
      if (node.reach.kind !== 'reached' || isSocket(node.address)) return false
      if (isSameAddress(node.address, node.announced)) return false
      if (this.#foundElsewhere.size > 0 || isElsewhere(node.address, node.announced)) return true
      const {internal} = node.reach.view
      return internal !== undefined && isMapped(node.address, internal)
    })
  }

  /**
   * By which addresses other servers may reach a node: never empty, the likeliest first. One that was not dialled is looked
   * at: servers show a link that they only try to open, to where a node was once and another may be now.
   * @throws NodeError of the only address at which it may be, when somebody else is there.
   */
  async waysTo(id: NodeId): Promise<readonly NodeAddress[]> {
    return Promise.all((await this.#waysAsDialled(id)).map((address) => asPeersDial(this.node(id), address)))
  }

  /** As `waysTo`, with the port by which we reach the node. */
  async #waysAsDialled(id: NodeId): Promise<readonly NodeAddress[]> {
    const node = this.#topology?.nodesById.get(id)
    const {resolvedAddress, internalAddress} = this.node(id)
    const seen = {resolved: resolvedAddress, internal: internalAddress}
    const ways = node?.reach.kind === 'reached' ? waysTo(node) : insideAddresses(seen, undefined)
    const [first, ...others] = ways as [NodeAddress, ...NodeAddress[]]
    if (insideAddresses(seen, undefined).some(({host}) => host === first.host)) return ways
    try {
      await this.#port.connect(first, id)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      // Nobody, or out of our reach only.
      if (NOBODY_THERE.has(error.failure) && error.failure !== 'not-redis') return ways
      if (others.length === 0) throw error
      return others
    }
    return ways
  }

  /** The one that was proven, else the likeliest. @throws as `waysTo` */
  async wayBetween(from: NodeId, to: NodeId): Promise<NodeAddress> {
    return this.#provenWays.get(`${from} ${to}`) ?? ((await this.waysTo(to))[0] as NodeAddress)
  }

  proveWay(from: NodeId, to: NodeId, address: NodeAddress): void {
    this.#provenWays.set(`${from} ${to}`, address)
  }

  /** A node that joins: later looks include it although no other node names it yet. */
  adopt(port: NodePort): void {
    this.#ports.set(port.id, port)
    this.#unreached.delete(port.id)
  }

  /** A node that left: later looks no longer ask it. */
  drop(id: NodeId): void {
    this.#ports.delete(id)
    this.#unreached.delete(id)
  }

  /**
   * Asks every node that any reached node knows. One dead node costs one deadline, not one each; with `patience` no more
   * than that.
   */
  async observe(patience?: Patience): Promise<Topology> {
    this.#patience = patience
    this.#unreached = new Map()
    this.#occupied = []
    this.#probed = new Set()
    return this.#look()
  }

  /**
   * As `observe`, without asking again the nodes that did not answer the last time: for loops. Those that only said that
   * they are loading are asked again: that costs nothing, and passes.
   */
  async refresh(): Promise<Topology> {
    this.#patience = undefined
    return this.#look()
  }

  async #look(): Promise<Topology> {
    const views = new Map<NodeId, NodeView>()
    const tried = new Set<NodeId>()
    for (const [id, {failure}] of this.#unreached) if (failure !== 'loading') tried.add(id)
    const placeless = new Set<NodeId>()
    const asked = new NamesAsked()
    const firstPorts = [...this.#ports.values()]
    let round: Whereabouts[] = firstPorts.map((port) => ({id: port.id, address: port.address}))
    for (const {id} of round) {
      const before = this.#topology?.nodesById.get(id)
      if (before) asked.add({id, address: before.announced, hostname: before.hostname})
    }
    // What such a cluster announces mostly leads nowhere from here, and nowhere may take its time to say so.
    if (firstPorts.some((port) => port.internalAddress && isMapped(port.address, port.internalAddress))) {
      await this.#askWhoIsThere(this.#otherSeeds)
    }
    for (;;) {
      if (round.length === 0) round = asked.toldOtherwise(views)
      if (round.length === 0) round = await this.#findMoved(views, new Set([...tried, ...placeless]))
      if (round.length === 0) break
      for (const node of round) {
        tried.add(node.id)
        asked.add(node)
      }
      const found = await mapBounded(round, PARALLEL_CONNECTS, (node) => this.#ask(node))
      for (const view of found) if (view) views.set(view.id, view)
      const next = new Map<NodeId, Whereabouts>()
      for (const view of found) {
        for (const entry of view?.entries ?? []) {
          if (tried.has(entry.id) || next.has(entry.id) || entry.flags.has('handshake')) continue
          if (isPlaceless(entry)) {
            placeless.add(entry.id)
            continue
          }
          next.set(entry.id, whereaboutsOf(entry))
        }
      }
      round = [...next.values()]
    }
    for (const id of placeless) {
      if (!tried.has(id)) this.#unreached.set(id, {failure: 'no-route', message: 'no node knows an address for it'})
    }
    if (views.size === 0) {
      const why = this.#unreached.get(this.#seedId) ?? this.#unreached.values().next().value
      throw new NodeError(
        (why?.failure as NodeError['failure']) ?? 'closed',
        formatAddress(this.seed),
        why?.message ?? 'no node of the cluster answers any more',
      )
    }
    const seedId = views.has(this.#seedId) ? this.#seedId : ([...views.keys()].sort()[0] as NodeId)
    this.#silent = new Map()
    this.#topology = mergeViews({seedId, views: [...views.values()], unreachable: this.#unreached})
    return this.#topology
  }

  /**
   * Members that nobody answers for where the others know them, and that were found elsewhere: at a seed that was named,
   * or where another member was expected.
   */
  async #findMoved(views: ReadonlyMap<NodeId, NodeView>, wanted: ReadonlySet<NodeId>): Promise<Whereabouts[]> {
    const missing = new Set([...wanted].filter((id) => !views.has(id)))
    if (missing.size === 0) return []
    await this.#askWhoIsThere([...this.#otherSeeds, ...this.#occupied])
    return this.#strangers.filter(({id}) => missing.has(id)).map(({id, address}) => ({id, address}))
  }

  /** Each place once a look at everything. */
  async #askWhoIsThere(addresses: readonly NodeAddress[]): Promise<void> {
    const places = new Map(addresses.map((address) => [formatAddress(address), address]))
    for (const place of [...this.#probed, ...this.#silent.keys()]) places.delete(place)
    for (const {address} of this.#ports.values()) places.delete(formatAddress(address))
    await mapBounded([...places], PARALLEL_CONNECTS, async ([place, address]) => {
      this.#probed.add(place)
      try {
        this.#strangers.push(await this.#within(`at ${place}`, address, () => this.#port.connect(address)))
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
      }
    })
  }

  async #ask({id, address, hostname}: Whereabouts): Promise<NodeView | undefined> {
    try {
      const view = await this.#within(id, address, () => this.#readView({id, address, hostname}))
      this.#unreached.delete(id)
      return view
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      if (error.failure === 'wrong-node') this.#occupied.push(address)
      if (!(error instanceof NotYet)) this.#ports.delete(id)
      const {failure, message, suggestions} = error
      this.#unreached.set(id, {failure, message, ...(suggestions.length > 0 ? {advice: suggestions} : {})})
      return undefined
    }
  }

  async #readView({id, address, hostname}: Whereabouts): Promise<NodeView> {
    let port = this.#ports.get(id)
    if (!port) {
      port = this.#strangers.find((stranger) => stranger.id === id)
      if (port) {
        this.#strangers = this.#strangers.filter((stranger) => stranger.id !== id)
        this.#foundElsewhere.add(id)
      } else {
        const silence = this.#silent.get(formatAddress(address))
        if (silence) throw silence
        port = await this.#port.connect(address, id, hostname)
      }
      this.#ports.set(id, port)
    }
    return port.readView()
  }

  #within<T>(key: string, address: NodeAddress, work: () => Promise<T>): Promise<T> {
    return this.#patience ? this.#patience.within(key, address, work) : work()
  }

  /**
   * The member that `text` names: an ID, a unique prefix of one, an address by any name that leads to it, a hostname.
   * `mayAsk`: where no node goes by the address, whoever answers there is asked who it is.
   * @throws UsageError when nothing in this cluster is meant by it; NodeError when it is a server that says no to us.
   */
  async findNode(text: string, address?: NodeAddress, {mayAsk = true} = {}): Promise<ClusterNode> {
    const {member, isSomebodyElse} = await this.#whoIs(text, address, mayAsk)
    if (member) return member
    if (!address || !isSomebodyElse) return requireNode(this.topology, text)
    throw new UsageError(`${formatAddress(address)} is not a node of the cluster at ${formatAddress(this.seed)}`, {
      suggestions: [`rcluster info ${formatAddress(this.seed)}`],
    })
  }

  /**
   * As `findNode`, and undefined when it is certain that no member is meant.
   * @throws RefusedError when nobody answers there and one of the members that do not answer may be the one.
   */
  async findIfMember(text: string, address?: NodeAddress, {mayAsk = true} = {}): Promise<ClusterNode | undefined> {
    const {member, isSomebodyElse} = await this.#whoIs(text, address, mayAsk)
    if (member || !address || isSomebodyElse) return member
    // It may be a member by another name.
    if (!mayAsk) return requireNode(this.topology, text)
    const silent = this.topology.nodes.filter(({reach}) => reach.kind === 'unreachable')
    if (silent.length === 0) return undefined
    const [which, names] = [silent.length === 1 ? 'which does not answer' : 'which do not answer', listNodes(silent)]
    throw new RefusedError('unreachable-nodes', `nobody answers at ${text.trim()}, and it may be ${names}, ${which}`, {
      suggestions: ['Name the node by its ID', `rcluster info ${formatAddress(this.seed)}`],
    })
  }

  async #whoIs(
    text: string,
    address: NodeAddress | undefined,
    mayAsk: boolean,
  ): Promise<{member: ClusterNode | undefined; isSomebodyElse: boolean}> {
    const member =
      findNode(this.topology, text) ??
      (address && (findNode(this.topology, formatAddress(address)) ?? findFormer(this.topology, address)))
    if (member || !address || !mayAsk) return {member, isSomebodyElse: false}
    try {
      const {id} = await this.#port.connect(address)
      return {member: this.topology.nodesById.get(id), isSomebodyElse: true}
    } catch (error) {
      // Unknown to the cluster, and nobody there who could be a member under another name.
      if (error instanceof NodeError && NOBODY_THERE.has(error.failure)) {
        return {member: undefined, isSomebodyElse: false}
      }
      throw error
    }
  }

  /**
   * Before anything is changed: every seed that answers must belong to this cluster. Seeds that do not answer are let be.
   * @throws RefusedError 'foreign-cluster'
   */
  async requireOneCluster(): Promise<void> {
    await mapBounded(this.#otherSeeds, PARALLEL_CONNECTS, async (address) => {
      let port: NodePort
      try {
        port = await this.#port.connect(address)
      } catch (error) {
        if (error instanceof NodeError) return
        throw error
      }
      if (!this.topology.nodesById.has(port.id)) {
        throw new RefusedError(
          'foreign-cluster',
          `the seeds ${formatAddress(this.seed)} and ${formatAddress(address)} belong to different clusters`,
          {suggestions: ['Name seeds of one cluster only']},
        )
      }
    })
  }

  close(): void {
    this.#port.close()
  }
}

/**
 * Connects to the first seed that answers and looks at the whole cluster.
 * @throws NodeError of the first seed when none answers.
 */
export async function openSession(
  port: ClusterPort,
  seeds: readonly NodeAddress[],
  patience?: Patience,
): Promise<ClusterSession> {
  const silent = new Map<string, NodeError>()
  for (const [index, address] of seeds.entries()) {
    try {
      const node = await port.connect(address)
      const session = new ClusterSession(port, node, seeds.slice(index + 1), silent)
      await session.observe(patience)
      return session
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      silent.set(formatAddress(address), error)
    }
  }
  const [firstError] = silent.values()
  throw firstError ?? new UsageError('no seed was given')
}

/**
 * The address as the other nodes dial it: ours may be of a port that they do not use, where there is one with TLS and one
 * without.
 */
export async function asPeersDial(port: NodePort, address: NodeAddress): Promise<NodeAddress> {
  if (address.port !== (port.internalAddress ?? port.address).port) return address
  return {...address, port: (await port.readPeerPort()) ?? address.port}
}
