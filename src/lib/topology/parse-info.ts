/** What do CLUSTER INFO and INFO say, as far as we use it? */
import type {AttachedReplica, ClusterInfo, PersistenceFault, ServerInfo} from './model.ts'

/** @throws Error naming the first field that is missing or no number. */
export function parseClusterInfo(text: string): ClusterInfo {
  const fields = fieldsOf(text)
  const state = fields.get('cluster_state')
  if (state === undefined) throw new Error('CLUSTER INFO does not tell cluster_state')
  const count = (name: string): number => {
    const value = numberOf(fields.get(name))
    if (value === undefined) throw new Error(`CLUSTER INFO does not tell ${name}`)
    return value
  }
  return {
    state: state === 'ok' ? 'ok' : 'fail',
    knownNodes: count('cluster_known_nodes'),
    currentEpoch: count('cluster_current_epoch'),
    myEpoch: count('cluster_my_epoch'),
  }
}

/**
 * Never throws: a user without the right to INFO (text '') still gets a server, of version ''.
 * `isClusterEnabled` is false only where the server says so.
 */
export function parseServerInfo(text: string): ServerInfo {
  const fields = fieldsOf(text)
  const isReplica = fields.get('role') === 'slave'
  const linkState = fields.get('master_link_status')
  const idleSeconds = numberOf(fields.get('master_last_io_seconds_ago'))
  const downSeconds = numberOf(fields.get('master_link_down_since_seconds'))
  // Valkey goes on telling the Redis version that it is compatible with (7.2.4), beside its own.
  const isValkey = fields.get('server_name') === 'valkey' || fields.has('valkey_version')
  return {
    flavour: isValkey ? 'valkey' : 'redis',
    version: fields.get(isValkey ? 'valkey_version' : 'redis_version') ?? '',
    runId: fields.get('run_id') || undefined,
    uptimeSeconds: numberOf(fields.get('uptime_in_seconds')),
    isClusterEnabled: fields.get('cluster_enabled') !== '0',
    isLoading: fields.get('loading') === '1' || fields.get('async_loading') === '1',
    usedMemoryBytes: numberOf(fields.get('used_memory')),
    maxMemoryBytes: numberOf(fields.get('maxmemory')),
    maxMemoryPolicy: fields.get('maxmemory_policy'),
    keysByDatabase: keysByDatabase(fields),
    replicationOffset: numberOf(isReplica ? fields.get('slave_repl_offset') : fields.get('master_repl_offset')),
    isPrimaryLinkUp: isReplica && linkState !== undefined ? linkState === 'up' : undefined,
    // -1: there never was a byte, or the link is down.
    primaryLastIoSeconds: isReplica && idleSeconds !== undefined && idleSeconds >= 0 ? idleSeconds : undefined,
    // -1: it never was up since the replica started.
    primaryLinkDownSeconds: isReplica && downSeconds !== undefined && downSeconds >= 0 ? downSeconds : undefined,
    availabilityZone: fields.get('availability_zone') || undefined,
    opsPerSecond: numberOf(fields.get('instantaneous_ops_per_sec')),
    startupMemoryBytes: numberOf(fields.get('used_memory_startup')),
    uncountedMemoryBytes: numberOf(fields.get('mem_not_counted_for_evict')),
    attachedReplicas: isReplica || !fields.has('role') ? undefined : attachedReplicas(fields),
    goodReplicas: numberOf(fields.get('min_slaves_good_slaves')),
    modules: [...text.matchAll(/^module:name=([^,\r\n]*)/gm)].map(([, name = '']) => name).sort(),
    moduleVersions: new Map(
      [...text.matchAll(/^module:name=([^,\r\n]*)(?:,ver=([^,\r\n]*))?/gm)].map(([, name = '', version = '']) => [
        name,
        version,
      ]),
    ),
    persistenceFaults: PERSISTENCE_FIELDS.filter(([field]) => fields.get(field) === 'err').map(([, fault]) => fault),
  }
}

/** How far a replica is with its first copy. */
export interface CopyProgress {
  readonly stage: 'received' | 'loaded'
  /** 0 … 1; undefined where the primary sends while it makes the data, and so cannot tell how much there will be. */
  readonly fraction: number | undefined
  readonly bytes: number
}

/** Of INFO; undefined when no copy is under way. */
export function parseCopyProgress(text: string): CopyProgress | undefined {
  const fields = fieldsOf(text)
  const ratio = (part: number, whole: number): number | undefined => (whole > 0 ? Math.min(1, part / whole) : undefined)
  if (fields.get('loading') === '1') {
    const bytes = numberOf(fields.get('loading_loaded_bytes')) ?? 0
    return {stage: 'loaded', bytes, fraction: ratio(bytes, numberOf(fields.get('loading_total_bytes')) ?? 0)}
  }
  if (fields.get('master_sync_in_progress') !== '1') return undefined
  const bytes = numberOf(fields.get('master_sync_read_bytes')) ?? 0
  return {stage: 'received', bytes, fraction: ratio(bytes, numberOf(fields.get('master_sync_total_bytes')) ?? 0)}
}

const PERSISTENCE_FIELDS: readonly (readonly [string, PersistenceFault])[] = [
  ['rdb_last_bgsave_status', 'snapshot'],
  ['aof_last_write_status', 'log write'],
  ['aof_last_bgrewrite_status', 'log rewrite'],
]

function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined
}

/** "db0:keys=20,expires=0,avg_ttl=0" */
function keysByDatabase(fields: ReadonlyMap<string, string>): ReadonlyMap<number, number> {
  const keys = new Map<number, number>()
  for (const [name, value] of fields) {
    const database = /^db(\d+)$/.exec(name)?.[1]
    const count = /^keys=(\d+)(?:,|$)/.exec(value)?.[1]
    if (database !== undefined && count !== undefined) keys.set(Number(database), Number(count))
  }
  return keys
}

/** "slave0:ip=127.0.0.1,port=7003,state=online,offset=14,lag=0,type=main-thread"; an IPv6 address has no brackets here. */
function attachedReplicas(fields: ReadonlyMap<string, string>): readonly AttachedReplica[] {
  const replicas: AttachedReplica[] = []
  for (const [name, value] of fields) {
    if (!/^slave\d+$/.test(name)) continue
    const words = new Map(value.split(',').map((word) => [word.replace(/=.*/, ''), word.replace(/^[^=]*=/, '')]))
    const address = {host: words.get('ip') ?? '', port: numberOf(words.get('port')) ?? 0}
    replicas.push({address, isOnline: words.get('state') === 'online', lagSeconds: numberOf(words.get('lag'))})
  }
  return replicas
}
