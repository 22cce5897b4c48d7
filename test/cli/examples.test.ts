import {readdirSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import type {Command} from '@oclif/core/command'
import {parse} from '@oclif/core/parser'
import {describe, expect, test} from 'vitest'
import {splitLine} from '../../src/lib/cli/completion/split-line.ts'
import * as errors from '../../src/lib/errors.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = path.join(root, 'src/commands')
const files = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter((file) => file.endsWith('.ts'))
const commands = await Promise.all(
  files.map(async (file) => {
    const {default: command} = (await import(path.join(folder, file))) as {default: typeof Command}
    return {name: file.replace(/\.ts$/, '').replaceAll(path.sep, ' '), command}
  }),
)
const visible = commands.filter(({command}) => !command.hidden)

/** As the help shows it. */
function exampleLines({name, command}: (typeof visible)[number]): string[] {
  return (command.examples ?? []).map((example) =>
    (typeof example === 'string' ? example : example.command)
      .replaceAll('<%= config.bin %>', 'rcluster')
      .replaceAll('<%= command.id %>', name),
  )
}

const CODES = new Set([
  0,
  1,
  ...Object.values(errors)
    .filter((one) => one.prototype instanceof errors.ClusterError)
    .map((one) => (Reflect.construct(one, ['', '', '']) as errors.ClusterError).exitCode),
])

const codesIn = (text: string): number[] => {
  const [, list = ''] = /Exit codes: (.*)/s.exec(text) ?? []
  return [...list.matchAll(/(?:^|[;,] )(\d+)\b/g)].map(([, code]) => Number(code))
}

describe.each(visible)('the help of $name', (one) => {
  const {name, command} = one

  test('has an example at least, and each can be run as it stands', async () => {
    const lines = exampleLines(one)
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) {
      expect(line.startsWith(`rcluster ${name}`), line).toBe(true)
      const {words} = splitLine(`${line} `)
      const argv = words.slice(1 + name.split(' ').length)
      const {flags, baseFlags, args, strict} = command
      await expect(parse(argv, {flags: {...baseFlags, ...flags}, args, strict}), line).resolves.toBeDefined()
    }
  })

  test('tells the exit codes, and no others than there are', () => {
    const codes = codesIn(command.description ?? '')
    expect(codes).toContain(0)
    expect(codes.filter((code) => !CODES.has(code))).toEqual([])
  })
})

test('rcluster --help tells all exit codes', () => {
  const {oclif} = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {oclif: {description: string}}
  expect(new Set(codesIn(oclif.description))).toEqual(CODES)
})
