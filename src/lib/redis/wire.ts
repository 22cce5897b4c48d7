/**
 * How does one connection to one server behave? It opens when first used, opens again after it broke, gives every
 * command a deadline, and turns whatever goes wrong into a NodeError. After a missed deadline the connection is dropped,
 * so that a late answer is never taken for another command's.
 */
import type {Duplex} from 'node:stream'
import {Redis, type RedisOptions} from 'ioredis'
import {NodeError, type NodeFailure} from '../errors.ts'
import {canonicalHost} from '../topology/canonical-host.ts'
import {formatAddress, isSocket, type NodeAddress} from '../topology/model.ts'
import {Conversation, ProtocolFailure} from './conversation.ts'
import type {Argument} from './encode-command.ts'
import type {Login} from './logins.ts'
import type {Reply} from './replies.ts'
import {replyError, withoutControls} from './reply-errors.ts'
import {tlsFailure} from './tls-failure.ts'
import {type TlsOptions, tlsTo} from './tls-options.ts'

export interface WireOptions {
  readonly login?: Login | undefined
  /** With what its peers log in to send it keys, where that is not `login`. */
  readonly peerLogin?: Login | undefined
  readonly tls?: TlsOptions | undefined
  /** What the server goes by, beside the address that is dialled. */
  readonly hosts?: readonly string[] | undefined
  readonly connectTimeoutMs: number
  readonly commandTimeoutMs: number
}

/** An open connection: ioredis keeps it, we speak over it. */
interface Line {
  readonly redis: Redis
  readonly conversation: Conversation
}

type Ask = (...command: Argument[]) => Promise<Reply>

export class Wire {
  readonly #address: NodeAddress
  readonly #options: WireOptions
  readonly #database: number
  #opening: Promise<Line> | undefined
  #line: Line | undefined
  /** The same, or the one that is being opened. */
  #newest: Redis | undefined
  #lastError: (Error & {code?: string}) | undefined
  /** Connections that were dropped because of a missed deadline: what else was pending there has missed it too. */
  readonly #overdue = new WeakMap<Redis, NodeError>()
  /** Connections with TLS that the server's machine has taken, whatever came of them. */
  readonly #taken = new WeakSet<Redis>()
  #spokeAtMs = Number.NEGATIVE_INFINITY
  #peer: NodeAddress | undefined
  #wantsLogin = false
  #isClosed = false
  #expectedId: string | undefined
  /** Told when an open connection ends that we did not end. */
  onBroken: (() => void) | undefined

  constructor(address: NodeAddress, options: WireOptions, database = 0) {
    this.#address = address
    this.#options = options
    this.#database = database
  }

  /** True once the server has taken a login. */
  get wantsLogin(): boolean {
    return this.#wantsLogin
  }

  /** Servers speak no TLS on a socket. */
  get #tls(): TlsOptions | undefined {
    return isSocket(this.#address) ? undefined : this.#options.tls
  }

  /** To which IP the last connection led. */
  get peer(): NodeAddress | undefined {
    return this.#peer
  }

  /** Is it open, and has it sent a command in this time? */
  hasSpokenWithin(timeMs: number): boolean {
    return this.#line !== undefined && performance.now() - this.#spokeAtMs < timeMs
  }

  /** From now on a new connection must lead to this node: another may have taken its address meanwhile. */
  expectNode(id: string): void {
    this.#expectedId = id
  }

