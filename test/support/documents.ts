/** Is what the program prints for programs what the schemas in the package say? */
import {readFileSync} from 'node:fs'
import {Ajv, type ErrorObject, type ValidateFunction} from 'ajv'
import type {RunResult} from './rcluster.ts'

type SchemaName = 'output-v1' | 'event-v1'

export function readSchema(name: SchemaName): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(new URL(`../../schemas/${name}.json`, import.meta.url), 'utf8'))
}

/** Compiled where the first document is met, once a process. */
const compiled = new Map<SchemaName, ValidateFunction>()

/** What is wrong with it, a line each; none: nothing. */
export function problemsOf(name: SchemaName, document: unknown): string[] {
  const validate = compiled.get(name) ?? new Ajv({allErrors: true}).compile(readSchema(name))
  compiled.set(name, validate)
  return validate(document) ? [] : (validate.errors ?? []).map(tell)
}

/** The same result. @throws an Error that names the schema and the place, where a document or an event does not fit. */
export function requireDocuments(argv: readonly string[], result: RunResult): RunResult {
  const {code, stdout, stderr} = result
  const dashes = argv.indexOf('--')
  const words = dashes === -1 ? argv : argv.slice(0, dashes)
  // What was killed may have written half of it.
  if (code === undefined || (code > 128 && code !== 130)) return result
  const isHelp = words.some((word) => /^(-h|--help|-v|--version|help|--cluster)$/.test(word))
  if (words.includes('--json') && !isHelp && stdout !== '') {
    // One a line; a reader that went away may have got half of the last one.
    const documents = words[0] === 'watch' ? stdout.split('\n').slice(0, -1) : [stdout]
    for (const document of documents) requireFit('output-v1', argv, document)
  }
  if (isAskedForEvents(words)) {
    // The last one is empty, or was cut off.
    const lines = stderr.split('\n').slice(0, -1)
    const events = lines.filter((line) => line.startsWith('{'))
    for (const line of events) requireFit('event-v1', argv, line)
  }
  return result
}

function isAskedForEvents(words: readonly string[]): boolean {
  return words.some((word, at) => word === '--progress=ndjson' || (word === '--progress' && words[at + 1] === 'ndjson'))
}

function requireFit(name: SchemaName, argv: readonly string[], text: string): void {
  const problems = problemsOf(name, parse(argv, text))
  if (problems.length === 0) return
  const told = problems.slice(0, 20).map((problem) => `  ${problem}`)
  throw new Error(
    [`rcluster ${argv.join(' ')}: not as schemas/${name}.json says`, ...told, text.slice(0, 4000)].join('\n'),
  )
}

function parse(argv: readonly string[], text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`rcluster ${argv.join(' ')}: not JSON (${(error as Error).message}):\n${text.slice(0, 4000)}`)
  }
}

/** The place in the document, and what must be there. */
function tell({instancePath, message, params}: ErrorObject): string {
  const facts = Object.values(params as Record<string, unknown>)
    .flat()
    .join(', ')
  return `${instancePath || '/'} ${message}${facts && !message?.includes(facts) ? ` (${facts})` : ''}`
}
