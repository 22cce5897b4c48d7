// Which keys does a workload hold? The same ones each time, so that one digest is right for all runs.
import {createCipheriv} from 'node:crypto'
import calculateSlot from 'cluster-key-slot'

const POOL_BYTES = 4 * 2 ** 20
const KEYS_A_CHUNK = 500
const WORDS =
  'the of and to in is was for on are with as at be this from have or by one had not but what all were when we there can'

/** A hash tag for every slot. */
let tags
export function tagOf(slot) {
  if (!tags) {
    tags = new Array(16_384)
    for (let n = 0, found = 0; found < tags.length; n++) {
      const tag = n.toString(36)
      const at = calculateSlot(tag)
      if (tags[at] === undefined) {
        tags[at] = tag
        found++
      }
    }
  }
  return tags[slot]
}

const pools = {
  /** Nothing that LZF could shrink. */
  random: once(() => noise(POOL_BYTES)),
  text: once(() => {
    const words = WORDS.split(' ')
    const picks = noise(POOL_BYTES / 2)
    let text = ''
    for (const pick of picks) text += `${words[pick % words.length]} `
    return Buffer.from(text.slice(0, POOL_BYTES), 'latin1')
  }),
}

function noise(bytes) {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

function once(make) {
  let made
  return () => {
    made ??= make()
    return made
  }
}

/** Sets all keys of `fill` at the node that owns each slot. `connections[ownerOf(slot)]`. */
export async function fillCluster(fill, connections, ownerOf) {
  await Promise.all(connections.map((connection, owner) => connection.pour(chunksFor(fill, owner, ownerOf))))
}

function* chunksFor({keys, bytes, kind, slots}, owner, ownerOf) {
  if (keys === 0) return
  const pool = pools[kind]()
  let buffers = []
  let text = ''
  let count = 0
  for (let n = 0; n < keys; n++) {
    const slot = n % slots
    if (ownerOf(slot) !== owner) continue
    const key = `{${tagOf(slot)}}:${Math.floor(n / slots)}`
    const from = (n * 7919) % (pool.length - bytes)
    text += `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${bytes}\r\n`
    // Large values are not copied, small ones not worth a buffer of their own.
    if (bytes < 1024) text += pool.latin1Slice(from, from + bytes)
    else {
      buffers.push(Buffer.from(text, 'latin1'), pool.subarray(from, from + bytes))
      text = ''
    }
    text += '\r\n'
    if (++count === KEYS_A_CHUNK) {
      buffers.push(Buffer.from(text, 'latin1'))
      yield {buffers, count}
      buffers = []
      text = ''
      count = 0
    }
  }
  if (count > 0) yield {buffers: [...buffers, Buffer.from(text, 'latin1')], count}
}
