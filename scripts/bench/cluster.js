// A cluster of real servers for one run: started, formed, looked at, ended.
import {spawn} from 'node:child_process'
import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {Connection} from './resp.js'

const READY_MS = 15_000
const AGREED_MS = 30_000
/** The bus port is the port plus this: the servers' own 10000 lands among the ports of outgoing connections. */
export const BUS_OFFSET = 250
const SLOTS = 16_384

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * `primaries` with the slots shared out evenly, the first ones first, and `newcomers` without any, all agreed.
 * @throws Error when a port is taken or a server does not start.
 */
export async function startCluster(serverPath, {primaries, newcomers}, firstPort, signal) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-bench-'))
  const cluster = new BenchCluster(folder, primaries)
  try {
    for (let n = 0; n < primaries + newcomers; n++) cluster.start(serverPath, firstPort + n)
    cluster.guard()
    await cluster.connect(signal)
    await cluster.form(signal)
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return cluster
}

class BenchCluster {
  #children = []
  #guardian
  #primaries
  ports = []
  /** Node IDs, in the order of the ports. */
  ids = []
  connections = []

  constructor(folder, primaries) {
    this.folder = folder
    this.#primaries = primaries
  }

  get seed() {
    return `127.0.0.1:${this.ports[0]}`
  }

  /** Which primary a slot belongs to at first. */
  ownerOf = (slot) => Math.min(Math.floor((slot * this.#primaries) / SLOTS), this.#primaries - 1)

  start(serverPath, port) {
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
    }
    const args = Object.entries(config).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = spawn(serverPath, args, {cwd: folder, stdio: 'ignore'})
    child.on('error', () => {})
    child.on('exit', () => running.delete(child))
    running.add(child)
    this.#children.push(child)
    this.ports.push(port)
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

  async form(signal) {
    this.ids = await this.askAll('CLUSTER', 'MYID')
    const [first] = this.connections
    for (const [n, connection] of this.connections.entries()) {
      await connection.call(['CLUSTER', 'SET-CONFIG-EPOCH', n + 1])
      const slots = Array.from({length: SLOTS}, (_, slot) => slot).filter((slot) => this.ownerOf(slot) === n)
      if (slots.length > 0) await connection.call(['CLUSTER', 'ADDSLOTS', ...slots])
    }
    for (const port of this.ports.slice(1)) await first.call(['CLUSTER', 'MEET', '127.0.0.1', port, port + BUS_OFFSET])
    await until('all nodes agree', AGREED_MS, signal, async () => {
      const infos = await this.askAll('CLUSTER', 'INFO')
      const isUp = infos.every(
        (info) => info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${this.ports.length}\r`),
      )
      return isUp && new Set(await this.#slotMaps()).size === 1
    })
  }

  askAll(...words) {
    return Promise.all(this.connections.map((connection) => connection.call(words, 120_000)))
  }

  async #slotMaps() {
    const views = await this.askAll('CLUSTER', 'SLOTS')
    return views.map((rows) =>
      rows
        .map(([start, end, [, port]]) => `${start}-${end}@${port}`)
        .sort()
        .join(),
    )
  }

  /** Slots of each node, in the order of the ports. @throws Error while the nodes differ or a slot is open. */
  async slotCounts() {
    if (new Set(await this.#slotMaps()).size !== 1) throw new Error('the nodes do not agree on the slots')
    const nodes = await this.askAll('CLUSTER', 'NODES')
    if (nodes.some((text) => text.includes('['))) throw new Error('a slot is open')
    const counts = this.ports.map(() => 0)
    for (const [start, end, [, port]] of await this.connections[0].call(['CLUSTER', 'SLOTS'])) {
      counts[this.ports.indexOf(port)] += end - start + 1
    }
    return counts
  }

  async keyCounts() {
    return this.askAll('DBSIZE')
  }

  /** Of all keys and values, wherever they are. */
  async digest() {
    const [digests, sizes] = await Promise.all([this.askAll('DEBUG', 'DIGEST'), this.keyCounts()])
    let sum = Buffer.alloc(20)
    // A server's digest is the XOR of its keys' and, unless it is empty, of a constant for database 0.
    for (const [n, text] of digests.entries()) {
      sum = xor(sum, Buffer.from(text, 'hex'))
      if (sizes[n] > 0) sum = xor(sum, DATABASE_0)
    }
    return sum.toString('hex')
  }

  async resetStats() {
    await this.askAll('CONFIG', 'RESETSTAT')
    this.#cpuBefore = await this.#cpuSeconds()
  }

  #cpuBefore = []

  /** Since resetStats: CPU of all servers, and how long each was inside MIGRATE, in seconds. */
  async stats() {
    const cpu = await this.#cpuSeconds()
    const commands = await this.askAll('INFO', 'commandstats')
    return {
      serversCpuSeconds: cpu.reduce((sum, seconds, n) => sum + seconds - this.#cpuBefore[n], 0),
      migrateSeconds: commands.map((text) => Number(/cmdstat_migrate:calls=\d+,usec=(\d+)/.exec(text)?.[1] ?? 0) / 1e6),
      migrateCalls: commands.map((text) => Number(/cmdstat_migrate:calls=(\d+)/.exec(text)?.[1] ?? 0)),
    }
  }

  async #cpuSeconds() {
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

const sha1 = (bytes) => createHash('sha1').update(bytes).digest()
const DATABASE_0 = sha1(sha1(Buffer.alloc(4)))

function xor(a, b) {
  return Buffer.from(a.map((byte, at) => byte ^ b[at]))
}

async function until(what, deadlineMs, signal, holds) {
  const endsAt = performance.now() + deadlineMs
  while (performance.now() < endsAt) {
    signal.throwIfAborted()
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`not within ${deadlineMs / 1000} s: ${what}`)
}
