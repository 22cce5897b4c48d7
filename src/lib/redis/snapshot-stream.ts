/**
 * How does one get a node's data as RDB? By asking for a full synchronisation, as a replica does, and leaving when it is
 * over. The node forks and sends what it held at that moment; nothing is written to its disk where it can be avoided.
 */
import type {Duplex} from 'node:stream'
import type {Snapshot, SnapshotOptions} from '../engine/cluster-port.ts'
import {NodeError} from '../errors.ts'
import {formatAddress, type NodeAddress, type ServerInfo} from '../topology/model.ts'
import {encodeCommand} from './encode-command.ts'
import {replyError, withoutControls} from './reply-errors.ts'
import type {Wire} from './wire.ts'

const LF = 10
const MARK_BYTES = 40
/** Longer than any line that a server begins with. */
const MAX_LINE_BYTES = 4096

/** Takes `wire` over; it is closed with the snapshot. @throws NodeError */
export async function openSnapshot(
  wire: Wire,
  address: NodeAddress,
  {flavour, version}: ServerInfo,
  options: SnapshotOptions,
): Promise<Snapshot> {
  const name = formatAddress(address)
  try {
    // eof: may be sent while it is made, without a file on the server's disk.
    await wire.call(['REPLCONF', 'capa', 'eof'])
    // Valkey 9 writes for a replica of unknown version what 7.2 could read, and leaves out what that could not hold.
    if (flavour === 'valkey') await tryOption(wire, 'version', version)
    // From Redis 7 on: what is written meanwhile is not kept for us.
    await tryOption(wire, 'rdb-only', '1')
    const stream = await wire.takeOver()
    const input = new Input(stream, name, options)
    stream.write(encodeCommand(['PSYNC', '?', '-1']))
    const {offset, form} = await readHead(input, name)
    const chunks = form.kind === 'length' ? counted(input, form.bytes) : marked(input, form.mark)
    return {
      replicationOffset: offset,
      totalBytes: form.kind === 'length' ? form.bytes : undefined,
      chunks,
      close: () => wire.close(),
    }
  } catch (error) {
    wire.close()
    throw error
  }
}

/** What a server does not know does no harm. */
async function tryOption(wire: Wire, option: string, value: string): Promise<void> {
  try {
    await wire.call(['REPLCONF', option, value])
  } catch (error) {
    if (!(error instanceof NodeError && error.failure === 'rejected')) throw error
  }
}

type Form = {readonly kind: 'length'; readonly bytes: number} | {readonly kind: 'mark'; readonly mark: Buffer}

/** Until "$…": line ends that only say that the node is still there, and where its replication stream stands. */
async function readHead(input: Input, name: string): Promise<{offset: number | undefined; form: Form}> {
  let offset: number | undefined
  for (;;) {
    const line = (await input.line()).replace(/\r$/, '')
    if (line === '') continue
    if (line.startsWith('-')) throw replyError(name, line.slice(1))
    const resync = /^\+FULLRESYNC \S+ (\d+)/.exec(line)
    const length = /^\$(\d+)$/.exec(line)
    const mark = /^\$EOF:(.{40})$/.exec(line)
    if (resync) offset = Number(resync[1])
    else if (length) return {offset, form: {kind: 'length', bytes: Number(length[1])}}
    else if (mark) return {offset, form: {kind: 'mark', mark: Buffer.from(mark[1] as string, 'latin1')}}
    else throw new NodeError('rejected', name, `${name} answered PSYNC with: ${withoutControls(line.slice(0, 100))}`)
  }
}

async function* counted(input: Input, bytes: number): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; ) {
    const chunk = await input.some()
    const part = chunk.subarray(0, left)
    left -= part.length
    yield part
  }
}

/** The mark is the last that comes: a node sends nothing more before it heard from its replica. */
async function* marked(input: Input, mark: Buffer): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  for (;;) {
    held = Buffer.concat([held, await input.some()])
    if (held.length < MARK_BYTES) continue
    const rest = held.subarray(held.length - MARK_BYTES)
    const isLast = rest.equals(mark)
    if (held.length > MARK_BYTES) yield held.subarray(0, held.length - MARK_BYTES)
    if (isLast) return
    held = rest
  }
}

/** Reads when asked to, so that who writes to a slow disk slows the node's sending and fills no memory. */
class Input {
  readonly #stream: Duplex
  readonly #name: string
  readonly #options: SnapshotOptions
  #rest: Buffer | undefined
  #failure: Error | undefined
  #hasEnded = false
  #wake: () => void = () => {}

  constructor(stream: Duplex, name: string, options: SnapshotOptions) {
    this.#stream = stream
    this.#name = name
    this.#options = options
    const wake = (): void => this.#wake()
    stream.on('readable', wake)
    stream.on('error', (error) => {
      this.#failure = error
      wake()
    })
    for (const event of ['end', 'close']) {
      stream.on(event, () => {
        this.#hasEnded = true
        wake()
      })
    }
  }

  /** At least one byte. @throws NodeError when none comes in time, or no more can come. */
  async some(): Promise<Buffer> {
    if (this.#rest) {
      const rest = this.#rest
      this.#rest = undefined
      return rest
    }
    for (;;) {
      this.#options.signal?.throwIfAborted()
      const chunk = this.#stream.read() as Buffer | null
      if (chunk !== null) return chunk
      if (this.#hasEnded || this.#failure) {
        throw new NodeError(
          'closed',
          this.#name,
          `${this.#name} ended the connection before all of its data was sent`,
          {
            cause: this.#failure,
          },
        )
      }
      await this.#news()
    }
  }

  async line(): Promise<string> {
    let bytes: Buffer = Buffer.alloc(0)
    for (;;) {
      bytes = Buffer.concat([bytes, await this.some()])
      const end = bytes.indexOf(LF)
      if (end >= 0) {
        if (end + 1 < bytes.length) this.#rest = bytes.subarray(end + 1)
        return bytes.toString('latin1', 0, end)
      }
      if (bytes.length > MAX_LINE_BYTES) {
        throw new NodeError('not-redis', this.#name, `${this.#name} does not speak the Redis protocol`)
      }
    }
  }

  #news(): Promise<void> {
    const {silenceMs, signal} = this.#options
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        this.#wake = () => {}
        resolve()
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', done)
        this.#wake = () => {}
        const message = `${this.#name} sent nothing for ${silenceMs / 1000} s while its data was read`
        reject(new NodeError('timeout', this.#name, message))
      }, silenceMs)
      signal?.addEventListener('abort', done, {once: true})
      this.#wake = done
    })
  }
}
