// The live client, in a process of its own. An open loop: each operation has a time at which it is due, and its latency
// counts from then, so that a stall is felt by all operations that fall into it. Half of them read, half write, over
// keys in all slots; redirections are followed; what is read must not be older than what was acknowledged before.
import calculateSlot from 'cluster-key-slot'
import {Connection, encode} from './resp.js'

const {ports, rate} = JSON.parse(process.argv[2])
const KEYS = 20_000
const FILLER = 'x'.repeat(80)
const REPLY_MS = 10_000

const connections = new Map()
/** Port of the node that is thought to own each slot. */
const owners = new Array(16_384)
const keys = Array.from({length: KEYS}, (_, n) => {
  const name = `probe:${n}`
  return {name, slot: calculateSlot(name), acknowledged: 0, sent: 0, isBusy: false}
})

const stale = []
let isSending = false
/** What was seen of the operations that began while it was the current one. */
let record = newRecord()

function newRecord() {
  return {latencies: [], redirections: 0, errors: [], pending: 0}
}

async function start() {
  for (const port of ports) connections.set(port, await Connection.open(port))
  for (const [start, end, [, port]] of await connections.get(ports[0]).call(['CLUSTER', 'SLOTS'])) {
    owners.fill(port, start, end + 1)
  }
  await Promise.all(keys.map((key) => new Promise((done) => write(key, performance.now(), done))))
  isSending = true
  run()
}

/** Timers are good to a millisecond; what is due by then is sent together. */
function run() {
  const interval = 1000 / rate
  const startedAt = performance.now()
  let count = 0
  const tick = () => {
    if (!isSending) return
    for (; startedAt + count * interval <= performance.now(); count++) {
      const operation = count % 2 === 0 ? write : read
      operation(idleKey(), startedAt + count * interval, () => {})
    }
    setTimeout(tick, 1)
  }
  tick()
}

/** Two operations on one key at once could overtake each other at a redirection. */
function idleKey() {
  for (;;) {
    const key = keys[Math.floor(Math.random() * KEYS)]
    if (!key.isBusy) return key
  }
}

function write(key, due, done) {
  const version = ++key.sent
  operate(key, due, ['SET', key.name, `${version}:${FILLER}`], done, () => {
    key.acknowledged = version
  })
}

function read(key, due, done) {
  const least = key.acknowledged
  operate(key, due, ['GET', key.name], done, (value) => {
    if (!(Number.parseInt(value, 10) >= least))
      stale.push(`${key.name}: ${value}, after version ${least} was acknowledged`)
  })
}

function operate(key, due, words, done, onValue) {
  const bytes = encode(words)
  const mine = record
  mine.pending++
  key.isBusy = true
  const end = (reply) => {
    mine.pending--
    key.isBusy = false
    mine.latencies.push(performance.now() - due)
    if (reply instanceof Error) mine.errors.push(reply.message)
    else onValue(reply)
    done()
  }
  const answered = (reply) => {
    const [kind, , to] = reply instanceof Error ? reply.message.split(' ') : []
    if (kind !== 'MOVED' && kind !== 'ASK') return end(reply)
    mine.redirections++
    const port = Number(to.slice(to.lastIndexOf(':') + 1))
    const connection = connections.get(port)
    if (!connection) return end(reply)
    if (kind === 'MOVED') owners[key.slot] = port
    else connection.send(encode(['ASKING']), () => {})
    connection.send(bytes, answered)
  }
  connections.get(owners[key.slot]).send(bytes, answered)
}

/** What was seen since the last call. */
async function takeRecord() {
  const taken = record
  record = newRecord()
  const endsAt = performance.now() + REPLY_MS
  while (taken.pending > 0 && performance.now() < endsAt) await new Promise((resolve) => setTimeout(resolve, 1))
  if (taken.pending > 0) taken.errors.push(`${taken.pending} operations without an answer in ${REPLY_MS / 1000} s`)
  return taken
}

function statsOf({latencies, redirections, errors}) {
  const sorted = Float64Array.from(latencies).sort()
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null
  return {
    operations: sorted.length,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    max: at(1),
    redirections,
    errors: errors.length,
    firstErrors: errors.slice(0, 3),
  }
}

/** Every key once more; then they go, so that what was there before can be counted. */
async function finish() {
  isSending = false
  await takeRecord()
  await Promise.all(keys.map((key) => new Promise((done) => read(key, performance.now(), done))))
  await Promise.all(keys.map((key) => new Promise((done) => operate(key, 0, ['DEL', key.name], done, () => {}))))
  const {errors} = await takeRecord()
  return {stale: stale.slice(0, 3), staleCount: stale.length, errors: errors.slice(0, 3)}
}

const answers = {
  /** Begins a new measurement. */
  measure: async () => void (await takeRecord()),
  stats: async () => statsOf(await takeRecord()),
  finish,
}

// Ctrl-C is for the bench to handle; it ends us.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(1))
process.on('message', ({id, question}) => {
  answers[question]().then(
    (answer) => process.send({id, answer}),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
})
await start()
process.send({id: 0})
