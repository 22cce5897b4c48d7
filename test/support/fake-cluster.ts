/**
 * A cluster in memory that keeps the true rules: every server has its own view and config epochs, learns by gossip, and
 * deletes its keys where a real one would. Implements ClusterPort; what goes wrong is scripted with `script`.
 */
import type {AtomicFamily, ClusterPort, NodePort} from '../../src/lib/engine/cluster-port.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import {formatAddress, type NodeAddress, type NodeId} from '../../src/lib/topology/model.ts'
import {readAll, write} from './fake/client.ts'
import {FakePort} from './fake/fake-port.ts'
import {FakeServer} from './fake/fake-server.ts'
import {Script} from './fake/faults.ts'
import {correctionsFor, type Packet, packetOf, receive, shakeHands} from './fake/gossip.ts'
import {FakeMigrations} from './fake/slot-migrations.ts'

export interface FakeOptions {
  /** With epochs 1, 2, 3 … */
  readonly primaries?: number
  /** What each of them gets, "0-99" and so on; an even share of all by default. */
  readonly shares?: readonly string[]
  /** Members without slots. */
  readonly slotless?: number
  /** Of each primary with slots. */
  readonly replicas?: number
  /** Servers that know nobody. */
  readonly strangers?: number
  readonly databases?: number
  readonly hasFunctions?: boolean
  /** None by default, as on Redis 7. */
  readonly atomicFamily?: AtomicFamily
}

/** 'at-once': all know everything after each command. 'manual': only `settle` tells. A number: packets travel every so
 * many commands, and arrive that many later, as stale as they are. */
export type Gossip = 'at-once' | 'manual' | number

function evenShares(count: number): string[] {
  const start = (index: number): number => Math.ceil((index * SLOT_COUNT) / count)
  return Array.from({length: count}, (_, index) => `${start(index)}-${start(index + 1) - 1}`)
}

export class FakeCluster implements ClusterPort {
  readonly servers: FakeServer[] = []
  readonly script = new Script()
  readonly migrations = new FakeMigrations(
    (id) => this.servers.find((server) => server.id === id),
    (server) => this.broadcast(server),
  )
  gossip: Gossip = 'at-once'
  /** How many turns of the event loop a call to this node takes; 0 is the default. */
  latencyOf: (id: NodeId) => number = () => 0
  readonly #ports = new Map<FakeServer, FakePort>()
  #onTheWay: {to: FakeServer; packet: Packet}[] = []
  readonly #taken = new Map<FakeServer, Map<NodeId, {packet: Packet; version: number}>>()
  #commands = 0
  #ids = 0

  constructor(options: FakeOptions = {}) {
    const {primaries = 3, slotless = 0, replicas = 0, strangers = 0} = options
    const members = primaries * (1 + replicas) + slotless
    for (let n = 0; n < members + strangers; n++) this.#add(n, options)
    const joined = this.servers.slice(0, members)
    for (const [index, server] of joined.entries()) {
      server.me.configEpoch = index + 1
      for (const other of joined) shakeHands(server, other)
    }
    for (const [index, share] of (options.shares ?? evenShares(primaries)).entries()) {
      this.server(index).addSlots(parseRanges(share))
    }
    this.settle()
    for (let n = 0; n < primaries * replicas; n++) {
      this.server(primaries + slotless + n).replicate(this.server(n % primaries).id)
    }
    this.settle()
  }

