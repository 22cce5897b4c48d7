/**
 * What does one fake server believe, and which commands does it take? The rules and the wording are those of Redis 7
 * (cluster.c); a rule that the engine's safety depends on is held against real servers by test/contract.
 */
import type {AtomicFamily, SlotStats} from '../../../src/lib/engine/cluster-port.ts'
import type {NodeError} from '../../../src/lib/errors.ts'
import {replyError} from '../../../src/lib/redis/reply-errors.ts'
import {SLOT_COUNT} from '../../../src/lib/slots/slot.ts'
import type {SlotRanges} from '../../../src/lib/slots/slot-ranges.ts'
import {formatAddress, type NodeAddress, type NodeId, type ServerInfo} from '../../../src/lib/topology/model.ts'
import {Keyspace} from './keyspace.ts'

/** What one server believes about a member, itself included. */
export interface Peer {
  readonly id: NodeId
  address: NodeAddress
  busPort: number
  primaryId: NodeId | undefined
  configEpoch: number
  isFailed: boolean
}

export interface FakeServerOptions {
  readonly id: NodeId
  readonly address: NodeAddress
  readonly databaseCount: number
  /** Before Redis 7 there are none. */
  readonly hasFunctions: boolean
  readonly settings: ReadonlyMap<string, string>
}

export class FakeServer {
  id: NodeId
  readonly address: NodeAddress
  /** Of its process; a restart gives another. */
  runId: string
  readonly busPort: number
  readonly hasFunctions: boolean
  readonly settings: Map<string, string>
  readonly functions = new Map<string, string>()
  readonly peers = new Map<NodeId, Peer>()
  /** Who owns each slot, as this server sees it. */
  readonly owners = new Array<NodeId | undefined>(SLOT_COUNT).fill(undefined)
  readonly migrating = new Map<number, NodeId>()
  readonly importing = new Map<number, NodeId>()
  /** IDs that gossip does not bring back. */
  readonly banned = new Set<NodeId>()
  /** Addresses that were met and have not answered yet. */
  readonly meetings: NodeAddress[] = []
  currentEpoch = 0
  /** A replica shares its primary's. */
  keyspace: Keyspace
  /** How calls fail while it is down. */
  down: 'refused' | 'timeout' | undefined
  /** What a PING takes. */
  latencyMs = 0
  /** How far its clock is ahead. */
  clockSkewMs = 0
  /** Rules by name, as ACL LIST tells them. */
  readonly users = new Map([['default', 'on nopass ~* +@all']])
  /** Connections with a name, by their IDs. */
  readonly clients = new Map<string, {name: string; spokeAtMs: number; readonly end: () => void}>()
  /** "+migrate": what our user may not run there. */
  readonly forbidden = new Set<string>()
  /** What it says beside or instead of what the fake knows by itself. */
  infoOverrides: Partial<ServerInfo> = {}
  /** Another address of its host: the tool reaches it there, and no other server does. */
  seenAt: NodeAddress | undefined
  /** How it can move whole slots at once. */
  atomicFamily: AtomicFamily | undefined
  /** For want of good replicas. */
  refusedWrites = 0
  hasConfigFile = false
  maxMemory = {used: 1_000_000, limit: 0}
  /** Grows with every change of what it believes. */
  version = 0
  #ownSlots: number[] | undefined
  #upAt = {version: -1, isUp: false}
  readonly #resolve: (id: NodeId) => FakeServer | undefined

  constructor(options: FakeServerOptions, resolve: (id: NodeId) => FakeServer | undefined) {
    this.id = options.id
    this.address = options.address
    this.runId = `run of ${options.id}`
    this.busPort = options.address.port + 10_000
    this.hasFunctions = options.hasFunctions
    this.settings = new Map(options.settings)
    this.keyspace = new Keyspace(options.databaseCount)
    this.#resolve = resolve
    this.#addMyself()
  }

  get me(): Peer {
    return this.peers.get(this.id) as Peer
  }

  get isReplica(): boolean {
    return this.me.primaryId !== undefined
  }

  get isUp(): boolean {
    if (this.#upAt.version !== this.version) {
      const isServed = this.owners.every((owner) => owner !== undefined && this.peers.get(owner)?.isFailed === false)
      this.#upAt = {version: this.version, isUp: this.isReplica || isServed}
    }
    return this.#upAt.isUp
  }

