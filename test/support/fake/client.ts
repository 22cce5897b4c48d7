/** What does a client of the fake cluster see, who follows MOVED and ASK? */
import {keySlot} from '../../../src/lib/slots/key-slot.ts'
import type {FakeServer} from './fake-server.ts'
import {routeOf} from './key-commands.ts'
import {nameOf, type Value} from './keyspace.ts'

export function write(servers: readonly FakeServer[], key: Buffer, value: Value, database: number): void {
  const server = servers[0] && find(servers, key, database, servers[0])
  if (!server) throw new Error(`slot ${keySlot(key)} is not served`)
  server.keyspace.set(key, value, database)
}

/** As "database/key". A key that is stored and not found is left out, or "unreachable" where no server leads to it. */
export function readAll(servers: readonly FakeServer[]): ReadonlyMap<string, string> {
  const contents = new Map<string, string>()
  for (const {key, database} of servers.flatMap(({keyspace}) => keyspace.keys())) {
    const label = `${database}/${nameOf(key)}`
    if (contents.has(label)) continue
    const answers = new Set(
      servers.map((start) => {
        const server = find(servers, key, database, start)
        return server ? server.keyspace.get(key, database)?.payload.toString('latin1') : 'unreachable'
      }),
    )
    const [first] = answers
    if (answers.size > 1) contents.set(label, `differs: ${[...answers].join(', ')}`)
    else if (first !== undefined) contents.set(label, first)
  }
  return contents
}

/** Who serves the key to a client that begins at `start`; undefined when nobody does, or in a circle. */
function find(
  servers: readonly FakeServer[],
  key: Buffer,
  database: number,
  start: FakeServer,
): FakeServer | undefined {
  let server: FakeServer | undefined = start
  let isAsking = false
  for (let hops = 0; server && hops < 16; hops++) {
    const route = routeOf(server, key, database, isAsking)
    if (route.kind === 'serve') return server
    if (route.kind === 'down') return undefined
    isAsking = route.kind === 'ask'
    server = servers.find(({id}) => id === route.to)
  }
  return undefined
}
