/** Which keys does a fake server serve, and how does it hand them on? After getNodeByQuery and MIGRATE of Redis 7. */
import type {MigrateRequest, RestoreOptions, SerialisedKey} from '../../../src/lib/engine/cluster-port.ts'
import {keySlot} from '../../../src/lib/slots/key-slot.ts'
import {formatAddress, type NodeId} from '../../../src/lib/topology/model.ts'
import type {FakeServer} from './fake-server.ts'
import type {Value} from './keyspace.ts'

export type Route =
  | {readonly kind: 'serve'}
  | {readonly kind: 'moved' | 'ask'; readonly to: NodeId}
  | {readonly kind: 'down'}

/** Where a command on this one key is carried out. */
export function routeOf(server: FakeServer, key: Buffer, database: number, isAsking: boolean): Route {
  const slot = keySlot(key)
  const owner = server.owners[slot]
  if (owner === undefined || !server.isUp) return {kind: 'down'}
  const isMine = owner === server.id
  const next = server.migrating.get(slot)
  const isMissing = server.keyspace.get(key, database) === undefined
  if (isMine && next !== undefined && isMissing) return {kind: 'ask', to: next}
  if (isMine || (isAsking && server.importing.has(slot))) return {kind: 'serve'}
  return {kind: 'moved', to: owner}
}

/** @throws NodeError as the server would send the client elsewhere. */
export function requireServed(server: FakeServer, key: Buffer, database: number, isAsking: boolean): void {
  const refusal = refusalOf(server, key, database, isAsking)
  if (refusal !== undefined) throw server.says(refusal)
}

function refusalOf(server: FakeServer, key: Buffer, database: number, isAsking: boolean): string | undefined {
  const route = routeOf(server, key, database, isAsking)
  if (route.kind === 'serve') return undefined
  if (route.kind === 'down') return 'CLUSTERDOWN The cluster is down'
  const peer = server.peers.get(route.to)
  const place = peer ? formatAddress(peer.address) : '?:0'
  return `${route.kind === 'ask' ? 'ASK' : 'MOVED'} ${keySlot(key)} ${place}`
}

/** MIGRATE. `target` is who listens at the address asked for, if anybody does. */
export function migrate(source: FakeServer, request: MigrateRequest, target: FakeServer | undefined): 'moved' | 'none' {
  const {keys, database, isReplacing, isCopying} = request
  if (database >= source.keyspace.databaseCount) throw source.says('ERR DB index is out of range')
  const slots = new Set(keys.map((key) => keySlot(key)))
  if (slots.size > 1) throw source.says("CROSSSLOT Keys in request don't hash to the same slot")
  const [slot] = slots
  if (slot === undefined) return 'none'
  // On an open slot MIGRATE works with what is here, whoever owns it.
  const isOpen = source.importing.has(slot) || (source.migrating.has(slot) && source.owners[slot] === source.id)
  const [first] = keys
  if (!isOpen && first) requireServed(source, first, database, false)
  const found = keys.filter((key) => source.keyspace.get(key, database) !== undefined)
  if (found.length === 0) return 'none'
  if (!target || target.down) throw source.says('IOERR error or timeout writing to target instance')
  let firstError: string | undefined
  for (const key of found) {
    // The first error is told; the other keys go through.
    const error = restore(target, key, source.keyspace.get(key, database) as Value, database, isReplacing)
    if (error === undefined && !isCopying) source.keyspace.delete(key, database)
    firstError ??= error
  }
  if (firstError !== undefined) throw source.says(`ERR Target instance replied with error: ${firstError}`)
  return 'moved'
}

/** RESTORE of a client. @throws NodeError */
export function restoreFromOutside(server: FakeServer, key: SerialisedKey, options: RestoreOptions): void {
  const {database, isReplacing, isAsking} = options
  const refusal = restore(server, key.key, key, database, isReplacing, isAsking)
  if (refusal !== undefined) throw server.says(refusal)
}

/** RESTORE-ASKING. */
function restore(
  server: FakeServer,
  key: Buffer,
  value: Value,
  database: number,
  isReplacing: boolean,
  isAsking = true,
): string | undefined {
  if (database >= server.keyspace.databaseCount) return 'ERR DB index is out of range'
  if (server.isReplica) return `MOVED ${keySlot(key)} ?:0`
  const refusal = refusalOf(server, key, database, isAsking)
  if (refusal !== undefined) return refusal
  const {used, limit} = server.maxMemory
  if (limit > 0 && used >= limit) return "OOM command not allowed when used memory > 'maxmemory'."
  if (!isReplacing && server.keyspace.get(key, database)) return 'BUSYKEY Target key name already exists.'
  server.keyspace.set(key, {payload: value.payload, expiresAtMs: value.expiresAtMs}, database)
  return undefined
}
