// Which keys does a workload hold? The same ones each time, so that one digest is right for all runs.
import {createCipheriv} from 'node:crypto'
import calculateSlot from 'cluster-key-slot'
import {encode} from './resp.js'

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
  await Promise.all(
    connections.map(async (connection, owner) => {
      await connection.pour(keysFor(fill, owner, ownerOf))
      await connection.pour(collectionsFor(fill, owner, ownerOf))
    }),
  )
}

/** Chunks for Connection.pour. */
function* keysFor({keys, bytes, kind, slots}, owner, ownerOf) {
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

const FILL_COMMANDS = {
  hash: {name: 'HSET', words: (n) => [`field:${n}`, shortValue(n)]},
  zset: {name: 'ZADD', words: (n) => [String((n * 7919) % 1_000_003), `member:${n}`]},
  list: {name: 'RPUSH', words: (n) => [shortValue(n)]},
}

/** A few bytes, so that a million of them stay in bounds. */
function shortValue(n) {
  return `v${((n * 2_654_435_761) % 4_294_967_296).toString(36)}`
}

/** The collections in turn over the slots, and the long strings. Each as many commands of KEYS_A_CHUNK elements. */
function* collectionsFor({collections = [], slots}, owner, ownerOf) {
  let slot = 0
  for (const {kind, count, elements} of collections) {
    for (let n = 0; n < count; n++, slot++) {
      if (ownerOf(slot % slots) !== owner) continue
      const key = `{${tagOf(slot % slots)}}:${kind}:${n}`
      if (kind === 'string') yield {buffers: longString(key, elements), count: 1}
      else for (const buffer of growth(key, FILL_COMMANDS[kind], elements)) yield {buffers: [buffer], count: 1}
    }
  }
}

function* growth(key, {name, words}, elements) {
  for (let from = 0; from < elements; from += KEYS_A_CHUNK) {
    const command = [name, key]
    for (let n = from; n < Math.min(from + KEYS_A_CHUNK, elements); n++) command.push(...words(n))
    yield Buffer.from(encode(command), 'latin1')
  }
}

function longString(key, bytes) {
  const pool = pools.random()
  const head = Buffer.from(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${bytes}\r\n`, 'latin1')
  const parts = []
  for (let left = bytes; left > 0; left -= pool.length) parts.push(pool.subarray(0, Math.min(left, pool.length)))
  return [head, ...parts, Buffer.from('\r\n', 'latin1')]
}
