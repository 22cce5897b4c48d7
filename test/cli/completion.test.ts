import {spawnSync} from 'node:child_process'
import {readdirSync} from 'node:fs'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import type {Command} from '@oclif/core/command'
import {expect, test} from 'vitest'
import {
  type CommandEntry,
  type CommandTable,
  complete,
  type FlagEntry,
  type Memory,
  POSITIONS,
} from '../../src/lib/cli/completion/candidates.ts'
import {formatAnswer, parseQuestion} from '../../src/lib/cli/completion/protocol.ts'
import {COMPLETION_SCRIPTS} from '../../src/lib/cli/completion/scripts.ts'
import {splitLine} from '../../src/lib/cli/completion/split-line.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const table = await readTable()

/** As oclif's manifest has it, without a build. */
async function readTable(): Promise<CommandTable> {
  const folder = path.join(root, 'src/commands')
  const files = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter((file) => file.endsWith('.ts'))
  const entries = await Promise.all(
    files.map(async (file) => {
      const {default: command} = (await import(path.join(folder, file))) as {default: typeof Command}
      const flags = Object.entries({...command.baseFlags, ...command.flags}).map(([name, flag]) => [
        name,
        {...flag, name},
      ])
      const {summary, hidden, hiddenAliases, args} = command
      const id = file.replace(/\.ts$/, '').replaceAll(path.sep, ':')
      return {id, summary, hidden, hiddenAliases, args, flags: Object.fromEntries(flags) as Record<string, FlagEntry>}
    }),
  )
  return Object.fromEntries(entries.map((entry) => [entry.id, entry as CommandEntry]))
}

const id = (letter: string): string => letter.repeat(40)
const seenAt = '2026-01-01T00:00:00.000Z'
const memory: Memory = {
  contexts: ['dev', 'prod'],
  defaultContext: undefined,
  clusters: [
    {
      seenAt,
      context: 'dev',
      nodes: [
        {id: id('a'), address: '127.0.0.1:7000', role: 'primary', slots: 8192, hostname: 'one.lab'},
        {id: id('b'), address: '127.0.0.1:7001', role: 'replica', slots: 0},
        {id: id('1'), address: '[::1]:7002', role: 'primary', slots: 8192},
      ],
    },
    {seenAt, context: 'prod', nodes: [{id: id('c'), address: '10.0.0.1:7000', role: 'primary', slots: 16384}]},
  ],
}

/** `line` up to the cursor, without the program's name. */
function at(line: string, given: Memory = memory): string[] {
  const {words, current} = splitLine(line)
  const {candidates, paths, isOpen} = complete(table, given, words, current)
  return [...candidates.map(({value}) => value), ...(isOpen ? [':open'] : []), ...(paths ? [`:${paths}`] : [])]
}

const dev = ['127.0.0.1:7000', '127.0.0.1:7001', '[::1]:7002']

test.each([
  {line: 'reb', expected: ['rebalance']},
  {line: 'add', expected: ['add-node', 'addresses']},
  {line: 'help reb', expected: ['rebalance']},
  {line: 'context ', expected: ['add', 'list', 'remove', 'show', 'use']},
  {line: 'local u', expected: ['up']},
  {line: '--json loc', expected: ['local']},
  {line: '--v', expected: ['--version']},
  {line: 'frobnicate ', expected: []},
  {line: 'check --fail', expected: ['--fail-on']},
  {line: 'check --fail-on ', expected: ['error', 'warning']},
  {line: 'check --fail-on w', expected: ['warning']},
  {line: 'check --fail-on=w', expected: ['--fail-on=warning']},
  {line: 'check --json --js', expected: []},
  {line: 'check --seed h:1 --see', expected: ['--seed']},
  {line: 'check --no-r', expected: ['--no-remember']},
  {line: 'reshard --cluster-f', expected: []},
  {line: 'apply --on-conflict s', expected: ['skip', 'source']},
  {line: 'fix --on-conflict ', expected: ['fail', 'source', 'target']},
  {line: 'check --pass', expected: ['--password', '--password-file']},
  {line: 'check --password ', expected: []},
  {line: 'check -a ', expected: []},
  {line: 'check ', expected: dev},
  {line: 'check 127.0.0.1:7', expected: ['127.0.0.1:7000', '127.0.0.1:7001']},
  {line: 'check [', expected: ['[::1]:7002']},
  {line: 'failover b', expected: [id('b')]},
  {line: 'failover 1', expected: ['127.0.0.1:7000', '127.0.0.1:7001', id('1')]},
  {line: 'failover one', expected: ['one.lab:7000']},
  {line: 'failover 127.0.0.1:7000 ', expected: []},
  {line: 'reshard 127.0.0.1:7000 ', expected: ['127.0.0.1:7001', '[::1]:7002']},
  {line: 'reshard 127.0.0.1:7000 127.0.0.1:7001 ', expected: []},
  {line: 'reshard 10.0.0.1:7000 --to ', expected: []},
  {line: 'reshard --to 127', expected: ['127.0.0.1:7000', '127.0.0.1:7001']},
  {
    line: 'reshard --from 127.0.0.1:7000,127',
    expected: ['127.0.0.1:7000,127.0.0.1:7000', '127.0.0.1:7000,127.0.0.1:7001'],
  },
  {line: 'reshard --from a', expected: [id('a'), 'all']},
  {line: 'rebalance --weight 127.0.0.1:7001', expected: ['127.0.0.1:7001=', ':open']},
  {line: 'rebalance --weight=b', expected: [`--weight=${id('b')}=`, ':open']},
  {line: 'add-nodes 127.0.0.1:7000', expected: ['127.0.0.1:7000']},
  {line: 'check --context ', expected: ['dev', 'prod', 'none']},
  {line: 'check --context=p', expected: ['--context=prod']},
  {line: 'check --context prod ', expected: ['10.0.0.1:7000']},
  {line: 'check --context staging ', expected: []},
  {line: 'check --seed 10.0.0.1:7000 c', expected: [id('c')]},
  {line: 'context use ', expected: ['dev', 'prod']},
  {line: 'context show d', expected: ['dev']},
  {line: 'context add ', expected: []},
  {line: 'completion ', expected: ['bash', 'zsh', 'fish']},
  {line: 'acl resh', expected: ['reshard']},
  {line: 'apply ', expected: [':files']},
  {line: 'apply plan.json ', expected: dev},
  {line: 'check --cacert ', expected: [':files']},
  {line: 'check --cacertdir=', expected: [':folders']},
  {line: 'backup 127.0.0.1:7000 ', expected: [':folders']},
  {line: 'call 127.0.0.1:7000 -- ', expected: []},
  {line: '-a pw --cluster re', expected: []},
])('rcluster $line', ({line, expected}) => {
  expect(at(line)).toEqual(expected)
})

