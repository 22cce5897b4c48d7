import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {
  chooseContext,
  contextsFile,
  isContextName,
  parseContexts,
  readContexts,
  requireContext,
  strangersTo,
  writeContexts,
} from '../../src/lib/state/contexts.ts'

let home: string
let env: NodeJS.ProcessEnv
let file: string

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'rcluster-contexts-'))
  env = {XDG_CONFIG_HOME: home}
  file = contextsFile(env)
})

afterEach(() => rmSync(home, {recursive: true}))

const prod = {seeds: ['10.0.0.1:7000', '10.0.0.2:7000'], user: 'ops', password: {command: 'pass show prod'}, tls: true}
const dev = {seeds: ['127.0.0.1:7000']}

function save(standard?: string): void {
  writeContexts({
    file,
    standard,
    byName: new Map<string, typeof prod | typeof dev>([
      ['prod', prod],
      ['dev', dev],
    ]),
  })
}

test.each([
  {name: 'XDG_CONFIG_HOME', env: {XDG_CONFIG_HOME: '/x', HOME: '/h'}, expected: '/x/rcluster/contexts.json'},
  {name: '~/.config', env: {HOME: '/h'}, expected: '/h/.config/rcluster/contexts.json'},
  {
    name: '~/.config where the other is no absolute path',
    env: {XDG_CONFIG_HOME: 'x', HOME: '/h'},
    expected: '/h/.config/rcluster/contexts.json',
  },
])('the file is in $name', ({env, expected}) => {
  expect(contextsFile(env)).toBe(expected)
})

describe('the file', () => {
  test('is empty where there is none', () => {
    expect(readContexts(env)).toEqual({file, standard: undefined, byName: new Map()})
  })

  test('comes back as it was written, and is private', () => {
    save('prod')
    expect(readContexts(env)).toEqual({
      file,
      standard: 'prod',
      byName: new Map<string, unknown>([
        ['dev', dev],
        ['prod', prod],
      ]),
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700)
  })

  test('stays a link where it is one', () => {
    const dotfile = path.join(home, 'dotfile.json')
    writeFileSync(dotfile, '{"version": 1, "contexts": {}}', {mode: 0o600})
    mkdirSync(path.dirname(file))
    symlinkSync(dotfile, file)
    save()
    expect(lstatSync(file).isSymbolicLink()).toBe(true)
    expect([...readContexts(env).byName.keys()]).toEqual(['dev', 'prod'])
  })

  test('is refused where others can write it', () => {
    save()
    chmodSync(file, 0o620)
    expect(() => readContexts(env)).toThrow(`${file} can be written by others (mode 620)`)
  })

  test('that cannot be written is named', () => {
    writeFileSync(path.join(home, 'rcluster'), '')
    expect(() => save()).toThrow(`${file} cannot be written`)
  })
})

describe('a file that is damaged is named, with the place in it', () => {
  const withContext = (context: unknown) => JSON.stringify({version: 1, contexts: {prod: context}})
  test.each([
    {text: '', problem: 'is not JSON'},
    {text: '{"version": 1, "password": "hunter2" hunter2}', problem: 'is not JSON'},
    {text: '[]', problem: 'is no document of contexts'},
    {text: '{}', problem: 'is damaged: /version is not 1'},
    {text: '{"version": 2, "contexts": {}}', problem: 'is of version 2, of which this rcluster knows nothing'},
    {text: '{"version": 1}', problem: 'is damaged: /contexts is no object'},
    {text: '{"version": 1, "contexts": {"__proto__": {}}}', problem: '/contexts/__proto__ is no name'},
    {text: '{"version": 1, "contexts": {"none": {}}}', problem: '/contexts/none is no name'},
    {text: '{"version": 1, "default": "prod", "contexts": {}}', problem: '/default names no context of it'},
    {text: withContext(7), problem: '/contexts/prod is no object'},
    {text: withContext({}), problem: '/contexts/prod has no seeds'},
    {text: withContext({seeds: []}), problem: '/contexts/prod has no seeds'},
    {text: withContext({seeds: [7]}), problem: '/contexts/prod/seeds is no list of texts'},
    {text: withContext({seeds: ['h:1'], tls: 'yes'}), problem: '/contexts/prod/tls is neither true nor false'},
    {text: withContext({seeds: ['h:1'], user: 7}), problem: '/contexts/prod/user is no text'},
    {text: withContext({seeds: ['h:1'], cert: '/a'}), problem: '/contexts/prod has one of cert and key'},
    {text: withContext({seeds: ['h:1'], tlsMinimum: '1.3'}), problem: '/contexts/prod/tlsMinimum is not known'},
    {text: withContext({seeds: ['h:1'], password: 'hunter2'}), problem: '/contexts/prod/password is none of'},
    {
      text: withContext({seeds: ['h:1'], password: {env: 'A', file: '/b'}}),
      problem: '/contexts/prod/password is none of',
    },
  ])('$text', ({text, problem}) => {
    try {
      parseContexts(text, '/x/contexts.json')
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError)
      const {message, suggestions} = error as UsageError
      expect(message).toContain('/x/contexts.json ')
      expect(message).toContain(problem)
      expect(`${message} ${suggestions.join(' ')}`).not.toContain('hunter2')
      expect(suggestions.at(-1)).toContain('--context none')
    }
  })
})

