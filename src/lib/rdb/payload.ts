/** What does RESTORE take? The value as it stands in the RDB data, with the version and a checksum behind it. */
import {Crc64} from './crc64.ts'
import {Cursor, Shortage} from './cursor.ts'
import {RdbError} from './rdb-error.ts'
import type {RdbKey} from './rdb-items.ts'

const FOOTER_BYTES = 10
const LIBRARY = 245

/** `rdbVersion` is that of the data that the key came from: the layout of the value goes by it. */
export function restorePayload({metadata, type, value}: RdbKey, rdbVersion: number): Buffer {
  return sealed([...(metadata ? [metadata] : []), Buffer.from([type]), value], rdbVersion)
}

/** For FUNCTION RESTORE. */
export function functionPayload(libraries: readonly Buffer[], rdbVersion: number): Buffer {
  const parts = libraries.flatMap((code) => {
    const head = Buffer.alloc(6, LIBRARY)
    head[1] = 0x80
    head.writeUInt32BE(code.length, 2)
    return [head, code]
  })
  return sealed(parts, rdbVersion)
}

const NO_TYPE = 0xf0

/** Of this version and with a right checksum, but nothing that a server could load: for asking what it takes. */
export function brokenPayload(rdbVersion: number): Buffer {
  return sealed([Buffer.from([NO_TYPE])], rdbVersion)
}

/** The code of each library in what FUNCTION DUMP answers; undefined when it is not that. */
export function librariesIn(payload: Buffer): Buffer[] | undefined {
  const cursor = new Cursor()
  cursor.window = payloadBody(payload)
  cursor.total = cursor.window.length
  const libraries: Buffer[] = []
  try {
    while (cursor.at < cursor.total) {
      if (cursor.byte() !== LIBRARY) return undefined
      libraries.push(cursor.string())
    }
    return libraries
  } catch (error) {
    if (error instanceof RdbError || error instanceof Shortage) return undefined
    throw error
  }
}

function sealed(parts: readonly Buffer[], rdbVersion: number): Buffer {
  const payload = Buffer.allocUnsafe(parts.reduce((sum, {length}) => sum + length, FOOTER_BYTES))
  let at = 0
  for (const part of parts) at += part.copy(payload, at)
  at = payload.writeUInt16LE(rdbVersion, at)
  new Crc64().update(payload, 0, at).digest().copy(payload, at)
  return payload
}

/** The RDB version at the end of what DUMP and FUNCTION DUMP answer; undefined when it is not that. */
export function payloadVersion(payload: Buffer): number | undefined {
  return payload.length < FOOTER_BYTES ? undefined : payload.readUInt16LE(payload.length - FOOTER_BYTES)
}

/** The payload without version and checksum, which differ between servers that hold the same value. */
export function payloadBody(payload: Buffer): Buffer {
  return payload.subarray(0, Math.max(0, payload.length - FOOTER_BYTES))
}

/** Does a server that writes `ownVersion` take payloads of `version`? Valkey 9 (80 and up) refuses Redis's later ones. */
export function isVersionTaken(version: number, ownVersion: number): boolean {
  const [isForeign, isValkey] = [version >= 12 && version < 80, ownVersion >= 80]
  // Valkey up to 8 writes 11, the last version that both share, so what is above is refused there anyway.
  return version <= ownVersion && !(isForeign && isValkey)
}
