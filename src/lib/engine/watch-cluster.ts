/**
 * How is a cluster looked at again and again? One round is one look at every node, within a time that no node can draw
 * out, and what moves meanwhile. Reads only; what a round may ask is bounded, and counted.
 */
import {NodeError} from '../errors.ts'
import {moveOf} from '../findings/slot-rules.ts'
import {formatAddress, type NodeAddress, type NodeId, type Topology} from '../topology/model.ts'
import {primaries} from '../topology/queries.ts'
import {withReach} from '../topology/with-reach.ts'
import type {AtomicMove, Round, Worker} from '../watch/round.ts'
import type {ClusterPort, NodePort} from './cluster-port.ts'
import {glance} from './glance.ts'
import {holderAmong, LOCK_PREFIX} from './lock-entry.ts'
import {Patience} from './patience.ts'
import {ClusterSession, openSession} from './session.ts'
import {mapBounded} from './waiting.ts'

const PARALLEL = 128
/** Whatever else is asked may take so long, once the nodes have told how they are. */
const EXTRAS_MS = 500
/** A count costs the node microseconds; more slots are open only where something is amiss. */
const MOST_COUNTED_SLOTS = 64
/** A node goes through all its clients for the list in which others at work show. */
const WORKER_EVERY_MS = 5000
/** All nodes of a lock know of it; a second one in case the first does not tell. */
const NODES_ASKED_FOR_WORKER = 2
/** Lines of CLUSTER NODES that are read in a second, about 6 MB: every node tells of every other. */
const LINES_PER_SECOND = 50_000
/** So many nodes are asked in a second, about 4 MB of INFO. */
const NODES_PER_SECOND = 500
/** When something has changed, everything is looked at after this part of the usual time. */
const SOONER = 4

interface Look {
  readonly topology: Topology
  /** Why no node answers. */
  readonly lost?: string | undefined
}

export class ClusterWatcher {
  readonly #port: ClusterPort
  readonly #seeds: readonly NodeAddress[]
  readonly #patience: Patience
  readonly #extraPatience = new Patience(EXTRAS_MS)
  #session: ClusterSession
  /** The look that opening the session was. */
  #isFresh = true
  #worker: Worker | undefined
  #workerAskedAtMs = Number.NEGATIVE_INFINITY
  #hadOpenSlots = false
  /** What our user may not ask: not tried again. */
  readonly #denied = new Set<string>()
  #commands = 0
  #lookedAtMs = performance.now()
  #slotsAtMs = Date.now()

  private constructor(port: ClusterPort, seeds: readonly NodeAddress[], patience: Patience, session: ClusterSession) {
    this.#port = port
    this.#seeds = seeds
    this.#patience = patience
    this.#session = session
  }

  /**
   * @param limitMs how long a node may take to answer.
   * @throws NodeError of the first seed when none answers.
   */
  static async open(port: ClusterPort, seeds: readonly NodeAddress[], limitMs: number): Promise<ClusterWatcher> {
    const patience = new Patience(limitMs)
    return new ClusterWatcher(port, seeds, patience, await openSession(port, seeds, patience))
  }

  get session(): ClusterSession {
    return this.#session
  }

