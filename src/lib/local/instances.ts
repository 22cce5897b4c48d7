/**
 * How does a throw-away set of servers begin and end on this machine?
 * The servers outlive the process that starts them; what is known of them is in the record.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {CancelledError, NodeError, RefusedError, UsageError} from '../errors.ts'
import {formatAddress} from '../topology/model.ts'
import {type LocalServer, requireServer} from './find-server.ts'
import {waitForServer} from './knock.ts'
import {findNodePorts, isNodePortFree, LOOPBACK} from './ports.ts'
import {
  claimRecord,
  isProcessAlive,
  isRunning,
  type LocalNode,
  type LocalRecord,
  readRecord,
  removeRecord,
  replaceRecord,
} from './record.ts'

export interface LocalOptions {
  /** 1 or more. */
  readonly primaries: number
  /** For each primary; 0 or more. */
  readonly replicas: number
  /** The first of that many ports in a row, all of which must be free. Without it: the lowest free ones from 7000 on. */
  readonly port?: number
  /** A server's program. Without it: the best that is found. */
  readonly server?: string
  /** Where the servers' folders are made. Without it: a new folder among the temporary ones. */
  readonly base?: string
  /** For all servers together to answer; default 20 000. */
  readonly readyTimeoutMs?: number
  readonly signal?: AbortSignal
}

export interface LocalNodeStatus extends LocalNode {
  readonly isRunning: boolean
}

export interface LocalCluster {
  readonly server: LocalServer
  readonly primaries: number
  readonly replicas: number
  /** ISO 8601 */
  readonly startedAt: string
  readonly base: string
  /** Ascending by port. */
  readonly nodes: readonly LocalNodeStatus[]
}

export interface LocalStop {
  /** "127.0.0.1:7000" of those that ran until now. */
  readonly stopped: readonly string[]
  /** Of those that had ended before. */
  readonly gone: readonly string[]
}

const DEFAULT_PORT = 7000

/**
 * Starts primaries × (1 + replicas) empty cluster-enabled servers. They do not know one another yet.
 * When this throws, nothing of it is left running.
 * @throws RefusedError 'busy' when local servers run already or a port is taken; NodeError when a server does not start.
 */
export async function startLocal(env: NodeJS.ProcessEnv, options: LocalOptions): Promise<LocalCluster> {
  const {primaries, replicas} = options
  requireWhole('--primaries', primaries, 1)
  requireWhole('--replicas', replicas, 0)
  await clearOldRecord(env)
  const server = await requireServer(env, options.server)
  const ports = await choosePorts(primaries * (1 + replicas), options.port)
  const {base, isBaseOurs} = openBase(options.base)
  let record: LocalRecord = {
    version: 1,
    startedAt: new Date().toISOString(),
    starter: process.pid,
    server,
    primaries,
    replicas,
    base,
    isBaseOurs,
    nodes: [],
  }
  if (!claimRecord(env, record)) {
    removeFolders(record)
    throw await alreadyRunning(readRecord(env))
  }
  try {
    const deadline = Date.now() + (options.readyTimeoutMs ?? 20_000)
    const children: {node: LocalNode; child: ChildProcess}[] = []
    for (const port of ports) {
      options.signal?.throwIfAborted()
      const started = launch(server, port, path.join(base, String(port)))
      children.push(started)
      // At once, so that `local down` finds it whatever becomes of us.
      record = {...record, nodes: [...record.nodes, started.node]}
      replaceRecord(env, record)
    }
    await Promise.all(children.map(async (started) => waitUntilReady(started, server, deadline, options.signal)))
  } catch (error) {
    await stopRecorded(env, record)
    if (options.signal?.aborted)
      throw new CancelledError('the local servers were stopped before all were ready', {cause: error})
    throw error
  }
  return clusterOf(
    record,
    record.nodes.map((node) => ({...node, isRunning: true})),
  )
}

/** What was started and is not yet taken down; undefined when nothing was. */
export async function readLocal(env: NodeJS.ProcessEnv): Promise<LocalCluster | undefined> {
  const record = readRecord(env)
  if (!record) return undefined
  const nodes = await Promise.all(record.nodes.map(async (node) => ({...node, isRunning: await isRunning(node)})))
  return clusterOf(record, nodes)
}

/** Ends the recorded servers and removes their folders with all that is in them; undefined when nothing was started. */
export async function stopLocal(env: NodeJS.ProcessEnv): Promise<LocalStop | undefined> {
  const record = readRecord(env)
  return record && (await stopRecorded(env, record))
}

function clusterOf(
  {server, primaries, replicas, startedAt, base}: LocalRecord,
  nodes: LocalNodeStatus[],
): LocalCluster {
  return {server, primaries, replicas, startedAt, base, nodes}
}

function requireWhole(flag: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`${flag} ${value} is not a whole number of at least ${least}`)
  }
}

/** A record whose servers have all ended (a reboot, a kill) stands in nobody's way. */
async function clearOldRecord(env: NodeJS.ProcessEnv): Promise<void> {
  const record = readRecord(env)
  if (!record) return
  const states = await Promise.all(record.nodes.map(isRunning))
  const isBeingStarted =
    record.nodes.length < record.primaries * (1 + record.replicas) && isProcessAlive(record.starter)
  if (isBeingStarted || states.includes(true)) throw await alreadyRunning(record)
  await stopRecorded(env, record)
}

