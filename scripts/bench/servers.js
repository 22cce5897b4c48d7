// Real servers for one run: started in a folder of their own, spoken to, ended.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {Connection} from './resp.js'

const READY_MS = 30_000
/** The bus port is the port plus this: the servers' own 10000 lands among the ports of outgoing connections. */
export const BUS_OFFSET = 250

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * In cluster mode, and strangers to each other.
 * @param settings configuration of all of them, beside our own.
 * @throws Error when a port is taken or a server does not start.
 */
export async function startServers(serverPath, ports, signal, settings = {}) {
  const servers = new Servers(mkdtempSync(path.join(os.tmpdir(), 'rcluster-bench-')), ports)
  try {
    for (const n of ports.keys()) servers.start(serverPath, n, settings)
    servers.guard()
    await servers.connect(signal)
  } catch (error) {
    await servers.stop()
    throw error
  }
  return servers
}

class Servers {
  #children = []
  #guardian
  connections = []

  constructor(folder, ports) {
    this.folder = folder
    this.ports = ports
  }

  get addresses() {
    return this.ports.map((port) => `127.0.0.1:${port}`)
  }

  start(serverPath, n, settings) {
    const port = this.ports[n]
    const folder = path.join(this.folder, String(port))
    mkdirSync(folder)
    const config = {
      port,
      'cluster-port': port + BUS_OFFSET,
      bind: '127.0.0.1',
      dir: folder,
      logfile: 'server.log',
      'cluster-enabled': 'yes',
      'cluster-config-file': 'nodes.conf',
      save: '',
      appendonly: 'no',
      'enable-debug-command': 'local',
      ...settings,
    }
    const args = Object.entries(config).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = spawn(serverPath, args, {cwd: folder, stdio: 'ignore'})
    child.on('error', () => {})
    child.on('exit', () => running.delete(child))
    running.add(child)
    this.#children.push(child)
  }

  /** Ends the servers should we be killed: it notices that its pipe to us broke. */
  guard() {
    const pids = this.#children.map(({pid}) => String(pid))
    const script = 'cat >/dev/null; kill -9 "$@" 2>/dev/null; rm -rf "$0"'
    this.#guardian = spawn('/bin/sh', ['-c', script, this.folder, ...pids], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#guardian.on('error', () => {})
    this.#guardian.stdin.on('error', () => {})
  }

  async connect(signal) {
    for (const [n, port] of this.ports.entries()) {
      const log = path.join(this.folder, String(port), 'server.log')
      await until(`the server on port ${port} is ready`, READY_MS, signal, () => {
        const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
        // Its own log: another server on the port would answer a PING too.
        if (text.includes('Ready to accept connections')) return true
        if (this.#children[n].exitCode !== null) throw new Error(`no server on port ${port}:\n${text.slice(-400)}`)
        return false
      })
      this.connections.push(await Connection.open(port))
    }
  }

  askAll(...words) {
    return Promise.all(this.connections.map((connection) => connection.call(words, 120_000)))
  }

  async cpuSeconds() {
    const infos = await this.askAll('INFO', 'cpu')
    const field = (text, name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(text)?.[1] ?? 0)
    return infos.map((text) => field(text, 'used_cpu_user') + field(text, 'used_cpu_sys'))
  }

  async stop() {
    for (const connection of this.connections) connection.close()
    const alive = this.#children.filter((child) => child.pid && child.exitCode === null && child.signalCode === null)
    await Promise.all(
      alive.map(async (child) => {
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
      }),
    )
    this.#guardian?.kill('SIGKILL')
    rmSync(this.folder, {recursive: true, force: true})
  }
}

/** @throws Error that says `what` when `holds` is not true within the time. */
export async function until(what, deadlineMs, signal, holds) {
  const endsAt = performance.now() + deadlineMs
  while (performance.now() < endsAt) {
    signal.throwIfAborted()
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`not within ${deadlineMs / 1000} s: ${what}`)
}