  #add(n: number, options: FakeOptions): void {
    const databases = options.databases ?? 1
    const server = new FakeServer(
      {
        id: this.freshId(),
        address: {host: '10.0.0.1', port: 7000 + n},
        databaseCount: databases,
        hasFunctions: options.hasFunctions ?? true,
        settings: new Map([
          ['cluster-allow-replica-migration', 'yes'],
          ['repl-diskless-sync-delay', '5'],
          ...(databases > 1 ? ([['cluster-databases', String(databases)]] as const) : []),
        ]),
      },
      (id) => this.servers.find((server) => server.id === id),
    )
    server.atomicFamily = options.atomicFamily
    this.servers.push(server)
  }

  /** In the order built: primaries, slotless members, replicas (of the first, second … primary), strangers. */
  server(index: number): FakeServer {
    const server = this.servers[index]
    if (!server) throw new RangeError(`there are ${this.servers.length} servers, none with index ${index}`)
    return server
  }

  serverById(id: NodeId): FakeServer {
    const server = this.servers.find((one) => one.id === id)
    if (!server) throw new RangeError(`there is no server ${id}`)
    return server
  }

  serverAt(address: NodeAddress): FakeServer | undefined {
    return this.servers.find((server) => formatAddress(server.address) === formatAddress(address))
  }

  freshId(): NodeId {
    this.#ids++
    return this.#ids.toString(16).padStart(4, '0').repeat(10)
  }

  get isReachable(): (id: NodeId) => boolean {
    return (id) => this.servers.some((server) => server.id === id && !server.down)
  }

  async connect(address: NodeAddress, expectedId?: NodeId): Promise<NodePort> {
    const dialled = formatAddress(address)
    const server = this.serverAt(address)
    if (this.script.hasCrashed) return new Promise<never>(() => {})
    if (!server) throw new NodeError('refused', dialled, `${dialled}: nothing listens there`)
    if (server.down) throw new NodeError(server.down, dialled, `${dialled} is down`)
    if (expectedId !== undefined && server.id !== expectedId) {
      throw new NodeError('wrong-node', dialled, `${dialled} is node ${server.id}, where ${expectedId} was expected`)
    }
    const port = this.#ports.get(server) ?? new FakePort(this, server)
    this.#ports.set(server, port)
    return port
  }

  /** Ends this tool's connections; the servers live on for the next. */
  close(): void {
    for (const port of this.#ports.values()) port.close()
    this.#ports.clear()
  }

  /** After a crash: the tool that was killed stays dead, the next one finds everything answering. */
  revive(): void {
    for (const port of this.#ports.values()) port.die()
    this.#ports.clear()
    this.script.endCrash()
  }

  stop(index: number, how: 'refused' | 'timeout' = 'refused'): void {
    this.server(index).down = how
  }

  start(index: number): void {
    this.server(index).down = undefined
  }

  /** The others see that it is gone, and its first replica that runs takes over. The marks of open slots get lost. */
  failOver(index: number): FakeServer {
    const lost = this.server(index)
    lost.down ??= 'refused'
    for (const server of this.servers) {
      const peer = server.peers.get(lost.id)
      if (peer) peer.isFailed = true
      server.version++
    }
    const heir = this.servers.find((server) => server.me.primaryId === lost.id && !server.down)
    if (!heir) throw new Error(`${lost.id} has no replica that could take over`)
    this.#crown(heir, lost)
    return heir
  }

  /** A primary that was replaced comes back, and follows its heir. */
  rejoin(index: number, heir: NodeId): void {
    const server = this.server(index)
    server.down = undefined
    for (const other of this.servers) {
      const peer = other.peers.get(server.id)
      if (peer) peer.isFailed = false
      other.version++
    }
    server.follow(heir)
    this.settle()
  }

  /** A failover that was asked for: the primary, too, follows the one that takes over. */
  swap(heir: FakeServer): void {
    const before = this.serverById(heir.me.primaryId ?? '')
    this.#crown(heir, before)
    if (!before.down) before.follow(heir.id)
    this.settle()
  }

  #crown(heir: FakeServer, before: FakeServer): void {
    heir.promote()
    for (const server of this.servers) {
      // Its other replicas follow the one that won the vote.
      if (server !== heir && server !== before && server.me.primaryId === before.id) server.follow(heir.id)
    }
    this.settle()
  }

  /** Everybody tells everybody everything, until nothing new is left to tell. */
  settle(): void {
    this.#onTheWay = []
    for (let round = 0; round < 20; round++) {
      const before = this.#stamp()
      this.#meet()
      this.#deliver(this.#packets())
      if (this.#stamp() === before) return
    }
    throw new Error('gossip comes to no end')
  }

  /** What `server` says now is on its way to everybody, and arrives with `deliverHeld`. */
  holdPacketsOf(server: FakeServer): void {
    const packet = packetOf(server)
    this.#onTheWay.push(...this.#others(server).map((to) => ({to, packet})))
  }

  deliverHeld(): void {
    this.#deliver(this.#onTheWay.splice(0))
  }

  /** Tells all others at once. */
  broadcast(server: FakeServer): void {
    if (this.gossip === 'at-once') this.settle()
    if (typeof this.gossip === 'number') this.holdPacketsOf(server)
  }

  afterCommand(isChanging: boolean): void {
    if (this.gossip === 'at-once' && isChanging) this.settle()
    if (typeof this.gossip !== 'number' || ++this.#commands % this.gossip !== 0) return
    const arriving = this.#onTheWay
    this.#onTheWay = []
    this.#meet()
    const departing = this.#packets()
    this.#deliver(arriving)
    this.#onTheWay.push(...departing)
  }

  async hop(id: NodeId): Promise<void> {
    for (let turn = this.latencyOf(id); turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve))
  }

  #stamp(): string {
    return this.servers.map(({version, meetings}) => `${version}/${meetings.length}`).join(' ')
  }

  #running(): FakeServer[] {
    return this.servers.filter(({down}) => !down)
  }

  #others(server: FakeServer): FakeServer[] {
    return this.#running().filter((other) => other !== server)
  }

  #meet(): void {
    for (const server of this.#running()) {
      for (const address of server.meetings.splice(0)) {
        const met = this.serverAt(address)
        if (met && !met.down) shakeHands(server, met)
      }
    }
  }

  #packets(): {to: FakeServer; packet: Packet}[] {
    return this.#running().flatMap((server) => {
      const packet = packetOf(server)
      return this.#others(server)
        .filter((to) => server.peers.has(to.id))
        .map((to) => ({to, packet}))
    })
  }

  #deliver(packets: readonly {to: FakeServer; packet: Packet}[]): void {
    for (const {to, packet} of packets) {
      if (to.down) continue
      // The same packet at the same server once more changes nothing.
      const taken = this.#taken.get(to) ?? new Map<NodeId, {packet: Packet; version: number}>()
      this.#taken.set(to, taken)
      const last = taken.get(packet.sender)
      if (last?.packet === packet && last.version === to.version) continue
      const corrections = to.peers.has(packet.sender) ? correctionsFor(to, packet) : []
      receive(to, packet)
      for (const owner of corrections) {
        const sender = this.servers.find(({id}) => id === packet.sender)
        const stronger = this.servers.find(({id}) => id === owner)
        if (sender && !sender.down && stronger) receive(sender, packetOf(stronger))
      }
      taken.set(packet.sender, {packet, version: to.version})
    }
  }

  /** Writes as a client of the cluster would. */
  set(key: string | Buffer, value: string, database = 0, ttlMs?: number): void {
    const expiresAtMs = ttlMs === undefined ? undefined : Date.now() + ttlMs
    write(this.#running(), Buffer.from(key), {payload: Buffer.from(value), expiresAtMs}, database)
  }

  /** Every key as "database/key" with the value that a client reads who follows MOVED and ASK from any server on. */
  contents(): ReadonlyMap<string, string> {
    return readAll(this.#running())
  }

  /** Which primaries hold the key. */
  copies(key: string | Buffer, database = 0): NodeId[] {
    return this.#running()
      .filter((server) => !server.isReplica && server.keyspace.get(Buffer.from(key), database))
      .map(({id}) => id)
  }
}
