/** How is each thing that the engine asks of a node said to a server? Implements NodePort over `Wire`. */
import {lookup} from 'node:dns/promises'
import {isIP} from 'node:net'
import type {
  AtomicFamily,
  CommandAnswer,
  CommandTrial,
  FailoverWay,
  ForbiddenRights,
  MigrateRequest,
  NamedClient,
  NodePort,
  Presence,
  RestoreOptions,
  SerialisedKey,
  SlotMigration,
  SlotStats,
  Snapshot,
  SnapshotOptions,
  ToldPlace,
  Vitals,
} from '../engine/cluster-port.ts'
import {NodeError} from '../errors.ts'
import type {SlotRange, SlotRanges} from '../slots/slot-ranges.ts'
import type {Passage} from '../topology/inside-address.ts'
import {
  type ClusterInfo,
  formatAddress,
  type NodeAddress,
  type NodeId,
  type NodeView,
  type ServerInfo,
} from '../topology/model.ts'
import type {DetailsWanted, NodeDetails} from '../topology/node-details.ts'
import {parseClusterInfo, parseServerInfo} from '../topology/parse-info.ts'
import {parseNodes} from '../topology/parse-nodes.ts'
import type {ServerCommand} from '../topology/user-meaning.ts'
import {AWAKE_MS, countAtWork, namedClientsIn} from './client-list.ts'
import {probeDatabaseCount} from './database-count.ts'
import type {Argument} from './encode-command.ts'
import {Login} from './logins.ts'
import {MigrationCommands} from './migration-commands.ts'
import {detailCommands, nodeDetails, settingsIn} from './node-details.ts'
import type {Reply} from './replies.ts'
import {unless} from './reply-errors.ts'
import {
  bytesIn,
  bytesListIn,
  clockIn,
  countIn,
  garbled,
  integerIn,
  listIn,
  okIn,
  textIn,
  understand,
  understood,
} from './reply-shapes.ts'
import {serverCommandsIn} from './server-commands.ts'
import {parseSlotStats} from './slot-stats.ts'
import {parseSlotsReply} from './slots-reply.ts'
import {openSnapshot} from './snapshot-stream.ts'
import {Wire, type WireOptions} from './wire.ts'

/**
 * Valkey 8 and later hold a connection until the node's replicas have taken a SETSLOT, so several of them only travel
 * together on connections of their own: 16 were 4.5 times as fast as one.
 */
const SETSLOT_WIRES = 16

/** The slowest link that is worth waiting for, and a RESTORE at its end: 1 MB a second. */
const SLOWEST_BYTES_PER_MS = 1000

export class NodeClient implements NodePort {
  readonly address: NodeAddress
  readonly resolvedAddress: NodeAddress
  readonly internalAddress: NodeAddress | undefined
  readonly #options: WireOptions
  readonly #control: Wire
  readonly #wires = new Map<string, Wire>()
  #id: NodeId
  #setslotWires = 1
  #nextSetslotWire = 0
  #databaseCount: Promise<number> | undefined
  readonly #migrations: MigrationCommands
  #peerPort: Promise<number | undefined> | undefined
  #nextSnapshot = 0
  #nextPresence = 0
  /** Sent with RESTORE, not answered yet. */
  #restoringBytes = 0
  #isClosed = false

  constructor(id: NodeId, address: NodeAddress, {resolved, internal}: Passage, control: Wire, options: WireOptions) {
    this.#id = id
    this.address = address
    this.resolvedAddress = resolved
    this.internalAddress = internal
    this.#control = control
    control.expectNode(id)
    this.#options = options
    this.#migrations = new MigrationCommands(address, control)
  }

  get id(): NodeId {
    return this.#id
  }

  get peerLogin(): Login | undefined {
    return this.#options.peerLogin ?? (this.#control.wantsLogin ? this.#options.login : undefined)
  }

