import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {seedFromWords} from '../../src/lib/cli/cluster-command.ts'
import {connectionOptionsFrom, parseAddressMap} from '../../src/lib/cli/connection.ts'
import {type AddressReference, parseAddressReference} from '../../src/lib/cli/node-argument.ts'
import {UsageError} from '../../src/lib/errors.ts'

let folder: string
const file = (name: string) => path.join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rcluster-connection-'))
  writeFileSync(file('password'), 'from file\r\nsecond line\n')
  writeFileSync(file('empty'), '')
  writeFileSync(file('ca.crt'), '-----BEGIN CERTIFICATE-----\n1\n')
  writeFileSync(file('ca2.pem'), '-----BEGIN CERTIFICATE-----\n2\n')
  writeFileSync(file('notes.txt'), 'no certificate')
})

afterAll(() => rmSync(folder, {recursive: true}))

const references = (...urls: string[]): AddressReference[] => urls.map(parseAddressReference)

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
    expect(connectionOptionsFrom(flags, asked, references(...urls), env).password).toBe(expected)
  })

  test('of a file is its first line', () => {
    expect(connectionOptionsFrom({'password-file': file('password')}, undefined, [], {}).password).toBe('from file')
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

  test('is wanted where a user is named', () => {
    expect(() => connectionOptionsFrom({user: 'alice'}, undefined, [], {})).toThrow('no password for the user "alice"')
  })

  test('may not differ between URLs', () => {
    expect(() => connectionOptionsFrom({}, undefined, references('redis://:a@h:1', 'redis://:b@h:2'), {})).toThrow(
      'more than one password',
    )
  })
})

describe('TLS', () => {
  test.each([
    {name: 'nothing', flags: {}, urls: ['h:1', 'redis://h:2'], expected: false},
    {name: '--tls', flags: {tls: true}, urls: [], expected: true},
    {name: 'rediss://', flags: {}, urls: ['rediss://h:1', 'h:2'], expected: true},
    {name: '--insecure', flags: {insecure: true}, urls: [], expected: true},
    {name: '--sni', flags: {sni: 'cache.example.com'}, urls: [], expected: true},
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
  ])('$flags is refused', ({flags, message}) => {
    const inFolder = Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, file(value)]))
    expect(() => connectionOptionsFrom(inFolder, undefined, [], {})).toThrow(message)
  })

  test('plain and TLS URLs together are refused', () => {
    expect(() => connectionOptionsFrom({}, undefined, references('redis://h:1', 'rediss://h:2'), {})).toThrow(
      UsageError,
    )
  })
})

test('the address map', () => {
  expect([...parseAddressMap(['172.17.0.2:6379=127.0.0.1:7000', '[::1]:1=h:2'])]).toEqual([
    ['172.17.0.2:6379', {host: '127.0.0.1', port: 7000}],
    ['[::1]:1', {host: 'h', port: 2}],
  ])
  for (const entry of ['h:1', '=h:1', 'h:1=', 'a:1=b:2=c:3']) {
    expect(() => parseAddressMap([entry])).toThrow(`--address-map "${entry}" is not ANNOUNCED=DIALLED`)
  }
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
