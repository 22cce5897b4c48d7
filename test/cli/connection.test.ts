import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {seedFromWords} from '../../src/lib/cli/cluster-command.ts'
import {connectionOptionsFrom} from '../../src/lib/cli/connection.ts'
import {adviceOnSecretFile} from '../../src/lib/cli/credentials.ts'
import {type AddressReference, parseAddressReference} from '../../src/lib/cli/node-argument.ts'
import {UsageError} from '../../src/lib/errors.ts'
import type {ConnectionOptions} from '../../src/lib/redis/connection-options.ts'
import type {NodeAddress} from '../../src/lib/topology/model.ts'

let folder: string
const file = (name: string) => path.join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rcluster-connection-'))
  writeFileSync(file('password'), 'from file\r\nsecond line\n')
  writeFileSync(file('empty'), '')
  writeFileSync(file('ca.crt'), '-----BEGIN CERTIFICATE-----\n1\n')
  writeFileSync(file('ca2.pem'), '-----BEGIN CERTIFICATE-----\n2\n')
  writeFileSync(file('notes.txt'), 'no certificate')
  writeFileSync(file('key.pem'), '-----BEGIN PRIVATE KEY-----\n3\n')
  writeFileSync(file('locked.pem'), '-----BEGIN ENCRYPTED PRIVATE KEY-----\n4\n')
})

afterAll(() => rmSync(folder, {recursive: true}))

const references = (...urls: string[]): AddressReference[] => urls.map(parseAddressReference)

/** As AUTH gets them, at a node that no rule is about. */
const wordsOf = ({logins}: ConnectionOptions): string[] | undefined =>
  logins?.at([{host: 'h', port: 1}]).login?.authWords()

