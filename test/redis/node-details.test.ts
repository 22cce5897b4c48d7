import {expect, test} from 'vitest'
import {NodeError} from '../../src/lib/errors.ts'
import {detailCommands, nodeDetails} from '../../src/lib/redis/node-details.ts'
import type {Reply} from '../../src/lib/redis/replies.ts'
import type {DetailsWanted} from '../../src/lib/topology/node-details.ts'

const WANTED: DetailsWanted = {settings: ['maxmemory', 'cluster-databases'], libraries: true, users: true}
const HASH = '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8'

const bytes = (text: string): Buffer => Buffer.from(text)
const library = (name: string, code: string): Reply => [
  bytes('library_name'),
  bytes(name),
  bytes('engine'),
  bytes('LUA'),
  bytes('library_code'),
  bytes(code),
]

function usersOf(...lines: string[]): ReadonlyMap<string, string> {
  const {users} = nodeDetails({settings: [], libraries: false, users: true}, [lines.map(bytes)])
  if ('unknown' in users) throw new Error(users.unknown)
  return users.value
}

test('asks one thing a setting, and nothing that is not wanted', () => {
  expect(detailCommands(WANTED).map((words) => words.join(' '))).toEqual([
    'CONFIG GET maxmemory',
    'CONFIG GET cluster-databases',
    'FUNCTION LIST WITHCODE',
    'ACL LIST',
  ])
  expect(detailCommands({settings: [], libraries: false, users: true})).toEqual([['ACL', 'LIST']])
})

test('a setting that the server does not have is none, and equal code has equal digests', () => {
  const told = nodeDetails(WANTED, [
    [bytes('maxmemory'), bytes('100')],
    [],
    [library('one', 'code'), library('two', 'code'), library('three', 'other')],
    [bytes('user default on nopass ~* &* +@all')],
  ])
  expect(told.settings).toEqual({value: new Map([['maxmemory', '100']])})
  const digests = 'value' in told.libraries ? [...told.libraries.value.values()] : []
  expect(new Set(digests).size).toBe(2)
})

test('users are compared by rules and passwords, in whatever order these were set; nothing of a hash is left', () => {
  const one = usersOf(`user app on #${HASH} #aa ~* +@all`)
  expect(one).toEqual(usersOf(`user app on #aa #${HASH} ~* +@all`))
  expect(one).not.toEqual(usersOf(`user app on #${HASH} #ab ~* +@all`))
  expect(one).not.toEqual(usersOf(`user app on #${HASH} #aa ~* +@read`))
  const commands = usersOf('user app on ~a ~b -@all +get +cluster|info +cluster|nodes')
  expect(commands).toEqual(usersOf('user app on ~b ~a -@all +cluster|nodes +get +cluster|info'))
  expect(commands).not.toEqual(usersOf('user app on ~a ~b +get -@all +cluster|info +cluster|nodes'))
  expect(JSON.stringify([...one])).not.toContain(HASH.slice(0, 8))
})

test.each<{name: string; failure: NodeError['failure']; reason: string}>([
  {name: 'without the right', failure: 'permission', reason: 'our user may not CONFIG GET'},
  {name: 'where the command is gone', failure: 'unknown-command', reason: 'the server has no CONFIG GET'},
  {name: 'on a connection that broke', failure: 'closed', reason: 'it did not answer CONFIG GET (closed)'},
])('what a node does not tell $name is unknown, in words that fit every node', ({failure, reason}) => {
  const error = new NodeError(failure, '127.0.0.1:7000', '127.0.0.1:7000 answered: no')
  expect(nodeDetails(WANTED, [error, error, error, error]).settings).toEqual({unknown: reason})
})

test('servers before 7 have no functions, and that is told', () => {
  const error = new NodeError('unknown-command', '127.0.0.1:7000', 'no')
  expect(nodeDetails(WANTED, [[], [], error, []]).libraries).toEqual({value: new Map()})
})

test('answers that are none are told as such', () => {
  const {settings, libraries, users} = nodeDetails(WANTED, ['OK', 1, [[bytes('library_name')]], null])
  for (const told of [settings, libraries, users]) expect('unknown' in told && told.unknown).toMatch(/makes no sense/)
})