test('nodes are those of the default context, where that was seen', () => {
  expect(at('check ', {...memory, defaultContext: 'prod'})).toEqual(['10.0.0.1:7000'])
  expect(at('check --context none ', {...memory, defaultContext: 'prod'})).toEqual(dev)
  expect(at('check ', {contexts: [], defaultContext: undefined, clusters: []})).toEqual([])
})

test('every command can be completed, and what is known of its words is of a command that there is', () => {
  expect(Object.keys(POSITIONS).filter((one) => !table[one])).toEqual([])
  for (const {id: command, hidden} of Object.values(table)) {
    if (!hidden) expect(at(`${command.replace(':', ' ')} --js`)).toEqual(['--json'])
  }
})

test.each([
  {line: 'a b', words: ['a'], current: 'b', isQuoted: false},
  {line: 'a b ', words: ['a', 'b'], current: '', isQuoted: false},
  {line: ' a  "b c" ', words: ['a', 'b c'], current: '', isQuoted: false},
  {line: "a 'b c", words: ['a'], current: 'b c', isQuoted: true},
  {line: 'a b\\ c', words: ['a'], current: 'b c', isQuoted: false},
  {line: 'a "b\\"c', words: ['a'], current: 'b"c', isQuoted: true},
  {line: "a x'y", words: ['a'], current: 'xy', isQuoted: false},
  {line: 'a ""', words: ['a'], current: '', isQuoted: true},
  {line: 'a \\', words: ['a'], current: '\\', isQuoted: false},
  {line: '', words: [], current: '', isQuoted: false},
])('the words of <$line>', ({line, words, current, isQuoted}) => {
  expect(splitLine(line)).toEqual({words, current, isQuoted})
})

test('bash gets what it replaces, others get the whole word', () => {
  const breaks = ' \t\n"\'><=;|&(:'
  const asked = (...parts: string[]) => parts.map((part) => `${part}\0`).join('')
  const bash = (line: string) => parseQuestion('bash', asked(line, breaks))
  expect(bash('rcluster check 127.0.0.1:70')).toEqual({words: ['check'], current: '127.0.0.1:70', cut: 10})
  expect(bash('rcluster check "127.0.0.1:70')).toMatchObject({current: '127.0.0.1:70', cut: 0})
  expect(bash('rcluster check --seed=')).toMatchObject({current: '--seed=', cut: 7})
  const zsh = parseQuestion('zsh', asked('rcluster', 'check', 'h:'))
  expect(zsh).toEqual({words: ['check'], current: 'h:', cut: 0})
  expect(parseQuestion('fish', asked('rcluster', ''))).toEqual({words: [], current: '', cut: 0})
  expect(parseQuestion('zsh', 'rcluster')).toBeUndefined()
  expect(parseQuestion(undefined, '')).toBeUndefined()
})

test('an answer is a line each, and then what the shell has to do', () => {
  const candidates = [{value: '--seed=h:1', about: 'a node'}, {value: '--seed=h:2'}]
  expect(formatAnswer({candidates, isOpen: true, paths: 'files'}, 7)).toBe('h:1\ta node\nh:2\n:nospace\n:files\n')
})

test('the script for bash is one that bash can read', () => {
  const {status, stderr} = spawnSync('bash', ['-n'], {input: COMPLETION_SCRIPTS.bash, encoding: 'utf8'})
  expect({status, stderr}).toEqual({status: 0, stderr: ''})
})
