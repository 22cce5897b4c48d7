/** Is every key read out of a server's RDB data just what DUMP gives for it? On data of every type, and every server. */
import {mkdirSync, writeFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {expect, test} from 'vitest'
import {compareValues} from '../../src/lib/rdb/compare-values.ts'
import {RdbParser, readRdb} from '../../src/lib/rdb/parse-rdb.ts'
import {payloadVersion, restorePayload} from '../../src/lib/rdb/payload.ts'
import type {RdbItem} from '../../src/lib/rdb/rdb-items.ts'
import {openClusterPort} from '../../src/lib/redis/connect.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {openClusterClient, writeSpecimens} from '../support/cluster-client.ts'
import {specimens} from '../support/every-type.ts'
import {eventually, forEachKind, rawCommand, splitAddress, startServers} from '../support/servers.ts'

const fixtures = fileURLToPath(new URL('../rdb/fixtures', import.meta.url))
const LIBRARY = "#!lua name=mylib\nredis.register_function('answer', function() return 42 end)"

/** Small, so that few elements make the large layouts: the fixtures of the unit tests come from here as well. */
const CONFIG = {
  'hash-max-listpack-entries': '8',
  'zset-max-listpack-entries': '8',
  'set-max-intset-entries': '64',
  'list-max-listpack-size': '8',
  'list-compress-depth': '1',
}

const FORMS = [
  {diskless: 'yes', policy: 'allkeys-lfu'},
  {diskless: 'no', policy: 'allkeys-lru'},
]

forEachKind('RDB data', (kind) => {
  test('holds each key as DUMP gives it, sent while it is made and sent from disk', async () => {
    const servers = await startServers(kind, 1, {config: CONFIG})
    const port = openClusterPort({connectTimeoutMs: 2000, commandTimeoutMs: 5000})
    try {
      const [address = ''] = servers.addresses
      await rawCommand(address, ['CLUSTER', 'ADDSLOTS', ...Array.from({length: SLOT_COUNT}, (_, slot) => slot)])
      await eventually('the node serves', async () =>
        String(await rawCommand(address, ['CLUSTER', 'INFO'])).includes('cluster_state:ok'),
      )
      await rawCommand(address, ['FUNCTION', 'LOAD', LIBRARY])
      const client = await openClusterClient(address)
      const all = specimens(kind, (command) => client.has(command), 40)
      await writeSpecimens(client, all)
      const node = await port.connect(splitAddress(address))
      for (const {diskless, policy} of FORMS) {
        await rawCommand(address, ['CONFIG', 'SET', 'repl-diskless-sync', diskless])
        await rawCommand(address, ['CONFIG', 'SET', 'maxmemory-policy', policy])
        const snapshot = await node.openSnapshot({silenceMs: 10_000})
        const parser = new RdbParser(snapshot.totalBytes)
        const chunks: Buffer[] = []
        const items: RdbItem[] = []
        for await (const batch of readRdb(kept(snapshot.chunks, chunks), parser)) items.push(...batch)
        snapshot.close()

        expect(snapshot.totalBytes === undefined).toBe(diskless === 'yes')
        expect(snapshot.replicationOffset).toBeGreaterThanOrEqual(0)
        expect(items.at(-1)).toEqual({kind: 'end', isChecked: true})
        expect(items.filter((item) => item.kind === 'library').map(({code}) => code.toString())).toEqual([LIBRARY])
        expect(parser.family).toBe(kind.name === 'valkey-9.1' ? 'valkey' : 'redis')
        const keys = items.filter((item) => item.kind === 'key')
        expect(keys).toHaveLength(all.length)
        for (const item of keys) {
          const name = item.key.toString('latin1')
          const dump = (await client.call(item.key, ['DUMP', item.key])) as Buffer
          expect(payloadVersion(dump), name).toBe(parser.version)
          expect(restorePayload(item, parser.version).equals(dump), `${name}, type ${item.type}`).toBe(true)
          expect(compareValues(restorePayload(item, parser.version), dump), name).toBe('same')
          const life = Number(await client.call(item.key, ['PEXPIRETIME', item.key]))
          expect(item.expiresAtMs ?? -1, name).toBe(life)
          expect(policy === 'allkeys-lfu' ? item.frequency : item.idleSeconds, name).toBeDefined()
        }
        if (process.env['RCLUSTER_WRITE_FIXTURES'] && diskless === 'yes') {
          mkdirSync(fixtures, {recursive: true})
          writeFileSync(`${fixtures}/${kind.name}.rdb`, Buffer.concat(chunks))
        }
      }
      client.close()
    } finally {
      port.close()
      await servers.stop()
    }
  })
})

async function* kept(source: AsyncIterable<Buffer>, chunks: Buffer[]): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    chunks.push(chunk)
    yield chunk
  }
}
