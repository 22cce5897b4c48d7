/** How is each thing that the engine asks of a node said to a server? Implements NodePort over `Wire`. */
import {lookup} from 'node:dns/promises'
import {isIP} from 'node:net'
import type {
  AtomicFamily,
  CommandAnswer,
  FailoverWay,
  MigrateRequest,
  NodePort,
  RestoreOptions,
  SerialisedKey,
  SlotMigration,
  Snapshot,
  SnapshotOptions,
} from '../engine/cluster-port.ts'
import {NodeError} from '../errors.ts'
import type {SlotRanges} from '../slots/slot-ranges.ts'
import {type ClusterInfo, formatAddress, type NodeAddress, type NodeId, type NodeView} from '../topology/model.ts'
import {parseClusterInfo, parseServerInfo} from '../topology/parse-info.ts'
import {parseNodes} from '../topology/parse-nodes.ts'
import type {Argument} from './encode-command.ts'
import type {Reply} from './replies.ts'
import {parsePullMigrations, parsePushMigrations} from './slot-migrations.ts'
import {openSnapshot} from './snapshot-stream.ts'
import {Wire, type WireOptions} from './wire.ts'

/**
 * Valkey 8 and later hold a connection until the node's replicas have taken a SETSLOT, so several of them only travel
 * together on connections of their own: 16 were 4.5 times as fast as one.
 */
const SETSLOT_WIRES = 16

/** The slowest link that is worth waiting for, and a RESTORE at its end: 1 MB a second. */
const SLOWEST_BYTES_PER_MS = 1000

/** A client that has been silent for longer is asleep. */
const AWAKE_SECONDS = 10

export class NodeClient implements NodePort {
  readonly address: NodeAddress
  readonly internalAddress: NodeAddress | undefined
  readonly #options: WireOptions
  readonly #control: Wire
  readonly #wires = new Map<string, Wire>()
  #id: NodeId
  #setslotWires = 1
  #nextSetslotWire = 0
  #databaseCount: Promise<number> | undefined
  #atomicFamily: Promise<AtomicFamily | undefined> | undefined
  #nextSnapshot = 0
  /** Sent with RESTORE, not answered yet. */
  #restoringBytes = 0
  #isClosed = false

  constructor(
    id: NodeId,
    address: NodeAddress,
    internalAddress: NodeAddress | undefined,
    control: Wire,
    options: WireOptions,
  ) {
    this.#id = id
    this.address = address
    this.internalAddress = internalAddress
    this.#control = control
    control.expectNode(id)
    this.#options = options
  }

  get id(): NodeId {
    return this.#id
  }

  get wantsLogin(): boolean {
    return this.#control.wantsLogin
  }

  async readView(): Promise<NodeView> {
    const [nodes, clusterInfo, serverInfo] = await Promise.all([
      this.#control.call(['CLUSTER', 'NODES']),
      this.#control.call(['CLUSTER', 'INFO']),
      // A user without +info still sees a cluster.
      this.#control.call(['INFO']).catch(unless('permission', '')),
    ])
    const view = {
      id: this.id,
      dialled: this.address,
      entries: parseNodes(text(nodes)),
      clusterInfo: parseClusterInfo(text(clusterInfo)),
      serverInfo: parseServerInfo(text(serverInfo)),
    }
    const {flavour, version} = view.serverInfo
    const waitsForReplicas = flavour === 'valkey' && Number.parseInt(version, 10) >= 8
    const hasReplicas = view.entries.some((entry) => entry.primaryId === this.id)
    this.#setslotWires = waitsForReplicas && hasReplicas ? SETSLOT_WIRES : 1
    return view
  }

