import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {parseAddressReference, parseNodeReference} from '../../src/lib/cli/node-argument.ts'
import {UsageError} from '../../src/lib/errors.ts'
import {canonicalHost} from '../../src/lib/topology/canonical-host.ts'
import {formatAddress, isSocket} from '../../src/lib/topology/model.ts'

const ID = '07c37dfeb235213a872192d90877d0cd55635b91'

describe('parseNodeReference', () => {
  const addresses = [
    {name: 'host and port', text: '127.0.0.1:7000', expected: '127.0.0.1:7000'},
    {name: 'a host alone has port 6379', text: 'cache.example.com', expected: 'cache.example.com:6379'},
    {name: 'a one-letter host', text: 'a:1', expected: 'a:1'},
    {name: 'underscores, as containers have them', text: 'redis_1:6379', expected: 'redis_1:6379'},
    {name: 'bracketed IPv6', text: '[::1]:7000', expected: '[::1]:7000'},
    {name: 'bracketed IPv6 alone', text: '[fe80::1]', expected: '[fe80::1]:6379'},
    {name: 'IPv6 as CLUSTER NODES prints it', text: '::1:7000', expected: '[::1]:7000'},
    {name: 'IPv6 alone', text: 'fe80::abc', expected: '[fe80::abc]:6379'},
    {name: 'IPv6 in its short form', text: '[FD00:0:0::0a]:7000', expected: '[fd00::a]:7000'},
    {name: 'IPv4 that is written as IPv6', text: '[::ffff:10.0.0.1]:7000', expected: '10.0.0.1:7000'},
    {name: 'IPv6 with a zone', text: '[fe80::1%eth0]:7000', expected: '[fe80::1%eth0]:7000'},
    {name: 'a socket', text: '/run/redis/redis.sock', expected: '/run/redis/redis.sock'},
    {name: 'a socket whose name looks like an address', text: '/run/redis:7000', expected: '/run/redis:7000'},
    {name: 'a socket by a path with detours', text: '/run/../var/./redis', expected: '/var/redis'},
    {name: 'a socket from where we are', text: './r.sock', expected: `${process.cwd()}/r.sock`},
    {name: 'a full IPv6 address keeps its last group', text: '1:2:3:4:5:6:7:8', expected: '[1:2:3:4:5:6:7:8]:6379'},
    {name: 'the bus port is let go', text: '10.0.0.1:7000@17000', expected: '10.0.0.1:7000'},
    {name: 'bus port and hostname are let go', text: '10.0.0.1:7000@17000,host.example', expected: '10.0.0.1:7000'},
    {name: 'blanks around it', text: ' localhost:7000 ', expected: 'localhost:7000'},
    {name: 'a hex host with its port', text: 'beef:7000', expected: 'beef:7000'},
    {name: 'a short hex word is a host', text: 'abc', expected: 'abc:6379'},
    {name: 'the highest port', text: 'h:65535', expected: 'h:65535'},
  ]
  test.each(addresses)('$name', ({text, expected}) => {
    const reference = parseNodeReference(text)
    expect(reference.kind === 'address' && formatAddress(reference.address)).toBe(expected)
  })

  const ids = [
    {name: 'a whole ID', text: ID, prefix: ID},
    {name: 'capitals', text: ID.toUpperCase(), prefix: ID},
    {name: 'a prefix of four digits', text: '07c3', prefix: '07c3'},
    {name: 'digits only', text: '7000', prefix: '7000'},
  ]
  test.each(ids)('$name is an ID', ({text, prefix}) => {
    expect(parseNodeReference(text)).toEqual({kind: 'id', prefix})
  })

  const urls = [
    {text: 'redis://h:7000', expected: {address: {host: 'h', port: 7000}, tls: false}},
    {text: 'rediss://h', expected: {address: {host: 'h', port: 6379}, tls: true}},
    {text: 'REDIS://[::1]:7000/0', expected: {address: {host: '::1', port: 7000}, tls: false}},
    {text: 'redis://word@h:1', expected: {address: {host: 'h', port: 1}, tls: false, password: 'word'}},
    {
      text: 'rediss://al%40ice:p%3Aa:ss@word@h:1/',
      expected: {address: {host: 'h', port: 1}, tls: true, username: 'al@ice', password: 'p:a:ss@word'},
    },
    {text: 'unix:///run/r.sock', expected: {address: {host: '/run/r.sock', port: 0}}},
    {text: 'unix:/run/r.sock', expected: {address: {host: '/run/r.sock', port: 0}}},
    {text: 'redis+unix:///run/a%20b?db=0', expected: {address: {host: '/run/a b', port: 0}}},
    {
      text: 'valkey+unix://al%40ice:p%2Fw@/run/r',
      expected: {address: {host: '/run/r', port: 0}, username: 'al@ice', password: 'p/w'},
    },
    {text: 'unix://word@/run/r', expected: {address: {host: '/run/r', port: 0}, password: 'word'}},
  ]
  test.each(urls)('$text', ({text, expected}) => {
    expect(parseNodeReference(text)).toEqual({kind: 'address', ...expected})
  })

  const refused = [
    {text: '', message: 'a node is named by an empty word'},
    {text: ':7000', message: '":7000" does not name a node'},
    {text: 'h:', message: '"h:" has no port after the colon; a port is a number from 1 to 65535'},
    {text: 'h:0', message: '"h:0" has the port "0"; a port is a number from 1 to 65535'},
    {text: 'h:65536', message: '"h:65536" has the port "65536"; a port is a number from 1 to 65535'},
    {text: 'h:-1', message: '"h:-1" has the port "-1"; a port is a number from 1 to 65535'},
    {text: 'h:7e3', message: '"h:7e3" has the port "7e3"; a port is a number from 1 to 65535'},
    {text: '[::1', message: '"[::1" does not name a node'},
    {text: '[nonsense]:1', message: '"[nonsense]:1": "nonsense" is not an IPv6 address'},
    {text: '256.1.1.1:7000', message: '"256.1.1.1:7000" does not name a node'},
    {text: 'a b:1', message: '"a b:1" does not name a node'},
    {text: `${ID}0`, message: `"${ID}0" is 41 hex digits long; a node ID has 40`},
    {text: 'http://h:1', message: '"http://h:1" is no redis:// or rediss:// address'},
    {text: '/', message: '"/" is a folder; a socket is a file'},
    {text: '/run/\u0007', message: 'the path of a socket holds control characters'},
    {text: 'unix://run/r.sock', message: '"unix://run/r.sock" does not name a socket'},
    {text: 'unix:run', message: '"unix:run" does not name a socket'},
    {text: 'unix://u:secret@/r?password=secret', message: '"unix://…@/r" goes on with "?" and more'},
    {text: 'redis://u:secret@h:99999', message: '"redis://…@h:99999" does not name a server'},
    {text: 'redis://h:1/3', message: '"redis://h:1/3" names more than a server'},
    {text: 'redis://u:%zz@h:1', message: '"redis://…@h:1" has a user or password that is not percent-encoded'},
  ]
  test.each(refused)('"$text" is refused', ({text, message}) => {
    expect(() => parseNodeReference(text)).toThrow(UsageError)
    expect(() => parseNodeReference(text)).toThrow(message)
  })

  test('nothing but a UsageError is ever thrown, and no password is in it', () => {
    const wild = fc.oneof(
      fc.string({unit: 'binary'}),
      fc.stringMatching(/^[0-9a-f:[\]@.%/,-]{0,30}$/),
      fc.string().map((rest) => `redis://user:hunter2@${rest}`),
      fc.string().map((rest) => `unix://user:hunter2@${rest}`),
    )
    fc.assert(
      fc.property(wild, (text) => {
        try {
          const reference = parseNodeReference(text)
          if (reference.kind === 'address') {
            expect(isSocket(reference.address) || reference.address.port > 0).toBe(true)
            expect(reference.address.host).not.toBe('')
          } else expect(reference.prefix).toMatch(/^[0-9a-f]{4,40}$/)
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError)
          expect((error as Error).message).not.toContain('hunter2')
        }
      }),
      {numRuns: 2000},
    )
  })

  test('an address is read back as it is written', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
    fc.assert(
      fc.property(host, fc.integer({min: 1, max: 65535}), (host, port) => {
        const reference = parseNodeReference(formatAddress({host, port}))
        expect(reference).toEqual({kind: 'address', address: {host: canonicalHost(host), port}})
      }),
    )
  })
})

test('where an ID makes no sense, a bare port is answered with an address', () => {
  try {
    parseAddressReference('7000')
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    expect((error as UsageError).suggestions).toEqual(['For that port on this machine: 127.0.0.1:7000'])
  }
})
