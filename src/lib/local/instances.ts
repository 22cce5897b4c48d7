/**
 * How does a throw-away set of servers begin and end on this machine?
 * The servers outlive the process that starts them; what is known of them is in the record.
 */
import {mkdtempSync, readdirSync, realpathSync, rmdirSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {CancelledError, NodeError, RefusedError, UsageError} from '../errors.ts'
import {makeFolder} from '../make-folder.ts'
import {formatAddress} from '../topology/model.ts'
import {type LocalServer, requireServer} from './find-server.ts'
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
import {startServer} from './start-server.ts'

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
    throw alreadyRunning(readRecord(env))
  }
  const nodes: (LocalNode | undefined)[] = ports.map(() => undefined)
  let lastPort = ports.at(-1) as number
  const nextPort = async () => {
    const [port] = await findNodePorts(1, lastPort + 1)
    lastPort = port as number
    return lastPort
  }
  const started = await Promise.allSettled(
    ports.map(async (port, index) => {
      const settings = {server, base, deadline: Date.now() + (options.readyTimeoutMs ?? 20_000), signal: options.signal}
      await startServer(settings, port, options.port === undefined ? nextPort : undefined, (node) => {
        nodes[index] = node
        record = {...record, nodes: nodes.filter((entry) => entry !== undefined)}
        replaceRecord(env, record)
      })
    }),
  )
  const failure = started.find((result) => result.status === 'rejected')
  if (failure) {
    await stopRecorded(env, record)
    if (!options.signal?.aborted) throw failure.reason
    throw new CancelledError('The local servers were stopped before all were ready', {cause: failure.reason})
  }
  const running = record.nodes.map((node) => ({...node, isRunning: true}))
  return clusterOf(record, running)
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
  const byPort = nodes.toSorted((a, b) => a.address.port - b.address.port)
  return {server, primaries, replicas, startedAt, base, nodes: byPort}
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
  if (isBeingStarted || states.includes(true)) throw alreadyRunning(record)
  await stopRecorded(env, record)
}

function alreadyRunning(record: LocalRecord | undefined): RefusedError {
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
      `on ${LOOPBACK} somebody uses port ${taken.join(', ')}, or the bus port that lies 10000 above`,
      {
        details: {ports: taken},
        suggestions: ['Give another --port, or none: then free ones are looked for'],
      },
    )
  }
  return ports
}

function openBase(given: string | undefined): {base: string; isBaseOurs: boolean} {
  if (given === undefined)
    return {base: realpathSync(mkdtempSync(path.join(tmpdir(), 'rcluster-local-'))), isBaseOurs: true}
  const isBaseOurs = makeFolder(path.resolve(given), 0o700)
  return {base: realpathSync(given), isBaseOurs}
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
