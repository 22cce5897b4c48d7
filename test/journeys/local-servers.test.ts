import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import os from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {NodeError, RefusedError, UsageError} from '../../src/lib/errors.ts'
import {readLocal, startLocal, stopLocal} from '../../src/lib/local/instances.ts'
import {findNodePorts} from '../../src/lib/local/ports.ts'
import {formatAddress} from '../../src/lib/topology/model.ts'
import {anyKind, forEachFamily, rawCommand} from '../support/servers.ts'

let home: string
let env: NodeJS.ProcessEnv
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-local-test-'))
  env = {...process.env, XDG_STATE_HOME: path.join(home, 'state'), RCLUSTER_SERVER: undefined, REDIS_SERVER: undefined}
})
afterEach(async () => {
  await stopLocal(env)
  rmSync(home, {recursive: true, force: true})
})

const options = () => ({primaries: 3, replicas: 1, server: anyKind().server})

forEachFamily('local servers', (kind) => {
  test('start empty and in cluster mode, are told of, and end with their folders', async () => {
    const started = await startLocal(env, {primaries: 3, replicas: 1, server: kind.server})
    expect(started.nodes).toHaveLength(6)
    for (const {address} of started.nodes) {
      expect(await rawCommand(formatAddress(address), ['CLUSTER', 'INFO'])).toContain('cluster_known_nodes:1')
    }
    const seen = await readLocal(env)
    expect(seen).toEqual(started)
    expect(seen?.server).toMatchObject({version: kind.version, family: kind.family})
    const stopped = await stopLocal(env)
    expect(stopped).toEqual({stopped: started.nodes.map(({address}) => formatAddress(address)), gone: []})
    expect(existsSync(started.base)).toBe(false)
    expect(await readLocal(env)).toBeUndefined()
    await expect(rawCommand(formatAddress(started.nodes[0]!.address), ['PING'])).rejects.toThrow(/ECONNREFUSED/)
  })
})

test('the record is private', async () => {
  await startLocal(env, {...options(), primaries: 1, replicas: 0})
  expect(statSync(path.join(home, 'state/rcluster/local.json')).mode & 0o777).toBe(0o600)
})

test('a second start is refused with the addresses, and leaves the first alone', async () => {
  const first = await startLocal(env, {...options(), primaries: 1, replicas: 0})
  const address = formatAddress(first.nodes[0]!.address)
  const refusal = await startLocal(env, options()).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(RefusedError)
  expect((refusal as RefusedError).message).toContain(address)
  expect((refusal as RefusedError).suggestions).toContain('rcluster local down')
  expect(await rawCommand(address, ['PING'])).toBe('PONG')
})

test('of two starts at once one is refused, and nothing of it stays', async () => {
  const results = await Promise.allSettled([startLocal(env, options()), startLocal(env, options())])
  const refused = results.filter((result) => result.status === 'rejected')
  expect(refused).toHaveLength(1)
  expect(refused[0]?.reason).toBeInstanceOf(RefusedError)
  expect((await readLocal(env))?.nodes.map(({isRunning}) => isRunning)).toEqual(Array(6).fill(true))
})

test('servers that have ended meanwhile stand in nobody’s way', async () => {
  const first = await startLocal(env, {...options(), primaries: 2, replicas: 0})
  for (const {pid} of first.nodes) process.kill(pid, 'SIGKILL')
  await expect.poll(async () => (await readLocal(env))?.nodes.some(({isRunning}) => isRunning)).toBe(false)
  const second = await startLocal(env, {...options(), primaries: 1, replicas: 0})
  expect(second.nodes).toHaveLength(1)
  expect(existsSync(first.base)).toBe(false)
})

test('a frozen server ends too, one that had ended is told of as gone', async () => {
  const {nodes} = await startLocal(env, {...options(), primaries: 2, replicas: 0})
  process.kill(nodes[0]!.pid, 'SIGSTOP')
  process.kill(nodes[1]!.pid, 'SIGKILL')
  await expect.poll(async () => (await readLocal(env))?.nodes[1]?.isRunning).toBe(false)
  expect(await stopLocal(env)).toEqual({
    stopped: [formatAddress(nodes[0]!.address)],
    gone: [formatAddress(nodes[1]!.address)],
  })
})

test('a process that only got the number of a server is left alone', async () => {
  const {nodes} = await startLocal(env, {...options(), primaries: 1, replicas: 0})
  const file = path.join(home, 'state/rcluster/local.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace(`"pid": ${nodes[0]!.pid}`, `"pid": ${process.pid}`))
  expect((await readLocal(env))?.nodes[0]?.isRunning).toBe(false)
  expect((await stopLocal(env))?.stopped).toEqual([])
  process.kill(nodes[0]!.pid, 'SIGKILL')
})

test('a named port that is taken is refused before anything starts', async () => {
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  const {port} = blocker.address() as {port: number}
  const first = port > 55_535 ? port - 10_000 : port
  await expect(startLocal(env, {...options(), port: first})).rejects.toThrow(new RegExp(`port ${first}`))
  expect(await readLocal(env)).toBeUndefined()
  blocker.close()
})

test('a server that does not start ends the others, and says what it wrote last', async () => {
  const base = path.join(home, 'base')
  const [first, , third] = (await findNodePorts(3, 22_700)) as [number, number, number]
  const server = failingServer(String(third), 'no luck')
  const options = {primaries: 3, replicas: 0, port: first, server, base}
  const failure = await startLocal(env, options).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(NodeError)
  expect((failure as NodeError).message).toMatch(new RegExp(`127.0.0.1:${third} ended at once.*no luck`))
  expect(await readLocal(env)).toBeUndefined()
  await expect(rawCommand(`127.0.0.1:${first}`, ['PING'])).rejects.toThrow(/ECONNREFUSED/)
  expect(existsSync(base)).toBe(false)
})

test('a port that another program takes at the last moment is replaced by the next', async () => {
  const [first] = await findNodePorts(1, 7000)
  const server = failingServer(String(first), 'Could not create server TCP listening socket: Address already in use')
  const {nodes, base} = await startLocal(env, {primaries: 3, replicas: 0, server})
  expect(nodes.map(({isRunning}) => isRunning)).toEqual([true, true, true])
  expect(nodes.map(({address}) => address.port)).not.toContain(first)
  await stopLocal(env)
  expect(existsSync(base)).toBe(false)
})

/** A program that is a real server, but ends with `lastWords` when it is started on `port`. */
function failingServer(port: string, lastWords: string): string {
  const file = path.join(home, 'failing-server')
  const lines = [
    '#!/bin/sh',
    `case "$*" in *"--port ${port}"*) echo "${lastWords}" >server.log; exit 1 ;; esac`,
    `exec "${anyKind().server}" "$@"`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`, {mode: 0o755})
  return file
}

test('a folder that was there before stays, without the servers’ folders', async () => {
  await startLocal(env, {...options(), base: home, primaries: 1, replicas: 0})
  await stopLocal(env)
  expect(readdirSync(home)).toEqual(['state'])
})

test.each([
  {name: 'no primaries', wrong: {primaries: 0}},
  {name: 'half a replica', wrong: {replicas: 0.5}},
  {name: 'a port too high for its bus port', wrong: {port: 60_000}},
])('$name is a usage error', async ({wrong}) => {
  await expect(startLocal(env, {...options(), ...wrong})).rejects.toThrow(UsageError)
})

test('an interrupted start leaves nothing', async () => {
  await expect(startLocal(env, {...options(), signal: AbortSignal.abort()})).rejects.toThrow(
    /stopped before all were ready/,
  )
  expect(await readLocal(env)).toBeUndefined()
})
