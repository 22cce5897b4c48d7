/** What do commands that talk to a cluster have in common? The connection flags, and a session on the cluster they name. */
import type {Command} from '@oclif/core/command'
import type {InferredFlags} from '@oclif/core/interfaces'
import type {ClusterLock} from '../engine/cluster-lock.ts'
import type {ClusterPort, NodePort} from '../engine/cluster-port.ts'
import {describeWork} from '../engine/lock-entry.ts'
import type {ClusterSession} from '../engine/session.ts'
import {ClusterError, NodeError, RefusedError, UsageError} from '../errors.ts'
import type {ConnectionOptions} from '../redis/connection-options.ts'
import {isToPaste} from '../render/error.ts'
import {type ChosenContext, chooseContext, strangersTo} from '../state/contexts.ts'
import {knownAddresses, rememberNodes} from '../state/known-addresses.ts'
import {isAlive, readRuns} from '../state/run-journal.ts'
import {noteSeenNodes} from '../state/seen-nodes.ts'
import {hiddenNodes} from '../topology/hidden-nodes.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type NodeId, type Topology} from '../topology/model.ts'
import {listNodes} from '../topology/queries.ts'
import {BaseCommand} from './base-command.ts'
import {connectionOptionsFrom} from './connection.ts'
import {fillIn, readContextPassword} from './context-connection.ts'
import {adviceOnSecretFile} from './credentials.ts'
import {connectionFlags, outputFlags} from './flags.ts'
import {lockOwner, publicWords} from './lock-owner.ts'
import {adviceOn, adviceOnDenied} from './node-advice.ts'
import {type AddressReference, DEFAULT_PORT, parseAddressReference, parseNodeReference} from './node-argument.ts'
import {askSecret} from './prompt.ts'
import {wayIn} from './way-in.ts'

type ConnectionFlags = InferredFlags<typeof connectionFlags>

export abstract class ClusterCommand<T extends typeof Command = typeof Command> extends BaseCommand<T> {
  static override baseFlags = {...outputFlags, ...connectionFlags}

  #ports: ClusterPort[] = []
  /** Logins and TLS found in URLs that were parsed on the way. */
  readonly #references: AddressReference[] = []
  #askedPassword: string | undefined
  #options: ConnectionOptions | undefined
  #isDefaultSeed = false
  /** null: not looked for yet. */
  #chosenContext: ChosenContext | undefined | null = null
  #contextPassword: Promise<string> | undefined
  /** How nodes are reached was settled with the context, or without it. */
  #isContextUsed: boolean | undefined
  #isSeedOfContext = false
  #lock: ClusterLock | undefined
  #isLockLookedFor = false
  #session: ClusterSession | undefined

  /**
   * Finds the cluster and looks at it once. The seeds, in this order: `seed` (an argument), --seed, --context,
   * RCLUSTER_SEED, RCLUSTER_CONTEXT, the default context, 127.0.0.1:6379.
   * @throws UsageError for a seed that is no address, NodeError when no seed answers.
   */
  protected async openCluster(seed?: string | readonly string[]): Promise<ClusterSession> {
    const seeds = this.seedAddresses(seed)
    const port = await this.openPort()
    // Loaded while the nodes answer.
    if ('take-lock' in this.flags) void import('../engine/cluster-lock.ts')
    const {openSession} = await import('../engine/session.ts')
    const session = await this.stoppable(openSession(port, seeds))
    this.rememberAddresses(session)
    return session
  }

  /** When the command ends: which nodes there are, and where those were reached that announce something else. */
  protected rememberAddresses(session: ClusterSession): void {
    this.#session = session
  }

  /** For commands whose words are nodes: those that are addresses serve as seeds, unless seeds are named otherwise. */
  protected seedsAmong(words: readonly string[]): readonly string[] | undefined {
    if (this.isClusterNamed) return undefined
    const addresses = words.filter((text) => parseNodeReference(text).kind === 'address')
    return addresses.length > 0 ? addresses : undefined
  }

