import {chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {RefusedError, UsageError} from '../../src/lib/errors.ts'
import {findServers, requireServer} from '../../src/lib/local/find-server.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'rcluster-find-'))
})
afterEach(() => rmSync(home, {recursive: true, force: true}))

/** A program that prints a version line as servers do. */
function program(file: string, line: string): string {
  const at = path.join(home, file)
  mkdirSync(path.dirname(at), {recursive: true})
  writeFileSync(at, `#!/bin/sh\necho '${line}'\n`)
  chmodSync(at, 0o755)
  return at
}

const REDIS = 'Redis server v=7.2.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0'
const VALKEY = 'Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0'

describe('findServers', () => {
  test('names the server of the variable first, then PATH, then the cache folder', async () => {
    const named = program('named/anything', VALKEY)
    const onPath = program('bin/redis-server', REDIS)
    const cached = program('cache/rcluster/servers/own/bin/server', VALKEY)
    const env = {
      RCLUSTER_SERVER: named,
      PATH: path.join(home, 'bin'),
      XDG_CACHE_HOME: path.join(home, 'cache'),
      HOME: home,
    }
    const found = (await findServers(env)).filter((server) => server.path.startsWith(home))
    expect(found).toEqual([
      {path: named, family: 'valkey', version: '8.1.1'},
      {path: onPath, family: 'redis', version: '7.2.1'},
      {path: cached, family: 'valkey', version: '8.1.1'},
    ])
  })

  test('takes REDIS_SERVER where RCLUSTER_SERVER is not set', async () => {
    const named = program('named', REDIS)
    expect((await findServers({REDIS_SERVER: named, HOME: home}))[0]?.path).toBe(named)
  })

  test('names a program once that is both named and on PATH', async () => {
    const onPath = program('bin/redis-server', REDIS)
    const found = await findServers({RCLUSTER_SERVER: onPath, PATH: path.join(home, 'bin'), HOME: home})
    expect(found.filter((server) => server.path === onPath)).toHaveLength(1)
  })

  test('passes over what is on PATH and is no server', async () => {
    program('bin/redis-server', 'hello')
    const found = await findServers({PATH: path.join(home, 'bin'), HOME: home})
    expect(found.filter((server) => server.path.startsWith(home))).toEqual([])
  })

  test('refuses a variable that names no server', async () => {
    const env = {RCLUSTER_SERVER: path.join(home, 'nothing'), HOME: home}
    await expect(findServers(env)).rejects.toThrow(UsageError)
    await expect(findServers(env)).rejects.toThrow(/RCLUSTER_SERVER says ".*nothing"/)
  })
})

describe('requireServer', () => {
  test('takes a path, or a name on PATH', async () => {
    const onPath = program('bin/my-server', VALKEY)
    const env = {PATH: path.join(home, 'bin'), HOME: home}
    expect((await requireServer(env, onPath)).path).toBe(onPath)
    expect((await requireServer(env, 'my-server')).path).toBe(onPath)
  })

  test('refuses a path that is no server', async () => {
    await expect(requireServer({HOME: home}, '/bin/true')).rejects.toThrow(/--server says "\/bin\/true"/)
  })

  test('says how to get one where there is none', async () => {
    const refusal = await requireServer({HOME: home}, undefined, home).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(RefusedError)
    expect((refusal as RefusedError).suggestions.join('\n')).toContain('--one')
  })
})
