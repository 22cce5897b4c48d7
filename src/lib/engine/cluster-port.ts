/**
 * What may be asked of, or done to, one node? The engine knows servers only through this interface; src/lib/redis
 * implements it over ioredis, test/support/fake-cluster.ts in memory, and test/contract holds both to the same answers.
 *
 * All methods throw `NodeError` when the node does not answer in time or says no. Calls issued together travel together
 * (they are pipelined), and calls on one node are carried out in the order issued, but for these, which have connections
 * of their own and may overtake or be overtaken: migrateKeys, restoreKeys, what a Presence says, whatever concerns a database other than 0, MEET of a name,
 * and, where a node waits for its replicas (Valkey 8 and later), the four SETSLOT calls. Await what order matters for.
 * Slots are 0-16383, databases 0 upwards, times milliseconds.
 */
import type {NodeError} from '../errors.ts'
import type {SlotRange, SlotRanges} from '../slots/slot-ranges.ts'
import type {ClusterInfo, NodeAddress, NodeId, NodeView, ServerInfo} from '../topology/model.ts'
import type {DetailsWanted, NodeDetails} from '../topology/node-details.ts'
import type {ServerCommand} from '../topology/user-meaning.ts'

/** As whom another node logs in at this one to send it keys. The password is for the adapter alone. */
export interface PeerLogin {
  /** undefined: the default user. */
  readonly username: string | undefined
}

export interface MigrateRequest {
  /** The target as the *source* reaches it. */
  readonly target: NodeAddress
  /** The target's `peerLogin`. */
  readonly targetLogin: PeerLogin | undefined
  readonly keys: readonly Buffer[]
  readonly database: number
  /** Per socket operation between the two servers. */
  readonly timeoutMs: number
  /** Overwrite the target's copy. Only where the source's is known to be the owner's. */
  readonly isReplacing: boolean
  /** Leave the source's copy where it is. */
  readonly isCopying?: boolean
}

/** A key as DUMP and PEXPIRETIME tell it. */
export interface SerialisedKey {
  readonly key: Buffer
  readonly payload: Buffer
  /** As the clock of the node that takes it tells time; undefined lives on. */
  readonly expiresAtMs: number | undefined
}

export interface RestoreOptions {
  readonly database: number
  /** Overwrite what is there; else a key that exists is 'busy-key'. */
  readonly isReplacing: boolean
  /** The slot is being imported there: each with ASKING. */
  readonly isAsking: boolean
}

/**
 * How a node moves whole slots at once: pushed by their source (CLUSTER MIGRATESLOTS, Valkey 9), or pulled by their
 * target (CLUSTER MIGRATION IMPORT, Redis 8.4). Both ends must be of one family.
 */
export type AtomicFamily = 'push' | 'pull'

/** One server-side migration of whole slots, as one of its ends tells it. */
export interface SlotMigration {
  readonly id: string
  readonly ranges: SlotRanges
  readonly source: NodeId
  readonly target: NodeId
  /** 'retrying': it failed, and the server is about to try again by itself (Redis). */
  readonly status: 'running' | 'retrying' | 'done' | 'failed' | 'cancelled'
  /** The server's own word for how far it is. */
  readonly stage: string
  /** Why it failed, in the server's words; empty where there is nothing to say. */
  readonly reason: string
  /** How long writes to the slots were held up at the handover, where the source tells. */
  readonly writePauseMs: number | undefined
}

/** Where a node sends clients that ask it for the nodes. */
export interface ToldPlace {
  /** undefined: it tells no host for that node, and clients may only guess that it is the one they asked. */
  readonly host: string | undefined
  readonly port: number
}

/** What a node tells of the load that one of its slots bears; undefined where it does not measure that. */
export interface SlotStats {
  readonly slot: number
  /** In all databases. */
  readonly keys: number
  readonly memoryBytes: number | undefined
  /** Since the node began to count, as are the bytes. */
  readonly cpuMicroseconds: number | undefined
  /** In and out together. */
  readonly networkBytes: number | undefined
}