  /**
   * From now on until the command ends nobody else's rcluster changes this cluster: to be called before the plan is made,
   * which goes by what is seen then. A second call does nothing. Under --dry-run it only tells who is at work.
   * @throws RefusedError 'busy' naming who is, unless --take-lock is given.
   */
  protected async lockCluster(session: ClusterSession, newcomers: readonly NodePort[] = []): Promise<void> {
    if (this.#lock) return
    await this.lockNodes([...new Set([...session.reachedPorts(), ...newcomers])])
    const {lock} = this
    if (lock?.isBlind) requireNobodyHere(session.topology)
    // What was seen before may be true no longer.
    if (lock?.hasMetOthers) await this.stoppable(session.refresh())
  }

  /** As `lockCluster`, for nodes that are no cluster yet. */
  protected async lockNodes(ports: readonly NodePort[]): Promise<void> {
    if (this.#isLockLookedFor) return
    this.#isLockLookedFor = true
    const flags = this.flags as {'dry-run'?: boolean; 'take-lock'?: boolean}
    if (flags['dry-run']) {
      await this.warnOfWork(ports, 'What this plan goes by may change: ')
      return
    }
    const {takeLock} = await import('../engine/cluster-lock.ts')
    const leaseMs = Number(process.env['RCLUSTER_LOCK_LEASE_MS']) || undefined
    this.#lock = await takeLock(ports, {
      owner: lockOwner(this.commandLine, process.env),
      isTaking: flags['take-lock'] ?? false,
      takingFlag: this.takingFlag,
      ...(leaseMs === undefined ? {} : {leaseMs}),
      signal: this.stopSignal,
      onNote: (text) => this.note(text),
      onLost: (how, reason) => {
        const isAtOnce = how === 'gone'
        this.note(`${reason.message}: ${isAtOnce ? 'stopping at once' : 'what has begun is being finished'}.`)
        this.stopBecause(reason, {isAtOnce})
      },
    })
    const {isBlind, unseen} = this.#lock
    if (isBlind && ports.length > 0) {
      this.warnOperator(
        'Other rclusters at work on this cluster cannot be seen, nor they see this one: no node lets this user CLIENT SETNAME and CLIENT LIST.',
      )
    } else if (unseen.length > 0) {
      const nodes = unseen.map(formatAddress).join(', ')
      this.note(`${nodes} did not tell whether another rcluster is at work there; the other nodes did.`)
    }
  }

  /** For commands that stay: others may change the cluster until the next `lockCluster`. */
  protected async unlockCluster(): Promise<void> {
    await this.#lock?.release()
    this.#lock = undefined
    this.#isLockLookedFor = false
  }

  protected get takingFlag(): string {
    return '--take-lock'
  }

  /** Names whoever is changing the cluster. Each node goes through all its clients for it. */
  protected async warnOfWork(ports: readonly NodePort[], words = ''): Promise<void> {
    const {findLockHolder} = await import('../engine/cluster-lock.ts')
    const holder = await this.stoppable(findLockHolder(ports))
    if (holder) this.warnOperator(`${words}${describeWork(holder)}`)
  }

  /** Held by this command; undefined before, and under --dry-run. */
  protected get lock(): ClusterLock | undefined {
    return this.#lock
  }

  /** What others are told to be under way; without secrets. */
  protected get commandLine(): string {
    const flags = {...(this.ctor as typeof ClusterCommand).baseFlags, ...this.ctor.flags}
    return `rcluster ${this.commandName} ${publicWords(this.argv, flags)}`.trim()
  }

  /** Of nodes by whose word nothing was verified; `exceptId` was told of already. */
  protected warnOfSilent({nodes}: Topology, exceptId?: NodeId): void {
    const silent = nodes.filter(({id, reach}) => reach.kind === 'unreachable' && id !== exceptId)
    if (silent.length > 0) this.warnOperator(`${listNodes(silent)} did not answer, and may not know it yet.`)
  }

