import {describe, expect, it} from 'vitest'
import {ReplyReader} from '../../src/lib/redis/replies.ts'

const CHUNK = 64 * 1024

/** Read in chunks as a socket brings them. */
function readInChunks(bytes: Buffer): unknown[] {
  const reader = new ReplyReader()
  const replies: unknown[] = []
  for (let at = 0; at < bytes.length; at += CHUNK) replies.push(...reader.read(bytes.subarray(at, at + CHUNK)))
  return replies
}

const bulk = (value: Buffer): Buffer => Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')])
const value = (length: number): Buffer => Buffer.from(Uint8Array.from({length}, (_, n) => n % 251))

const textOf = (reply: unknown): unknown => {
  if (Array.isArray(reply)) return reply.map(textOf)
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : reply
}

describe('a value of many chunks', () => {
  it.each([
    {name: 'alone', bytes: bulk(value(1_000_000)), replies: [value(1_000_000)]},
    {
      name: 'between others',
      bytes: Buffer.concat([Buffer.from('+OK\r\n'), bulk(value(700_000)), Buffer.from(':7\r\n'), bulk(value(3))]),
      replies: ['OK', value(700_000), 7, value(3)],
    },
    {
      name: 'several in a list',
      bytes: Buffer.concat([Buffer.from('*3\r\n'), bulk(value(600_000)), bulk(value(5)), bulk(value(900_000))]),
      replies: [[value(600_000), value(5), value(900_000)]],
    },
    {name: 'whose end comes with the last byte', bytes: bulk(value(8 * CHUNK - 11)), replies: [value(8 * CHUNK - 11)]},
  ])('is read: $name', ({bytes, replies}) => {
    const read = readInChunks(bytes)
    expect(read).toHaveLength(replies.length)
    // Buffers as text: compared byte by byte they take seconds.
    expect(JSON.stringify(read.map(textOf))).toBe(JSON.stringify(replies.map(textOf)))
  })

  it('takes time in proportion to its length', () => {
    const length = 128 * 2 ** 20
    const bytes = bulk(Buffer.alloc(length, 'x'))
    const startedAt = performance.now()
    const [reply] = readInChunks(bytes) as [Buffer]
    expect(reply.length).toBe(length)
    // Joined chunk by chunk it would copy 128 GB.
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})