/** As the protocol has it; bulk strings are Buffers. */
export type CommandReply = Buffer | string | number | null | readonly CommandReply[]

/** An error that the server answered is an answer. */
export type CommandAnswer = {readonly reply: CommandReply} | {readonly error: string}

export interface SnapshotOptions {
  /** How long the node may send nothing: it says every second that it is still there, until the data comes. */
  readonly silenceMs: number
  readonly signal?: AbortSignal | undefined
}

/** All that a node holds at one moment, as RDB data. */
export interface Snapshot {
  /** Where the node's replication stream stood at that moment, where it tells. */
  readonly replicationOffset: number | undefined
  /** undefined when the node sends while it makes them. */
  readonly totalBytes: number | undefined
  /** Read only as fast as asked for. Ends behind the last byte, and throws a NodeError when that does not come. */
  readonly chunks: AsyncIterable<Buffer>
  /** Ends the connection; needed whether or not all was read. */
  close(): void
}

/** A client connection of a node that gave itself a name. */
export interface NamedClient {
  /** Of this connection at this node. */
  readonly id: string
  readonly name: string
  /** Since it last said something, in whole seconds. */
  readonly idleMs: number
}

/** A connection that does nothing but be there, under a name that others see in the node's list of clients. */
export interface Presence {
  /** Says the name, anew each time; over a new connection when the former is gone. */
  announce(name: string): Promise<void>
  close(): void
}

/**
 * coordinated: the primary pauses writes until the replica has all, no write is lost. force: without asking the primary,
 * by the votes of the others. takeover: without asking anybody.
 */
export type FailoverWay = 'coordinated' | 'force' | 'takeover'

/** A command that our user may or may not be allowed, and how to find out. */
export interface CommandTrial {
  /** The word of an ACL rule that allows it. */
  readonly right: string
  /** The command with as many words as it has when it is meant. */
  readonly words: readonly string[]
  /** A form that every server refuses, or that changes nothing; absent where there is none. */
  readonly harmless?: readonly string[]
}

export interface ForbiddenRights {
  readonly user: string
  /** `right` of each trial that is forbidden. */
  readonly forbidden: readonly string[]
}

/** How a node says that it is. */
export interface Vitals {
  readonly clusterInfo: ClusterInfo
  readonly serverInfo: ServerInfo
}

export interface NodePort {
  /** Another one after `reset`. */
  readonly id: NodeId
  /** Where we dialled. */
  readonly address: NodeAddress
  /** To which IP that name led. */
  readonly resolvedAddress: NodeAddress
  /** The address by which this very server sees our connection arrive (CLIENT INFO laddr), where it tells. */
  readonly internalAddress: NodeAddress | undefined
  /**
   * The port of it at which the other nodes dial it with MIGRATE and MEET, where that is not the one that we dial: a
   * server may have one with TLS and one without. undefined: ours is right, or nobody tells.
   */
  readPeerPort(): Promise<number | undefined>
  /** undefined where this node asked us for no password, and none was named for its peers. */
  readonly peerLogin: PeerLogin | undefined

  /** CLUSTER NODES, CLUSTER INFO and INFO in one round trip. */
  readView(): Promise<NodeView>
  /** What is wanted of it, in one round trip. Never throws a NodeError: what was not told is told as unknown. */
  readDetails(wanted: DetailsWanted): Promise<NodeDetails>
  readClusterInfo(): Promise<ClusterInfo>
  /** CLUSTER SLOTS, of which clients live: by ID, only nodes with slots and their replicas that have something. */
  readToldPlaces(): Promise<ReadonlyMap<NodeId, ToldPlace>>
  /** CLUSTER INFO and INFO: what a view has beyond CLUSTER NODES, which grows with the cluster. */
  readVitals(): Promise<Vitals>
  /** How long a PING takes on a connection that does nothing else, in milliseconds. */
  measureLatency(): Promise<number>
  /** Clients other than ourselves that have said something within ten seconds; 0 where the node does not tell. A hint. */
  countOtherClients(): Promise<number>
  /** How many databases may hold keys: 1, or more on Valkey 9 with `cluster-databases`. Asked once, then remembered. */
  readDatabaseCount(): Promise<number>