test.each([
  ['prod', true],
  ['eu-1.prod_2', true],
  ['7', true],
  ['constructor', true],
  ['none', false],
  ['', false],
  ['-x', false],
  ['a b', false],
  ['a/b', false],
  ['x'.repeat(65), false],
])('"%s" as a name: %s', (name, expected) => {
  expect(isContextName(name)).toBe(expected)
})

test.each([
  {name: 'nothing', said: undefined, variable: undefined, standard: undefined, expected: undefined},
  {name: 'the default', said: undefined, variable: undefined, standard: 'prod', expected: 'prod by default'},
  {
    name: 'the variable before the default',
    said: undefined,
    variable: 'dev',
    standard: 'prod',
    expected: 'dev by variable',
  },
  {name: 'an empty variable', said: undefined, variable: '', standard: 'prod', expected: 'prod by default'},
  {name: 'the line before all', said: 'prod', variable: 'dev', standard: 'dev', expected: 'prod by line'},
  {name: 'none on the line', said: 'none', variable: 'dev', standard: 'prod', expected: undefined},
  {name: 'none in the variable', said: undefined, variable: 'none', standard: 'prod', expected: undefined},
])('what is chosen: $name', ({said, variable, standard, expected}) => {
  save(standard)
  const chosen = chooseContext(said, {...env, RCLUSTER_CONTEXT: variable})
  expect(chosen && `${chosen.name} by ${chosen.by}`).toBe(expected)
})

test('a damaged file does not matter to who wants no context', () => {
  mkdirSync(path.dirname(file))
  writeFileSync(file, '{', {mode: 0o600})
  expect(() => chooseContext(undefined, env)).toThrow(file)
  expect(chooseContext('none', env)).toBeUndefined()
  expect(readFileSync(file, 'utf8')).toBe('{')
})

test.each([
  {name: 'prdo', suggestion: 'Did you mean "prod"?'},
  {name: 'constructor', suggestion: 'The contexts are dev, prod'},
])('$name is no context, and what is suggested', ({name, suggestion}) => {
  save()
  try {
    requireContext(readContexts(env), name)
    expect.unreachable()
  } catch (error) {
    expect((error as UsageError).suggestions).toEqual([suggestion])
  }
})

test('only a context that was said goes with addresses that are none of its seeds', () => {
  const own = {host: '10.0.0.1', port: 7000}
  const other = {host: '10.0.0.9', port: 7000}
  expect(strangersTo({name: 'prod', context: prod, by: 'default'}, [own, other])).toEqual(['10.0.0.9:7000'])
  expect(strangersTo({name: 'prod', context: prod, by: 'variable'}, [other])).toEqual(['10.0.0.9:7000'])
  expect(strangersTo({name: 'prod', context: prod, by: 'default'}, [own])).toEqual([])
  expect(strangersTo({name: 'prod', context: prod, by: 'line'}, [other])).toEqual([])
})
