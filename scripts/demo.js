// `npm run demo`: the main job on a real cluster of this machine, shown with the commands a person would type.
// Servers, their data and their records live in temporary folders that are removed on the way out, however it ends.
import {fork, spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {Cluster} from 'ioredis'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const KEYS = 200_000
const FILLER = 'v'.repeat(100)
const started = performance.now()
const home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-demo-'))
const env = {...process.env, XDG_STATE_HOME: home, XDG_CONFIG_HOME: home}
// What the person uses elsewhere must not lead the demo to another cluster.
for (const name of ['RCLUSTER_SEED', 'RCLUSTER_CONTEXT', 'RCLUSTER_PASSWORD', 'REDISCLI_AUTH', 'VALKEYCLI_AUTH'])
  delete env[name]

let local
let writer
let client
let interruption
let child
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    interruption ??= signal
    // Ctrl-C has reached the command already: a terminal tells the whole group.
    if (signal !== 'SIGINT') child?.kill(signal)
  })
}

try {
  await show()
} catch (error) {
  process.exitCode = 1
  if (!interruption) console.error(`\nThe demo failed: ${error.message}`)
} finally {
  await cleanUp()
}
if (interruption) process.exitCode = 130

async function show() {
  await prepare()

  title('Eight real servers, empty, each in cluster mode')
  const {startLocal} = await import('../dist/lib/local/instances.js')
  local = await startLocal(env, {primaries: 8, replicas: 0})
  const addresses = local.nodes.map(({address}) => `${address.host}:${address.port}`)
  console.log(`${local.server.family} ${local.server.version} (${local.server.path}) on ${addresses.join(', ')}`)
  const [a, , , , , , newcomer, itsReplica] = addresses

  title('Six of them become a cluster: three primaries, a replica each')
  await rcluster('create', ...addresses.slice(0, 6), '--replicas', '1', '--yes')

  title(`${KEYS.toLocaleString('en')} keys, and a client that writes and reads all the while`)
  openClient(local.nodes[0].address)
  await loadKeys()
  const before = await countKeys()
  console.log(`The primaries hold ${before.toLocaleString('en')} keys.`)
  await startWriter(local.nodes[0].address)
  console.log('The client is at work: 1,000 operations a second.')

  title('The seventh server joins, with the eighth as its replica')
  await rcluster('add-node', newcomer, a)
  await rcluster('add-node', itsReplica, a, '--replica', '--primary', newcomer)

  title('1000 slots move to it, while the client goes on')
  await rcluster('reshard', a, newcomer, '1000', '--yes')

  title('The others give it its fair share')
  await rcluster('rebalance', a, '--yes')

  title('Is all well?')
  await rcluster('check', a)
  await rcluster('info', a, '--map')

  title('What the client saw, and what is there now')
  await report(before)
}

async function prepare() {
  title('A server to play with')
  await run('scripts/servers.sh', ['--one'])
  const build = spawnSync(process.execPath, ['scripts/build.js'], {stdio: ['ignore', 'ignore', 'inherit']})
  if (build.status !== 0) throw new Error('the program could not be built')
}

function openClient(seed) {
  client?.disconnect()
  client = new Cluster([seed], {enableAutoPipelining: true})
  client.on('error', () => {})
}

async function loadKeys() {
  for (let n = 0; n < KEYS; n += 5000) {
    stopIfInterrupted()
    const batch = Array.from({length: Math.min(5000, KEYS - n)}, (_, i) => n + i)
    await Promise.all(batch.map((key) => client.set(`key:${key}`, valueFor(key))))
  }
}

function valueFor(key) {
  return `${key}:${FILLER}`
}

async function countKeys() {
  const sizes = await Promise.all(client.nodes('master').map((node) => node.dbsize()))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** In a process of its own: its times are not ours. */
async function startWriter({host, port}) {
  const options = {seeds: [{host, port}], opsPerSecond: 1000, keys: 2000, prefix: 'live:'}
  // Not the terminal's group: Ctrl-C is ours to handle.
  writer = fork('test/support/live-writer.js', [JSON.stringify(options)], {detached: true})
  await once(writer, 'message')
}

async function report(before) {
  const answer = once(writer, 'message')
  writer.send('stop')
  const [seen] = await answer
  // One that idled since the slots moved would still ask the old primaries.
  openClient(local.nodes[0].address)
  await client.ping()
  const after = (await countKeys()) - seen.keys
  let right = 0
  for (let n = 0; n < KEYS; n += 5000) {
    const batch = Array.from({length: Math.min(5000, KEYS - n)}, (_, i) => n + i)
    const values = await Promise.all(batch.map((key) => client.get(`key:${key}`)))
    right += values.filter((value, i) => value === valueFor(n + i)).length
  }
  const number = (value) => value.toLocaleString('en')
  console.log(`Keys before: ${number(before)}. Keys after: ${number(after)}, with the right value: ${number(right)}.`)
  console.log(
    `The client: ${number(seen.ops)} operations, ${seen.errorCount} errors, ${seen.lost.length} acknowledged writes lost; ` +
      `latency p50 ${seen.p50} ms, p99 ${seen.p99} ms, longest ${seen.max} ms.`,
  )
  if (seen.errorCount > 0) console.log(seen.errors.slice(0, 3).join('\n'))
  if (after !== before || right !== KEYS || seen.lost.length > 0) throw new Error('keys are missing')
  if (seen.errorCount > 0) throw new Error('the client saw errors')
}

async function cleanUp() {
  title('Cleaning up')
  writer?.kill('SIGKILL')
  client?.disconnect()
  const {stopLocal} = await import('../dist/lib/local/instances.js').catch(() => ({}))
  const stopped = await stopLocal?.(env)
  rmSync(home, {recursive: true, force: true})
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${stopped?.stopped.length ?? 0} servers ended, their folders are gone. ${seconds} s in all.`)
  if (!process.exitCode && !interruption) console.log('Your turn: npx rcluster local up')
}

function title(text) {
  stopIfInterrupted(text)
  console.log(`\n== ${text}`)
}

/** The project's own program, its output as it is. */
async function rcluster(...args) {
  console.log(`\n$ rcluster ${args.join(' ')}`)
  await run(process.execPath, ['bin/run.js', ...args], `rcluster ${args[0]}`)
}

async function run(command, args, name = command) {
  child = spawn(command, args, {env, stdio: ['ignore', 'inherit', 'inherit']})
  const [code, signal] = await once(child, 'exit')
  stopIfInterrupted()
  if (code !== 0) throw new Error(`${name} ended with ${signal ?? `exit code ${code}`}`)
}

function stopIfInterrupted(text) {
  if (interruption && text !== 'Cleaning up') throw new Error(`interrupted by ${interruption}`)
}