  /**
   * A look at everything, or in large clusters mostly one at what each node says of itself. Never throws because of nodes.
   */
  async look(): Promise<Round> {
    this.#commands = 0
    const {topology, lost} = (await this.#glance()) ?? (await this.#observe())
    const known = {slotsAtMs: this.#slotsAtMs, lost}
    if (lost !== undefined) return roundOf(topology, {...known, commands: this.#commands})
    const reached = topology.nodes.flatMap(({id, reach}) => (reach.kind === 'reached' ? [this.#session.node(id)] : []))
    const [keysLeft, atomicMoves, worker] = await Promise.all([
      this.#countKeysLeft(topology),
      this.#listAtomicMoves(topology),
      this.#findWorker(topology, reached),
    ])
    return roundOf(topology, {...known, keysLeft, atomicMoves, worker, commands: this.#commands})
  }

  /** undefined when a look at everything is due. */
  async #glance(): Promise<Look | undefined> {
    const {topology: before} = this.#session
    const sinceMs = performance.now() - this.#lookedAtMs
    const isDueMs = (1000 * before.nodes.length ** 2) / LINES_PER_SECOND
    if (this.#isFresh || sinceMs >= isDueMs) return undefined
    const {topology, isOutdated} = await glance(this.#session, this.#patience)
    this.#commands += 2 * countReached(before)
    // Of what has changed sooner, but not all the time.
    const isLost = countReached(topology) === 0
    return isLost || (isOutdated && sinceMs >= isDueMs / SOONER) ? undefined : {topology}
  }

  async #observe(): Promise<Look> {
    const before = this.#session.topology
    if (this.#isFresh) {
      this.#isFresh = false
      this.#commands += 3 * countReached(before)
      return {topology: before}
    }
    try {
      return this.#seen(await this.#session.observe(this.#patience))
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      const topology = await this.#openAgain(before)
      if (topology) return this.#seen(topology)
      const {message} = error
      const silence = {kind: 'unreachable', failure: 'closed', message} as const
      return {
        topology: withReach(before, ({reach}) => (reach.kind === 'unreachable' ? reach : silence)),
        lost: message,
      }
    }
  }

  #seen(topology: Topology): Look {
    this.#lookedAtMs = performance.now()
    this.#slotsAtMs = Date.now()
    this.#commands += 3 * countReached(topology)
    return {topology}
  }

  /** Through any node that was known, or any seed, when the session has nobody left to ask. */
  async #openAgain({nodes}: Topology): Promise<Topology | undefined> {
    const places: {address: NodeAddress; id?: NodeId}[] = [
      ...nodes.filter(({address}) => address.port !== 0).map(({address, id}) => ({address, id})),
      ...this.#seeds.map((address) => ({address})),
    ]
    const ports = await mapBounded(places, PARALLEL, async ({address, id}) => {
      try {
        const place = `again ${formatAddress(address)} ${id ?? ''}`
        return await this.#patience.within(place, address, () => this.#port.connect(address, id))
      } catch (error) {
        if (!(error instanceof NodeError)) throw error
        return undefined
      }
    })
    const members = new Set(nodes.map(({id}) => id))
    const port = ports.find((one) => one !== undefined && members.has(one.id))
    if (!port) return undefined
    const session = new ClusterSession(this.#port, port, this.#seeds)
    try {
      const topology = await session.observe(this.#patience)
      this.#session = session
      return topology
    } catch (error) {
      if (error instanceof NodeError) return undefined
      throw error
    }
  }

  async #countKeysLeft(topology: Topology): Promise<ReadonlyMap<number, number>> {
    const moves = topology.openSlots.flatMap((open) => {
      const source = topology.nodesById.get(moveOf(open)?.from ?? '')
      return source?.reach.kind === 'reached' ? [{slot: open.slot, source: source.reach.view}] : []
    })
    const left = new Map<number, number>()
    await mapBounded(moves.slice(0, MOST_COUNTED_SLOTS), PARALLEL, async ({slot, source}) => {
      const port = this.#session.node(source.id)
      const databases = [...source.serverInfo.keysByDatabase.keys()]
      this.#commands += databases.length
      const countAll = (): Promise<number[]> => Promise.all(databases.map((database) => port.countKeys(slot, database)))
      const counts = await this.#extra('keys', port, countAll, slot)
      if (counts)
        left.set(
          slot,
          counts.reduce((sum, count) => sum + count, 0),
        )
    })
    return left
  }

  /** Both ends of a move may tell it; where one does not answer, the other does. */
  async #listAtomicMoves(topology: Topology): Promise<readonly AtomicMove[]> {
    const reached = primaries(topology).filter(({reach}) => reach.kind === 'reached')
    const lists = await mapBounded(reached, PARALLEL, async ({id}) => {
      const port = this.#session.node(id)
      return this.#extra('migrations', port, async () => {
        if ((await port.readAtomicFamily()) === undefined) return []
        this.#commands++
        return port.listSlotMigrations()
      })
    })
    const moves = new Map<string, AtomicMove>()
    for (const {id, ranges, source, target, stage, status} of lists.flatMap((list) => list ?? [])) {
      if (status === 'running' || status === 'retrying') moves.set(id, {id, ranges, from: source, to: target, stage})
    }
    return [...moves.values()].sort((a, b) => (a.ranges[0]?.start ?? 0) - (b.ranges[0]?.start ?? 0))
  }

  /** Asked for seldom, but at once when slots open. */
  async #findWorker(topology: Topology, reached: readonly NodePort[]): Promise<Worker | undefined> {
    const nowMs = performance.now()
    const hasOpenSlots = topology.openSlots.length > 0
    const hasBegun = hasOpenSlots && !this.#hadOpenSlots
    this.#hadOpenSlots = hasOpenSlots
    if (!hasBegun && nowMs - this.#workerAskedAtMs < WORKER_EVERY_MS) return this.#worker
    this.#workerAskedAtMs = nowMs
    const asked = [...reached].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, NODES_ASKED_FOR_WORKER)
    const lists = await mapBounded(asked, PARALLEL, async (port) =>
      this.#extra('lock', port, () => {
        this.#commands++
        return port.listNamedClients(LOCK_PREFIX)
      }),
    )
    const answers = lists.filter((list) => list !== undefined)
    if (answers.length > 0) this.#worker = holderAmong(answers)
    return this.#worker
  }

  /** undefined when the node does not answer in time, or not to us. */
  async #extra<T>(
    what: string,
    {id, address}: NodePort,
    work: () => Promise<T>,
    slot?: number,
  ): Promise<T | undefined> {
    // The servers log each refusal.
    const right = `${what} ${id}`
    if (this.#denied.has(right)) return undefined
    try {
      return await this.#extraPatience.within(`${right} ${slot ?? ''}`, address, work)
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      if (error.failure === 'permission') this.#denied.add(right)
      return undefined
    }
  }
}

function countReached({nodes}: Topology): number {
  return nodes.filter(({reach}) => reach.kind === 'reached').length
}

function roundOf(topology: Topology, known: Partial<Round> & {readonly slotsAtMs: number}): Round {
  return {
    atMs: Date.now(),
    topology,
    keysLeft: new Map(),
    atomicMoves: [],
    worker: undefined,
    commands: 0,
    leastIntervalMs: (1000 * topology.nodes.length) / NODES_PER_SECOND,
    ...known,
  }
}