  /** See `openCluster`. URLs among them add their login and TLS to what `connectionOptions` returns. */
  protected seedAddresses(seed?: string | readonly string[]): NodeAddress[] {
    const given = seed === undefined ? [] : typeof seed === 'string' ? [seed] : seed
    // Both may be given: the argument is asked first.
    const words = [...given, ...(this.#connectionFlags.seed ?? []).filter((word) => !given.includes(word))]
    if (words.length > 0) return words.map((word) => this.parseAddress(word))
    const context = this.#context
    if (context?.by === 'line') return this.#seedsOfContext(context)
    const fromEnvironment = (process.env['RCLUSTER_SEED'] ?? '').split(/[\s,]+/).filter((word) => word !== '')
    if (fromEnvironment.length > 0) {
      const seeds = fromEnvironment.map((word) => this.parseAddress(word))
      if (context?.by === 'variable') requireOneName(context, seeds)
      return seeds
    }
    if (context) return this.#seedsOfContext(context)
    const address = {host: '127.0.0.1', port: DEFAULT_PORT}
    this.#isDefaultSeed = true
    this.note(`No seed was named: looking at ${formatAddress(address)}`)
    return [address]
  }

  /** An address argument; a URL adds its login and TLS to what `connectionOptions` returns. */
  protected parseAddress(text: string): NodeAddress {
    const reference = parseAddressReference(text)
    const context = this.#context
    // Whatever is dialled by an address that was not weighed before would be told the context's password.
    if (context && this.#isContextUsed) requireOwn(context, [reference.address])
    this.#references.push(reference)
    return reference.address
  }

  /** Then addresses among the words are not asked where the cluster is. */
  protected get isNamedByFlag(): boolean {
    return this.#connectionFlags.seed !== undefined || this.#context?.by === 'line'
  }

  /** By a flag or RCLUSTER_SEED. */
  protected get isClusterNamed(): boolean {
    return this.isNamedByFlag || Boolean(process.env['RCLUSTER_SEED'])
  }

  /** The words of the line do not tell which cluster is meant. */
  protected get isSeedOfContext(): boolean {
    return this.#isSeedOfContext
  }

  /** Whether one of `addresses` is a seed of the context, be it the default one. */
  protected isInContext(addresses: readonly string[]): boolean {
    return addresses.some((address) => this.#context?.context.seeds.includes(address))
  }

  /** The drop-in form has none, as redis-cli has none. */
  protected get heedsContexts(): boolean {
    return true
  }

  get #context(): ChosenContext | undefined {
    if (this.#chosenContext === null) {
      this.#chosenContext = this.heedsContexts ? chooseContext(this.#connectionFlags.context, process.env) : undefined
    }
    return this.#chosenContext
  }

  #seedsOfContext(context: ChosenContext): NodeAddress[] {
    requireOwn(
      context,
      this.#references.map(({address}) => address),
    )
    this.#isSeedOfContext = true
    return context.context.seeds.map((word) => this.parseAddress(word))
  }

  /** An address that is none of its seeds decides against a context that was not said on the line. */
  #usedContext(): ChosenContext | undefined {
    const context = this.#context
    if (!context) return undefined
    const [stranger] = strangersTo(
      context,
      this.#references.map(({address}) => address),
    )
    const isUsed = stranger === undefined
    if (this.#isContextUsed === undefined && context.by !== 'line') {
      const [seed, ...others] = context.context.seeds
      const more = others.length === 0 ? '' : ` and ${others.length} more`
      this.note(
        isUsed
          ? `Using context ${context.name} (${seed}${more})`
          : `Not using ${described(context)}: ${stranger} is none of its seeds`,
      )
    }
    this.#isContextUsed = isUsed
    return isUsed ? context : undefined
  }

  /**
   * The member of the cluster that `text` names, in any of the forms of a node.
   * @throws UsageError when it is not one, NodeError when an address has to be asked and does not answer.
   */
  protected findNode(cluster: ClusterSession, text: string): Promise<ClusterNode> {
    const {name, address} = this.#nameOf(text)
    return this.stoppable(cluster.findNode(name, address, this.#manners()))
  }

  /** As `findNode`, and undefined when it is certain that no member is meant. */
  protected findIfMember(cluster: ClusterSession, text: string): Promise<ClusterNode | undefined> {
    const {name, address} = this.#nameOf(text)
    return this.stoppable(cluster.findIfMember(name, address, this.#manners()))
  }

  /** Whoever is there would be told the password of a context that nobody said. */
  #manners(): {readonly mayAsk: boolean} {
    return {mayAsk: !this.#isContextUsed || this.#context?.by === 'line'}
  }

  #nameOf(text: string): {name: string; address?: NodeAddress} {
    const reference = parseNodeReference(text)
    if (reference.kind === 'id') return {name: reference.prefix}
    // A word without a port may be an announced hostname, whatever port that node has.
    return {name: text.includes(':') ? formatAddress(reference.address) : text.trim(), address: reference.address}
  }

  /** Seeds and node arguments that are URLs must have been parsed before. Ask for the password at most once. */
  protected async connectionOptions(): Promise<ConnectionOptions> {
    const flags = this.#connectionFlags
    if (flags.password !== undefined && !this.#options) {
      this.warnOperator(
        '--password shows in the process list; RCLUSTER_PASSWORD, --password-file and --askpass do not.',
      )
    }
    if (!this.#options) this.#warnOfOpenSecrets()
    if (flags.askpass) this.#askedPassword ??= await askSecret('Password: ', this.stopSignal)
    const options = connectionOptionsFrom(
      await this.#flagsWithContext(),
      this.#askedPassword,
      this.#references,
      process.env,
    )
    this.#options = {...options, knownAddresses: this.#isRemembering ? knownAddresses(process.env) : undefined}
    return this.#options
  }

  /** Of the way to all nodes. */
  protected async usesTls(): Promise<boolean> {
    return (await this.connectionOptions()).tls !== undefined
  }

  #warnOfOpenSecrets(): void {
    for (const name of ['credentials', 'password-file', 'from-password-file'] as const) {
      const file = (this.flags as Partial<Record<typeof name, string>>)[name]
      const advice = file === undefined || file === '-' ? undefined : adviceOnSecretFile(file, `--${name}`)
      if (advice !== undefined) this.warnOperator(advice)
    }
  }

  async #flagsWithContext(): Promise<ConnectionFlags> {
    const flags = this.#connectionFlags
    const used = this.#usedContext()
    if (!used) return flags
    const {name, context} = used
    const filled = fillIn(flags, context, this.#references)
    if (!context.password || !filled.needsPassword) return filled.flags as ConnectionFlags
    this.#contextPassword ??= readContextPassword(name, context.password, process.env, this.stopSignal)
    return {...filled.flags, password: await this.#contextPassword} as ConnectionFlags
  }

  /** Closed when the command ends, whatever happens. */
  protected async openPort(changes: Partial<ConnectionOptions> = {}): Promise<ClusterPort> {
    const options = {...(await this.connectionOptions()), ...changes}
    const {openClusterPort} = await import('../redis/connect.ts')
    const port = openClusterPort(options)
    this.#ports.push(port)
    return port
  }

  override async catch(thrown: Error): Promise<void> {
    return super.catch(this.advised(thrown) as Error)
  }

  /** With what can be done, and what the commands among that need besides. */
  protected advised(thrown: unknown): unknown {
    const error = this.#withNodeAdvice(thrown)
    if (!(error instanceof ClusterError) || !error.suggestions.some(isToPaste)) return error
    const needed = this.neededByCommands
    return needed === undefined || error.suggestions.includes(needed) ? error : withAdvice(error, [needed])
  }

  /** For below commands that name nodes only: what they need besides, to reach this cluster as this one did. */
  protected get neededByCommands(): string | undefined {
    if (!this.#session && !this.#lock) return undefined
    const context = this.#isContextUsed ? this.#context?.name : undefined
    const words = wayIn(this.#connectionFlags, context, this.#references)
    return words === '' ? undefined : `Each of these commands needs ${words}, too`
  }

  #withNodeAdvice(thrown: unknown): unknown {
    // By the name under which `rcluster acl` knows it.
    const command = this.commandName.replace(/^drop-in /, '')
    if (!(thrown instanceof NodeError) || thrown.suggestions.length > 0) {
      return thrown instanceof ClusterError ? withAdvice(thrown, adviceOnDenied(thrown, command)) : thrown
    }
    const {failure, address, message, details, isFromTarget, cause} = thrown
    const facts = {
      hasPassword: this.#options?.logins?.hasAny ?? false,
      credentials: this.#connectionFlags?.credentials,
      usesTls: this.#options?.tls !== undefined,
      isDefaultSeed: this.#isDefaultSeed,
      command,
    }
    const suggestions = adviceOn(thrown, facts)
    const isAboutSettings = ['auth', 'permission', 'tls', 'closed', 'timeout'].includes(failure)
    if (isAboutSettings && this.#isContextUsed === false && this.#context) {
      suggestions.unshift(`If this is the cluster of ${described(this.#context)}, add --context ${this.#context.name}`)
    }
    return new NodeError(failure, address, message, {details, isFromTarget, suggestions, cause})
  }

  override async finally(error: Error | undefined): Promise<void> {
    await this.leaveCluster()
    await super.finally(error)
  }

  protected async leaveCluster(): Promise<void> {
    await this.#lock?.release()
    this.#noteAddresses()
    for (const port of this.#ports) port.close()
  }

  #noteAddresses(): void {
    if (!this.#session || !this.#isRemembering) return
    const {topology} = this.#session
    noteSeenNodes(process.env, topology, this.#isContextUsed ? this.#context?.name : undefined, new Date())
    // Half of the way is no use to the next command.
    if (hiddenNodes(topology).size > 0) return
    const mapped = this.#session.mappedNodes()
    const members = new Set(topology.nodes.map(({id}) => id))
    const direct = topology.nodes.filter(({reach}) => reach.kind === 'reached').map(({id}) => id)
    if (rememberNodes(process.env, {mapped, direct, members}, new Date()) === undefined) return
    this.note(
      'Where these nodes are reached is remembered, one of their addresses is enough from now on: rcluster addresses',
    )
  }

  /** The drop-in form has no such flag. */
  get #isRemembering(): boolean {
    return this.#connectionFlags.remember !== false
  }

  get #connectionFlags(): ConnectionFlags {
    return this.flags as unknown as ConnectionFlags
  }
}

function described({name, by}: ChosenContext): string {
  return by === 'default' ? `the default context ${name}` : `the context ${name}`
}

/** @throws UsageError when the context is not said, and one of the addresses is none of its seeds. */
function requireOwn(context: ChosenContext, addresses: readonly NodeAddress[]): void {
  const [stranger] = strangersTo(context, addresses)
  if (stranger === undefined) return
  throw new UsageError(
    `which cluster is meant is not clear: ${stranger} is none of the seeds of ${described(context)}`,
    {
      suggestions: [
        `For the cluster of that context: add --context ${context.name}`,
        'For another one: name one of its nodes with --seed',
      ],
    },
  )
}

/** @throws UsageError when the two variables name different seeds. */
function requireOneName(context: ChosenContext, seeds: readonly NodeAddress[]): void {
  const [stranger] = strangersTo(context, seeds)
  if (stranger === undefined) return
  throw new UsageError(
    `RCLUSTER_CONTEXT says ${context.name}, and RCLUSTER_SEED ${stranger}, which is none of its seeds`,
    {suggestions: ['Unset one of the two, or name the cluster on the command line']},
  )
}

/** As `seedFromWords`, for commands of which one names all nodes at their new addresses. */
export function seedsFromWords(words: readonly string[] | undefined): readonly string[] {
  const isAddress = (word: string): boolean => /[:./]/.test(word)
  if (words && words.length > 1 && words.every(isAddress)) return words
  const seed = seedFromWords(words)
  return seed === undefined ? [] : [seed]
}

/** Where nodes do not tell who is at work, the journals of this machine do. */
function requireNobodyHere(topology: Topology): void {
  const busy = readRuns(process.env, topology).find(isAlive)
  if (!busy) return
  throw new RefusedError(
    'busy',
    `another rcluster (process ${busy.pid}, since ${busy.startedAt}) is moving slots of this cluster`,
    {suggestions: ['Wait until it is done, or stop it with Ctrl-C there']},
  )
}

function withAdvice(error: ClusterError, advice: readonly string[]): ClusterError {
  if (advice.length === 0) return error
  const {code, exitCode, message, details, suggestions, cause} = error
  return new ClusterError(code, exitCode, message, {details, suggestions: [...suggestions, ...advice], cause})
}

/** "HOST PORT" as two words, as redis-cli takes it, is one seed; otherwise at most one word. */
export function seedFromWords(words: readonly string[] | undefined): string | undefined {
  const [first, second, ...more] = words ?? []
  if (second === undefined) return first
  const isPair = more.length === 0 && /^\d{1,5}$/.test(second) && !/[:/@]/.test(first!.replace(/^\[.*\]$/, ''))
  if (isPair) return `${first}:${second}`
  throw new UsageError(`one seed is enough, and ${words!.length} were given: ${words!.join(' ')}`, {
    suggestions: ['Further seeds, in case the first does not answer: --seed A --seed B'],
  })
}