  setImporting(slot: number, from: NodeId): Promise<void>
  setMigrating(slot: number, to: NodeId): Promise<void>
  /** Takes the importing or migrating mark away. */
  setStable(slot: number): Promise<void>
  /** SETSLOT NODE. A target does not check whether its source still holds keys: the caller must have. */
  assignSlot(slot: number, owner: NodeId): Promise<void>

  countKeys(slot: number, database: number): Promise<number>
  /** Of those slots of the range that are the node's; undefined where it has no CLUSTER SLOT-STATS. */
  readSlotStats(range: SlotRange): Promise<readonly SlotStats[] | undefined>
  /** At most `limit` keys of the slot, in no order. */
  listKeys(slot: number, limit: number, database: number): Promise<Buffer[]>
  /** MEMORY USAGE of each key in bytes, undefined for a key that is gone. Asks with ASKING where that is needed. */
  measureKeys(keys: readonly Buffer[], database: number): Promise<(number | undefined)[]>
  /** TYPE of each key ('string', 'hash' …; a module's own name), undefined for a key that is gone. */
  readKeyTypes(keys: readonly Buffer[], database: number): Promise<(string | undefined)[]>
  /** 'none' when not one of the keys existed any more. */
  migrateKeys(request: MigrateRequest): Promise<'moved' | 'none'>
  /** The key's serialised value and remaining life, `undefined` when it does not exist. Asks with ASKING. */
  dumpKey(key: Buffer, database: number): Promise<{payload: Buffer; ttlMs: number | undefined} | undefined>
  /** Removes one key, with ASKING. */
  deleteKey(key: Buffer, database: number): Promise<void>
  /**
   * RESTORE of each key, pipelined on a connection of its own. A key whose time has passed is taken, and is not there.
   * @returns for each key how it failed, or undefined when it is there. Never throws a NodeError: what ends the
   *   connection is the failure of every key that was not answered, which may be there or not.
   */
  restoreKeys(keys: readonly SerialisedKey[], options: RestoreOptions): Promise<(NodeError | undefined)[]>
  /** TIME in milliseconds; undefined where the user may not ask. */
  readClock(): Promise<number | undefined>

  /** Asked by command, not by version. Once, then remembered; undefined where the node has neither. */
  readAtomicFamily(): Promise<AtomicFamily | undefined>
  /** Writes that it has refused since it started for want of good replicas; 0 where the user may not ask. */
  countRefusedWrites(): Promise<number>
  /**
   * Asked of the end that its family works from: the source of the slots ('push') or their target ('pull').
   * @returns the migration's ID, the same at both ends.
   */
  startSlotMigration(ranges: SlotRanges, target: NodeId): Promise<string>
  /** Those under way and those that ended not long ago, in both directions. Empty where the node has neither family. */
  listSlotMigrations(): Promise<readonly SlotMigration[]>
  /** undefined when the node does not know it, or not any more. */
  readSlotMigration(id: string): Promise<SlotMigration | undefined>
  /** Of the 'push' family: all that this node is the source of. One that has ended, or that it does not know, is fine. */
  cancelSlotMigration(id: string): Promise<void>

