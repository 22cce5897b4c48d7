import {existsSync, readdirSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import type {Command} from '@oclif/core/command'
import {Ajv, type ValidateFunction} from 'ajv'
import {describe, expect, test} from 'vitest'
import {problemsOf, readSchema, requireDocuments} from '../support/documents.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const output = readSchema('output-v1') as {readonly $defs: Readonly<Record<string, unknown>>}
const commands = await readCommands()
const printing = commands.filter(({command}) => command.enableJsonFlag).map(({name}) => name)

const HOW_TO_ADD = `a command that prints JSON needs a schema: \`node scripts/schemas.js\` derives it from the type that its run() returns; commit schemas/. Then put what a real run of it prints with --json into test/cli/json-samples/COMMAND.json. One that prints none says \`static override enableJsonFlag = false\``

async function readCommands(): Promise<{name: string; command: typeof Command}[]> {
  const folder = path.join(root, 'src/commands')
  const files = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter((file) => file.endsWith('.ts'))
  const loaded = await Promise.all(
    files.map(async (file) => {
      const {default: command} = (await import(path.join(folder, file))) as {default: typeof Command}
      return {name: file.slice(0, -3).replaceAll(path.sep, ' '), command}
    }),
  )
  return loaded.filter(({command}) => !command.hidden)
}

const sampleFile = (command: string): string =>
  path.join(root, 'test/cli/json-samples', `${command.replaceAll(' ', '-')}.json`)

function readSample(command: string): {readonly result: object} {
  const file = sampleFile(command)
  expect(existsSync(file), `${file} is missing: ${HOW_TO_ADD}`).toBe(true)
  return JSON.parse(readFileSync(file, 'utf8'))
}

let validateClosed: ValidateFunction | undefined

/** The same schema, but objects have the fields that it names and no others. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).map(([key, value]) => [key, key === 'allOf' ? value : closed(value)])
  const isObject = 'properties' in schema && 'type' in schema && !('additionalProperties' in schema)
  return {...Object.fromEntries(entries), ...(isObject ? {additionalProperties: false} : {})}
}

test('each command that prints JSON has a schema, and each schema a command', () => {
  const names = Object.keys(output.$defs).filter((name) => name.startsWith('result-'))
  expect(names.sort(), HOW_TO_ADD).toEqual(printing.map((name) => `result-${name.replaceAll(' ', '-')}`).sort())
})

describe.each(printing)('%s --json, as a real run printed it', (command) => {
  test('is as its schema says', () => {
    expect(problemsOf('output-v1', readSample(command))).toEqual([])
  })

  test('has no field that the schema does not tell of', () => {
    validateClosed ??= new Ajv({allErrors: true}).compile(closed(output) as object)
    const validate = validateClosed
    validate(readSample(command))
    expect(validate.errors).toBeNull()
  })

  test('is wrong without its fields, or under another name', () => {
    const sample = readSample(command)
    expect(problemsOf('output-v1', {...sample, result: {}}), 'run() returns a type without fields').not.toEqual([])
    expect(problemsOf('output-v1', {...sample, command: 'no such command'})).not.toEqual([])
    expect(problemsOf('output-v1', {...sample, ok: false})).not.toEqual([])
  })
})

describe('a failure', () => {
  const error = {code: 'E_NODE', exitCode: 4, message: 'no', details: {failure: 'refused'}, suggestions: ['Start it']}
  const document = {version: 1, command: 'chekc', ok: false, warnings: [], error}

  test('may be of a command that does not exist', () => {
    expect(problemsOf('output-v1', document)).toEqual([])
  })

  test.each([
    ['a code that is none', {...document, error: {...error, code: 'E_ODD'}}],
    ['a result', {...document, result: {}}],
    ['no error', {...document, error: undefined}],
    ['no suggestions', {...document, error: {...error, suggestions: undefined}}],
    ['another version', {...document, version: 2}],
  ])('is wrong with %s', (_, wrong) => {
    expect(problemsOf('output-v1', JSON.parse(JSON.stringify(wrong)))).not.toEqual([])
  })
})

describe('a line of --progress ndjson', () => {
  const time = '2026-11-29T21:14:35.000Z'
  const [from, to] = ['a'.repeat(40), 'b'.repeat(40)]

  test.each([
    {time, kind: 'phase', text: 'Waiting'},
    {time, kind: 'moves-started', slots: 3, keys: 10},
    {time, kind: 'moves-started', slots: 3},
    {time, kind: 'keys-moved', slot: 1, keys: 10, bytes: 100, pauseMs: 0.4, from, to},
    {time, kind: 'slots-moved', slots: [1, 2], from, to},
    {time, kind: 'load-started'},
    {time, kind: 'keys-loaded', keys: 1, bytes: 3},
    {time, kind: 'retry', slots: [1], attempt: 2, reason: 'no answer'},
    {time, kind: 'note', text: 'Going on'},
  ])('$kind is as the schema says', (event) => {
    expect(problemsOf('event-v1', event)).toEqual([])
    expect(problemsOf('event-v1', {...event, time: undefined})).not.toEqual([])
  })

  test.each([
    {time, kind: 'phase'},
    {time, kind: 'keys-moved', keys: 10, bytes: 100, from},
    {time, kind: 'slots-moved', slots: 1, from, to},
    {time, kind: 'odd'},
  ])('%j is wrong', (event) => {
    expect(problemsOf('event-v1', event)).not.toEqual([])
  })
})

describe('what a test runs', () => {
  const stdout = JSON.stringify({
    version: 1,
    command: 'wait',
    ok: true,
    warnings: [],
    result: {outcome: 'agreed', nodes: 'six'},
  })

  test('fails when the document is not as the schema says, and tells the place', () => {
    const run = (): unknown => requireDocuments(['wait', '--json'], {code: 0, stdout, stderr: ''})
    expect(run).toThrow('rcluster wait --json: not as schemas/output-v1.json says')
    expect(run).toThrow('/result/nodes must be number')
    expect(run).toThrow("/result must have required property 'elapsedMs'")
  })

  test('fails when it is no document, or an event is none', () => {
    expect(() => requireDocuments(['wait', '--json'], {code: 0, stdout: 'fine', stderr: ''})).toThrow('not JSON')
    const events = {code: 0, stdout: '', stderr: 'Warning: old\n{"kind":"phase"}\n'}
    expect(() => requireDocuments(['wait', '--progress', 'ndjson'], events)).toThrow('event-v1.json')
  })

  test('is not judged where it prints for people, or was killed', () => {
    for (const [argv, code] of [
      [['wait'], 0],
      [['wait', '--json', '--help'], 0],
      [['call', '--', '--json'], 0],
      [['wait', '--json'], undefined],
    ] as const) {
      const result = {code, stdout: 'half', stderr: ''}
      expect(requireDocuments(argv, result)).toBe(result)
    }
  })
})

test.each(commands.map(({name, command}) => [name, command.description ?? ''] as const))(
  '%s --help has the exit codes',
  (_, description) => {
    expect(description).toMatch(/^Exit codes?:? \d/m)
  },
)
