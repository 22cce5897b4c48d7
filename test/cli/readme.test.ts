import {readFileSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {describe, expect, test} from 'vitest'
import {isDropInForm} from '../../src/lib/cli/drop-in/form.ts'
import {DROP_IN_OPTIONS} from '../../src/lib/cli/drop-in/options.ts'
import {parseDropInArgv} from '../../src/lib/cli/drop-in/parse-argv.ts'
import * as errors from '../../src/lib/errors.ts'
import {readCommands} from '../support/commands.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = readFileSync(path.join(root, 'README.md'), 'utf8')

interface CommandFacts {
  readonly names: readonly string[]
  /** "--seed", "-a": all that may be typed. */
  readonly flags: ReadonlySet<string>
}

const commands = (await readCommands()).map(({name, command}): CommandFacts => {
  const flags = new Set(['--help', '-h'])
  for (const [flagName, flag] of Object.entries({...command.baseFlags, ...command.flags})) {
    for (const long of [flagName, ...(flag.aliases ?? [])]) flags.add(`--${long}`)
    if (flag.char) flags.add(`-${flag.char}`)
    if ('allowNo' in flag && flag.allowNo) flags.add(`--no-${flagName}`)
  }
  return {names: [name, ...command.aliases, ...command.hiddenAliases], flags}
})
const names = commands.flatMap((command) => command.names)
const allFlags = new Set([...commands.flatMap(({flags}) => [...flags]), '--cluster', ...DROP_IN_OPTIONS.keys()])

/** Table cells that tell of redis-cli, and what it prints in our code blocks, hold flags of others. */
const ours = readme
  .split('\n')
  .map((line) => (/^\| `[^|]*--cluster/.test(line) ? line.split(' | ').slice(1).join(' | ') : line))
  .join('\n')

const inlineCode = [...ours.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) =>
  code.replaceAll('\\|', '|'),
)
const blockLines = [...readme.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.split('\n'))

/** Everything that the reader may type: "rcluster …" in code blocks, and inline code that begins with a command. */
const commandLines = [
  ...blockLines.flatMap((line) => /\brcluster (\S.*)$/.exec(line.replace(/ {2,}#.*$/, ''))?.[1] ?? []),
  ...inlineCode
    .map((code) => code.replace(/^rcluster /, ''))
    .filter((code) => code.includes(' ') && names.some((name) => code.startsWith(`${name} `))),
]

test('the README has command lines to be checked', () => {
  expect(commandLines.length).toBeGreaterThan(25)
})

test.each([...new Set(commandLines)])('rcluster %s', (line) => {
  if (/^(--help$|COMMAND |…)/.test(line)) return
  if (isDropInForm(line.split(' '))) {
    expect(parseDropInArgv(line.split(' '), {})).toBeDefined()
    return
  }
  // What follows a semicolon is prose, or the next command line.
  const words = line.split(';')[0]!.split(' ')
  const [pair, single] = [words.slice(0, 2).join(' '), words[0]!].map((name) =>
    commands.find((one) => one.names.includes(name)),
  )
  const command = pair ?? single
  expect(command, `${words[0]} is no command`).toBeDefined()
  const flags = words.filter((word) => /^-{1,2}[a-z]/.test(word)).map((word) => word.replace(/=.*$/, ''))
  for (const flag of flags) expect([...command!.flags], `${flag} is no flag of ${words[0]}`).toContain(flag)
})

test('every flag that the README names exists', () => {
  const text = `${inlineCode.filter((code) => !/^(npm|redis-cli|valkey-cli) /.test(code)).join('\n')}\n${commandLines.join('\n')}`
  const named = [...new Set([...text.matchAll(/(?<![\w-])--[a-z][a-z-]*[a-z]/g)].map(([flag]) => flag))]
  expect(named.length).toBeGreaterThan(25)
  expect(named.filter((flag) => !allFlags.has(flag))).toEqual([])
})

test('every command has a section', () => {
  const headings = [...readme.matchAll(/^### (.*)$/gm)].flatMap(([, title = '']) => title.split(', '))
  expect(commands.map(({names: [name]}) => name).filter((name) => !headings.includes(name!))).toEqual([])
})

describe('the table of exit codes', () => {
  const rows = new Map([...readme.matchAll(/^\| (\d+) \| (?:`(\w+)`)? ?\|/gm)].map(([, code, name]) => [code, name]))
  const classes = Object.values(errors).filter((one) => one.prototype instanceof errors.ClusterError)

  test.each(classes)('$name', (ErrorClass) => {
    const error = Reflect.construct(ErrorClass, ['', '', '']) as errors.ClusterError
    expect(rows.get(String(error.exitCode))).toBe(error.code)
  })

  test('holds nothing else', () => {
    expect(classes.length).toBeGreaterThan(5)
    expect(rows.size).toBe(classes.length + 2)
  })
})