async function alreadyRunning(record: LocalRecord | undefined): Promise<RefusedError> {
  const addresses = record?.nodes.map(({address}) => formatAddress(address)) ?? []
  const where = addresses.length === 0 ? 'is being started by another rcluster' : `runs: ${addresses.join(', ')}`
  return new RefusedError('busy', `a local cluster ${where}`, {
    details: {addresses},
    suggestions: ['rcluster local down', 'rcluster local status'],
  })
}

async function choosePorts(count: number, first: number | undefined): Promise<number[]> {
  if (first === undefined) return findNodePorts(count, DEFAULT_PORT)
  const ports = Array.from({length: count}, (_, n) => first + n)
  const last = first + count - 1
  if (!Number.isSafeInteger(first) || first < 1 || last > 55_535) {
    throw new UsageError(`--port ${first} does not fit: the ports ${first} to ${last} must lie between 1 and 55535`)
  }
  const free = await Promise.all(ports.map(isNodePortFree))
  const taken = ports.filter((_, n) => !free[n])
  if (taken.length > 0) {
    throw new RefusedError(
      'busy',
      `taken on ${LOOPBACK}, or with its bus port 10000 higher: port ${taken.join(', ')}`,
      {
        details: {ports: taken},
        suggestions: ['Give another --port, or none: free ones are then looked for.'],
      },
    )
  }
  return ports
}

function openBase(given: string | undefined): {base: string; isBaseOurs: boolean} {
  if (given === undefined)
    return {base: realpathSync(mkdtempSync(path.join(tmpdir(), 'rcluster-local-'))), isBaseOurs: true}
  const isBaseOurs = mkdirSync(given, {recursive: true, mode: 0o700}) !== undefined
  return {base: realpathSync(given), isBaseOurs}
}

function launch(server: LocalServer, port: number, folder: string): {node: LocalNode; child: ChildProcess} {
  try {
    mkdirSync(folder, {mode: 0o700})
  } catch (error) {
    throw new RefusedError('busy', `${folder} cannot be made, or is there already`, {cause: error})
  }
  const settings: Record<string, string> = {
    port: String(port),
    bind: LOOPBACK,
    dir: folder,
    logfile: 'server.log',
    save: '',
    appendonly: 'no',
    'cluster-enabled': 'yes',
    'cluster-config-file': 'nodes.conf',
    'cluster-node-timeout': '5000',
    // A new replica is in step at once, not after the 5 s that wait for further ones.
    'repl-diskless-sync-delay': '0',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn(server.path, args, {cwd: folder, detached: true, stdio: 'ignore'})
  // Said by waitUntilReady; an 'error' event that nobody listens to would end the program.
  child.on('error', () => {})
  child.unref()
  return {child, node: {address: {host: LOOPBACK, port}, pid: child.pid ?? 0, folder}}
}

async function waitUntilReady(
  {node, child}: {node: LocalNode; child: ChildProcess},
  server: LocalServer,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hasEnded = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  const isOver = () => hasEnded() || signal?.aborted === true
  if (child.pid !== undefined && (await waitForServer(node.address.port, child.pid, deadline, isOver))) return
  signal?.throwIfAborted()
  const address = formatAddress(node.address)
  const what = hasEnded() ? 'ended at once' : 'did not answer in time'
  const lastLines = tailOf(path.join(node.folder, 'server.log'))
  throw new NodeError(hasEnded() ? 'refused' : 'timeout', address, `${server.path} on ${address} ${what}${lastLines}`)
}

function tailOf(file: string): string {
  try {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3)
    return `; the last it wrote: ${lines.join(' | ')}`
  } catch {
    return ''
  }
}

async function stopRecorded(env: NodeJS.ProcessEnv, record: LocalRecord): Promise<LocalStop> {
  const hasRun = await Promise.all(record.nodes.map(stopNode))
  removeFolders(record)
  removeRecord(env)
  const addresses = record.nodes.map(({address}) => formatAddress(address))
  return {stopped: addresses.filter((_, n) => hasRun[n]), gone: addresses.filter((_, n) => !hasRun[n])}
}

/** False when it had ended before. @throws NodeError when it cannot be ended. */
async function stopNode(node: LocalNode): Promise<boolean> {
  if (!(await isRunning(node))) return false
  // There is nothing to save. SIGTERM would wait for replicas that lag, and a frozen server does not see it.
  process.kill(node.pid, 'SIGKILL')
  const deadline = Date.now() + 5000
  while (await isRunning(node)) {
    if (Date.now() > deadline) {
      const address = formatAddress(node.address)
      throw new NodeError('timeout', address, `the server on ${address} (process ${node.pid}) does not end`)
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}

/** Only what was made for the servers. */
function removeFolders({base, isBaseOurs, nodes}: LocalRecord): void {
  for (const {folder} of nodes) rmSync(folder, {recursive: true, force: true})
  if (!isBaseOurs) return
  try {
    if (readdirSync(base).length === 0) rmdirSync(base)
  } catch {
    // Gone already.
  }
}