  async readClusterInfo(): Promise<ClusterInfo> {
    return parseClusterInfo(text(await this.#control.call(['CLUSTER', 'INFO'])))
  }

  async measureLatency(): Promise<number> {
    const wire = this.#wire('latency', 0)
    await wire.open()
    const startedAt = performance.now()
    await wire.call(['PING'])
    return performance.now() - startedAt
  }

  async countOtherClients(): Promise<number> {
    const list = text(await this.#control.call(['CLIENT', 'LIST']).catch(unless('permission', '')))
    const own = [this.#control, ...this.#wires.values()].filter((wire) => wire.hasSpokenWithin(1000 * AWAKE_SECONDS))
    return Math.max(0, list.split('\n').filter(isClientAtWork).length - own.length)
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
      return Number((await this.readConfig('cluster-databases')) ?? 1)
    } catch (error) {
      if (!(error instanceof NodeError && error.failure === 'permission')) throw error
      const {serverInfo} = await this.readView()
      // Only Valkey has more than one, from 9 on.
      const isRedis = serverInfo.flavour === 'redis' && serverInfo.version !== ''
      return isRedis ? 1 : this.#probeDatabaseCount()
    }
  }

  /**
   * For users without +config|get: the first database that cannot be selected. A wrong answer would lose the keys of
   * those that are not looked at, so a user who may not select either gets the error.
   */
  async #probeDatabaseCount(): Promise<number> {
    const wire = this.#wire('probe', 0)
    const isThere = async (database: number): Promise<boolean> => {
      try {
        await wire.call(['SELECT', database])
        return true
      } catch (error) {
        // "ERR DB index is out of range", or "ERR SELECT is not allowed in cluster mode".
        if (error instanceof NodeError && error.failure === 'rejected') return false
        throw error
      }
    }
    let [there, beyond] = [0, 1]
    while (await isThere(beyond)) [there, beyond] = [beyond, beyond * 2]
    while (beyond - there > 1) {
      const middle = Math.floor((there + beyond) / 2)
      if (await isThere(middle)) there = middle
      else beyond = middle
    }
    return beyond
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
    return wire.call(['CLUSTER', 'SETSLOT', slot, ...words]).then(noAnswer)
  }

  countKeys(slot: number, database: number): Promise<number> {
    return this.#data(database).call(['CLUSTER', 'COUNTKEYSINSLOT', slot]).then(Number)
  }

  async listKeys(slot: number, limit: number, database: number): Promise<Buffer[]> {
    const keys = await this.#data(database).call(['CLUSTER', 'GETKEYSINSLOT', slot, limit])
    return keys as Buffer[]
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
    return sizes.map((size) => (size === null ? undefined : Number(size)))
  }

  async readKeyTypes(keys: readonly Buffer[], database: number): Promise<(string | undefined)[]> {
    const wire = this.#data(database)
    const types = await Promise.all(keys.map((key) => wire.call(['TYPE', key]).catch(unless('ask', 'none'))))
    return types.map((type) => (text(type) === 'none' ? undefined : text(type)))
  }

  async migrateKeys(request: MigrateRequest): Promise<'moved' | 'none'> {
    const {host, port} = request.target
    const {username, password} = this.#options
    const command: Argument[] = ['MIGRATE', host, port, '', request.database, request.timeoutMs]
    if (request.isCopying) command.push('COPY')
    if (request.isReplacing) command.push('REPLACE')
    if (request.targetWantsLogin && password !== undefined) {
      command.push(...(username === undefined ? ['AUTH', password] : ['AUTH2', username, password]))
    }
    command.push('KEYS', ...request.keys)
    // Connecting, writing and reading may each take the timeout before the source gives up.
    const deadlineMs = 3 * request.timeoutMs + this.#options.commandTimeoutMs
    const reply = await this.#wire(`migrate ${request.database}`, request.database).call(command, deadlineMs)
    return text(reply) === 'NOKEY' ? 'none' : 'moved'
  }

  async dumpKey(key: Buffer, database: number): Promise<{payload: Buffer; ttlMs: number | undefined} | undefined> {
    const [, payload, , ttl] = await this.#data(database).sequence([
      ['ASKING'],
      ['DUMP', key],
      ['ASKING'],
      ['PTTL', key],
    ])
    const ttlMs = Number(ttl)
    // -2: it expired between the two.
    if (payload === null || ttlMs === -2) return undefined
    return {payload: payload as Buffer, ttlMs: ttlMs < 0 ? undefined : ttlMs}
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
      return own.map((reply) => (reply instanceof NodeError ? reply : undefined))
    } finally {
      this.#restoringBytes -= bytes
    }
  }

  async readClock(): Promise<number | undefined> {
    const reply = await this.#control.call(['TIME']).catch(unless('permission', null))
    if (reply === null) return undefined
    const [seconds, microseconds] = (reply as readonly Reply[]).map((word) => Number(text(word)))
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
  }

  readAtomicFamily(): Promise<AtomicFamily | undefined> {
    this.#atomicFamily ??= this.#readAtomicFamily().catch((error: unknown) => {
      this.#atomicFamily = undefined
      throw error
    })
    return this.#atomicFamily
  }

  async #readAtomicFamily(): Promise<AtomicFamily | undefined> {
    // Servers before 7 know no subcommands here, and answer nil for what they do not know.
    const reply = await this.#control
      .call(['COMMAND', 'INFO', 'cluster|migrateslots', 'cluster|migration'])
      .catch(unless('permission', []))
    const [push, pull] = reply as readonly Reply[]
    if (Array.isArray(push)) return 'push'
    return Array.isArray(pull) ? 'pull' : undefined
  }

  async startSlotMigration(ranges: SlotRanges, target: NodeId): Promise<string> {
    const bounds = ranges.flatMap(({start, end}) => [start, end])
    if ((await this.readAtomicFamily()) === 'pull') {
      return text(await this.#control.call(['CLUSTER', 'MIGRATION', 'IMPORT', ...bounds]))
    }
    // The answer is a bare OK: the new one is what the list did not have before.
    const list = ['CLUSTER', 'GETSLOTMIGRATIONS']
    const start = ['CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', ...bounds, 'NODE', target]
    // Asked apart: who may not look must not begin.
    const before = await this.#control.call(list)
    const [, after] = await this.#control.sequence([start, list])
    const known = new Set(parsePushMigrations(before).map(({id}) => id))
    const begun = parsePushMigrations(after ?? []).find(({id}) => !known.has(id))
    if (!begun) throw new NodeError('try-again', formatAddress(this.address), 'the slot migration does not show yet')
    return begun.id
  }

  async listSlotMigrations(): Promise<readonly SlotMigration[]> {
    switch (await this.readAtomicFamily()) {
      case 'push':
        return parsePushMigrations(await this.#control.call(['CLUSTER', 'GETSLOTMIGRATIONS']))
      case 'pull':
        return parsePullMigrations(await this.#control.call(['CLUSTER', 'MIGRATION', 'STATUS', 'ALL']))
      default:
        return []
    }
  }

  async readSlotMigration(id: string): Promise<SlotMigration | undefined> {
    if ((await this.readAtomicFamily()) === 'pull') {
      const status = await this.#control.call(['CLUSTER', 'MIGRATION', 'STATUS', 'ID', id])
      return parsePullMigrations(status).find((one) => one.id === id)
    }
    return (await this.listSlotMigrations()).find((one) => one.id === id)
  }

  async cancelSlotMigration(id: string): Promise<void> {
    if ((await this.readAtomicFamily()) === 'pull') {
      await this.#control.call(['CLUSTER', 'MIGRATION', 'CANCEL', 'ID', id])
      return
    }
    try {
      await this.#control.call(['CLUSTER', 'CANCELSLOTMIGRATIONS'])
    } catch (error) {
      if (!(error instanceof NodeError && /no migrations ongoing/i.test(error.message))) throw error
    }
  }

  async addSlots(ranges: SlotRanges): Promise<void> {
    const slots: number[] = []
    for (const {start, end} of ranges) for (let slot = start; slot <= end; slot++) slots.push(slot)
    // One by one and not as ranges: ADDSLOTSRANGE came with Redis 7.
    await this.#control.call(['CLUSTER', 'ADDSLOTS', ...slots])
  }

  async setConfigEpoch(epoch: number): Promise<void> {
    await this.#control.call(['CLUSTER', 'SET-CONFIG-EPOCH', epoch])
  }

  async bumpEpoch(): Promise<void> {
    await this.#control.call(['CLUSTER', 'BUMPEPOCH'])
  }

  async meet({host, port}: NodeAddress, busPort: number): Promise<void> {
    await this.#control.call(['CLUSTER', 'MEET', await resolve({host, port}), port, busPort])
  }

  async forget(id: NodeId): Promise<void> {
    await this.#control.call(['CLUSTER', 'FORGET', id]).catch(unless('unknown-node', null))
  }

  async replicate(primary: NodeId): Promise<void> {
    await this.#control.call(['CLUSTER', 'REPLICATE', primary])
  }

  async failOver(way: FailoverWay): Promise<void> {
    await this.#control.call(['CLUSTER', 'FAILOVER', ...(way === 'coordinated' ? [] : [way.toUpperCase()])])
  }

  async reset(): Promise<void> {
    const [, id] = await Promise.all([
      this.#control.call(['CLUSTER', 'RESET', 'HARD']),
      this.#control.call(['CLUSTER', 'MYID']),
    ])
    this.#id = text(id)
    for (const wire of [this.#control, ...this.#wires.values()]) wire.expectNode(this.#id)
  }

  async readConfig(name: string): Promise<string | undefined> {
    const reply = (await this.#control.call(['CONFIG', 'GET', name])) as readonly Reply[]
    return reply[1] === undefined ? undefined : text(reply[1])
  }

  async writeConfig(name: string, value: string): Promise<void> {
    await this.#control.call(['CONFIG', 'SET', name, value])
  }

  async rewriteConfig(): Promise<void> {
    await this.#control.call(['CONFIG', 'REWRITE'])
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
    const reply = await this.#control.call(['FUNCTION', 'LIST']).catch(unless('unknown-command', null))
    if (reply === null) return undefined
    const names = (reply as readonly (readonly Reply[])[]).map((library) => {
      const at = library.findIndex((word) => Buffer.isBuffer(word) && word.toString() === 'library_name')
      return text(library[at + 1] ?? '')
    })
    return names.sort()
  }

  async dumpFunctions(): Promise<Buffer> {
    return (await this.#control.call(['FUNCTION', 'DUMP'])) as Buffer
  }

  async restoreFunctions(payload: Buffer, isReplacing = false): Promise<void> {
    await this.#control.call(['FUNCTION', 'RESTORE', payload, ...(isReplacing ? ['REPLACE'] : [])])
  }

  async listUsers(): Promise<readonly string[]> {
    return ((await this.#control.call(['ACL', 'LIST'])) as readonly Reply[]).map(text)
  }

  async writeUser(line: string): Promise<void> {
    const [, name = '', ...rules] = line.split(' ')
    await this.#control.call(['ACL', 'SETUSER', name, 'reset', ...rules])
  }

  async openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
    const info = parseServerInfo(text(await this.#control.call(['INFO', 'server']).catch(unless('permission', ''))))
    const wire = new Wire(this.address, this.#options)
    wire.expectNode(this.id)
    this.#wires.set(`snapshot ${this.#nextSnapshot++}`, wire)
    return openSnapshot(wire, this.address, info, options)
  }

  close(): void {
    this.#isClosed = true
    this.#control.close()
    for (const wire of this.#wires.values()) wire.close()
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

/** Of a line of CLIENT LIST: no replica or primary, not the socket that a MIGRATE leaves for ten seconds, not asleep. */
function isClientAtWork(line: string): boolean {
  const field = (name: string): string => new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? ''
  const isServer = /[SM]/.test(field('flags')) || field('cmd') === 'restore-asking'
  return line !== '' && !isServer && Number(field('idle')) < AWAKE_SECONDS
}

function noAnswer(): void {}

function text(reply: Reply): string {
  return Buffer.isBuffer(reply) ? reply.toString('utf8') : String(reply)
}

/** Turns one kind of failure into an answer. */
function unless<T>(failure: NodeError['failure'], answer: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof NodeError && error.failure === failure) return answer
    throw error
  }
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
