/** The program as people run it: a process of its own, with what it wrote and how it ended. */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

export interface RunResult {
  /** undefined when a signal ended it. */
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface Rcluster {
  /** Runs to the end; ended by SIGKILL after `timeoutMs` (default two minutes). */
  run(args: readonly string[], options?: {env?: NodeJS.ProcessEnv; timeoutMs?: number}): Promise<RunResult>
  /** As `run`. @throws an Error with all that it wrote when the exit code is not 0. */
  ok(...args: readonly string[]): Promise<RunResult>
  /** Starts it, for tests that send signals. */
  start(args: readonly string[], env?: NodeJS.ProcessEnv): {child: ChildProcess; ended: Promise<RunResult>}
  /** Removes the state folder. */
  close(): void
}

/** With a state folder of its own: runs that were cut off are nobody else's business. */
export function openRcluster(): Rcluster {
  const state = mkdtempSync(path.join(os.tmpdir(), 'rcluster-state-'))
  const start: Rcluster['start'] = (args, env = {}) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: {...process.env, XDG_STATE_HOME: state, RCLUSTER_SEED: undefined, NO_COLOR: '1', ...env},
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    const ended = new Promise<RunResult>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => resolve({code: code ?? undefined, stdout, stderr}))
    })
    return {child, ended}
  }
  const run: Rcluster['run'] = async (args, {env, timeoutMs = 120_000} = {}) => {
    const {child, ended} = start(args, env)
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    try {
      return await ended
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    start,
    run,
    ok: async (...args) => {
      const result = await run(args)
      if (result.code === 0) return result
      throw new Error(`rcluster ${args.join(' ')} ended with ${result.code}:\n${result.stdout}\n${result.stderr}`)
    },
    close: () => rmSync(state, {recursive: true, force: true}),
  }
}
