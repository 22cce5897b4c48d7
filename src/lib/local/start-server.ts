/** How does one server begin, and how is it known that it did? The process outlives ours. */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync, readFileSync, rmSync} from 'node:fs'
import path from 'node:path'
import {NodeError, RefusedError} from '../errors.ts'
import {formatAddress} from '../topology/model.ts'
import type {LocalServer} from './find-server.ts'
import {waitForServer} from './knock.ts'
import {LOOPBACK} from './ports.ts'
import type {LocalNode} from './record.ts'

export interface StartSettings {
  readonly server: LocalServer
  /** The server's own folder is made in here, named by its port. */
  readonly base: string
  /** As of Date.now. */
  readonly deadline: number
  readonly signal: AbortSignal | undefined
}

/**
 * Resolves when the server answers. `note` is told of each process at once, before it is ready, so that somebody can end
 * it whatever becomes of us. Between a look at a port and the server's bind another program may take it: then the port
 * that `nextPort` gives is tried, where it is given.
 * @throws NodeError with the last lines of the server's log.
 */
export async function startServer(
  settings: StartSettings,
  port: number,
  nextPort: (() => Promise<number>) | undefined,
  note: (node: LocalNode) => void,
): Promise<void> {
  for (let at = port; ; ) {
    settings.signal?.throwIfAborted()
    const {node, child} = launch(settings, at)
    note(node)
    const hasEnded = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
    const isOver = () => hasEnded() || settings.signal?.aborted === true
    if (child.pid !== undefined && (await waitForServer(at, child.pid, settings.deadline, isOver))) return
    settings.signal?.throwIfAborted()
    const log = lastLines(path.join(node.folder, 'server.log'))
    const isPortTaken = hasEnded() && /already in use/i.test(log)
    if (!isPortTaken || !nextPort) {
      const address = formatAddress(node.address)
      const what = hasEnded() ? 'ended at once' : 'did not answer in time'
      const lines = log === '' ? '' : `; the last it wrote: ${log}`
      throw new NodeError(
        hasEnded() ? 'refused' : 'timeout',
        address,
        `${settings.server.path} on ${address} ${what}${lines}`,
      )
    }
    rmSync(node.folder, {recursive: true, force: true})
    at = await nextPort()
  }
}

function launch({server, base}: StartSettings, port: number): {node: LocalNode; child: ChildProcess} {
  const folder = path.join(base, String(port))
  try {
    mkdirSync(folder, {mode: 0o700})
  } catch (error) {
    throw new RefusedError('busy', `${folder} cannot be made, or is there already`, {cause: error})
  }
  const config: Record<string, string> = {
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
  const args = Object.entries(config).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn(server.path, args, {cwd: folder, detached: true, stdio: 'ignore'})
  // An 'error' event that nobody listens to would end the program; startServer says that there is no process.
  child.on('error', () => {})
  child.unref()
  return {child, node: {address: {host: LOOPBACK, port}, pid: child.pid ?? 0, folder}}
}

/** "" when there is no log. */
function lastLines(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join(' | ')
  } catch {
    return ''
  }
}
