// How long does a program run, and how much CPU does it use itself?
import {spawn} from 'node:child_process'
import {closeSync, openSync, readFileSync} from 'node:fs'
import path from 'node:path'

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

/**
 * Its output goes to a file in `folder`: reading along would cost time on a machine with few cores.
 * @throws Error with the end of its output when it fails, or when `deadlineMs` passes.
 */
export async function runTimed([program, ...args], {folder, env, deadlineMs, signal}) {
  const log = path.join(folder, 'contender.log')
  const output = openSync(log, 'w')
  const child = spawn('bash', ['-c', SCRIPT, 'bench', program, ...args], {env, stdio: ['ignore', output, 'pipe']})
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
    const tail = () => readFileSync(log, 'utf8').slice(-1500)
    if (why || code !== 0) {
      throw new Error(`${program} ${args.join(' ')} ${why ?? `ended with exit code ${code}`}:\n${tail()}`)
    }
    const [seconds, user, system] = times.trim().split('\n').at(-1).split(' ').map(Number)
    return {seconds, cpuSeconds: user + system}
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    running.delete(child)
  }
}
