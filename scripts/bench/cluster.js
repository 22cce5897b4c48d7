// A cluster of real servers for one run: formed, looked at, ended.
import {createHash} from 'node:crypto'
import {firstOwner, formCluster} from './forming.js'
import {startServers, until} from './servers.js'

const AGREED_MS = 60_000
/** Of the views after a move. */
const SETTLE_MS = 15_000

/**
 * `primaries` with the slots shared out evenly, `newcomers` without any, `replicas` of each, all agreed and in step.
 * @throws Error when a port is taken, a server does not start, or they do not agree.
 */
export async function startCluster(serverPath, shape, firstPort, signal) {
  const count = (shape.primaries + shape.newcomers) * (1 + shape.replicas)
  const servers = await startServers(serverPath, portsFrom(firstPort, count), signal, shape.settings)
  try {
    const cluster = new BenchCluster(servers, await formCluster(servers, shape, signal), shape.primaries)
    await until('all nodes agree', AGREED_MS, signal, () => cluster.isInStep())
    return cluster
  } catch (error) {
    await servers.stop()
    throw error
  }
}

/** Servers in cluster mode that know nothing of each other. */
export async function startStrangers(serverPath, count, firstPort, signal) {
  return new BenchCluster(await startServers(serverPath, portsFrom(firstPort, count), signal), [], 0)
}

function portsFrom(firstPort, count) {
  return Array.from({length: count}, (_, n) => firstPort + n)
}

class BenchCluster {
  #servers
  #primaries
  #cpuBefore = []

  /** @param ids node IDs, in the order of the ports; @param primaries how many of them own slots at first. */
  constructor(servers, ids, primaries) {
    this.#servers = servers
    this.#primaries = primaries
    this.ids = ids
    this.folder = servers.folder
    this.ports = servers.ports
    this.addresses = servers.addresses
    this.connections = servers.connections
  }

  get seed() {
    return this.addresses[0]
  }

  /** Which node a slot belongs to at first. */
  ownerOf = (slot) => firstOwner(slot, this.#primaries)

  askAll(...words) {
    return this.#servers.askAll(...words)
  }

  /** Every node says that the cluster serves, and knows all others. */
  async isServing() {
    const infos = await this.askAll('CLUSTER', 'INFO')
    return infos.every(
      (info) => info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${this.ports.length}\r`),
    )
  }

  /** Serving, of one mind about the slots, and no replica on its way to its primary. */
  async isAgreed() {
    if (!(await this.isServing()) || new Set(await this.#slotMaps()).size !== 1) return false
    const infos = await this.askAll('INFO', 'replication')
    return infos.every((info) => info.includes('role:master') || info.includes('master_link_status:up'))
  }

  /** Agreed, on roles and epochs too: nothing is left for gossip to carry. */
  async isInStep() {
    return new Set(await this.#nodeLists()).size === 1 && (await this.isAgreed())
  }

  /** What each says of all nodes: role, link and, of those with slots, the epoch. */
  async #nodeLists() {
    const views = await this.askAll('CLUSTER', 'NODES')
    return views.map((text) =>
      text
        .trim()
        .split('\n')
        .map((line) => {
          const [id, , flags, primary, , , epoch, link, slots] = line.split(' ')
          return [id, flags.replace('myself,', ''), primary, slots ? epoch : '', link].join(' ')
        })
        .sort()
        .join(),
    )
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

  /**
   * Slots of each node, in the order of the ports. The genuine CLI leaves the last word to gossip, so they are given
   * time. @throws Error while the nodes differ or a slot is open.
   */
  async slotCounts(signal) {
    await until('the nodes agree on the slots', SETTLE_MS, signal, async () => {
      const nodes = await this.askAll('CLUSTER', 'NODES')
      return new Set(await this.#slotMaps()).size === 1 && nodes.every((text) => !text.includes('['))
    })
    const counts = this.ports.map(() => 0)
    for (const [start, end, [, port]] of await this.connections[0].call(['CLUSTER', 'SLOTS'])) {
      counts[this.ports.indexOf(port)] += end - start + 1
    }
    return counts
  }

  /** How many of all the keys, wherever they are, and a digest of them and their values; replicas' copies left out. */
  async contents() {
    const roles = await this.askAll('ROLE')
    const primaries = this.connections.filter((_, n) => roles[n][0] === 'master')
    const ask = (...words) => Promise.all(primaries.map((connection) => connection.call(words, 120_000)))
    const [digests, sizes] = await Promise.all([ask('DEBUG', 'DIGEST'), ask('DBSIZE')])
    let sum = Buffer.alloc(20)
    // A server's digest is the XOR of its keys' and, unless it is empty, of a constant for database 0.
    for (const [n, text] of digests.entries()) {
      sum = xor(sum, Buffer.from(text, 'hex'))
      if (sizes[n] > 0) sum = xor(sum, DATABASE_0)
    }
    return {keys: sizes.reduce((total, size) => total + size, 0), digest: sum.toString('hex')}
  }

  async resetStats() {
    await this.askAll('CONFIG', 'RESETSTAT')
    this.#cpuBefore = await this.#servers.cpuSeconds()
  }

  /** Since resetStats: CPU of all servers, and how long each was inside MIGRATE, in seconds. */
  async stats() {
    const cpu = await this.#servers.cpuSeconds()
    const commands = await this.askAll('INFO', 'commandstats')
    return {
      serversCpuSeconds: cpu.reduce((sum, seconds, n) => sum + seconds - this.#cpuBefore[n], 0),
      migrateSeconds: commands.map((text) => Number(/cmdstat_migrate:calls=\d+,usec=(\d+)/.exec(text)?.[1] ?? 0) / 1e6),
      migrateCalls: commands.map((text) => Number(/cmdstat_migrate:calls=(\d+)/.exec(text)?.[1] ?? 0)),
    }
  }

  stop() {
    return this.#servers.stop()
  }
}

const sha1 = (bytes) => createHash('sha1').update(bytes).digest()
const DATABASE_0 = sha1(sha1(Buffer.alloc(4)))

function xor(a, b) {
  return Buffer.from(a.map((byte, at) => byte ^ b[at]))
}
