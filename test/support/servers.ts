/**
 * Real servers for tests: which are there, and how are they started, stopped, frozen and killed?
 *
 * All listen on 127.0.0.1, each in a folder of its own below one temporary folder. They end with stop(), with the
 * process that started them, and, should that be killed, through a guardian that notices.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {Redis} from 'ioredis'
import {describe, test} from 'vitest'
import {findServers} from '../../src/lib/local/find-server.ts'
import {isNodePortFree, LOOPBACK} from '../../src/lib/local/ports.ts'
import type {TestHost} from './network.ts'

export const SERVER_NAMES = ['redis-7.0', 'redis-8.0', 'redis-8.6', 'valkey-8.1', 'valkey-9.1'] as const
/** 'own': what the machine has, where nothing of the matrix can be had (macOS, distributions without apt). */
export type ServerName = (typeof SERVER_NAMES)[number] | 'own'

export interface ServerKind {
  readonly name: ServerName
  readonly family: 'redis' | 'valkey'
  /** As the server says it: "8.6.3". Empty when it is not there. */
  readonly version: string
  /** Paths of the programs. */
  readonly server: string
  readonly cli: string
  readonly benchmark: string
}

export function serversPrefix(): string {
  return process.env['RCLUSTER_SERVERS_PREFIX'] ?? fileURLToPath(new URL('../../.servers', import.meta.url))
}

function describeKind(name: ServerName): ServerKind {
  const folder = path.join(serversPrefix(), name)
  const versionFile = path.join(folder, 'VERSION')
  return {
    name,
    family: name.startsWith('valkey') ? 'valkey' : 'redis',
    version: existsSync(versionFile) ? readFileSync(versionFile, 'utf8').trim() : '',
    server: path.join(folder, 'bin/server'),
    cli: path.join(folder, 'bin/cli'),
    benchmark: path.join(folder, 'bin/benchmark'),
  }
}

/** RCLUSTER_TEST_KINDS=redis-7.0,valkey-9.1 leaves the others out, which are then reported as not run. */
function isWanted(name: ServerName): boolean {
  const wanted = process.env['RCLUSTER_TEST_KINDS']?.split(/[\s,]+/).filter((word) => word !== '')
  return !wanted || wanted.length === 0 || wanted.includes(name)
}

const ofMatrix = () =>
  SERVER_NAMES.filter(isWanted)
    .map(describeKind)
    .filter(({version}) => version !== '')

async function findOwn(): Promise<ServerKind | undefined> {
  if (ofMatrix().length > 0) return undefined
  const [server] = await findServers(process.env).catch(() => [])
  if (!server) return undefined
  const sibling = (tool: string) => server.path.replace(/server$/, tool)
  return {name: 'own', ...server, server: server.path, cli: sibling('cli'), benchmark: sibling('benchmark')}
}

const own = await findOwn()

/** The servers of the matrix that are there; without any, the machine's own if it has one. */
export function serverKinds(): readonly ServerKind[] {
  const kinds = ofMatrix()
  return kinds.length === 0 && own ? [own] : kinds
}

/** Those that are not there, or were left out. */
export function missingKinds(): readonly ServerName[] {
  const present = new Set(serverKinds().map(({name}) => name))
  return SERVER_NAMES.filter((name) => !present.has(name))
}

/** In CI a missing server is a failure, elsewhere it is only said. */
export function isMatrixRequired(): boolean {
  return process.env['CI'] === 'true' || process.env['RCLUSTER_REQUIRE_MATRIX'] === '1'
}

/**
 * One describe block for each server of the matrix, or of `names`. Tests of a missing one are listed as not run, or fail
 * in CI.
 */
export function forEachKind(
  title: string,
  define: (kind: ServerKind) => void,
  names: readonly ServerName[] = SERVER_NAMES,
): void {
  const present = new Map(serverKinds().map((kind) => [kind.name, kind]))
  for (const name of [...names, ...(present.has('own') ? (['own'] as const) : [])]) {
    const kind = present.get(name)
    if (kind) {
      describe(`${title} [${name}]`, () => define(kind))
    } else if (isMatrixRequired()) {
      describe(`${title} [${name}]`, () => {
        test('has its server', () => {
          throw new Error(`${name} is not in ${serversPrefix()}: run scripts/servers.sh`)
        })
      })
    } else {
      describe.skip(`${title} [${name}]`, () => define(describeKind(name)))
    }
  }
}

/** One server of each way to move slots: the others differ from these in what most tests do not touch. */
export function forEachEngine(title: string, define: (kind: ServerKind) => void): void {
  forEachKind(title, define, ['redis-7.0', 'redis-8.6', 'valkey-9.1'])
}