  /** Connects, unless it is connected. */
  async open(): Promise<void> {
    if (!this.#line) await this.#open()
  }

  /** Carries out one command. Commands called together travel together and are carried out in order. */
  call(command: readonly Argument[], deadlineMs = this.#options.commandTimeoutMs): Promise<Reply> {
    if (this.#line) return this.#send(this.#line, command, deadlineMs)
    return this.#open().then((line) => this.#send(line, command, deadlineMs))
  }

  /** Many commands, each with an answer of its own: errors are among the answers. */
  async callAll(
    commands: readonly (readonly Argument[])[],
    deadlineMs = this.#options.commandTimeoutMs,
  ): Promise<readonly (Reply | NodeError)[]> {
    let line: Line
    try {
      line = this.#line ?? (await this.#open())
    } catch (error) {
      if (!(error instanceof NodeError)) throw error
      return commands.map(() => error)
    }
    this.#spokeAtMs = performance.now()
    return (await line.conversation.askAll(commands, deadlineMs)) as readonly (Reply | NodeError)[]
  }

  /** Several commands with nothing in between; the first that fails is the failure of all. */
  async sequence(
    commands: readonly (readonly Argument[])[],
    deadlineMs = this.#options.commandTimeoutMs,
  ): Promise<Reply[]> {
    const line = this.#line ?? (await this.#open())
    return Promise.all(commands.map((command) => this.#send(line, command, deadlineMs)))
  }

  /**
   * The connection itself, open and logged in, for what is no exchange of commands and answers. Nothing may be under way.
   * It is the caller's from now on; `close` still ends it.
   */
  async takeOver(): Promise<Duplex> {
    const {redis} = this.#line ?? (await this.#open())
    redis.stream.pause()
    redis.stream.removeAllListeners('data')
    return redis.stream
  }

  #send({conversation}: Line, command: readonly Argument[], deadlineMs: number): Promise<Reply> {
    this.#spokeAtMs = performance.now()
    return conversation.ask(command, deadlineMs)
  }

  /** Ends the connection; what is pending fails with 'closed', and so does every later call. */
  close(): void {
    this.#isClosed = true
    this.#drop(this.#newest)
  }

  #open(): Promise<Line> {
    if (this.#isClosed) return Promise.reject(this.#failure('closed', 'the connection was ended'))
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #connect(): Promise<Line> {
    const redis = new Redis(this.#redisOptions())
    this.#newest = redis
    this.#lastError = undefined
    redis.on('error', (error: Error) => {
      this.#lastError = error
    })
    redis.on('close', () => {
      if (this.#line?.redis !== redis) return
      this.#line = undefined
      this.onBroken?.()
    })
    const opening = redis.connect()
    if (this.#tls) this.#noteWhenTaken(redis)
    await this.#within(this.#options.connectTimeoutMs + 500, redis, opening)
    this.#peer = peerOf(redis.stream)
    // From here on nothing goes through ioredis, whose traces and errors would tell the password.
    const conversation = new Conversation(redis.stream, {
      translate: (error) => this.#translate(error, redis),
      onOverdue: (deadlineMs) => {
        this.#overdue.set(redis, this.#tooLate(deadlineMs))
        this.#drop(redis)
      },
    })
    const ask = (...command: Argument[]): Promise<Reply> => conversation.ask(command, this.#options.commandTimeoutMs)
    try {
      await this.#login(ask)
      if (this.#database !== 0) await ask('SELECT', this.#database)
      if (this.#expectedId !== undefined) await this.#requireIdentity(ask, this.#expectedId)
    } catch (error) {
      this.#drop(redis)
      throw error
    }
    if (this.#isClosed) {
      this.#drop(redis)
      throw this.#failure('closed', 'the connection was ended')
    }
    this.#line = {redis, conversation}
    return this.#line
  }

  /** A password that the server does not ask for is no failure: nodes may differ. */
  async #login(ask: Ask): Promise<void> {
    const {login} = this.#options
    if (!login) return
    try {
      await ask('AUTH', ...login.authWords())
      this.#wantsLogin = true
    } catch (error) {
      // DENIED speaks of a password that is not set as well.
      const isNotAsked =
        error instanceof NodeError &&
        error.failure === 'rejected' &&
        /without any password configured|no password is set/i.test(error.message)
      if (!isNotAsked) throw error
    }
  }

  async #requireIdentity(ask: Ask, expectedId: string): Promise<void> {
    const id = String(await ask('CLUSTER', 'MYID'))
    if (id === expectedId) return
    const address = formatAddress(this.#address)
    throw this.#failure(
      'wrong-node',
      `${address} is node ${id.slice(0, 8)} now, where node ${expectedId.slice(0, 8)} was before`,
    )
  }

  #redisOptions(): RedisOptions {
    const {hosts = [], connectTimeoutMs} = this.#options
    const {host, port} = this.#address
    const tls = this.#tls
    return {
      ...(isSocket(this.#address) ? {path: host} : {host, port}),
      lazyConnect: true,
      retryStrategy: () => null,
      reconnectOnError: null,
      enableReadyCheck: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      disableClientInfo: true,
      protocol: 2,
      connectTimeout: connectTimeoutMs,
      keepAlive: 15_000,
      noDelay: true,
      ...(tls ? {tls: tlsTo([host, ...hosts], tls)} : {}),
    }
  }

  #within<T>(deadlineMs: number, redis: Redis, work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        const failure = this.#tooLate(deadlineMs)
        this.#overdue.set(redis, failure)
        reject(failure)
        this.#drop(redis)
      }, deadlineMs)
      work.then(
        (value) => {
          clearTimeout(timer)
          resolve(value)
        },
        (error: unknown) => {
          clearTimeout(timer)
          reject(this.#translate(error as Error & {code?: string}, redis))
        },
      )
    })
  }

  #drop(redis: Redis | undefined): void {
    if (this.#line?.redis === redis) this.#line = undefined
    redis?.disconnect()
    // By itself it waits for the other end, which may be frozen, and takes late answers for as long.
    redis?.stream?.destroy()
  }

  /** Redis up to 7.0 says "this user". */
  #namingUser(text: string): string {
    return text.replace(/(NOPERM )this user\b/i, `$1User ${this.#options.login?.username ?? 'default'}`)
  }

  /** For those who wait for TLS in vain: ioredis only tells of the end of the handshake. */
  #noteWhenTaken(redis: Redis): void {
    setImmediate(() => {
      const {stream} = redis
      if (stream?.connecting) stream.once('connect', () => this.#taken.add(redis))
      else if (stream && !stream.destroyed) this.#taken.add(redis)
    })
  }

  #tooLate(deadlineMs: number): NodeError {
    return this.#failure('timeout', `${formatAddress(this.#address)} did not answer within ${seconds(deadlineMs)}`)
  }

  #failure(failure: NodeFailure, message: string, suggestions: readonly string[] = []): NodeError {
    return new NodeError(failure, formatAddress(this.#address), message, {suggestions})
  }

  #notRedis({message, received}: ProtocolFailure): NodeError {
    const address = formatAddress(this.#address)
    if (this.#tls === undefined && received[0] === TLS_ALERT && received[1] === TLS_MAJOR) {
      return this.#failure('not-redis', `${address} speaks TLS`, ['Add --tls'])
    }
    const [, what] = OTHER_SERVERS.find(([start]) => received.toString('latin1').startsWith(start)) ?? []
    const detail = message.replace(/^Protocol error: /, '')
    return this.#failure('not-redis', `${address} does not speak the Redis protocol: ${what ?? detail}`)
  }

  /** ioredis says "Connection is closed." and keeps the reason for the error event. */
  #translate(error: Error & {code?: string}, redis: Redis): NodeError {
    if (error instanceof NodeError) return error
    const address = formatAddress(this.#address)
    if (error instanceof ProtocolFailure) return this.#notRedis(error)
    if (error.name === 'ReplyError') return replyError(address, this.#namingUser(error.message))
    if (this.#isClosed) return this.#failure('closed', `the connection to ${address} was ended`)
    const overdue = this.#overdue.get(redis)
    if (overdue) return overdue
    const reason = this.#lastError ?? error
    if (reason.name === 'ReplyError') return replyError(address, reason.message)
    const text = withoutControls(reason.message)
    if (/protocol error|unknown RESP type/i.test(text))
      return this.#failure('not-redis', `${address} does not speak the Redis protocol`)
    switch (reason.code) {
      case 'ECONNREFUSED':
        return this.#failure('refused', `${address} refused the connection: nothing listens there`)
      case 'ENOENT':
      case 'ENAMETOOLONG':
      case 'EINVAL':
        return this.#failure('unresolved', `there is no socket ${address}`)
      case 'EACCES':
        return this.#failure('refused', `we may not open the socket ${address}`, [
          'Run rcluster as a user who may, or let others with unixsocketperm on the server',
        ])
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
        return this.#failure('unresolved', `the name ${this.#address.host} does not resolve`)
      case 'EHOSTUNREACH':
      case 'ENETUNREACH':
      case 'EADDRNOTAVAIL':
        return this.#failure('no-route', `there is no route from this machine to ${address}`)
      case 'ETIMEDOUT':
        if (this.#taken.has(redis)) {
          const inTime = seconds(this.#options.connectTimeoutMs)
          return this.#failure('timeout', `${address} took the connection, and said nothing in TLS within ${inTime}`, [
            'If no TLS is spoken at that port, name the one where it is, or leave --tls out',
            'If the server is only slow, give --connect-timeout',
          ])
        }
        return this.#failure(
          'timeout',
          `${address} did not accept a connection within ${seconds(this.#options.connectTimeoutMs)}`,
        )
      case 'ECONNRESET':
      case 'EPIPE':
        return this.#failure('closed', `${address} closed the connection`)
      default:
        break
    }
    if (this.#tls && (/^ERR_|CERT|SSL/.test(reason.code ?? '') || /certificate|ssl|tls/i.test(text))) {
      const {text: why, suggestions} = tlsFailure(reason, {hasCertificate: this.#tls.cert !== undefined})
      return this.#failure('tls', `TLS to ${address} failed: ${withoutControls(why)}`, suggestions)
    }
    if (/connection is closed|isn't writeable|stream/i.test(text))
      return this.#failure('closed', `${address} closed the connection`)
    return this.#failure('closed', `${address}: ${text}`)
  }
}

/** undefined for what has no IP. */
function peerOf({remoteAddress, remotePort}: {remoteAddress?: string; remotePort?: number}): NodeAddress | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return {host: canonicalHost(remoteAddress), port: remotePort}
}

/** What such a server says when it hears no ClientHello. */
const [TLS_ALERT, TLS_MAJOR] = [21, 3]

/** How others begin. */
const OTHER_SERVERS: readonly (readonly [string, string])[] = [
  ['HTTP/', 'it is a web server'],
  ['SSH-', 'it is an SSH server'],
  ['220 ', 'it is a mail or FTP server'],
]

function seconds(ms: number): string {
  return `${ms / 1000} s`
}
