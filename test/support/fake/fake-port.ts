/** One connection of one tool to one fake server. */
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
  ToldPlace,
  Vitals,
} from '../../../src/lib/engine/cluster-port.ts'
import {NodeError} from '../../../src/lib/errors.ts'
import {formatRanges, type SlotRange, type SlotRanges} from '../../../src/lib/slots/slot-ranges.ts'
import {
  type ClusterInfo,
  formatAddress,
  type NodeAddress,
  type NodeId,
  type NodeView,
} from '../../../src/lib/topology/model.ts'
import type {NodeDetails} from '../../../src/lib/topology/node-details.ts'
import type {ServerCommand} from '../../../src/lib/topology/user-meaning.ts'
import {sketchUser} from '../../../src/lib/topology/user-rules.ts'
import type {FakeCluster} from '../fake-cluster.ts'
import type {FakeServer} from './fake-server.ts'
import {type CallWords, failureAt} from './faults.ts'
import {migrate, requireServed, restoreFromOutside} from './key-commands.ts'
import {nameOf} from './keyspace.ts'
import {snapshotOf} from './snapshot.ts'
import {clusterInfoOf, viewOf} from './view.ts'

export class FakePort implements NodePort {
  readonly address: NodeAddress
  readonly peerLogin = undefined
  readonly #cluster: FakeCluster
  readonly #server: FakeServer
  #isClosed = false
  #isDead = false
  #tail: Promise<unknown> = Promise.resolve()

  constructor(cluster: FakeCluster, server: FakeServer) {
    this.address = server.address
    this.#cluster = cluster
    this.#server = server
  }

  get resolvedAddress(): NodeAddress {
    return this.#server.seenAt ?? this.#server.address
  }

  get internalAddress(): NodeAddress {
    return this.resolvedAddress
  }

  get id(): NodeId {
    return this.#server.id
  }

  async readPeerPort(): Promise<undefined> {
    return undefined
  }

  readView(): Promise<NodeView> {
    return this.#call({kind: 'readView'}, (server) => viewOf(server, this.#cluster.isReachable))
  }

  readDetails(): Promise<NodeDetails> {
    const {functions, users} = this.#server
    const sketches = [...users].map(([name, rules]) => sketchUser(`user ${name} ${rules}`))
    return Promise.resolve({
      settings: {value: new Map<string, string>()},
      libraries: {value: new Map(functions)},
      users: {value: new Map(sketches.map(({name, digest}) => [name, digest]))},
    })
  }

  readClusterInfo(): Promise<ClusterInfo> {
    return this.#call({kind: 'readClusterInfo'}, clusterInfoOf)
  }