/** One server of each family: for what is ours and not the servers', such as the words that a form takes. */
export function forEachFamily(title: string, define: (kind: ServerKind) => void): void {
  forEachKind(title, define, ['redis-7.0', 'valkey-9.1'])
}

type Mover = 'migrate' | 'auto'

/** Where nothing moves slots by itself, `auto` is `migrate`. */
export function moversOf({name}: {readonly name: ServerName}): Mover[] {
  return WITHOUT_ATOMIC.has(name) ? ['migrate'] : ['migrate', 'auto']
}

const WITHOUT_ATOMIC: ReadonlySet<ServerName> = new Set<ServerName>(['redis-7.0', 'redis-8.0', 'valkey-8.1'])

/** The first present kind of a family, for tests that need one server of any version. */
export function anyKind(family?: 'redis' | 'valkey'): ServerKind {
  const kind = serverKinds().find((candidate) => !family || candidate.family === family)
  if (!kind) throw new Error(`no ${family ?? 'server'} in ${serversPrefix()}: run scripts/servers.sh`)
  return kind
}

// Below 22768, so that the bus ports stay below Linux' range for outgoing connections. RCLUSTER_TEST_FIRST_PORT is for
// several test runs at once on one machine.
const PORTS_A_PROCESS = 200
const BLOCKS = 8
const firstOfAll = Number(process.env['RCLUSTER_TEST_FIRST_PORT'] ?? 21_000)
let block: Promise<number> | undefined
let portsTaken = 0

/**
 * The first port of a block that no other process has. A port is free when its server was killed, and a server of another
 * process there would answer in its place: seen once, with blocks that went by vitest's numbers of workers. Who listens at
 * the block's last port has it, and no longer than it lives.
 */
async function takeBlock(): Promise<number> {
  for (let index = 0; index < BLOCKS; index++) {
    const first = firstOfAll + PORTS_A_PROCESS * index
    const holder = createServer().unref()
    const isOurs = await new Promise<boolean>((resolve) => {
      holder.once('error', () => resolve(false)).listen(first + PORTS_A_PROCESS - 1, LOOPBACK, () => resolve(true))
    })
    if (isOurs) return first
  }
  throw new Error(`all ${BLOCKS} blocks of ports from ${firstOfAll} on are taken`)
}

/** Each has its own ports. */
const PORT_OF_HOSTS = 6379

async function takePort(): Promise<number> {
  block ??= takeBlock()
  const first = await block
  const usable = PORTS_A_PROCESS - 1
  for (let tries = 0; tries < usable; tries++) {
    const port = first + (portsTaken++ % usable)
    if (await isNodePortFree(port)) return port
  }
  throw new Error(`no free port between ${first} and ${first + usable - 1}`)
}

/** The first of so many free ports in a row. */
export async function takePorts(count: number): Promise<number> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = await takePort()
    if (ports.length > 0 && port !== (ports.at(-1) ?? 0) + 1) ports.length = 0
    ports.push(port)
  }
  return ports[0] ?? 0
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

let guardian: ChildProcess | undefined

/** Ends what is on its list when the pipe to us breaks: on SIGKILL no handler of ours runs. */
function guard(line: string): void {
  if (!guardian) {
    const script = `
      list=
      while read -r word pid folder; do
        case $word in
          started) list="$list $pid:$folder" ;;
          ended) list=$(printf '%s' "$list" | sed "s#[ ]$pid:[^ ]*##") ;;
        esac
      done
      for entry in $list; do kill -9 "\${entry%%:*}" 2>/dev/null; rm -rf "\${entry#*:}"
        rmdir "$(dirname "\${entry#*:}")" 2>/dev/null; done`
    guardian = spawn('/bin/sh', ['-c', script], {detached: true, stdio: ['pipe', 'ignore', 'ignore']})
    guardian.on('error', () => {})
    guardian.stdin?.on('error', () => {})
    guardian.unref()
    const pipe = guardian.stdin as unknown as {unref?: () => void} | null
    pipe?.unref?.()
  }
  guardian.stdin?.write(`${line}\n`)
}

export interface StartOptions {
  /**
   * Settings beside or instead of the defaults, without dashes: {'cluster-node-timeout': '1000'}. PORT stands for the
   * server's own: {port: '0', 'tls-port': 'PORT', 'cluster-port': 'PORT+11000'}.
   */
  readonly config?: Readonly<Record<string, string>>
  /** Settings beside those, which are made for each start of a server. */
  readonly configOf?: (index: number) => Readonly<Record<string, string>>
  /** Where each server runs, instead of all on 127.0.0.1. */
  readonly hosts?: readonly TestHost[]
  /** Started from a file, so that CONFIG REWRITE has somewhere to write. */
  readonly hasConfigFile?: boolean
  /** Default 15 000. */
  readonly readyTimeoutMs?: number
  /** The loopback address of each server, such as 127.0.2.1; default 127.0.0.1 for all. */
  readonly hostOf?: (index: number) => string
  /** Begins with a copy of this folder: what another server left. */
  readonly copyOf?: string
}

