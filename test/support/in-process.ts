/**
 * The program in this process, many at once: a process of its own for each of a thousand runs takes minutes. What each
 * writes and how it ends is kept apart by the asynchronous context that it runs in.
 */
import {AsyncLocalStorage} from 'node:async_hooks'
import {readdirSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {Config} from '@oclif/core/config'
import {isDropInForm} from '../../src/lib/cli/drop-in/form.ts'
import {parseDropInArgv, toNativeArgv} from '../../src/lib/cli/drop-in/parse-argv.ts'
import {requireDocuments} from './documents.ts'
import type {RunResult} from './rcluster.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface RunnableCommand {
  run(argv: string[], config: Config): Promise<unknown>
  id?: string
  aliases?: string[]
}

const files = readdirSync(path.join(ROOT, 'src/commands'), {recursive: true, encoding: 'utf8'}).filter((name) =>
  name.endsWith('.ts'),
)

/** "reshard", "drop-in:reshard", "local:up": all there are. */
export const commandIds: readonly string[] = files.map((name) => name.slice(0, -3).replaceAll(path.sep, ':')).sort()

interface Capture {
  stdout: string
  stderr: string
  exitCode: number | undefined
}

const captures = new AsyncLocalStorage<Capture>()
let config: Promise<Config> | undefined

/** To be called once a test file, before `runWithin`. */
export function captureRuns(): void {
  process.setMaxListeners(0)
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = process[name]
    const write = stream.write.bind(stream) as (...words: unknown[]) => boolean
    stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      const capture = captures.getStore()
      if (!capture) return write(chunk, ...rest)
      capture[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
      const done = rest.find((one) => typeof one === 'function') as (() => void) | undefined
      done?.()
      return true
    }) as typeof stream.write
  }
  const real = process
  globalThis.process = new Proxy(real, {
    get: (target, name) => {
      const capture = name === 'exitCode' ? captures.getStore() : undefined
      if (capture) return capture.exitCode
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (target, name, value) => {
      const capture = name === 'exitCode' ? captures.getStore() : undefined
      if (!capture) return Reflect.set(target, name, value, target)
      capture.exitCode = value as number
      return true
    },
  })
}

/** Before many are timed: what each costs is then its own time, and not that of compiling all of them. */
export async function loadCommands(): Promise<void> {
  await Promise.all(files.map((file) => import(path.join(ROOT, 'src/commands', file))))
}

/** Both forms. @throws what no command of ours may throw. */
async function runHere(argv: readonly string[], capture: Capture): Promise<RunResult> {
  config ??= Config.load(ROOT)
  const loaded = await config
  const [id = '', ...words] = isDropInForm(argv)
    ? toNativeArgv(parseDropInArgv(argv, {}))
    : [argv[0] ?? '', ...argv.slice(1)]
  const file = path.join(ROOT, 'src/commands', `${id.replaceAll(':', path.sep)}.ts`)
  const {default: command} = (await import(file)) as {default: RunnableCommand}
  command.id ??= id
  await captures.run(capture, () => command.run(words, loaded))
  return {code: capture.exitCode ?? 0, stdout: capture.stdout, stderr: capture.stderr}
}

/** Fails a run that does not end, instead of the whole file with it. */
export async function runWithin(limitMs: number, argv: readonly string[]): Promise<RunResult & {elapsedMs: number}> {
  const startedAt = performance.now()
  const capture: Capture = {stdout: '', stderr: '', exitCode: undefined}
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const told = `${capture.stdout}\n${capture.stderr}`
      reject(new Error(`not done within ${limitMs} ms: rcluster ${argv.join(' ')}\n${told}`))
    }, limitMs)
  })
  try {
    const result = await Promise.race([runHere(argv, capture), tooLate])
    const elapsedMs = performance.now() - startedAt
    return {...requireDocuments(argv, result), elapsedMs}
  } finally {
    clearTimeout(timer)
  }
}