  readVitals(): Promise<Vitals> {
    return this.#call({kind: 'readVitals'}, (server) => {
      const {clusterInfo, serverInfo} = viewOf(server, this.#cluster.isReachable)
      return {clusterInfo, serverInfo}
    })
  }

  measureLatency(): Promise<number> {
    return Promise.resolve(this.#server.latencyMs)
  }

  countOtherClients(): Promise<number> {
    return Promise.resolve(0)
  }

  readDatabaseCount(): Promise<number> {
    return this.#call({kind: 'readDatabaseCount'}, (server) => server.keyspace.databaseCount)
  }

  setImporting(slot: number, from: NodeId): Promise<void> {
    return this.#call({kind: 'setImporting', slot, peer: from}, (server) => server.setImporting(slot, from))
  }

  setMigrating(slot: number, to: NodeId): Promise<void> {
    return this.#call({kind: 'setMigrating', slot, peer: to}, (server) => server.setMigrating(slot, to))
  }

  setStable(slot: number): Promise<void> {
    return this.#call({kind: 'setStable', slot}, (server) => server.setStable(slot))
  }

  assignSlot(slot: number, owner: NodeId): Promise<void> {
    return this.#call({kind: 'assignSlot', slot, peer: owner}, (server) => {
      if (server.assignSlot(slot, owner)) this.#cluster.broadcast(server)
    })
  }

  countKeys(slot: number, database: number): Promise<number> {
    return this.#call({kind: 'countKeys', slot, database}, ({keyspace}) => keyspace.countIn(slot, database))
  }

  readSlotStats({start, end}: SlotRange): Promise<readonly SlotStats[] | undefined> {
    return this.#call({kind: 'readSlotStats', text: `${start}-${end}`}, (server) => server.slotStats(start, end))
  }

  listKeys(slot: number, limit: number, database: number): Promise<Buffer[]> {
    return this.#call({kind: 'listKeys', slot, database}, ({keyspace}) =>
      keyspace.keysIn(slot, database).slice(0, limit),
    )
  }

  measureKeys(keys: readonly Buffer[], database: number): Promise<(number | undefined)[]> {
    return this.#call({kind: 'measureKeys', keys: keys.length, database}, (server) =>
      keys.map((key) => {
        const value = server.keyspace.get(key, database)
        if (value) requireServed(server, key, database, true)
        return value && value.payload.length + key.length + 50
      }),
    )
  }

  readKeyTypes(keys: readonly Buffer[], database: number): Promise<(string | undefined)[]> {
    return this.#call({kind: 'readKeyTypes', keys: keys.length, database}, (server) =>
      keys.map((key) => {
        if (!server.keyspace.get(key, database)) return undefined
        requireServed(server, key, database, false)
        return 'string'
      }),
    )
  }

  migrateKeys(request: MigrateRequest): Promise<'moved' | 'none'> {
    const {target, keys, database, isReplacing, isCopying} = request
    const receiver = this.#cluster.serverAt(target)
    const words: CallWords = {
      kind: 'migrateKeys',
      keys: keys.length,
      database,
      isReplacing,
      isCopying: isCopying ?? false,
      ...(receiver ? {peer: receiver.id} : {}),
    }
    return this.#call(words, (server) => migrate(server, request, receiver))
  }

  dumpKey(key: Buffer, database: number): Promise<{payload: Buffer; ttlMs: number | undefined} | undefined> {
    return this.#call({kind: 'dumpKey', database}, (server) => {
      requireServed(server, key, database, true)
      const value = server.keyspace.get(key, database)
      const ttlMs = value?.expiresAtMs === undefined ? undefined : value.expiresAtMs - Date.now()
      return value && {payload: value.payload, ttlMs}
    })
  }

  deleteKey(key: Buffer, database: number): Promise<void> {
    return this.#call({kind: 'deleteKey', database}, (server) => {
      requireServed(server, key, database, true)
      server.keyspace.delete(key, database)
    })
  }

  /** Each key is a call of its own, so that faults hit one among many. */
  restoreKeys(keys: readonly SerialisedKey[], options: RestoreOptions): Promise<(NodeError | undefined)[]> {
    const words: CallWords = {kind: 'restoreKey', database: options.database, isReplacing: options.isReplacing}
    const restoring = keys.map((key) =>
      this.#call({...words, text: nameOf(key.key)}, (server) => restoreFromOutside(server, key, options)).then(
        () => undefined,
        (error: unknown) => {
          if (error instanceof NodeError) return error
          throw error
        },
      ),
    )
    return Promise.all(restoring)
  }

  readClock(): Promise<number | undefined> {
    return Promise.resolve(Date.now() + this.#server.clockSkewMs)
  }

  readAtomicFamily(): Promise<AtomicFamily | undefined> {
    return this.#call({kind: 'readAtomicFamily'}, ({atomicFamily}) => atomicFamily)
  }

  countRefusedWrites(): Promise<number> {
    return this.#call({kind: 'countRefusedWrites'}, ({refusedWrites}) => refusedWrites)
  }

  startSlotMigration(ranges: SlotRanges, target: NodeId): Promise<string> {
    const words = {kind: 'startSlotMigration', peer: target, text: formatRanges(ranges)} as const
    return this.#call(words, (server) => this.#cluster.migrations.start(this.#familyOf(server), server, ranges, target))
  }

  listSlotMigrations(): Promise<readonly SlotMigration[]> {
    return this.#call({kind: 'listSlotMigrations'}, (server) =>
      server.atomicFamily ? this.#cluster.migrations.list(server) : [],
    )
  }

  readSlotMigration(id: string): Promise<SlotMigration | undefined> {
    return this.#call({kind: 'listSlotMigrations', text: id}, (server) =>
      this.#cluster.migrations.list(server).find((one) => one.id === id),
    )
  }

  cancelSlotMigration(id: string): Promise<void> {
    return this.#call({kind: 'cancelSlotMigration', text: id}, (server) =>
      this.#cluster.migrations.cancel(this.#familyOf(server), server, id),
    )
  }

  #familyOf(server: FakeServer): AtomicFamily {
    if (server.atomicFamily) return server.atomicFamily
    throw server.says("ERR unknown subcommand 'MIGRATESLOTS'")
  }

  addSlots(ranges: SlotRanges): Promise<void> {
    return this.#call({kind: 'addSlots'}, (server) => server.addSlots(ranges))
  }

  setConfigEpoch(epoch: number): Promise<void> {
    return this.#call({kind: 'setConfigEpoch'}, (server) => server.setConfigEpoch(epoch))
  }

  bumpEpoch(): Promise<void> {
    return this.#call({kind: 'bumpEpoch'}, (server) => server.bumpEpoch())
  }

  meet(address: NodeAddress): Promise<void> {
    return this.#call({kind: 'meet', text: formatAddress(address)}, (server) => {
      server.meetings.push(address)
    })
  }

  forget(id: NodeId): Promise<void> {
    return this.#call({kind: 'forget', peer: id}, (server) => server.forget(id))
  }

  replicate(primary: NodeId): Promise<void> {
    return this.#call({kind: 'replicate', peer: primary}, (server) => server.replicate(primary))
  }

  failOver(way: FailoverWay): Promise<void> {
    return this.#call({kind: 'failOver', text: way}, (server) => {
      if (!server.isReplica) throw server.says('ERR You should send CLUSTER FAILOVER to a replica')
      if (way === 'takeover') server.takeOver()
      else this.#cluster.swap(server)
    })
  }

  reset(): Promise<void> {
    return this.#call({kind: 'reset'}, (server) => server.reset(this.#cluster.freshId()))
  }

  readToldPlaces(): Promise<ReadonlyMap<NodeId, ToldPlace>> {
    return this.#call({kind: 'readToldPlaces'}, (server) => {
      const owners = new Set(server.owners)
      const told = [...server.peers.values()].filter(({id, primaryId}) => owners.has(id) || owners.has(primaryId ?? id))
      return new Map(told.map(({id, address}) => [id, address]))
    })
  }

  readConfig(name: string): Promise<string | undefined> {
    return this.#call({kind: 'readConfig', text: name}, ({settings}) => settings.get(name))
  }

  readSettings(pattern: string): Promise<ReadonlyMap<string, string>> {
    const prefix = pattern.replace(/\*$/, '')
    return this.#call({kind: 'readSettings', text: pattern}, ({settings}) => {
      return new Map([...settings].filter(([name]) => name.startsWith(prefix)))
    })
  }

  writeConfig(name: string, value: string): Promise<void> {
    return this.#call({kind: 'writeConfig', text: `${name} ${value}`}, (server) => {
      if (!server.settings.has(name)) throw server.says(`ERR Unknown option or number of arguments for CONFIG SET`)
      server.settings.set(name, value)
    })
  }

  rewriteConfig(): Promise<void> {
    return this.#call({kind: 'rewriteConfig'}, (server) => {
      if (!server.hasConfigFile) throw server.says('ERR The server is running without a config file')
    })
  }

  /** PING and ECHO, and no other. */
  callCommand(words: readonly Buffer[]): Promise<CommandAnswer> {
    const [name = '', argument] = [words[0]?.toString().toUpperCase(), words[1]]
    return this.#call({kind: 'callCommand', text: name}, () => {
      if (name === 'PING' && !argument) return {reply: 'PONG'}
      if (name === 'ECHO' && argument) return {reply: argument}
      return {error: `ERR unknown command '${name}'`}
    })
  }

  listFunctions(): Promise<readonly string[] | undefined> {
    return this.#call({kind: 'listFunctions'}, ({hasFunctions, functions}) =>
      hasFunctions ? [...functions.keys()].sort() : undefined,
    )
  }

  dumpFunctions(): Promise<Buffer> {
    return this.#call({kind: 'dumpFunctions'}, (server) => {
      server.requireFunctions()
      return Buffer.from(JSON.stringify(Object.fromEntries(server.functions)))
    })
  }

  restoreFunctions(payload: Buffer, isReplacing = false): Promise<void> {
    return this.#call({kind: 'restoreFunctions', isReplacing}, (server) => {
      server.requireFunctions()
      server.restoreFunctions(JSON.parse(payload.toString()) as Record<string, string>, isReplacing)
    })
  }

  findForbidden(trials: readonly CommandTrial[], user = 'default'): Promise<ForbiddenRights> {
    return this.#call({kind: 'findForbidden', text: user}, (server) => ({
      user,
      forbidden: trials.map(({right}) => right).filter((right) => server.forbidden.has(right)),
    }))
  }

  listCommands(): Promise<readonly ServerCommand[]> {
    const command = (name: string, category: string, subcommands: readonly ServerCommand[] = []): ServerCommand => {
      return {name, categories: [category], subcommands}
    }
    return this.#call({kind: 'listCommands'}, () => [
      command('get', '@read'),
      command('set', '@write'),
      command('config', '@slow', [command('config|get', '@admin'), command('config|set', '@admin')]),
    ])
  }

  listUsers(): Promise<readonly string[]> {
    return this.#call({kind: 'listUsers'}, ({users}) =>
      [...users].map(([name, rules]) => `user ${name} ${rules}`).sort(),
    )
  }

  setUser(name: string, rules: readonly string[]): Promise<void> {
    return this.#call({kind: 'setUser', text: name}, ({users}) => {
      const isAnew = rules[0] === 'reset'
      const known = isAnew ? [] : (users.get(name)?.split(' ') ?? ['off'])
      users.set(name, [...known, ...rules.slice(isAnew ? 1 : 0)].join(' '))
    })
  }

  deleteUser(name: string): Promise<void> {
    return this.#call({kind: 'deleteUser', text: name}, ({users}) => {
      users.delete(name)
    })
  }

  saveUsers(): Promise<'aclfile' | 'config'> {
    return this.#call({kind: 'saveUsers'}, (server) => {
      if (!server.hasConfigFile) throw server.says('ERR The server is running without a config file')
      return 'config'
    })
  }

  openSnapshot(): Promise<Snapshot> {
    return this.#call({kind: 'openSnapshot'}, (server) => snapshotOf(server.keyspace))
  }

  openPresence(onLost: () => void): Presence {
    let id: string | undefined
    const leave = (): void => {
      if (id !== undefined) this.#server.clients.delete(id)
      id = undefined
    }
    let isClosed = false
    return {
      announce: (name) =>
        this.#call({kind: 'announce', text: name}, ({clients, down}) => {
          if (isClosed || down) throw new NodeError('closed', formatAddress(this.address), 'the connection was ended')
          id ??= this.#cluster.freshId()
          const end = (): void => {
            leave()
            if (!isClosed) setImmediate(onLost)
          }
          clients.set(id, {name, spokeAtMs: performance.now(), end})
        }),
      close: () => {
        isClosed = true
        leave()
      },
    }
  }

  listNamedClients(prefix: string): Promise<readonly NamedClient[]> {
    return this.#call({kind: 'listNamedClients'}, ({clients}) =>
      [...clients]
        .filter(([, {name}]) => name.startsWith(prefix))
        .map(([id, {name, spokeAtMs}]) => ({id, name, idleMs: performance.now() - spokeAtMs})),
    )
  }

  killClient(id: string): Promise<void> {
    return this.#call({kind: 'killClient', text: id}, ({clients}) => clients.get(id)?.end())
  }

  close(): void {
    this.#isClosed = true
  }

  /** Whoever calls was killed: no call is carried out or answered any more. */
  die(): void {
    this.#isDead = true
  }

  /** Calls on one node are carried out in the order issued, MIGRATE as well: it may overtake, it need not. */
  #call<T>(words: CallWords, effect: (server: FakeServer) => T): Promise<T> {
    const done = this.#tail.then(async () => {
      await this.#cluster.hop(this.id)
      return this.#carryOut(words, effect)
    })
    this.#tail = done.catch(() => undefined)
    return done
  }

  #carryOut<T>(words: CallWords, effect: (server: FakeServer) => T): T | Promise<T> {
    const {script} = this.#cluster
    const address = formatAddress(this.address)
    if (this.#isDead) return new Promise<never>(() => {})
    const {slot = -1} = words
    const {importing, migrating} = this.#server
    const isKept = words.kind !== 'countKeys' || importing.has(slot) || migrating.has(slot)
    const call = script.note(words, this.#server.id, isKept)
    if (!call) return new Promise<never>(() => {})
    const fail = (error: NodeError): never => {
      call.outcome = error.failure
      throw error
    }
    if (this.#isClosed) fail(new NodeError('closed', address, `${address}: the connection was ended`))
    if (this.#server.down) fail(new NodeError(this.#server.down, address, `${address} is down`))
    const fault = script.faultFor(call)
    if (fault?.when === 'before') fail(failureAt(address, fault))
    try {
      const result = effect(this.#server)
      if (words.kind === 'countKeys') call.count = Number(result)
      call.outcome = 'ok'
      if (fault) fail(failureAt(address, fault))
      return result
    } catch (error) {
      return error instanceof NodeError ? fail(error) : Promise.reject(error as Error)
    } finally {
      this.#cluster.afterCommand(call.number > 0)
    }
  }
}