const DEFAULTS: Readonly<Record<string, string>> = {
  'cluster-enabled': 'yes',
  'cluster-config-file': 'nodes.conf',
  'cluster-node-timeout': '5000',
  save: '',
  appendonly: 'no',
  'repl-diskless-sync-delay': '0',
  'enable-debug-command': 'yes',
  logfile: 'server.log',
}

class OneServer {
  readonly folder: string
  /** What its next start runs. */
  kind: ServerKind
  private readonly options: StartOptions
  private readonly host: TestHost | undefined
  private child: ChildProcess | undefined
  private readonly index: number
  private portInFile = 0
  port = 0
  loopback: string

  constructor(kind: ServerKind, folder: string, options: StartOptions, index: number) {
    this.kind = kind
    this.folder = folder
    this.options = options
    this.index = index
    this.host = options.hosts?.[index]
    this.loopback = options.hostOf?.(index) ?? LOOPBACK
    mkdirSync(folder, {recursive: true})
    if (options.copyOf !== undefined) {
      cpSync(options.copyOf, folder, {recursive: true})
      rmSync(path.join(folder, 'server.log'), {force: true})
    }
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  get address(): string {
    return `${this.host?.address ?? this.loopback}:${this.port}`
  }

  /** Another process may take the port between our look and the server's bind: then the next one is tried. */
  async startOnFreePort(): Promise<void> {
    for (let tries = 1; ; tries++) {
      this.port = this.host ? PORT_OF_HOSTS : await takePort()
      if (await this.launch()) return
      if (tries === 5 || !/already in use/i.test(this.log())) this.fail()
      rmSync(path.join(this.folder, 'server.log'), {force: true})
    }
  }

  async start(): Promise<void> {
    if (!(await this.launch())) this.fail()
  }

  /** Says false when the process ended, or was not ready in time. */
  private async launch(): Promise<boolean> {
    const config: Record<string, string> = {
      ...DEFAULTS,
      bind: this.loopback,
      // As on hosts of their own: the others learn where a node is from where its packets come from.
      ...(this.loopback === LOOPBACK ? {} : {'bind-source-addr': this.loopback}),
      ...(this.host ? {bind: this.host.address, 'protected-mode': 'no'} : {}),
      port: String(this.port),
      dir: this.folder,
      ...this.options.config,
      ...this.options.configOf?.(this.index),
    }
    const settings = Object.entries(config).map(([name, value]) => [name, this.withPort(value)])
    const args = this.options.hasConfigFile
      ? [this.configFile(settings.map(([name, value]) => `${name} "${value}"\n`).join(''))]
      : settings.flatMap(([name, value]) => [`--${name}`, value ?? ''])
    const startsBefore = this.countStarts()
    // `ip netns exec` becomes the server: its process ID is the server's.
    const [program = '', ...words] = [...(this.host?.prefix ?? []), this.kind.server, ...args]
    const child = spawn(program, words, {cwd: this.folder, stdio: 'ignore'})
    let hasEnded = false
    child.on('error', () => {
      hasEnded = true
    })
    child.on('exit', () => {
      hasEnded = true
      running.delete(child)
      guard(`ended ${child.pid}`)
    })
    this.child = child
    if (child.pid === undefined) return false
    running.add(child)
    guard(`started ${child.pid} ${this.folder}`)
    const deadline = Date.now() + (this.options.readyTimeoutMs ?? 15_000)
    while (!hasEnded && Date.now() < deadline) {
      if (this.countStarts() > startsBefore) return true
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await this.kill()
    return false
  }

  private withPort(value: string): string {
    return value.replace(/PORT(\+\d+)?/, (_, more) => String(this.port + Number(more ?? 0)))
  }

  /** What the server has written into it stays when it starts again. */
  private configFile(text: string): string {
    const file = path.join(this.folder, 'server.conf')
    if (!existsSync(file) || this.port !== this.portInFile) writeFileSync(file, text)
    this.portInFile = this.port
    return file
  }

  /** Its log, not a PING: that works with passwords and TLS too, and no other server on the port can be mistaken for it. */
  private countStarts(): number {
    return this.log().split('Ready to accept connections').length - 1
  }

  log(): string {
    const file = path.join(this.folder, 'server.log')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  private fail(): never {
    throw new Error(
      `${this.kind.name} did not start on port ${this.port}:\n${this.log().split('\n').slice(-6).join('\n')}`,
    )
  }

  signal(name: NodeJS.Signals): void {
    this.child?.kill(name)
  }

  async kill(): Promise<void> {
    const child = this.child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}

export interface TestServers {
  readonly kind: ServerKind
  /** "127.0.0.1:21000" each, in the order started. They survive kill and restart, unless that is at another address. */
  readonly addresses: readonly string[]
  /** Current process IDs, in the same order. */
  readonly pids: readonly number[]
  /** Ends all and removes their folders. Safe to call twice. */
  stop(): Promise<void>
  /** SIGSTOP freezes a server, SIGCONT wakes it. */
  signal(index: number, name: NodeJS.Signals): void
  /** Ends one at once, as a power cut would. */
  kill(index: number): Promise<void>
  /** Starts one again, on its port and in its folder, with its nodes.conf; at another address, if one is given. Kills it first if it runs. */
  restart(index: number, host?: string): Promise<void>
  folder(index: number): string
  /** From its next start on it is a server of this kind. */
  become(index: number, kind: ServerKind): void
  /** What the server wrote to its log file. */
  log(index: number): string
}

/** Empty cluster-enabled servers that know nobody yet; ready when this resolves. */
export async function startServers(kind: ServerKind, count: number, options: StartOptions = {}): Promise<TestServers> {
  const base = mkdtempSync(path.join(os.tmpdir(), 'rcluster-test-'))
  const folderOf = (n: number): string => path.join(base, String(n))
  const servers = Array.from({length: count}, (_, n) => new OneServer(kind, folderOf(n), options, n))
  const stop = async () => {
    await Promise.all(servers.map(async (server) => server.kill()))
    rmSync(base, {recursive: true, force: true})
  }
  const started = await Promise.allSettled(servers.map(async (server) => server.startOnFreePort()))
  const failure = started.find((result) => result.status === 'rejected')
  if (failure) {
    await stop()
    throw failure.reason
  }
  const at = (index: number): OneServer => {
    const server = servers[index]
    if (!server) throw new RangeError(`there are ${count} servers, none with index ${index}`)
    return server
  }
  return {
    kind,
    get addresses() {
      return servers.map(({address}) => address)
    },
    get pids() {
      return servers.map(({pid}) => pid)
    },
    stop,
    signal: (index, name) => at(index).signal(name),
    kill: async (index) => at(index).kill(),
    restart: async (index, host) => {
      await at(index).kill()
      if (host !== undefined) at(index).loopback = host
      await at(index).start()
    },
    folder: (index) => at(index).folder,
    become: (index, next) => {
      at(index).kind = next
    },
    log: (index) => at(index).log(),
  }
}

export interface RawOptions {
  readonly username?: string
  readonly password?: string
  /** PEM. */
  readonly tls?: {readonly ca: string; readonly cert: string; readonly key: string}
  readonly database?: number
  /** Replies as Buffers, for binary keys and values. */
  readonly asBuffers?: boolean
  /** Default 5 000. */
  readonly timeoutMs?: number
}

/** One command to one server, on a connection of its own; the reply as ioredis gives it. For a test's assertions. */
export async function rawCommand(
  address: string,
  args: readonly (string | number | Buffer)[],
  options: RawOptions = {},
): Promise<unknown> {
  const {host, port} = splitAddress(address)
  const client = new Redis({
    host,
    port,
    ...(options.username === undefined ? {} : {username: options.username}),
    ...(options.password === undefined ? {} : {password: options.password}),
    ...(options.tls === undefined ? {} : {tls: options.tls}),
    db: options.database ?? 0,
    lazyConnect: true,
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: options.timeoutMs ?? 5000,
    commandTimeout: options.timeoutMs ?? 5000,
  })
  let cause: unknown
  client.on('error', (error) => {
    cause = error
  })
  try {
    await client.connect().catch((error) => {
      throw cause ?? error
    })
    const [name, ...rest] = args
    const word = String(name)
    return await (options.asBuffers ? client.callBuffer(word, ...rest) : client.call(word, ...rest))
  } finally {
    client.disconnect()
  }
}

export function splitAddress(address: string): {host: string; port: number} {
  const at = address.lastIndexOf(':')
  return {host: address.slice(0, at), port: Number(address.slice(at + 1))}
}

/** Polls until `holds` says true. @throws after `timeoutMs`, with `what` and the last error. */
export async function eventually(what: string, holds: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  while (Date.now() < deadline) {
    try {
      if (await holds()) return
      last = undefined
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`, {cause: last})
}
