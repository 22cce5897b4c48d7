/** How does redis-cli print a reply raw, as --cluster call does? Byte for byte, lists a line an element. */

type Reply = Buffer | string | number | null | readonly Reply[]

export function rawReply(reply: Reply): Buffer {
  if (reply === null) return Buffer.alloc(0)
  if (Buffer.isBuffer(reply)) return reply
  if (typeof reply === 'string' || typeof reply === 'number') return Buffer.from(String(reply))
  const parts = reply.flatMap((item, index) => (index === 0 ? [rawReply(item)] : [Buffer.from('\n'), rawReply(item)]))
  return Buffer.concat(parts)
}