  /** It has CLUSTER SLOT-STATS where it knows the setting; what it measures are made up. */
  slotStats(start: number, end: number): SlotStats[] | undefined {
    const setting = this.settings.get('cluster-slot-stats-enabled')
    if (setting === undefined) return undefined
    const own = [...this.owners.keys()].filter((slot) => slot >= start && slot <= end && this.owners[slot] === this.id)
    return own.map((slot) => {
      const keys = this.keyspace.countInAll(slot)
      const [memoryBytes, cpuMicroseconds, networkBytes] = setting === 'yes' ? [100 * keys, 10 * keys, 40 * keys] : []
      return {slot, keys, memoryBytes, cpuMicroseconds, networkBytes}
    })
  }

  /** An error as the server words it and the adapter reads it. */
  says(text: string): NodeError {
    return replyError(formatAddress(this.address), text)
  }

  /** The peer itself, for changing it. */
  learn(id: NodeId, address: NodeAddress, busPort: number): Peer {
    let peer = this.peers.get(id)
    if (!peer) {
      peer = {id, address, busPort, primaryId: undefined, configEpoch: 0, isFailed: false}
      this.peers.set(id, peer)
    }
    this.version++
    return peer
  }

  assign(slot: number, owner: NodeId | undefined): void {
    if (this.owners[slot] === this.id || owner === this.id) this.#ownSlots = undefined
    this.owners[slot] = owner
    this.version++
  }

  /** Takes away every slot that `before` owns. */
  reassign(before: NodeId, owner: NodeId | undefined): void {
    for (const [slot, known] of this.owners.entries()) if (known === before) this.assign(slot, owner)
    this.version++
  }

  /** The slots that it claims, ascending. */
  get ownSlots(): readonly number[] {
    if (!this.#ownSlots) {
      this.#ownSlots = []
      for (const [slot, owner] of this.owners.entries()) if (owner === this.id) this.#ownSlots.push(slot)
    }
    return this.#ownSlots
  }

  /** Becomes the replica of `primaryId`: what it held itself is replaced. */
  follow(primaryId: NodeId): void {
    this.me.primaryId = primaryId
    this.migrating.clear()
    this.importing.clear()
    this.reassign(this.id, undefined)
    const primary = this.#resolve(primaryId)
    if (primary) this.keyspace = primary.keyspace
    this.version++
  }

  setImporting(slot: number, from: NodeId): void {
    this.#requirePrimary()
    if (this.owners[slot] === this.id) throw this.says(`ERR I'm already the owner of hash slot ${slot}`)
    if (!this.peers.has(from)) throw this.says(`ERR I don't know about node ${from}`)
    if (this.peers.get(from)?.primaryId !== undefined) throw this.says('ERR Target node is not a master')
    this.importing.set(slot, from)
    this.version++
  }

  setMigrating(slot: number, to: NodeId): void {
    this.#requirePrimary()
    if (this.owners[slot] !== this.id) throw this.says(`ERR I'm not the owner of hash slot ${slot}`)
    if (!this.peers.has(to)) throw this.says(`ERR I don't know about node ${to}`)
    if (this.peers.get(to)?.primaryId !== undefined) throw this.says('ERR Target node is not a master')
    this.migrating.set(slot, to)
    this.version++
  }

  setStable(slot: number): void {
    this.#requirePrimary()
    this.importing.delete(slot)
    this.migrating.delete(slot)
    this.version++
  }

  /** @returns true when the others are told at once. */
  assignSlot(slot: number, owner: NodeId): boolean {
    this.#requirePrimary()
    const peer = this.peers.get(owner)
    if (!peer) throw this.says(`ERR Unknown node ${owner}`)
    if (peer.primaryId !== undefined) throw this.says('ERR Target node is not a master')
    const wasMine = this.owners[slot] === this.id
    const keys = this.keyspace.countInAll(slot)
    if (wasMine && owner !== this.id && keys > 0) {
      throw this.says(
        `ERR Can't assign hashslot ${slot} to a different node while I still hold keys for this hash slot.`,
      )
    }
    if (keys === 0) this.migrating.delete(slot)
    this.assign(slot, owner)
    if (wasMine && owner !== this.id && this.ownSlots.length === 0 && this.#mayWander) this.follow(owner)
    if (owner !== this.id || !this.importing.has(slot)) return false
    this.bumpEpoch()
    this.importing.delete(slot)
    return true
  }

  get #mayWander(): boolean {
    return this.settings.get('cluster-allow-replica-migration') === 'yes'
  }

