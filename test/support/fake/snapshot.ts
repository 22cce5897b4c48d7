/** What would a fake server send to a replica? RDB data in which every value is a string, and no checksum. */
import type {Snapshot} from '../../../src/lib/engine/cluster-port.ts'
import type {Keyspace} from './keyspace.ts'

export function snapshotOf(keyspace: Keyspace): Snapshot {
  const data = rdbOf(keyspace)
  return {
    replicationOffset: 0,
    totalBytes: data.length,
    chunks: pieces(data),
    close: () => {},
  }
}

async function* pieces(data: Buffer): AsyncGenerator<Buffer> {
  const step = Math.max(1, Math.ceil(data.length / 3))
  for (let at = 0; at < data.length; at += step) yield data.subarray(at, at + step)
}

function rdbOf(keyspace: Keyspace): Buffer {
  const parts: Buffer[] = [Buffer.from('REDIS0011')]
  for (const {key, database} of keyspace.keys()) {
    const value = keyspace.get(key, database)
    if (!value) continue
    parts.push(Buffer.from([254, database]))
    if (value.expiresAtMs !== undefined) {
      const time = Buffer.alloc(9, 252)
      time.writeBigInt64LE(BigInt(value.expiresAtMs), 1)
      parts.push(time)
    }
    parts.push(Buffer.from([0]), text(key), text(value.payload))
  }
  return Buffer.concat([...parts, Buffer.from([255]), Buffer.alloc(8)])
}

function text(bytes: Buffer): Buffer {
  const length = Buffer.alloc(5, 0x80)
  length.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([length, bytes])
}
