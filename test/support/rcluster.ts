/**
 * The program as people run it: a process of its own, with what it wrote and how it ended. All that it prints for programs
 * is held against the schemas.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {requireDocuments} from './documents.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

export interface RunResult {
  /** undefined when a signal ended it. */
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Default two minutes; then SIGKILL. */
  readonly timeoutMs?: number
  /** What stdin brings; without it stdin is at its end from the start. */
  readonly input?: string | Buffer
  /** stdin does not end after `input`. */
  readonly isInputOpen?: boolean
  readonly cwd?: string
}

export interface Rcluster {
  /** Runs to the end. @throws an Error when its JSON is not as the schemas say. */
  run(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** As `run`. @throws an Error with all that it wrote when the exit code is not 0. */
  ok(...args: readonly string[]): Promise<RunResult>
  /** Starts it, for tests that send signals. */
  start(args: readonly string[], env?: NodeJS.ProcessEnv): Running
  /** Removes the state folder. */
  close(): void
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<RunResult>
}

/** Runs any program to its end, with its output. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const {child, ended} = launch(program, args, options)
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 240_000)
  try {
    return await ended
  } finally {
    clearTimeout(timer)
  }
}

function launch(program: string, args: readonly string[], {env, input, isInputOpen, cwd}: RunOptions): Running {
  const hasInput = input !== undefined || isInputOpen
  const child = spawn(program, args, {env, cwd, stdio: [hasInput ? 'pipe' : 'ignore', 'pipe', 'pipe']})
  // It may end without reading all.
  child.stdin?.on('error', () => {})
  if (input !== undefined) child.stdin?.write(input)
  if (!isInputOpen) child.stdin?.end()
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const ended = new Promise<RunResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({code: code ?? undefined, stdout, stderr}))
  })
  return {child, ended}
}

/**
 * With folders of its own for state and contexts: runs that were cut off are nobody else's business. `prefix` stands before the command
 * where it is to run on another host.
 */
export function openRcluster({prefix = []}: {readonly prefix?: readonly string[]} = {}): Rcluster {
  const state = mkdtempSync(path.join(os.tmpdir(), 'rcluster-state-'))
  const environment = (env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    ...process.env,
    XDG_STATE_HOME: state,
    XDG_CONFIG_HOME: state,
    RCLUSTER_SEED: undefined,
    RCLUSTER_CONTEXT: undefined,
    NO_COLOR: '1',
    ...env,
  })
  const [program = process.execPath, ...words] = [...prefix, process.execPath, PROGRAM]
  const run: Rcluster['run'] = async (args, options = {}) =>
    requireDocuments(args, await runProgram(program, [...words, ...args], {...options, env: environment(options.env)}))
  return {
    start: (args, env) => {
      const {child, ended} = launch(program, [...words, ...args], {env: environment(env)})
      return {child, ended: ended.then((result) => requireDocuments(args, result))}
    },
    run,
    ok: async (...args) => {
      const result = await run(args)
      if (result.code === 0) return result
      throw new Error(`rcluster ${args.join(' ')} ended with ${result.code}:\n${result.stdout}\n${result.stderr}`)
    },
    close: () => rmSync(state, {recursive: true, force: true}),
  }
}