  addSlots(ranges: SlotRanges): Promise<void>
  /** Only on a node that knows no other and has epoch 0. */
  setConfigEpoch(epoch: number): Promise<void>
  /** A higher config epoch without the others' consent; a no-op where it already is the highest. */
  bumpEpoch(): Promise<void>
  meet(address: NodeAddress, busPort: number): Promise<void>
  /** Bans the ID for 60 s as well. An ID that is not known is fine. */
  forget(id: NodeId): Promise<void>
  replicate(primary: NodeId): Promise<void>
  /** Of a replica. Answered before it has taken place, and whether it will or not. */
  failOver(way: FailoverWay): Promise<void>
  /**
   * CLUSTER RESET HARD: alone, without slots, epochs at 0, and with a new ID. A node with its old one, as after SOFT, is
   * thrown out again and again for a minute by nodes that were told to forget it, and by all that those talk to.
   * @throws NodeError for a primary with keys.
   */
  reset(): Promise<void>

  /** undefined when the server has no such setting. */
  readConfig(name: string): Promise<string | undefined>
  /** Settings whose names fit, "max*", in the server's words. Of secret ones digests of this run, for comparing. */
  readSettings(pattern: string): Promise<ReadonlyMap<string, string>>
  writeConfig(name: string, value: string): Promise<void>
  /** Writes the settings to the node's file. @throws NodeError where it was started without one. */
  rewriteConfig(): Promise<void>

  /** Any command, byte for byte, on a connection of its own and database 0. It may take `deadlineMs`, or as long as any. */
  callCommand(words: readonly Buffer[], deadlineMs?: number): Promise<CommandAnswer>

  /** Names of the function libraries, sorted; undefined when the server has no functions (before Redis 7). */
  listFunctions(): Promise<readonly string[] | undefined>
  dumpFunctions(): Promise<Buffer>
  /** `isReplacing`: libraries of the same names are overwritten; else they are an error, and nothing is restored. */
  restoreFunctions(payload: Buffer, isReplacing?: boolean): Promise<void>
  /**
   * Which of these our user is not allowed to run: asked by ACL DRYRUN, else tried where there is a harmless form. What
   * neither tells counts as allowed. Key patterns are not looked at. `user` in the answer: whom it is about.
   * @param user somebody else, who is only asked about.
   */
  findForbidden(trials: readonly CommandTrial[], user?: string): Promise<ForbiddenRights>
  /** What rules of users are about: all commands with their categories. Some 200 KB. */
  listCommands(): Promise<readonly ServerCommand[]>
  /** ACL LIST: one line a user, "user default on …", with the hashes of passwords. */
  listUsers(): Promise<readonly string[]>
  /** All rules or none, on top of what the user is; `reset` among them begins anew. Makes users that are not there. */
  setUser(name: string, rules: readonly string[]): Promise<void>
  /** Ends the connections of the user. One that is not there is fine. */
  deleteUser(name: string): Promise<void>
  /**
   * Makes users outlast a restart: in the file of users where the node has one, else in that of its settings.
   * @throws NodeError where it was started without either.
   */
  saveUsers(): Promise<'aclfile' | 'config'>

  /** Asks for a full synchronisation, as a replica does: the node forks. On a connection of its own. */
  openSnapshot(options: SnapshotOptions): Promise<Snapshot>

  /** Connects when it first announces. `onLost` is told whenever the connection ends that we did not end. */
  openPresence(onLost: () => void): Presence
  /** Clients whose names begin with `prefix`. The node goes through all its clients: a megabyte for 4000 of them. */
  listNamedClients(prefix: string): Promise<readonly NamedClient[]>
  /** Ends the connection of a client; one that is not there any more is fine. */
  killClient(id: string): Promise<void>

  /** Ends the connections at once. Pending calls fail with 'closed'. */
  close(): void
}

export interface ClusterPort {
  /**
   * A node by address; an open connection is used again, a broken one replaced.
   * Several calls at once are welcome: the caller bounds them.
   * `hostname`: what the node announces besides, as its certificate may tell; dialled where `address` leads nowhere.
   * @throws NodeError 'wrong-node' when `expectedId` is given and CLUSTER MYID differs.
   */
  connect(address: NodeAddress, expectedId?: NodeId, hostname?: string): Promise<NodePort>
  /** Ends all connections. */
  close(): void
}
