import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, describe, expect, it, vi} from 'vitest'
import {type HookEnd, hookEnvironment, runHook} from '../../src/lib/cli/restart-hook.ts'
import type {ClusterNode} from '../../src/lib/topology/model.ts'
import {buildTopology} from '../support/topology-builder.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-hook-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

function nodeAt(host: string, more: Partial<ClusterNode> = {}): ClusterNode {
  const [node] = buildTopology({primaries: {A: '0-16383'}}).nodes
  return {...node!, address: {host, port: 7000}, ...more}
}

const heard: string[] = []

async function run(
  command: string,
  options: {timeoutMs?: number; abort?: AbortSignal; env?: object} = {},
): Promise<HookEnd> {
  heard.length = 0
  return runHook(command, {
    env: {...process.env, ...options.env},
    timeoutMs: options.timeoutMs ?? 20_000,
    abort: options.abort ?? new AbortController().signal,
    onLine: (line) => heard.push(line),
  })
}

describe('what a command is told of a node', () => {
  it('is its ID, its address and what it runs', () => {
    expect(hookEnvironment(nodeAt('2001:db8::1', {role: 'replica', hostname: 'a.example'}))).toEqual({
      RCLUSTER_NODE_ID: '41'.padEnd(40, '0'),
      RCLUSTER_NODE_ADDRESS: '[2001:db8::1]:7000',
      RCLUSTER_NODE_HOST: '2001:db8::1',
      RCLUSTER_NODE_PORT: '7000',
      RCLUSTER_NODE_HOSTNAME: 'a.example',
      RCLUSTER_NODE_ROLE: 'replica',
      RCLUSTER_NODE_SERVER: 'redis',
      RCLUSTER_NODE_VERSION: '7.0.15',
    })
  })

  it.each(['-oProxyCommand=reboot', '$(reboot)', 'a b', 'a;b', 'a\nb', ''])('is no host such as %j', (host) => {
    expect(() => hookEnvironment(nodeAt(host))).toThrow('is not one that a command can be told')
    expect(hookEnvironment(nodeAt('::1', {hostname: host}))['RCLUSTER_NODE_HOSTNAME']).toBe('')
  })
})

describe('a command', () => {
  it('is run by the shell, with the environment, and its lines are heard', async () => {
    const env = {RCLUSTER_NODE_HOST: '10.0.0.1'}
    const end = await run('echo "to $RCLUSTER_NODE_HOST"; printf "\\033[31mred\\033[0m" >&2', {env})
    expect(end.failure).toBeUndefined()
    expect([...heard].sort()).toEqual(['[31mred[0m', 'to 10.0.0.1'])
  })

  it.each([
    ['exit 7', 'ended with exit code 7'],
    ['no-such-program-anywhere', 'ended with exit code 127'],
    ['kill -9 $$', 'was ended by SIGKILL'],
  ])('%s has failed', async (command, failure) => {
    expect((await run(command)).failure).toBe(failure)
  })

  it('is told with what it said last', async () => {
    expect(await run('for i in 1 2 3 4 5; do echo line $i; done; exit 1')).toEqual({
      failure: 'ended with exit code 1',
      lastLines: ['line 3', 'line 4', 'line 5'],
    })
  })

  it('is ended, with all that it began, when its time is over or the roll is stopped at once', async () => {
    const file = path.join(folder, 'pid')
    const sleeper = `sleep 600 & echo $! > ${file}; wait`
    expect((await run(sleeper, {timeoutMs: 300})).failure).toBe('had not ended after 0 s, and was stopped')
    const isAlive = (): boolean => {
      try {
        return !readFileSync(`/proc/${readFileSync(file, 'utf8').trim()}/stat`, 'utf8').includes(') Z ')
      } catch {
        return false
      }
    }
    await vi.waitFor(() => expect(isAlive()).toBe(false))
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 100)
    expect((await run('sleep 600', {abort: stop.signal})).failure).toBe('was stopped')
  })

  it('has ended although what it left in the background holds its output', async () => {
    const startedAt = performance.now()
    const file = path.join(folder, 'left')
    const end = await run(`sleep 5 & echo $! > ${file}; echo done`)
    process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL')
    expect(end).toEqual({failure: undefined, lastLines: ['done']})
    expect(performance.now() - startedAt).toBeLessThan(4000)
  })
})
