/**
 * How does a node's data become a file? As it comes in it is written, hashed and read as RDB, so that what cannot be read
 * back is found now and not when it is needed. Under its name the file is whole, or it is not there.
 */
import {createHash} from 'node:crypto'
import {type FileHandle, open, rename, rm} from 'node:fs/promises'
import {NodeError} from '../errors.ts'
import {RdbParser} from '../rdb/parse-rdb.ts'
import {RdbError} from '../rdb/rdb-error.ts'
import type {RdbFamily} from '../rdb/value-layout.ts'
import type {SlotRanges} from '../slots/slot-ranges.ts'
import {formatAddress} from '../topology/model.ts'
import {Census} from './census.ts'
import type {NodePort, SnapshotOptions} from './cluster-port.ts'

/** Written at once: chunks come as small as the network makes them. */
const WRITE_BYTES = 1024 * 1024

export interface SnapshotFile {
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
  readonly rdbFamily: RdbFamily
  readonly rdbVersion: number
  readonly replicationOffset: number | undefined
  readonly census: Census
  readonly startedAt: Date
  readonly finishedAt: Date
}

export interface FetchOptions extends SnapshotOptions {
  /** Which keys are expected; others are counted apart. */
  readonly slots: SlotRanges | undefined
  readonly onRead?: (keys: number, bytes: number) => void
}

/** @throws NodeError when the node fails or sends what is no RDB data; system errors of the file (ENOSPC …). */
export async function fetchSnapshot(port: NodePort, path: string, options: FetchOptions): Promise<SnapshotFile> {
  const part = `${path}.part`
  const file = await open(part, 'wx', 0o600)
  try {
    const startedAt = new Date()
    const snapshot = await port.openSnapshot(options)
    try {
      const parser = new RdbParser(snapshot.totalBytes)
      const census = new Census(options.slots, startedAt.getTime())
      const hash = createHash('sha256')
      const writer = new Writer(file)
      for await (const chunk of snapshot.chunks) {
        hash.update(chunk)
        const keys = census.add(parser.push(chunk))
        options.onRead?.(keys, chunk.length)
        await writer.write(chunk)
      }
      const keys = census.add(parser.end())
      options.onRead?.(keys, 0)
      await writer.flush()
      await file.sync()
      await file.close()
      await rename(part, path)
      return {
        bytes: writer.bytes,
        sha256: hash.digest('hex'),
        rdbFamily: parser.family,
        rdbVersion: parser.version,
        replicationOffset: snapshot.replicationOffset,
        census,
        startedAt,
        finishedAt: new Date(),
      }
    } finally {
      snapshot.close()
    }
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(part, {force: true})
    if (!(error instanceof RdbError)) throw error
    const address = formatAddress(port.address)
    throw new NodeError('rejected', address, `what ${address} sent cannot be read as RDB: ${error.message}`, {
      cause: error,
    })
  }
}

class Writer {
  bytes = 0
  readonly #file: FileHandle
  #held: Buffer[] = []
  #heldBytes = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** Waits only while the write before is under way, so that reading and writing overlap. */
  async write(chunk: Buffer): Promise<void> {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes >= WRITE_BYTES) await this.#send()
  }

  async flush(): Promise<void> {
    await this.#send()
    await this.#writing
  }

  async #send(): Promise<void> {
    await this.#writing
    const bytes = Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    this.#writing = this.#writeAll(bytes)
    // Told by the next one who waits for it.
    this.#writing.catch(() => undefined)
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const {bytesWritten} = await this.#file.write(bytes, at)
      at += bytesWritten
    }
    this.bytes += bytes.length
  }
}
