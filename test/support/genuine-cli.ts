/** The server's own CLI, to be called as rcluster is in the tests: for runs of both from the same start. */
import {type Rcluster, type RunOptions, type RunResult, runProgram} from './rcluster.ts'
import type {ServerKind} from './servers.ts'

export type Cli = (args: readonly string[], options?: RunOptions) => Promise<RunResult>

export function oursAsCli(rcluster: Rcluster): Cli {
  return (args, options) => rcluster.run(args, options)
}

/** Without colours. */
export function genuineCli(kind: ServerKind): Cli {
  return (args, options) =>
    runProgram(kind.cli, args, {...options, env: {...process.env, TERM: 'dumb'}, timeoutMs: 60_000})
}
