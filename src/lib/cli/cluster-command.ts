/** What do commands that talk to a cluster have in common? The connection flags, and a session on the cluster they name. */
import type {Command} from '@oclif/core/command'
import type {InferredFlags} from '@oclif/core/interfaces'
import type {ClusterPort} from '../engine/cluster-port.ts'
import type {ClusterSession} from '../engine/session.ts'
import {NodeError, UsageError} from '../errors.ts'
import type {ConnectionOptions} from '../redis/connect.ts'
import {type ClusterNode, formatAddress, type NodeAddress, type NodeId, type Topology} from '../topology/model.ts'
import {listNodes} from '../topology/queries.ts'
import {BaseCommand} from './base-command.ts'
import {connectionOptionsFrom} from './connection.ts'
import {connectionFlags, outputFlags} from './flags.ts'
import {adviceOn} from './node-advice.ts'
import {type AddressReference, DEFAULT_PORT, parseAddressReference, parseNodeReference} from './node-argument.ts'
import {askSecret} from './prompt.ts'

type ConnectionFlags = InferredFlags<typeof connectionFlags>

export abstract class ClusterCommand<T extends typeof Command = typeof Command> extends BaseCommand<T> {
  static override baseFlags = {...outputFlags, ...connectionFlags}

  #ports: ClusterPort[] = []
  /** Logins and TLS found in URLs that were parsed on the way. */
  readonly #references: AddressReference[] = []
  #askedPassword: string | undefined
  #options: ConnectionOptions | undefined
  #isDefaultSeed = false

  /**
   * Finds the cluster and looks at it once. The seeds, in this order: `seed` (an argument), --seed, RCLUSTER_SEED,
   * 127.0.0.1:6379.
   * @throws UsageError for a seed that is no address, NodeError when no seed answers.
   */
  protected async openCluster(seed?: string | readonly string[]): Promise<ClusterSession> {
    const seeds = this.seedAddresses(seed)
    const port = await this.openPort()
    const {openSession} = await import('../engine/session.ts')
    return this.stoppable(openSession(port, seeds))
  }

  /** For commands whose words are nodes: those that are addresses serve as seeds, unless seeds are named otherwise. */
  protected seedsAmong(words: readonly string[]): readonly string[] | undefined {
    if (this.#connectionFlags.seed !== undefined || process.env['RCLUSTER_SEED']) return undefined
    const addresses = words.filter((text) => parseNodeReference(text).kind === 'address')
    return addresses.length > 0 ? addresses : undefined
  }

  /** Of nodes by whose word nothing was verified; `exceptId` was told of already. */
  protected warnOfSilent({nodes}: Topology, exceptId?: NodeId): void {
    const silent = nodes.filter(({id, reach}) => reach.kind === 'unreachable' && id !== exceptId)
    if (silent.length > 0) this.warnOperator(`${listNodes(silent)} did not answer, and may not know it yet.`)
  }

  /** See `openCluster`. URLs among them add their login and TLS to what `connectionOptions` returns. */
  protected seedAddresses(seed?: string | readonly string[]): NodeAddress[] {
    const given = seed === undefined ? [] : typeof seed === 'string' ? [seed] : seed
    const words = given.length > 0 ? given : (this.#connectionFlags.seed ?? [])
    const fromEnvironment = (process.env['RCLUSTER_SEED'] ?? '').split(/[\s,]+/).filter((word) => word !== '')
    const chosen = words.length > 0 ? words : fromEnvironment
    if (chosen.length > 0) return chosen.map((word) => this.parseAddress(word))
    const address = {host: '127.0.0.1', port: DEFAULT_PORT}
    this.#isDefaultSeed = true
    this.note(`No seed was named: looking at ${formatAddress(address)}`)
    return [address]
  }

  /** An address argument; a URL adds its login and TLS to what `connectionOptions` returns. */
  protected parseAddress(text: string): NodeAddress {
    const reference = parseAddressReference(text)
    this.#references.push(reference)
    return reference.address
  }

  /**
   * The member of the cluster that `text` names, in any of the forms of a node.
   * @throws UsageError when it is not one, NodeError when an address has to be asked and does not answer.
   */
  protected findNode(cluster: ClusterSession, text: string): Promise<ClusterNode> {
    const reference = parseNodeReference(text)
    if (reference.kind === 'id') return this.stoppable(cluster.findNode(reference.prefix))
    // A word without a port may be an announced hostname, whatever port that node has.
    const name = text.includes(':') ? formatAddress(reference.address) : text.trim()
    return this.stoppable(cluster.findNode(name, reference.address))
  }

  /** Seeds and node arguments that are URLs must have been parsed before. Ask for the password at most once. */
  protected async connectionOptions(): Promise<ConnectionOptions> {
    const flags = this.#connectionFlags
    if (flags.password !== undefined && !this.#options) {
      this.warnOperator(
        '--password shows in the process list; RCLUSTER_PASSWORD, --password-file and --askpass do not.',
      )
    }
    if (flags.askpass) this.#askedPassword ??= await askSecret('Password: ', this.stopSignal)
    this.#options = connectionOptionsFrom(flags, this.#askedPassword, this.#references, process.env)
    return this.#options
  }

  /** Closed when the command ends, whatever happens. */
  protected async openPort(): Promise<ClusterPort> {
    const options = await this.connectionOptions()
    const {openClusterPort} = await import('../redis/connect.ts')
    const port = openClusterPort(options)
    this.#ports.push(port)
    return port
  }

  override async catch(thrown: Error): Promise<void> {
    if (!(thrown instanceof NodeError) || thrown.suggestions.length > 0) return super.catch(thrown)
    const {failure, address, message, details, isFromTarget, cause} = thrown
    const facts = {
      hasPassword: this.#options?.password !== undefined,
      usesTls: this.#options?.tls !== undefined,
      isDefaultSeed: this.#isDefaultSeed,
    }
    const suggestions = adviceOn(thrown, facts)
    return super.catch(new NodeError(failure, address, message, {details, isFromTarget, suggestions, cause}))
  }

  override async finally(error: Error | undefined): Promise<void> {
    for (const port of this.#ports) port.close()
    await super.finally(error)
  }

  get #connectionFlags(): ConnectionFlags {
    return this.flags as unknown as ConnectionFlags
  }
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
