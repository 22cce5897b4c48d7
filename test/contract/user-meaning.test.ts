/** Are rules taken for the same user that a server makes of them, whatever words it has for it? */
import fc from 'fast-check'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {serverCommandsIn} from '../../src/lib/redis/server-commands.ts'
import {isSameUser, type ServerCommand} from '../../src/lib/topology/user-meaning.ts'
import {parseUserLine} from '../../src/lib/topology/user-rules.ts'
import {forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const CATEGORIES = [
  'read',
  'write',
  'dangerous',
  'admin',
  'slow',
  'keyspace',
  'scripting',
  'pubsub',
  'connection',
  'all',
]
const COMMANDS = ['get', 'SET', 'config', 'config|get', 'Client|kill', 'client', 'acl|whoami', 'flushall', 'select']
const words = (prefix: string, of: readonly string[]) =>
  of.flatMap((name) => [`+${prefix}${name}`, `-${prefix}${name}`])
const commandRule = fc.constantFrom(...words('@', CATEGORIES), ...words('', COMMANDS), 'allcommands', 'nocommands')
const keyRule = fc.constantFrom('~a', '~b:*', '%R~a', '%W~a', '%rw~c', '%R~d', 'resetkeys')
const channelRule = fc.constantFrom('&news.*', '&a', 'resetchannels', 'allchannels resetchannels')
const hash = (digit: string): string => `#${digit.repeat(64)}`
const userRule = fc.constantFrom(
  ...['on', 'OFF', 'nopass', 'resetpass', 'reset', 'clearselectors', 'skip-sanitize-payload', 'sanitize-payload'],
  ...['resetkeys allkeys', 'resetchannels &*', hash('a'), hash('b')],
  ...['(+get ~x)', '(%R~y +@read -get allchannels)', '(~z)'],
)
const rulesOf = fc
  .array(fc.oneof({arbitrary: commandRule, weight: 4}, keyRule, channelRule, userRule), {maxLength: 12})
  .map((rules) => rules.flatMap((rule) => (rule.startsWith('(') ? [rule] : rule.split(' '))))

forEachKind('rules of a user', (kind) => {
  let servers: TestServers
  let address = ''
  let commands: ServerCommand[] = []
  beforeAll(async () => {
    servers = await startServers(kind, 1)
    address = servers.addresses[0] ?? ''
    commands = serverCommandsIn((await rawCommand(address, ['COMMAND'])) as never)
  })
  afterAll(() => servers?.stop())

  /** As the server tells it; undefined for rules that it does not take. */
  const toldOf = async (name: string, rules: readonly string[]): Promise<readonly string[] | undefined> => {
    try {
      await rawCommand(address, ['ACL', 'SETUSER', name, 'reset', 'resetchannels', ...rules])
    } catch (error) {
      expect(String(error)).toMatch(/Error in ACL SETUSER/)
      return undefined
    }
    const lines = (await rawCommand(address, ['ACL', 'LIST'])) as string[]
    return lines.map((line) => parseUserLine(String(line))).find((user) => user.name === name)?.rules
  }

  test('mean what the server says that the user is', async () => {
    let taken = 0
    await fc.assert(
      fc.asyncProperty(rulesOf, async (rules) => {
        const told = await toldOf('app', rules)
        if (!told) return
        taken++
        expect(isSameUser(rules, told, commands), `${rules.join(' ')} is told as ${told.join(' ')}`).toBe(true)
      }),
      {numRuns: 150},
    )
    expect(taken).toBeGreaterThan(50)
  })

  test('mean something else when one word more changes the user', async () => {
    const base = ['on', hash('a'), '~a', '&x', '+@read', '-get', '+config|get', '(+set ~b)']
    const changes = [
      'off',
      'nopass',
      hash('b'),
      '%W~c',
      '&y',
      '+get',
      '+@write',
      '-config|get',
      '-@all',
      '+@all',
      '(+set ~c)',
    ]
    for (const word of changes) {
      const told = await toldOf('app', [...base, word])
      expect(told, word).toBeDefined()
      expect(isSameUser(base, told ?? [], commands), word).toBe(false)
    }
    for (const word of ['on', hash('a'), '~a', '&x', '%R~a', '+config|get', '-get']) {
      expect(isSameUser(base, (await toldOf('app', [...base, word])) ?? [], commands), word).toBe(true)
    }
    const careless = (await toldOf('app', [...base, 'skip-sanitize-payload'])) ?? []
    expect(isSameUser(base, careless, commands)).toBe(kind.name === 'valkey-9.1')
  })

  if (kind.name === 'valkey-9.1') {
    test('tell databases apart', async () => {
      const is = async (rules: string[], ...told: string[]) =>
        isSameUser(rules, (await toldOf('app', told)) ?? [], commands)
      expect(await is(['db=0,1'], 'db=1,0')).toBe(true)
      expect(await is(['db=0,1'], 'db=1')).toBe(false)
      expect(await is([], 'db=0', 'alldbs')).toBe(true)
      expect(await is(['resetdbs'], 'resetdbs')).toBe(true)
      expect(await is([], 'resetdbs')).toBe(false)
    })
  }
})
