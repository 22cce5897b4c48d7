// A client of a round, in a process of its own: it writes keys of its own and remembers, for every write, what was
// answered, by which node and when. Plain JavaScript: Node 20 runs it as it is.
//
// One write of a key is under way at a time, and the next begins when the former was answered or its connection broke:
// a server that was frozen cannot carry out an old write after a newer one was acknowledged.

import slotOf from 'cluster-key-slot'
import {Redis} from 'ioredis'

const {seeds, databases, lanes, keysPerLane, prefix, pauseMs} = JSON.parse(process.argv[2])

/** Longer than any node is kept frozen: a write that is not answered by then ends the key's history. */
const ANSWER_MS = 30_000
/** Long enough for every round, short enough to see whether it survived. */
const LIFE_MS = 600_000
const SHORT_LIFE_MS = 700
/** Nothing was changed when a server says one of these. */
const REFUSALS =
  /^(MOVED|ASK|CLUSTERDOWN|TRYAGAIN|READONLY|LOADING|MASTERDOWN|OOM|NOREPLICAS|NOPERM|MISCONF|UNBLOCKED|BUSY)\b/

const clients = new Map()
let owners = new Map()
let isStopping = false
let acknowledged = 0
const refusals = {}

function clientOf(address, database) {
  const name = `${address}/${database}`
  let client = clients.get(name)
  if (client) return client
  const at = address.lastIndexOf(':')
  client = new Redis({
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    db: database,
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
    commandTimeout: ANSWER_MS,
  })
  client.on('error', () => {})
  client.on('end', () => {
    if (clients.get(name) === client) clients.delete(name)
  })
  clients.set(name, client)
  return client
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** The slot table as the first node that answers has it. Whoever is frozen is passed over. */
let reading
function readOwners() {
  reading ??= (async () => {
    for (const seed of [...seeds].sort(() => Math.random() - 0.5)) {
      const rows = await Promise.race([clientOf(seed, 0).call('CLUSTER', 'SLOTS'), sleep(500)]).catch(() => undefined)
      if (!Array.isArray(rows) || rows.length === 0) continue
      owners = new Map()
      for (const [start, end, [host, port]] of rows) {
        for (let slot = start; slot <= end; slot++) owners.set(slot, `${host}:${port}`)
      }
      return
    }
  })().finally(() => {
    reading = undefined
  })
  return reading
}

/**
 * Sends until a node says yes, or nobody knows. 'refused': nothing was changed, and it is time to stop.
 * @returns {outcome: 'ack'|'unknown'|'refused', reply, node, sentMs, doneMs}
 */
async function send(key, database, words) {
  const slot = slotOf(key)
  let address = owners.get(slot)
  let isAsking = false
  for (let tries = 0; tries < 400; tries++) {
    if (address === undefined) {
      await sleep(50)
      await readOwners()
      address = owners.get(slot)
      if (isStopping && address === undefined) break
      continue
    }
    const sentMs = Date.now()
    try {
      const client = clientOf(address, database)
      let reply
      if (isAsking) {
        const answers = await client
          .pipeline()
          .call('ASKING')
          .call(...words)
          .exec()
        if (answers[1][0]) throw answers[1][0]
        reply = answers[1][1]
      } else {
        reply = await client.call(...words)
      }
      acknowledged++
      return {outcome: 'ack', reply, node: address, sentMs, doneMs: Date.now()}
    } catch (error) {
      const text = String(error?.message)
      const isRefusal = REFUSALS.test(text) || /ECONNREFUSED|enableOfflineQueue|max retries/i.test(text)
      if (!isRefusal) {
        await sleep(50)
        return {outcome: 'unknown', error: text, node: address, sentMs, doneMs: Date.now()}
      }
      const [word, , to] = text.split(' ')
      refusals[word] = (refusals[word] ?? 0) + 1
      isAsking = word === 'ASK'
      if (word === 'ASK') {
        address = to
      } else if (word === 'MOVED') {
        address = to
        owners.set(slot, to)
        if (tries > 5) await sleep(20)
      } else {
        if (isStopping) break
        await sleep(60)
        await readOwners()
        address = owners.get(slot)
      }
    }
  }
  return {outcome: 'refused'}
}

/** key, kind, writes: what was acknowledged or may have happened, in order. */
const histories = []

async function writeOnce(history, turn) {
  const {key, kind, database, writes} = history
  const value = `${turn}:${key}`
  let write
  if (kind === 'counter') write = {op: 'incr', words: ['INCR', key]}
  else if (kind === 'deleted' && turn % 2 === 1) write = {op: 'set', value: null, words: ['DEL', key]}
  else if (kind === 'expiring') {
    const lifeMs = turn % 3 === 2 ? SHORT_LIFE_MS : LIFE_MS
    write = {op: 'set', value, lifeMs, words: ['SET', key, value, 'PX', lifeMs]}
  } else write = {op: 'set', value, words: ['SET', key, value]}
  const {words, ...record} = write
  const answer = await send(key, database, words)
  if (answer.outcome === 'refused') return
  writes.push({turn, ...record, ...answer})
  // Nobody knows when it comes about: the key is left alone.
  if (answer.outcome === 'unknown' && answer.doneMs - answer.sentMs >= ANSWER_MS - 1000) history.isOver = true
}

const KINDS = ['string', 'counter', 'deleted', 'expiring', 'string']

async function runLane(lane) {
  const mine = []
  for (let n = 0; n < keysPerLane; n++) {
    const number = lane * keysPerLane + n
    const kind = KINDS[number % KINDS.length]
    mine.push({key: `${prefix}${kind}:${number}`, kind, database: number % databases, writes: [], reads: []})
  }
  histories.push(...mine)
  for (let turn = 0; !isStopping; turn++) {
    const history = mine[turn % mine.length]
    if (history.isOver) continue
    await writeOnce(history, Math.floor(turn / mine.length))
    if (history.kind !== 'counter' && turn % 4 === 0) {
      const answer = await send(history.key, history.database, ['GET', history.key])
      if (answer.outcome === 'ack') history.reads.push({after: history.writes.length, ...answer})
    }
    await sleep(pauseMs)
  }
}

async function finish() {
  isStopping = true
  await running
  process.send({histories, acknowledged, refusals}, () => process.exit(0))
}

process.on('disconnect', () => process.exit(1))
await readOwners()
const running = Promise.all(Array.from({length: lanes}, (_, lane) => runLane(lane)))
while (acknowledged < lanes) await sleep(5)
process.once('message', () => void finish())
process.send('writing')