  /** A no-op where it believes to have the greatest already: from a stale view that is the way to lose a slot. */
  bumpEpoch(): void {
    const greatest = Math.max(this.currentEpoch, ...[...this.peers.values()].map((peer) => peer.configEpoch))
    if (this.me.configEpoch !== 0 && this.me.configEpoch === greatest) return
    this.currentEpoch = greatest + 1
    this.me.configEpoch = this.currentEpoch
    this.version++
  }

  addSlots(ranges: SlotRanges): void {
    const slots = ranges.flatMap(({start, end}) => Array.from({length: end - start + 1}, (_, i) => start + i))
    for (const slot of slots) if (this.owners[slot]) throw this.says(`ERR Slot ${slot} is already busy`)
    for (const slot of slots) {
      this.assign(slot, this.id)
      this.importing.delete(slot)
    }
  }

  setConfigEpoch(epoch: number): void {
    if (this.peers.size > 1) {
      throw this.says('ERR The user can assign a config epoch only when the node does not know any other node.')
    }
    if (this.me.configEpoch !== 0) throw this.says('ERR Node config epoch is already non-zero')
    this.me.configEpoch = epoch
    this.currentEpoch = Math.max(this.currentEpoch, epoch)
    this.version++
  }

  /** An unknown ID is what the adapter passes over. */
  forget(id: NodeId): void {
    if (!this.peers.has(id)) return
    if (id === this.id) throw this.says("ERR I tried hard but I can't forget myself...")
    if (id === this.me.primaryId) throw this.says("ERR Can't forget my master!")
    this.banned.add(id)
    this.drop(id)
  }

  drop(id: NodeId): void {
    this.peers.delete(id)
    this.reassign(id, undefined)
  }

  replicate(primaryId: NodeId): void {
    const primary = this.peers.get(primaryId)
    if (!primary) throw this.says(`ERR Unknown node ${primaryId}`)
    if (primaryId === this.id) throw this.says("ERR Can't replicate myself")
    if (primary.primaryId !== undefined) throw this.says('ERR I can only replicate a master, not a replica.')
    if (!this.isReplica && (this.ownSlots.length > 0 || this.keyspace.keys().length > 0)) {
      throw this.says('ERR To set a master the node must be empty and without assigned slots.')
    }
    this.follow(primaryId)
  }

  reset(newId: NodeId): void {
    if (!this.isReplica && this.keyspace.keys().length > 0) {
      throw this.says("ERR CLUSTER RESET can't be called with master nodes containing keys")
    }
    if (this.isReplica) this.keyspace = new Keyspace(this.keyspace.databaseCount)
    this.peers.clear()
    this.owners.fill(undefined)
    this.#ownSlots = undefined
    this.migrating.clear()
    this.importing.clear()
    this.meetings.length = 0
    this.id = newId
    this.currentEpoch = 0
    this.#addMyself()
  }

  takeOver(): void {
    if (!this.isReplica) throw this.says('ERR You should send CLUSTER FAILOVER to a replica')
    this.promote()
  }

  /** A replica takes over, as after a vote. */
  promote(): void {
    const before = this.me.primaryId
    if (before === undefined) return
    this.me.primaryId = undefined
    this.me.isFailed = false
    this.keyspace = this.keyspace.clone()
    this.currentEpoch = Math.max(this.currentEpoch, ...[...this.peers.values()].map((peer) => peer.configEpoch)) + 1
    this.me.configEpoch = this.currentEpoch
    this.reassign(before, this.id)
  }

  restoreFunctions(libraries: Readonly<Record<string, string>>, isReplacing: boolean): void {
    for (const name of Object.keys(libraries)) {
      if (!isReplacing && this.functions.has(name)) throw this.says(`ERR Library ${name} already exists`)
    }
    for (const [name, code] of Object.entries(libraries)) this.functions.set(name, code)
  }

  requireFunctions(): void {
    if (!this.hasFunctions) throw this.says("ERR unknown command 'FUNCTION'")
  }

  #requirePrimary(): void {
    if (this.isReplica) throw this.says('ERR Please use SETSLOT only with masters.')
  }

  #addMyself(): void {
    this.peers.set(this.id, {
      id: this.id,
      address: this.address,
      busPort: this.busPort,
      primaryId: undefined,
      configEpoch: 0,
      isFailed: false,
    })
    this.version++
  }
}
