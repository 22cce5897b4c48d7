/**
 * How does the operator's own command restart a node? It is run by the shell of this machine, word for word: what servers
 * say reaches it through the environment alone.
 */
import {spawn} from 'node:child_process'
import {createInterface} from 'node:readline'
import {RefusedError} from '../errors.ts'
import {clean} from '../render/clean.ts'
import {type ClusterNode, formatAddress, isSocket} from '../topology/model.ts'
import {labelNode} from '../topology/queries.ts'

/** A host that begins with "-" would be an option of ssh. */
const HOST = /^[\w.:][\w.:%-]*$/

/**
 * What the command is told of the node.
 * @throws RefusedError for a host that is no name and no address.
 */
export function hookEnvironment(node: ClusterNode): Record<string, string> {
  const {host, port} = isSocket(node.address) ? node.announced : node.address
  if (!HOST.test(host)) {
    throw new RefusedError('target-unfit', `the host of ${labelNode(node)} is not one that a command can be told`, {
      details: {node: node.id},
      suggestions: ['Leave the node out with --only, or restart it by hand'],
    })
  }
  const info = node.reach.kind === 'reached' ? node.reach.view.serverInfo : undefined
  return {
    RCLUSTER_NODE_ID: node.id,
    RCLUSTER_NODE_ADDRESS: clean(formatAddress({host, port})),
    RCLUSTER_NODE_HOST: host,
    RCLUSTER_NODE_PORT: String(port),
    RCLUSTER_NODE_HOSTNAME: node.hostname !== undefined && HOST.test(node.hostname) ? node.hostname : '',
    RCLUSTER_NODE_ROLE: node.role,
    RCLUSTER_NODE_SERVER: info?.flavour ?? '',
    RCLUSTER_NODE_VERSION: (info?.version ?? '').replace(/[^\w.+-]/g, ''),
  }
}

export interface HookOptions {
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
  readonly abort: AbortSignal
  /** Each line that it writes. */
  readonly onLine: (line: string) => void
}

export interface HookEnd {
  /** In words: "ended with exit code 3"; undefined when it ended with 0. */
  readonly failure: string | undefined
  readonly lastLines: readonly string[]
}

const LAST_LINES = 3
/** Between asking it to end and ending it. */
const GRACE_MS = 3000
/** What it wrote last may come after its end; a server that it left running may hold the pipe for ever. */
const DRAIN_MS = 200

export async function runHook(command: string, {env, timeoutMs, abort, onLine}: HookOptions): Promise<HookEnd> {
  // In a group of its own: Ctrl-C at our terminal is ours, and what it started can be ended with it.
  const child = spawn(command, {shell: true, detached: true, env, stdio: ['ignore', 'pipe', 'pipe']})
  const lastLines: string[] = []
  const drained = [child.stdout, child.stderr].map(
    (stream) =>
      new Promise<void>((resolve) => {
        const lines = createInterface({input: stream, crlfDelay: Number.POSITIVE_INFINITY})
        lines.on('line', (line) => {
          lastLines.push(clean(line))
          if (lastLines.length > LAST_LINES) lastLines.shift()
          onLine(clean(line))
        })
        lines.on('close', resolve)
      }),
  )
  let why: string | undefined
  const timers: NodeJS.Timeout[] = []
  const end = (reason: string): void => {
    why ??= reason
    signalGroup(child.pid, 'SIGTERM')
    timers.push(setTimeout(() => signalGroup(child.pid, 'SIGKILL'), GRACE_MS))
  }
  const onAbort = (): void => end('was stopped')
  timers.push(
    setTimeout(() => end(`had not ended after ${Math.round(timeoutMs / 1000)} s, and was stopped`), timeoutMs),
  )
  abort.addEventListener('abort', onAbort, {once: true})
  try {
    const failure = await new Promise<string | undefined>((resolve) => {
      child.once('error', (error) => resolve(`could not be run: ${error.message}`))
      child.once('exit', (code, signal) => {
        const said = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`
        resolve(why ?? (code === 0 ? undefined : said))
      })
    })
    await Promise.race([Promise.all(drained), new Promise((resolve) => timers.push(setTimeout(resolve, DRAIN_MS)))])
    return {failure, lastLines}
  } finally {
    abort.removeEventListener('abort', onAbort)
    for (const timer of timers) clearTimeout(timer)
    for (const stream of [child.stdout, child.stderr]) (stream as unknown as {unref?: () => void}).unref?.()
  }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
