// How long does a program run, and how much CPU does it use itself?
import {spawn} from 'node:child_process'
import {closeSync, openSync, readFileSync} from 'node:fs'
import path from 'node:path'

const LOG = 'contender.log'

/** A contender did not do what it was told to. The others can go on. */
export class ContenderError extends Error {}

/** Ended by SIGTERM, which bash passes on as SIGKILL. */
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill()
})

/**
 * bash's `time` counts the CPU of what it waited for, to the millisecond. All stays in our session: Linux shares the CPU
 * out between sessions first (sched_autogroup), which would favour whoever has one to itself.
 */
const SCRIPT = `TIMEFORMAT='%3R %3U %3S'
  time { "$@" 2>&1 & program=$!; trap 'kill -9 $program' TERM; wait $program; }`

/** What a person has set for other clusters must not lead the contenders astray. */
function environment(stateHome) {
  const env = {...process.env, XDG_STATE_HOME: stateHome, XDG_CONFIG_HOME: stateHome, NO_COLOR: '1'}
  for (const name of [
    'RCLUSTER_SEED',
    'RCLUSTER_CONTEXT',
    'RCLUSTER_PASSWORD',
    'REDISCLI_AUTH',
    'VALKEYCLI_AUTH',
    'NODE_OPTIONS',
  ]) {
    delete env[name]
  }
  return env
}

/** The end of what the last program in `folder` printed. */
export function outputTail(folder) {
  return readFileSync(path.join(folder, LOG), 'utf8').slice(-1500)
}

/**
 * Its output goes to a file in `folder`: reading along would cost time on a machine with few cores.
 * @throws ContenderError with the end of its output when it fails, or when `deadlineMs` passes.
 */
export async function runTimed([program, ...args], {folder, deadlineMs, signal}) {
  const output = openSync(path.join(folder, LOG), 'w')
  const child = spawn('bash', ['-c', SCRIPT, 'bench', program, ...args], {
    env: environment(folder),
    stdio: ['ignore', output, 'pipe'],
  })
  closeSync(output)
  running.add(child)
  let times = ''
  child.stderr.on('data', (chunk) => {
    times += chunk
  })
  let why
  const stop = (reason) => {
    why ??= reason
    child.kill()
  }
  const timer = setTimeout(() => stop(`was ended after ${deadlineMs / 1000} s`), deadlineMs)
  const onAbort = () => stop('was interrupted')
  signal.addEventListener('abort', onAbort)
  try {
    const code = await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    if (why || code !== 0) {
      const how = why ?? `ended with exit code ${code}`
      throw new ContenderError(`${program} ${args.join(' ')} ${how}:\n${outputTail(folder)}`)
    }
    const [seconds, user, system] = times.trim().split('\n').at(-1).split(' ').map(Number)
    return {seconds, cpuSeconds: user + system}
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    running.delete(child)
  }
}
