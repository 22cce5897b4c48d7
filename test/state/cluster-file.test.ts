/** Is a declared cluster read right, and is a mistake named by its line and path? */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, describe, expect, test} from 'vitest'
import {parseAddress} from '../../src/lib/cli/node-argument.ts'
import {parseClusterFile, readClusterText} from '../../src/lib/state/cluster-file.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-declared-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

const HEAD = 'format: rcluster-cluster\nversion: 1\n'

function parse(text: string) {
  return parseClusterFile(text, 'c.yaml', parseAddress)
}

test('YAML and JSON say the same', async () => {
  const yaml = `${HEAD}removeUndeclared: true\nshards:\n  - nodes: [h1:7000, {address: "[::1]:7001", zone: a}]\n    weight: 1.5\n`
  const declared = await parse(yaml)
  expect(declared).toEqual({
    shards: [
      {
        weight: 1.5,
        nodes: [{address: {host: 'h1', port: 7000}}, {address: {host: '::1', port: 7001}, zone: 'a'}],
      },
    ],
    removeUndeclared: true,
    thresholdPercent: 2,
    config: [],
    users: [],
    functions: [],
  })
  const json = {
    ...{format: 'rcluster-cluster', version: 1, removeUndeclared: true},
    shards: [{nodes: ['h1:7000', {address: '[::1]:7001', zone: 'a'}], weight: 1.5}],
  }
  expect(await parse(JSON.stringify(json, undefined, 2))).toEqual(declared)
})

test('settings are text; a secret is where the file says, and never in it', async () => {
  const secret = path.join(folder, 'secret')
  writeFileSync(secret, 'hidden\nmore\n')
  process.env['RCLUSTER_TEST_SECRET'] = 'from env'
  const shards = 'shards:\n  - nodes: [h:1]\n'
  const config = `config:\n  maxmemory: 0\n  appendonly: yes\n  save: ""\n  requirepass: {env: RCLUSTER_TEST_SECRET}\n  masterauth: {file: ${secret}}\n`
  expect((await parse(`${HEAD}${shards}${config}`)).config).toEqual([
    {name: 'maxmemory', value: '0'},
    {name: 'appendonly', value: 'yes'},
    {name: 'save', value: ''},
    {name: 'requirepass', value: 'from env'},
    {name: 'masterauth', value: 'hidden'},
  ])
  const open = parse(`${HEAD}${shards}config:\n  requirepass: topsecret\n`)
  await expect(open).rejects.toThrow('line 6: /config/requirepass is a secret: say where it is')
  await expect(open).rejects.not.toThrow('topsecret')
  await expect(parse(`${HEAD}${shards}config:\n  port: 7000\n`)).rejects.toThrow('/config/port is of one node alone')
  await expect(parse(`${HEAD}${shards}config:\n  masterauth: {env: NO_SUCH}\n`)).rejects.toThrow(
    'NO_SUCH, which is not set',
  )
})

