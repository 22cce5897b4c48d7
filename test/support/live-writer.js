// The process behind startWriter (live-load.ts) and the demo's client. Plain JavaScript: Node 20 runs it as it is.
import {createHistogram} from 'node:perf_hooks'
import {Cluster} from 'ioredis'

const {seeds, opsPerSecond, keys, prefix, access, natMap} = JSON.parse(process.argv[2])
const LANES = 16
const FILLER = 'x'.repeat(80)

const cluster = new Cluster(seeds, {
  // What a client should not see is told, not hidden: only redirections are followed.
  retryDelayOnClusterDown: 0,
  // After MOVED ioredis looks for the announced address among the mapped ones, finds none, and asks any node until its slot
  // table is fresh (redis/ioredis#1582): by default it gives up after 16 of them.
  ...(natMap && {natMap, maxRedirections: 200}),
  redisOptions: {maxRetriesPerRequest: 1, connectTimeout: 5000, ...access},
})
cluster.on('error', () => {})
// When a node dies in the wrong moment ioredis rejects what nobody waits for.
process.on('unhandledRejection', () => {})

/** key -> values that it may have: the acknowledged one first, then those whose answer never came. */
const expected = new Map()
const lost = new Set()
/** What was read instead, and when: for whoever looks into it. */
const losses = []
const errors = []
let errorCount = 0
let ops = 0
let isStopping = false
const latency = createHistogram()

async function timed(send) {
  const start = process.hrtime.bigint()
  try {
    return {reply: await send()}
  } catch (error) {
    if (++errorCount <= 20)
      errors.push(`${error.message}${error.lastNodeError ? ` (${error.lastNodeError.message})` : ''}`)
    return undefined
  } finally {
    ops++
    latency.record(process.hrtime.bigint() - start)
  }
}

async function write(key, value) {
  const known = expected.get(key) ?? [null]
  expected.set(key, [...known, value])
  if (await timed(() => cluster.set(key, value))) expected.set(key, [value])
}

async function read(key) {
  const answer = await timed(() => cluster.get(key))
  if (!answer || expected.get(key)?.includes(answer.reply)) return
  lost.add(key)
  if (losses.length < 20)
    losses.push({key, at: new Date().toISOString(), read: answer.reply, expected: expected.get(key), isStopping})
}

/** One lane has keys of its own, so that what it read can be held against what it wrote. */
async function runLane(lane) {
  const pause = (1000 * LANES) / opsPerSecond
  let due = performance.now() + (pause * lane) / LANES
  for (let turn = 0; !isStopping; turn++) {
    const key = `${prefix}${lane + LANES * (turn % Math.ceil(keys / LANES))}`
    for (const act of [() => write(key, `${key}:${turn}:${FILLER}`), () => read(key)]) {
      await act()
      due += pause
      const wait = due - performance.now()
      // Late after a stall: go on from now, no burst to catch up.
      if (wait < 0) due = performance.now()
      else await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
}

async function readAll() {
  const names = [...expected.keys()]
  for (let at = 0; at < names.length; at += 200) {
    await Promise.all(names.slice(at, at + 200).map(read))
  }
}

async function finish() {
  isStopping = true
  await lanes
  const ms = (nanoseconds) => Math.round(nanoseconds / 1e4) / 100
  const times = {p50: ms(latency.percentile(50)), p99: ms(latency.percentile(99)), max: ms(latency.max)}
  await readAll()
  process.send({ops, keys: expected.size, errors, errorCount, lost: [...lost].sort(), losses, ...times}, () =>
    process.exit(0),
  )
}

process.on('disconnect', () => process.exit(1))
const lanes = Promise.all(Array.from({length: LANES}, (_, lane) => runLane(lane)))
while (ops < LANES) await new Promise((resolve) => setTimeout(resolve, 5))
process.once('message', () => void finish())
process.send('writing')
