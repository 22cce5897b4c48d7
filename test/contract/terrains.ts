/** On what is the contract of NodePort tried out? The fake, and every server of the matrix. */
import {describe} from 'vitest'
import type {AtomicFamily, ClusterPort, NodePort} from '../../src/lib/engine/cluster-port.ts'
import {openClusterPort} from '../../src/lib/redis/connect.ts'
import {FakeCluster} from '../support/fake-cluster.ts'
import {forEachKind, rawCommand, type ServerName, splitAddress, startServers} from '../support/servers.ts'

/** Fresh servers in cluster mode that know nobody. */
export interface Ground {
  readonly port: ClusterPort
  readonly nodes: readonly NodePort[]
  /** A client's SET at one node, which must own the slot. */
  set(node: number, key: Buffer, value: string, options?: {database?: number; ttlMs?: number}): Promise<void>
  loadFunction(node: number, library: string): Promise<void>
  /** A client's write that a node, which must own the slot, refuses for want of replicas. */
  refuseWrite(node: number, key: Buffer): Promise<void>
  stop(): Promise<void>
}

export interface Terrain {
  /** Has cluster-databases. */
  readonly hasDatabases: boolean
  readonly atomicFamily: AtomicFamily | undefined
  /** Has CLUSTER SLOT-STATS. */
  readonly hasSlotStats: boolean
  open(count: number, databases?: number): Promise<Ground>
}

const WITH_SLOT_STATS: ReadonlySet<ServerName> = new Set(['redis-8.6', 'valkey-8.1', 'valkey-9.1'])
const ATOMIC_FAMILIES: Partial<Record<ServerName, AtomicFamily>> = {'valkey-9.1': 'push', 'redis-8.6': 'pull'}

export function forEachTerrain(title: string, define: (terrain: Terrain) => void): void {
  describe.each([undefined, 'push', 'pull'] as const)(`${title} [fake, atomic: %s]`, (atomicFamily) => {
    define({
      hasDatabases: true,
      atomicFamily,
      hasSlotStats: atomicFamily !== undefined,
      open: async (count, databases = 1) => {
        const options = {primaries: 0, strangers: count, databases}
        const cluster = new FakeCluster(atomicFamily ? {...options, atomicFamily} : options)
        if (atomicFamily) for (const {settings} of cluster.servers) settings.set('cluster-slot-stats-enabled', 'no')
        const nodes = await Promise.all(cluster.servers.map(({address}) => cluster.connect(address)))
        return {
          port: cluster,
          nodes,
          set: async (node, key, value, {database = 0, ttlMs} = {}) => {
            const expiresAtMs = ttlMs === undefined ? undefined : Date.now() + ttlMs
            cluster.server(node).keyspace.set(key, {payload: Buffer.from(value), expiresAtMs}, database)
          },
          loadFunction: async (node, library) => {
            cluster.server(node).functions.set(library, 'code')
          },
          refuseWrite: async (node) => {
            cluster.server(node).refusedWrites++
          },
          stop: async () => cluster.close(),
        }
      },
    })
  })
  forEachKind(title, (kind) => {
    define({
      hasDatabases: kind.name === 'valkey-9.1',
      atomicFamily: ATOMIC_FAMILIES[kind.name],
      hasSlotStats: WITH_SLOT_STATS.has(kind.name),
      open: async (count, databases = 1) => {
        const config: Record<string, string> = databases > 1 ? {'cluster-databases': String(databases)} : {}
        const servers = await startServers(kind, count, {config: {'cluster-node-timeout': '2000', ...config}})
        const port = openClusterPort({connectTimeoutMs: 2000, commandTimeoutMs: 5000})
        const nodes = await Promise.all(servers.addresses.map((address) => port.connect(splitAddress(address))))
        const stop = async (): Promise<void> => {
          port.close()
          await servers.stop()
        }
        const at = (node: number): string => servers.addresses[node] as string
        return {
          port,
          nodes,
          set: async (node, key, value, {database = 0, ttlMs} = {}) => {
            const life = ttlMs === undefined ? [] : ['PX', ttlMs]
            await rawCommand(at(node), ['SET', key, value, ...life], {database})
          },
          loadFunction: async (node, library) => {
            const code = `#!lua name=${library}\nredis.register_function('${library}_f', function() return 1 end)`
            await rawCommand(at(node), ['FUNCTION', 'LOAD', code])
          },
          refuseWrite: async (node, key) => {
            const asking = ['CONFIG', 'SET', 'min-replicas-to-write']
            await rawCommand(at(node), [...asking, '1'])
            await rawCommand(at(node), ['SET', key, 'value']).catch(() => undefined)
            await rawCommand(at(node), [...asking, '0'])
          },
          stop,
        }
      },
    })
  })
}