  readPeerPort(): Promise<number | undefined> {
    this.#peerPort ??= this.#readPeerPort().catch((error: unknown) => {
      this.#peerPort = undefined
      throw error
    })
    return this.#peerPort
  }

  async #readPeerPort(): Promise<number | undefined> {
    const {port} = this.internalAddress ?? this.address
    const names = ['port', 'tls-port', 'tls-cluster']
    const told = await Promise.all(names.map((name) => this.readConfig(name).catch(unless('permission', undefined))))
    const [plain, tls, isTlsUsed] = told
    const used = Number((isTlsUsed === 'yes' ? tls : plain) ?? 0)
    // Behind a mapping that does not show it is neither.
    return [plain, tls].includes(String(port)) && used > 0 && used !== port ? used : undefined
  }

  async readView(): Promise<NodeView> {
    const [nodes, vitals] = await Promise.all([this.#control.call(['CLUSTER', 'NODES']), this.readVitals()])
    const view = {
      id: this.id,
      dialled: this.address,
      resolved: this.resolvedAddress,
      internal: this.internalAddress,
      entries: understood(this.address, ['CLUSTER', 'NODES'], nodes, (reply) => parseNodes(textIn(reply))),
      ...vitals,
    }
    const {flavour, version} = view.serverInfo
    const waitsForReplicas = flavour === 'valkey' && Number.parseInt(version, 10) >= 8
    const hasReplicas = view.entries.some((entry) => entry.primaryId === this.id)
    this.#setslotWires = waitsForReplicas && hasReplicas ? SETSLOT_WIRES : 1
    return view
  }

  async readDetails(wanted: DetailsWanted): Promise<NodeDetails> {
    return nodeDetails(wanted, await this.#control.callAll(detailCommands(wanted)))
  }

  async readClusterInfo(): Promise<ClusterInfo> {
    return this.#ask(CLUSTER_INFO, readClusterInfo)
  }

  async readToldPlaces(): Promise<ReadonlyMap<NodeId, ToldPlace>> {
    return this.#ask(['CLUSTER', 'SLOTS'], parseSlotsReply)
  }

  async readVitals(): Promise<Vitals> {
    const [clusterInfo, serverInfo] = await Promise.all([
      this.readClusterInfo(),
      // A user without +info still sees a cluster.
      this.#control.call(['INFO']).catch(unless('permission', '')),
    ])
    const readServerInfo = (reply: Reply): ServerInfo => parseServerInfo(textIn(reply))
    return {clusterInfo, serverInfo: understood(this.address, ['INFO'], serverInfo, readServerInfo)}
  }

  async measureLatency(): Promise<number> {
    const wire = this.#wire('latency', 0)
    await wire.open()
    const startedAt = performance.now()
    await wire.call(['PING'])
    return performance.now() - startedAt
  }

  async countOtherClients(): Promise<number> {
    const list = await this.#ask(['CLIENT', 'LIST'], textIn).catch(unless('permission', ''))
    const own = [this.#control, ...this.#wires.values()].filter((wire) => wire.hasSpokenWithin(AWAKE_MS))
    return Math.max(0, countAtWork(list) - own.length)
  }

  readDatabaseCount(): Promise<number> {
    this.#databaseCount ??= this.#readDatabaseCount().catch((error: unknown) => {
      this.#databaseCount = undefined
      throw error
    })
    return this.#databaseCount
  }

  async #readDatabaseCount(): Promise<number> {
    try {
      const told = (await this.readConfig('cluster-databases')) ?? '1'
      return understood(this.address, ['CONFIG', 'GET'], told, countIn)
    } catch (error) {
      if (!(error instanceof NodeError && error.failure === 'permission')) throw error
      const {serverInfo} = await this.readView()
      // Only Valkey has more than one, from 9 on.
      const isRedis = serverInfo.flavour === 'redis' && serverInfo.version !== ''
      return isRedis ? 1 : probeDatabaseCount(this.#wire('probe', 0))
    }
  }

  setImporting(slot: number, from: NodeId): Promise<void> {
    return this.#setslot(slot, ['IMPORTING', from])
  }

  setMigrating(slot: number, to: NodeId): Promise<void> {
    return this.#setslot(slot, ['MIGRATING', to])
  }

  setStable(slot: number): Promise<void> {
    return this.#setslot(slot, ['STABLE'])
  }

  assignSlot(slot: number, owner: NodeId): Promise<void> {
    return this.#setslot(slot, ['NODE', owner])
  }

  #setslot(slot: number, words: readonly string[]): Promise<void> {
    const turn = this.#nextSetslotWire++ % this.#setslotWires
    const wire = turn === 0 ? this.#control : this.#wire(`setslot ${turn}`, 0)
    return this.#ask(['CLUSTER', 'SETSLOT', slot, ...words], okIn, wire)
  }

  countKeys(slot: number, database: number): Promise<number> {
    return this.#ask(['CLUSTER', 'COUNTKEYSINSLOT', slot], countIn, this.#data(database))
  }

  readSlotStats({start, end}: SlotRange): Promise<readonly SlotStats[] | undefined> {
    return this.#ask(['CLUSTER', 'SLOT-STATS', 'SLOTSRANGE', start, end], parseSlotStats).catch(
      unless('unknown-command', undefined),
    )
  }

  listKeys(slot: number, limit: number, database: number): Promise<Buffer[]> {
    return this.#ask(['CLUSTER', 'GETKEYSINSLOT', slot, limit], bytesListIn, this.#data(database))
  }

  async measureKeys(keys: readonly Buffer[], database: number): Promise<(number | undefined)[]> {
    const wire = this.#data(database)
    const measure = async (key: Buffer): Promise<Reply> => {
      try {
        return await wire.call(['MEMORY', 'USAGE', key]).catch(unless('ask', null))
      } catch (error) {
        // A slot that it only imports: asked for in a second try, since keys are seldom where they do not belong.
        if (!(error instanceof NodeError && error.failure === 'moved')) throw error
        return (await wire.sequence([['ASKING'], ['MEMORY', 'USAGE', key]]))[1] ?? null
      }
    }
    const sizes = await Promise.all(keys.map(measure))
    const read = (size: Reply): number => understood(this.address, ['MEMORY'], size, countIn)
    return sizes.map((size) => (size === null ? undefined : read(size)))
  }

  async readKeyTypes(keys: readonly Buffer[], database: number): Promise<(string | undefined)[]> {
    const wire = this.#data(database)
    const types = await Promise.all(
      keys.map((key) => this.#ask(['TYPE', key], textIn, wire).catch(unless('ask', 'none'))),
    )
    return types.map((type) => (type === 'none' ? undefined : type))
  }

  async migrateKeys(request: MigrateRequest): Promise<'moved' | 'none'> {
    const {host, port} = request.target
    const command: Argument[] = ['MIGRATE', host, port, '', request.database, request.timeoutMs]
    if (request.isCopying) command.push('COPY')
    if (request.isReplacing) command.push('REPLACE')
    if (request.targetLogin instanceof Login) command.push(...request.targetLogin.migrateWords())
    command.push('KEYS', ...request.keys)
    // Connecting, writing and reading may each take the timeout before the source gives up.
    const deadlineMs = 3 * request.timeoutMs + this.#options.commandTimeoutMs
    const answer = this.#wire(`migrate ${request.database}`, request.database).call(command, deadlineMs)
    return understand(this.address, ['MIGRATE'], answer, (reply) => {
      if (textIn(reply) === 'NOKEY') return 'none'
      okIn(reply)
      return 'moved'
    })
  }

  async dumpKey(key: Buffer, database: number): Promise<{payload: Buffer; ttlMs: number | undefined} | undefined> {
    const [, payload, , ttl] = await this.#data(database).sequence([
      ['ASKING'],
      ['DUMP', key],
      ['ASKING'],
      ['PTTL', key],
    ])
    const ttlMs = understood(this.address, ['PTTL'], ttl, integerIn)
    // -2: it expired between the two.
    if (payload === null || ttlMs === -2) return undefined
    return {payload: understood(this.address, ['DUMP'], payload, bytesIn), ttlMs: ttlMs < 0 ? undefined : ttlMs}
  }

  async deleteKey(key: Buffer, database: number): Promise<void> {
    await this.#data(database).sequence([['ASKING'], ['DEL', key]])
  }

  async restoreKeys(
    keys: readonly SerialisedKey[],
    {database, isReplacing, isAsking}: RestoreOptions,
  ): Promise<(NodeError | undefined)[]> {
    const wire = this.#wire(`restore ${database}`, database)
    const bytes = keys.reduce((sum, {payload}) => sum + payload.length, 0)
    this.#restoringBytes += bytes
    // What was sent before is answered before.
    const deadlineMs = this.#options.commandTimeoutMs + this.#restoringBytes / SLOWEST_BYTES_PER_MS
    const commands: Argument[][] = []
    for (const {key, payload, expiresAtMs} of keys) {
      const command: Argument[] = ['RESTORE', key, expiresAtMs ?? 0, payload]
      if (isReplacing) command.push('REPLACE')
      if (expiresAtMs !== undefined) command.push('ABSTTL')
      if (isAsking) commands.push(['ASKING'])
      commands.push(command)
    }
    try {
      const replies = await wire.callAll(commands, deadlineMs)
      const own = isAsking ? replies.filter((_, index) => index % 2 === 1) : replies
      return own.map((reply) => {
        if (reply === 'OK') return undefined
        return reply instanceof NodeError ? reply : garbled(this.address, ['RESTORE'], new Error('it should be OK'))
      })
    } finally {
      this.#restoringBytes -= bytes
    }
  }

  async readClock(): Promise<number | undefined> {
    return this.#ask(['TIME'], clockIn).catch(unless('permission', undefined))
  }

  readAtomicFamily(): Promise<AtomicFamily | undefined> {
    return this.#migrations.readFamily()
  }

  async countRefusedWrites(): Promise<number> {
    const text = await this.#ask(['INFO', 'errorstats'], textIn).catch(unless('permission', ''))
    return Number(/^errorstat_NOREPLICAS:count=(\d+)/m.exec(text)?.[1] ?? 0)
  }

  startSlotMigration(ranges: SlotRanges, target: NodeId): Promise<string> {
    return this.#migrations.start(ranges, target)
  }

  listSlotMigrations(): Promise<readonly SlotMigration[]> {
    return this.#migrations.list()
  }

  readSlotMigration(id: string): Promise<SlotMigration | undefined> {
    return this.#migrations.read(id)
  }

  cancelSlotMigration(id: string): Promise<void> {
    return this.#migrations.cancel(id)
  }

  async addSlots(ranges: SlotRanges): Promise<void> {
    const slots: number[] = []
    for (const {start, end} of ranges) for (let slot = start; slot <= end; slot++) slots.push(slot)
    // One by one and not as ranges: ADDSLOTSRANGE came with Redis 7.
    await this.#ask(['CLUSTER', 'ADDSLOTS', ...slots], okIn)
  }

  async setConfigEpoch(epoch: number): Promise<void> {
    await this.#ask(['CLUSTER', 'SET-CONFIG-EPOCH', epoch], okIn)
  }

  async bumpEpoch(): Promise<void> {
    await this.#control.call(['CLUSTER', 'BUMPEPOCH'])
  }

  async meet({host, port}: NodeAddress, busPort: number): Promise<void> {
    await this.#ask(['CLUSTER', 'MEET', await resolve({host, port}), port, busPort], okIn)
  }

  async forget(id: NodeId): Promise<void> {
    await this.#ask(['CLUSTER', 'FORGET', id], okIn).catch(unless('unknown-node', undefined))
  }

  async replicate(primary: NodeId): Promise<void> {
    await this.#ask(['CLUSTER', 'REPLICATE', primary], okIn)
  }

  async failOver(way: FailoverWay): Promise<void> {
    await this.#ask(['CLUSTER', 'FAILOVER', ...(way === 'coordinated' ? [] : [way.toUpperCase()])], okIn)
  }

  async reset(): Promise<void> {
    const [, id] = await Promise.all([
      this.#ask(['CLUSTER', 'RESET', 'HARD'], okIn),
      this.#control.call(['CLUSTER', 'MYID']),
    ])
    this.#id = understood(this.address, ['CLUSTER', 'MYID'], id, idIn)
    for (const wire of [this.#control, ...this.#wires.values()]) wire.expectNode(this.#id)
  }

  async readConfig(name: string): Promise<string | undefined> {
    return this.#ask(['CONFIG', 'GET', name], (reply) => {
      const [, value] = listIn(reply)
      return value === undefined ? undefined : textIn(value)
    })
  }

  async readSettings(pattern: string): Promise<ReadonlyMap<string, string>> {
    return this.#ask(['CONFIG', 'GET', pattern], settingsIn)
  }

  async writeConfig(name: string, value: string): Promise<void> {
    await this.#ask(['CONFIG', 'SET', name, value], okIn)
  }

  async rewriteConfig(): Promise<void> {
    await this.#ask(['CONFIG', 'REWRITE'], okIn)
  }

  async callCommand(words: readonly Buffer[], deadlineMs?: number): Promise<CommandAnswer> {
    try {
      return {reply: await this.#wire('call', 0).call(words, deadlineMs)}
    } catch (error) {
      const answered = `${formatAddress(this.address)} answered: `
      if (error instanceof NodeError && error.message.startsWith(answered)) {
        return {error: error.message.slice(answered.length)}
      }
      throw error
    }
  }

  async listFunctions(): Promise<readonly string[] | undefined> {
    const names = await this.#ask(['FUNCTION', 'LIST'], libraryNamesIn).catch(unless('unknown-command', undefined))
    return names?.sort()
  }

  async dumpFunctions(): Promise<Buffer> {
    return this.#ask(['FUNCTION', 'DUMP'], bytesIn)
  }

  async restoreFunctions(payload: Buffer, isReplacing = false): Promise<void> {
    await this.#control.call(['FUNCTION', 'RESTORE', payload, ...(isReplacing ? ['REPLACE'] : [])])
  }

  async findForbidden(trials: readonly CommandTrial[], other?: string): Promise<ForbiddenRights> {
    const user = other ?? (this.#control.wantsLogin ? this.#options.login?.username : undefined) ?? 'default'
    const told = await this.#control.callAll(trials.map(({words}) => ['ACL', 'DRYRUN', user, ...words]))
    const silent = trials.filter((_, index) => told[index] instanceof NodeError)
    const tried = other === undefined ? silent.filter(({harmless}) => harmless !== undefined) : []
    const answers = await this.#control.callAll(tried.map(({harmless = []}) => harmless))
    const forbidden = [
      // An error here is about ACL DRYRUN itself.
      ...trials.filter((_, index) => !(told[index] instanceof NodeError) && isForbidden(told[index])),
      ...tried.filter((_, index) => isForbidden(answers[index])),
    ]
    return {user, forbidden: forbidden.map(({right}) => right)}
  }

  listCommands(): Promise<readonly ServerCommand[]> {
    return this.#ask(['COMMAND'], serverCommandsIn)
  }

  async listUsers(): Promise<readonly string[]> {
    return this.#ask(['ACL', 'LIST'], (reply) => listIn(reply).map(textIn))
  }

  async setUser(name: string, rules: readonly string[]): Promise<void> {
    await this.#ask(['ACL', 'SETUSER', name, ...rules], okIn)
  }

  async deleteUser(name: string): Promise<void> {
    await this.#ask(['ACL', 'DELUSER', name], countIn)
  }

  async saveUsers(): Promise<'aclfile' | 'config'> {
    try {
      await this.#ask(['ACL', 'SAVE'], okIn)
      return 'aclfile'
    } catch (error) {
      if (!(error instanceof NodeError && /not configured to use an ACL file/i.test(error.message))) throw error
    }
    await this.rewriteConfig()
    return 'config'
  }

  async openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
    const info = parseServerInfo(await this.#ask(['INFO', 'server'], textIn).catch(unless('permission', '')))
    const wire = new Wire(this.address, this.#options)
    wire.expectNode(this.id)
    this.#wires.set(`snapshot ${this.#nextSnapshot++}`, wire)
    return openSnapshot(wire, this.address, info, options)
  }

  openPresence(onLost: () => void): Presence {
    const wire = this.#wire(`presence ${this.#nextPresence++}`, 0)
    wire.onBroken = onLost
    return {
      announce: (name) => wire.call(['CLIENT', 'SETNAME', name]).then(noAnswer),
      close: () => wire.close(),
    }
  }

  async listNamedClients(prefix: string): Promise<readonly NamedClient[]> {
    return namedClientsIn(await this.#ask(['CLIENT', 'LIST'], textIn), prefix)
  }

  async killClient(id: string): Promise<void> {
    await this.#control.call(['CLIENT', 'KILL', 'ID', id])
  }

  close(): void {
    this.#isClosed = true
    this.#control.close()
    for (const wire of this.#wires.values()) wire.close()
  }

  /** What `read` makes of the answer. @throws NodeError 'garbled' too. */
  #ask<T>(command: readonly Argument[], read: (reply: Reply) => T, wire: Wire = this.#control): Promise<T> {
    return understand(this.address, command, wire.call(command), read)
  }

  #data(database: number): Wire {
    return database === 0 ? this.#control : this.#wire(`data ${database}`, database)
  }

  /** A connection of its own for `purpose`. */
  #wire(purpose: string, database: number): Wire {
    let wire = this.#wires.get(purpose)
    if (!wire) {
      wire = new Wire(this.address, this.#options, database)
      wire.expectNode(this.id)
      if (this.#isClosed) wire.close()
      this.#wires.set(purpose, wire)
    }
    return wire
  }
}

/** A dry run says in words what a try says as an error; what the user may not do with a key is another matter. */
function isForbidden(answer: Reply | NodeError | undefined): boolean {
  if (answer instanceof NodeError) return answer.failure === 'permission' && / to run the /.test(answer.message)
  return Buffer.isBuffer(answer) && /no permissions to run the /.test(textIn(answer))
}

function noAnswer(): void {}

const CLUSTER_INFO = ['CLUSTER', 'INFO']

function readClusterInfo(reply: Reply): ClusterInfo {
  return parseClusterInfo(textIn(reply))
}

function idIn(reply: Reply): NodeId {
  const id = textIn(reply)
  if (!/^[0-9a-f]{40}$/.test(id)) throw new Error('it should be a node ID')
  return id
}

/** FUNCTION LIST */
function libraryNamesIn(reply: Reply): string[] {
  return listIn(reply).map((library) => {
    const words = listIn(library)
    const at = words.findIndex((word) => Buffer.isBuffer(word) && word.toString() === 'library_name')
    return textIn(words[at + 1])
  })
}

/** MEET takes addresses, not names. @throws NodeError 'unresolved' */
async function resolve({host, port}: NodeAddress): Promise<string> {
  if (isIP(host) !== 0) return host
  try {
    return (await lookup(host)).address
  } catch (error) {
    throw new NodeError('unresolved', formatAddress({host, port}), `the name ${host} does not resolve`, {cause: error})
  }
}
