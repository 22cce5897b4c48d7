/** Where does the program begin and end? Translates the command line, runs oclif, ends with the right exit code. */
import {Config} from '@oclif/core/config'
import {run} from '@oclif/core/run'
import {type Catalogue, translateArgv} from './lib/cli/argv.ts'
import {isDropInForm} from './lib/cli/drop-in/form.ts'
import {endureLostOutput, isLostOutput, lostResults, outliveTerminals} from './lib/cli/lost-output.ts'
import {toClusterError} from './lib/cli/parse-errors.ts'
import {UsageError} from './lib/errors.ts'

/** For a slow pipe to take what is left. */
const LAST_WRITE_MS = 10_000

/** "local up"; empty until it is known. */
let command = ''

try {
  endureLostOutput()
  outliveTerminals()
  process.on('uncaughtException', endUnlessOutput)
  process.on('unhandledRejection', endUnlessOutput)
  const config = await Config.load(import.meta.url)
  const argv = await translate(process.argv.slice(2), config)
  command = (argv[0] ?? '').replaceAll(':', ' ')
  // oclif reads process.argv again to name the command in warnings and in help.
  process.argv.splice(2, Number.POSITIVE_INFINITY, ...argv)
  await run(argv, config)
  await end()
} catch (error) {
  await fail(error)
}

async function translate(argv: string[], config: Config): Promise<string[]> {
  if (!isDropInForm(argv)) return translateArgv(argv, catalogueOf(config))
  const {parseDropInArgv, toNativeArgv} = await import('./lib/cli/drop-in/parse-argv.ts')
  try {
    return toNativeArgv(parseDropInArgv(argv, process.env))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    // As redis-cli tells it, and with its exit code.
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
    return end()
  }
}

/** Sockets that are still open must not keep the process, nor a reader that does not read. */
async function end(): Promise<never> {
  const tooLate = new Promise((resolve) => setTimeout(resolve, LAST_WRITE_MS))
  const written = (stream: NodeJS.WriteStream, text: string): Promise<unknown> =>
    Promise.race([new Promise<void>((resolve) => stream.write(text, () => resolve())), tooLate])
  await written(process.stdout, '')
  const lost = lostResults()
  await written(process.stderr, lost === undefined ? '' : `Not all of the output could be written: ${lost}\n`)
  process.exit()
}

function endUnlessOutput(error: unknown): void {
  if (!isLostOutput(error)) void fail(error)
}

async function fail(thrown: unknown): Promise<never> {
  const {errorDocument, renderError, renderJson} = await import('./lib/render/error.ts')
  const {styleFor} = await import('./lib/render/colour.ts')
  const argv = process.argv.slice(2)
  const dashes = argv.indexOf('--')
  const flags = dashes === -1 ? argv : argv.slice(0, dashes)
  const error = toClusterError(thrown, command)
  if (flags.includes('--json')) {
    process.stdout.write(`${renderJson(errorDocument(command, error, []))}\n`)
  } else {
    const style = styleFor(process.stderr, process.env, flags.includes('--no-color'))
    process.stderr.write(`${renderError(error, style, flags.includes('--verbose'))}\n`)
  }
  process.exitCode = error.exitCode
  return end()
}

function catalogueOf(config: Config): Catalogue {
  const flags = new Map<string, {takesValue: boolean}>()
  for (const {flags: own} of config.commands.filter(({hidden}) => !hidden)) {
    for (const [name, flag] of Object.entries(own)) {
      const shorts = [flag.char, ...(flag.charAliases ?? [])].filter((char) => char !== undefined)
      const tokens = [
        ...[name, ...(flag.aliases ?? [])].map((long) => `--${long}`),
        ...shorts.map((char) => `-${char}`),
      ]
      for (const token of tokens) flags.set(token, {takesValue: flag.type === 'option'})
    }
  }
  return {
    isCommand: (id) => config.findCommand(id) !== undefined,
    isTopic: (name) => config.findTopic(name) !== undefined,
    flag: (token) => flags.get(token),
    names: config.commands.filter(({hidden}) => !hidden).map(({id}) => id.replaceAll(':', ' ')),
    flagNames: [...flags.keys()].filter((token) => token.startsWith('--')),
  }
}