describe('the password', () => {
  const env = {RCLUSTER_PASSWORD: 'ours', VALKEYCLI_AUTH: 'valkey', REDISCLI_AUTH: 'redis'}
  test.each([
    {name: 'asked for', asked: 'asked', flags: {password: 'flag'}, urls: ['redis://:url@h:1'], env, expected: 'asked'},
    {name: 'a flag', flags: {password: 'flag'}, urls: ['redis://:url@h:1'], env, expected: 'flag'},
    {name: 'a URL', flags: {}, urls: ['redis://:url@h:1', 'h:2'], env, expected: 'url'},
    {name: 'our variable', flags: {}, urls: ['h:1'], env, expected: 'ours'},
    {name: "valkey-cli's variable", flags: {}, urls: [], env: {...env, RCLUSTER_PASSWORD: ''}, expected: 'valkey'},
    {name: "redis-cli's variable", flags: {}, urls: [], env: {REDISCLI_AUTH: 'redis'}, expected: 'redis'},
    {name: 'none', flags: {}, urls: [], env: {}, expected: undefined},
  ])('comes from: $name', ({asked, flags, urls, env, expected}) => {
    expect(wordsOf(connectionOptionsFrom(flags, asked, references(...urls), env))).toEqual(expected && [expected])
  })

  test('of a file is its first line', () => {
    expect(wordsOf(connectionOptionsFrom({'password-file': file('password')}, undefined, [], {}))).toEqual([
      'from file',
    ])
  })

  test.each([
    {name: 'missing', path: 'none', message: 'does not exist'},
    {name: 'empty', path: 'empty', message: 'has an empty first line'},
    {name: 'a folder', path: '.', message: 'is a folder'},
  ])('a file that is $name is refused', ({path, message}) => {
    const options = () => connectionOptionsFrom({'password-file': file(path)}, undefined, [], {})
    expect(options).toThrow(UsageError)
    expect(options).toThrow(message)
  })

  test('in a file that all can read is told of', () => {
    const readable = (mode: number): string | undefined => {
      chmodSync(file('password'), mode)
      return adviceOnSecretFile(file('password'), '--password-file')
    }
    expect(readable(0o644)).toContain(`--password-file ${file('password')}: chmod 600`)
    expect([readable(0o640), readable(0o600), adviceOnSecretFile(file('none'), '--password-file')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  test('and the credentials are not both on stdin', () => {
    expect(() => connectionOptionsFrom({credentials: '-', 'password-file': '-'}, undefined, [], {})).toThrow('both')
  })

  test('is wanted where a user is named', () => {
    expect(() => connectionOptionsFrom({user: 'alice'}, undefined, [], {})).toThrow('no password for the user "alice"')
  })

  test('may not differ between URLs', () => {
    expect(() => connectionOptionsFrom({}, undefined, references('redis://:a@h:1', 'redis://:b@h:2'), {})).toThrow(
      'more than one password',
    )
  })
})

describe('a credentials file', () => {
  const at = (lines: readonly string[], ...addresses: NodeAddress[]) => {
    writeFileSync(file('credentials'), `${lines.join('\n')}\n`)
    const logins = connectionOptionsFrom({credentials: file('credentials'), password: 'flag'}, undefined, [], {}).logins
    const {login, peerLogin} = logins?.at(addresses) ?? {}
    return {ours: login?.authWords(), peers: peerLogin?.migrateWords()}
  }
  const [inner, outer] = [
    {host: '10.0.0.1', port: 6379},
    {host: '127.0.0.1', port: 7000},
  ]

  test('has a login for a node by either of its addresses, the most telling line first', () => {
    const lines = [
      '# NODE USER PASSWORD',
      '*  any one',
      '10.0.0.1 host two',
      '',
      '10.0.0.1:6379 node three words # or four',
    ]
    expect(at(lines, inner).ours).toEqual(['node', 'three words # or four'])
    expect(at(lines, outer, inner).ours).toEqual(['node', 'three words # or four'])
    expect(at(lines, {...inner, port: 1}).ours).toEqual(['host', 'two'])
    expect(at(lines, outer).ours).toEqual(['any', 'one'])
    expect(at(['[fd00::2]:6379 - six'], {host: 'fd00::2', port: 6379}).ours).toEqual(['six'])
  })

  test('leaves the other nodes to the flags', () => {
    expect(at(['10.0.0.1 ops two'], outer).ours).toEqual(['flag'])
  })

  test('has another login for the nodes that send keys there', () => {
    const lines = ['* ops one', 'migrate-to * mover two', 'migrate-to 127.0.0.1:7000 - three']
    expect(at(lines, inner)).toEqual({ours: ['ops', 'one'], peers: ['AUTH2', 'mover', 'two']})
    expect(at(lines, outer).peers).toEqual(['AUTH', 'three'])
    expect(at(['* ops one'], inner).peers).toBeUndefined()
  })

  test.each([
    {name: 'two words', lines: ['* ops one', '10.0.0.1 s3cret'], says: 'line 2 has fewer than three words'},
    {
      name: 'a node with a bad port',
      lines: ['10.0.0.1:99999 ops s3cret'],
      says: 'line 1: "10.0.0.1:99999" has the port',
    },
    {name: 'no node at all', lines: ['s3cret!#/ ops x y'], says: 'line 1 begins with no node'},
    {name: 'nothing', lines: ['# nothing'], says: 'names no node'},
  ])('of $name is refused, and no word of it repeated that may be secret', ({lines, says}) => {
    let message = ''
    try {
      at(lines, inner)
    } catch (error) {
      message = `${(error as Error).message} ${JSON.stringify(error)}`
      expect(error).toBeInstanceOf(UsageError)
    }
    expect(message).toContain(says)
    expect(message).not.toContain('s3cret')
  })
})

describe('TLS', () => {
  test.each([
    {name: 'nothing', flags: {}, urls: ['h:1', 'redis://h:2'], expected: false},
    {name: '--tls', flags: {tls: true}, urls: [], expected: true},
    {name: 'rediss://', flags: {}, urls: ['rediss://h:1', 'h:2'], expected: true},
    {name: '--insecure', flags: {insecure: true}, urls: [], expected: true},
    {name: '--sni', flags: {sni: 'cache.example.com'}, urls: [], expected: true},
    {name: '--tls-verify', flags: {'tls-verify': 'full' as const}, urls: [], expected: true},
    {name: '--tls-ciphersuites', flags: {'tls-ciphersuites': 'TLS_AES_128_GCM_SHA256'}, urls: [], expected: true},
  ])('$name: $expected', ({flags, urls, expected}) => {
    expect(connectionOptionsFrom(flags, undefined, references(...urls), {}).tls !== undefined).toBe(expected)
  })

  test('authorities of a file and of a folder', () => {
    const {tls} = connectionOptionsFrom({cacert: file('ca2.pem'), cacertdir: folder}, undefined, [], {})
    expect(tls?.ca?.map((pem) => pem.toString().at(-2))).toEqual(['2', '1', '2'])
    expect(tls?.isInsecure).toBe(false)
  })

  test.each([
    {flags: {cacert: 'notes.txt'}, message: 'is not a PEM file'},
    {flags: {cacert: 'none.pem'}, message: 'does not exist'},
    {flags: {cacertdir: 'notes.txt'}, message: 'is not a folder'},
    {flags: {cacert: 'key.pem'}, message: 'holds no certificate'},
    {flags: {cert: 'ca.crt', key: 'ca.crt'}, message: 'holds no private key'},
    {flags: {cert: 'ca.crt', key: 'locked.pem'}, message: 'is encrypted with a passphrase'},
  ])('$flags is refused', ({flags, message}) => {
    const inFolder = Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, file(value)]))
    expect(() => connectionOptionsFrom(inFolder, undefined, [], {})).toThrow(message)
  })

  test('ciphers that nobody knows are refused', () => {
    expect(() => connectionOptionsFrom({'tls-ciphers': 'NONE'}, undefined, [], {})).toThrow('name no cipher')
  })

  test('plain and TLS URLs together are refused', () => {
    expect(() => connectionOptionsFrom({}, undefined, references('redis://h:1', 'rediss://h:2'), {})).toThrow(
      UsageError,
    )
  })
})

describe('one seed', () => {
  test.each([
    {words: undefined, expected: undefined},
    {words: ['h:1'], expected: 'h:1'},
    {words: ['127.0.0.1', '7000'], expected: '127.0.0.1:7000'},
    {words: ['[::1]', '7000'], expected: '[::1]:7000'},
  ])('$words is $expected', ({words, expected}) => expect(seedFromWords(words)).toBe(expected))

  test.each([[['h:1', 'h:2']], [['h:1', '7000']], [['h', '1', '2']]])('%j is too many', (words) => {
    expect(() => seedFromWords(words)).toThrow(UsageError)
  })
})
