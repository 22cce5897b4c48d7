import {expect, test} from 'vitest'
import {type Catalogue, translateArgv} from '../../src/lib/cli/argv.ts'
import {UsageError} from '../../src/lib/errors.ts'
import {nearestWord} from '../../src/lib/nearest-word.ts'

const commands = ['create', 'check', 'info', 'reshard', 'rebalance', 'local:up', 'local:down', 'add-node']
const catalogue: Catalogue = {
  isCommand: (id) => commands.includes(id),
  isTopic: (name) => name === 'local',
  flag: (token) =>
    ['--seed', '-a', '--json', '--quiet'].includes(token) ? {takesValue: ['--seed', '-a'].includes(token)} : undefined,
  names: commands.map((id) => id.replace(':', ' ')),
  flagNames: ['--seed', '--json', '--quiet', '--password'],
}

test.each([
  {name: 'as typed', argv: 'info h:1 --map', expected: 'info h:1 --map'},
  {
    name: 'flags before the command',
    argv: '--seed h:1 -a pw --json info x',
    expected: 'info --seed h:1 -a pw --json x',
  },
  {name: 'a value joined to its flag', argv: '--seed=h:1 info', expected: 'info --seed=h:1'},
  {name: 'a command of two words', argv: 'local up --primaries 3', expected: 'local:up --primaries 3'},
  {name: 'two words with flags between', argv: '--json local --quiet up', expected: 'local:up --json --quiet'},
  {name: 'help CMD', argv: 'help reshard', expected: 'reshard --help'},
  {name: 'help of two words', argv: 'help local up', expected: 'local:up --help'},
  {name: 'help alone', argv: 'help', expected: '--help'},
  {name: 'nothing', argv: '', expected: '--help'},
  {name: '-h', argv: '-h', expected: '--help'},
  {name: 'a topic alone', argv: 'local', expected: 'local'},
  {name: 'version', argv: '--json --version', expected: '--version'},
  {name: 'all after -- stays', argv: 'check -- --seed info', expected: 'check -- --seed info'},
])('$name', ({argv, expected}) => {
  expect(translateArgv(argv === '' ? [] : argv.split(' '), catalogue).join(' ')).toBe(expected)
})

test.each([
  {argv: ['chekc'], message: '"chekc" is not a command of rcluster', suggestion: 'Did you mean "rcluster check"?'},
  {argv: ['local', 'upp'], message: '"local upp" is not', suggestion: 'Did you mean "rcluster local up"?'},
  {argv: ['frobnicate', 'h:1'], message: '"frobnicate" is not', suggestion: 'rcluster --help'},
  {argv: ['--help', 'chekc'], message: '"chekc" is not', suggestion: 'Did you mean "rcluster check"?'},
  {argv: ['--quiet'], message: 'no command was given, only --quiet', suggestion: 'rcluster --help'},
])('$argv is refused', ({argv, message, suggestion}) => {
  try {
    translateArgv(argv, catalogue)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    expect((error as Error).message).toContain(message)
    expect((error as UsageError).suggestions).toEqual([suggestion])
  }
})

test('the flag that was probably meant is suggested', () => {
  const suggestionsFor = (flag: string): unknown => {
    try {
      return translateArgv([flag, 'its-value', 'info'], catalogue)
    } catch (error) {
      return (error as UsageError).suggestions
    }
  }
  expect(suggestionsFor('--passwrod')).toEqual(['Did you mean --password?'])
  expect(suggestionsFor('--frobnicate')).toEqual(['rcluster --help'])
  expect(suggestionsFor('-z')).toEqual(['rcluster --help'])
})

test('no more edits than are allowed', () => {
  expect(nearestWord('cache-7.example.org', ['cache-1.example.com'], 2)).toBeUndefined()
  expect(nearestWord('cahce-1.example.com', ['cache-1.example.com'], 2)).toBe('cache-1.example.com')
})

test('a mistyped flag is named, and what may be its secret is not', () => {
  expect(() => translateArgv(['--passwrod', 'hunter2', 'info'], catalogue)).toThrow(/^unknown option --passwrod$/)
  expect(() => translateArgv(['--passwrod=hunter2', 'inof'], catalogue)).toThrow(/^unknown option --passwrod$/)
  expect(translateArgv(['--json', '-apw', 'info'], catalogue)).toEqual(['info', '--json', '-apw'])
})

test.each([
  ['reb', 'rebalance'],
  ['rehsard', 'reshard'],
  ['addnode', 'add-node'],
  ['INFO', 'info'],
  ['xyz', undefined],
  ['', undefined],
])('near "%s" is %s', (text, expected) => {
  expect(nearestWord(text, commands)).toBe(expected)
})