test('users have their passwords as hashes, libraries their names and code', async () => {
  writeFileSync(path.join(folder, 'password'), 'hidden\n')
  writeFileSync(path.join(folder, 'tools.lua'), '#!lua name=tools\nreturn')
  writeFileSync(path.join(folder, 'others.lua'), 'return')
  const text = (more: string): string => `${HEAD}shards:\n  - nodes: [h:1]\n${more}`
  const file = path.join(folder, 'password')
  const {users, functions} = await parse(
    text(
      `users:\n  app: {rules: "on  ~a (+get ~x y)", passwords: [{file: ${file}}]}\n  old: absent\nfunctions: [${folder}/tools.lua]\n`,
    ),
  )
  expect(users).toEqual([
    {name: 'app', rules: ['on', '~a', '(+get ~x y)'], passwordRules: [expect.stringMatching(/^#[0-9a-f]{64}$/)]},
    {name: 'old', rules: undefined, passwordRules: []},
  ])
  expect(functions).toEqual([{name: 'tools', code: Buffer.from('#!lua name=tools\nreturn')}])
  const rows = [
    ['users:\n  app: {rules: "on >topsecret"}\n', 'line 6: /users/app has a password among its rules'],
    ['users:\n  app: {rules: "on nopass", passwords: [{file: password}]}\n', 'line 6: /users/app is to be in password'],
    [`users:\n  app: {rules: "nopass", passwords: [{file: ${file}}]}\n`, '/users/app has passwords, and nopass'],
    ['users:\n  app: {rules: on, passwords: [topsecret]}\n', 'line 6: /users/app/passwords/0 must be object'],
    ['users:\n  app: {passwords: []}\n', "line 6: /users/app must have required property 'rules'"],
    ['users:\n  app: gone\n', 'line 6: /users/app must be'],
    ['users:\n  default: absent\n', 'line 6: /users/default cannot be absent'],
    ['users:\n  "a b": absent\n', '/users'],
    ['functions: [none.lua]\n', 'line 5: /functions/0 is to be in none.lua, which cannot be read (ENOENT)'],
    [`functions: [${folder}/others.lua]\n`, 'line 5: /functions/0 is no function library'],
    [`functions: [${folder}/tools.lua, ${folder}/tools.lua]\n`, 'line 5: /functions has the library tools twice'],
  ]
  for (const [more = '', says = ''] of rows) {
    const failing = parse(text(more))
    await expect(failing, more).rejects.toThrow(expect.objectContaining({message: expect.stringContaining(says)}))
    await expect(failing).rejects.not.toThrow('topsecret')
  }
})

describe('a mistake is named by line and path', () => {
  const rows = [
    {text: `${HEAD}shards:\n  - nodes: [h:1]\n    wieght: 2\n`, says: 'line 4: /shards/0 knows no "wieght"'},
    {text: `${HEAD}shards:\n  - nodes: [h:99999]\n`, says: 'line 4: /shards/0/nodes/0 "h:99999" has the port "99999"'},
    {text: `${HEAD}shards:\n  - nodes: [h:1]\n   weight: 1\n`, says: 'line 5: the whole is no YAML'},
    {text: `${HEAD}shards: []\n`, says: 'line 3: /shards must NOT have fewer than 1 items'},
    {text: `${HEAD}shards:\n  - nodes: [h:1]\n    weight: -1\n`, says: 'line 5: /shards/0/weight must be >= 0'},
    {
      text: `${HEAD}shards:\n  - nodes:\n      - {adress: h:1}\n`,
      says: "line 5: /shards/0/nodes/0 must have required property 'address'",
    },
    {
      text: `${HEAD}replicas: 1\nshards:\n  - nodes: [h:1]\n`,
      says: 'line 5: /shards/0/nodes has 1 node, and with 1 replica',
    },
    {text: `${HEAD}shards:\n  - nodes: [h:1]\n  - nodes: [h:1]\n`, says: '/shards h:1 is declared twice'},
    {text: `format: rcluster-cluster\nversion: 2\nshards:\n  - nodes: [h:1]\n`, says: 'line 2: /version must be 1'},
    {text: `${HEAD}shards: &a\n  - nodes: *a\n`, says: 'c.yaml, line'},
    {text: 'shards:\n  - nodes: [h:1]\n', says: 'must have required property'},
    {text: '', says: 'c.yaml, line 1: the whole must be object'},
    {text: 'a: [1\n', says: 'is no YAML'},
  ]
  test.each(rows)('$says', async ({text, says}) => {
    await expect(parse(text)).rejects.toThrow(
      expect.objectContaining({exitCode: 2, message: expect.stringContaining(says)}),
    )
  })
})

test('a plan is no declaration, whatever it is called; YAML without a word about its format is one, and is told so', () => {
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name)
    writeFileSync(file, text)
    return file
  }
  expect(readClusterText(write('a.json', '{"format": "rcluster-plan"}'))).toBeUndefined()
  expect(readClusterText(write('b.json', '{"format": "rcluster-cluster"}'))).toBeDefined()
  expect(readClusterText(write('c', HEAD))).toBeDefined()
  expect(readClusterText(write('d.yml', 'shards: []'))).toBeDefined()
  expect(readClusterText(write('e', 'nonsense'))).toBeUndefined()
  expect(() => readClusterText(path.join(folder, 'absent'))).toThrow('cannot be read')
})
