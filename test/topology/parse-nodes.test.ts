import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {formatRanges} from '../../src/lib/slots/slot-ranges.ts'
import type {NodeEntry} from '../../src/lib/topology/model.ts'
import {parseNodes} from '../../src/lib/topology/parse-nodes.ts'
import {captured, VERSIONS} from './captured.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)

function parseOne(line: string): NodeEntry {
  const [entry] = parseNodes(line)
  return entry!
}

describe.each(VERSIONS)('text of %s', (version) => {
  const text = captured(version)
  const byPort = (name: string) => new Map(parseNodes(text(name)).map((entry) => [entry.announced.port, entry]))

  test('a fresh node knows itself without a host', () => {
    const [entry, ...others] = parseNodes(text('fresh nodes'))
    expect(others).toEqual([])
    expect(entry).toMatchObject({
      announced: {host: '', port: 21000},
      busPort: 31000,
      hostname: undefined,
      isMyself: true,
      role: 'primary',
      primaryId: undefined,
      configEpoch: 0,
      ranges: [],
    })
  })

  test('3 primaries and 3 replicas look alike from all of them', () => {
    for (let port = 21000; port < 21006; port++) {
      const nodes = byPort(`3+3 nodes ${port}`)
      expect([...nodes.keys()].sort()).toEqual([21000, 21001, 21002, 21003, 21004, 21005])
      expect([21000, 21001, 21002].map((p) => formatRanges(nodes.get(p)!.ranges))).toEqual([
        '0-5460',
        '5461-10922',
        '10923-16383',
      ])
      for (const p of [21003, 21004, 21005]) {
        expect(nodes.get(p)).toMatchObject({role: 'replica', primaryId: nodes.get(p - 3)!.id, ranges: []})
      }
      expect([...nodes.values()].filter(({isMyself}) => isMyself)).toEqual([nodes.get(port)])
    }
  })

  test('slot marks are told by the node itself', () => {
    const [source, target, third] = [21000, 21001, 21002].map((port) => byPort(`marks nodes ${port}`))
    const [a, b] = [source!.get(21000)!, source!.get(21001)!]
    expect(a.migrating).toEqual([
      {slot: 0, peer: b.id},
      {slot: 101, peer: b.id},
    ])
    expect(formatRanges(a.ranges)).toBe('0-5460')
    expect(target!.get(21001)!.importing).toEqual([{slot: 0, peer: a.id}])
    expect(third!.get(21002)!.importing).toEqual([{slot: 100, peer: a.id}])
    expect(target!.get(21000)!.migrating).toEqual([])
  })

  test('a handshake is flagged and has neither role', () => {
    expect(byPort('handshake nodes 21000').get(21050)).toMatchObject({
      flags: new Set(['handshake']),
      isLinked: false,
      configEpoch: 0,
    })
  })

  test('failed nodes keep their slots and address', () => {
    expect(byPort('failed-replica nodes 21000').get(21005)!.flags).toEqual(new Set(['failed']))
    const primary = byPort('failed-primary nodes 21000')
    expect(primary.get(21001)).toMatchObject({flags: new Set(['failed']), isLinked: false})
    expect(formatRanges(primary.get(21001)!.ranges)).toBe('5461-10922')
    expect(primary.get(21004)!.flags).toEqual(new Set(['nofailover']))
  })

  test('a node without address', () => {
    const ghost = parseNodes(text('noaddr nodes 21000')).find(({flags}) => flags.has('noaddr'))
    expect(ghost).toMatchObject({announced: {host: '', port: 0}, busPort: 0, flags: new Set(['failed', 'noaddr'])})
  })

  test('hostnames', () => {
    const nodes = byPort('hostnames nodes 21062')
    expect([21060, 21061, 21062].map((port) => nodes.get(port)!.hostname)).toEqual([
      'node1.lab',
      'node2.lab',
      undefined,
    ])
  })

  test('IPv6 addresses end at the last colon', () => {
    const nodes = byPort('ipv6 nodes 21080')
    expect(nodes.get(21082)).toMatchObject({announced: {host: '::1', port: 21082}, busPort: 31082})
    expect(nodes.get(21080)!.hostname).toBe('six.lab')
  })
})

test('suspected is fail? on the wire', () => {
  const nodes = parseNodes(captured('redis-7.0')('suspected nodes 21000'))
  expect(nodes.find(({announced}) => announced.port === 21005)!.flags).toEqual(new Set(['suspected']))
})

test.each([
  {name: 'plain', endpoint: '10.0.0.1:7000@17000', host: '10.0.0.1', port: 7000, bus: 17000, hostname: undefined},
  {name: 'before Redis 4', endpoint: '10.0.0.1:7000', host: '10.0.0.1', port: 7000, bus: 17000, hostname: undefined},
  {
    name: 'an unusual bus port',
    endpoint: '10.0.0.1:7000@555',
    host: '10.0.0.1',
    port: 7000,
    bus: 555,
    hostname: undefined,
  },
  {
    name: 'hostname',
    endpoint: '10.0.0.1:7000@17000,n1.lab',
    host: '10.0.0.1',
    port: 7000,
    bus: 17000,
    hostname: 'n1.lab',
  },
  {
    name: 'hostname and more',
    endpoint: '10.0.0.1:7000@17000,n1.lab,shard-id=69bc',
    host: '10.0.0.1',
    port: 7000,
    bus: 17000,
    hostname: 'n1.lab',
  },
  {
    name: 'an empty hostname and more',
    endpoint: '10.0.0.1:7000@17000,,tls-port=0,shard-id=69bc',
    host: '10.0.0.1',
    port: 7000,
    bus: 17000,
    hostname: undefined,
  },
  {
    name: 'more only',
    endpoint: '10.0.0.1:7000@17000,tls-port=0',
    host: '10.0.0.1',
    port: 7000,
    bus: 17000,
    hostname: undefined,
  },
  {
    name: 'IPv6 at length',
    endpoint: 'FD00:17:0::0004:6379@16379',
    host: 'fd00:17::4',
    port: 6379,
    bus: 16379,
    hostname: undefined,
  },
  {name: 'IPv6', endpoint: 'fd00:17::4:6379@16379', host: 'fd00:17::4', port: 6379, bus: 16379, hostname: undefined},
  {
    name: 'IPv6 in brackets',
    endpoint: '[fd00:17::4]:6379@16379',
    host: 'fd00:17::4',
    port: 6379,
    bus: 16379,
    hostname: undefined,
  },
  {name: 'no host', endpoint: ':7000@17000', host: '', port: 7000, bus: 17000, hostname: undefined},
  {name: 'no host but memory', endpoint: `${B}V\u0002:1@2`, host: '', port: 1, bus: 2, hostname: undefined},
  {name: 'no host but an option', endpoint: '--yes:1@2', host: '', port: 1, bus: 2, hostname: undefined},
  {name: 'no address', endpoint: ':0@0', host: '', port: 0, bus: 0, hostname: undefined},
  {name: 'no address, before Redis 4', endpoint: ':0', host: '', port: 0, bus: 0, hostname: undefined},
])('address: $name', ({endpoint, host, port, bus, hostname}) => {
  expect(parseOne(`${A} ${endpoint} master - 0 0 1 connected`)).toMatchObject({
    announced: {host, port},
    busPort: bus,
    hostname,
  })
})

test('flags of later servers are passed over', () => {
  expect(parseOne(`${A} :1@2 slave,fail?,nofailover,shiny ${B} 0 0 1 disconnected`)).toMatchObject({
    role: 'replica',
    flags: new Set(['suspected', 'nofailover']),
    primaryId: B,
    isLinked: false,
  })
  expect(parseOne(`${A} :1@2 noflags - 0 0 1 connected`).flags.size).toBe(0)
})

test('lines that differ in nothing but times share one entry', () => {
  const [one, two] = [5, 6].map((time) => parseOne(`${A} 10.0.0.1:1@2 master - ${time} ${time} 1 connected 0-99 200`))
  expect(one).toBe(two)
  expect(parseOne(`${A} 10.0.0.1:1@2 master - 5 5 2 connected 0-99 200`)).not.toBe(one)
})

test('CRLF, blank lines and an empty text are fine', () => {
  expect(parseNodes('')).toEqual([])
  expect(
    parseNodes(`\r\n${A} :1@2 master - 0 0 1 connected\r\n\r\n${B} :1@2 master - 0 0 1 connected\r\n`),
  ).toHaveLength(2)
})

test.each([
  {name: 'an error reply', line: 'ERR This instance has cluster support disabled', says: 'no node ID'},
  {name: 'too few words', line: `${A} :1@2 master`, says: 'too few words'},
  {name: 'no link state', line: `${A} :1@2 master - 0 0 1`, says: 'bad link state ""'},
  {name: 'a short ID', line: `abc :1@2 master - 0 0 1 connected`, says: 'no node ID'},
  {name: 'a bad primary', line: `${A} :1@2 slave nobody 0 0 1 connected`, says: 'bad primary "nobody"'},
  {name: 'a bad epoch', line: `${A} :1@2 master - 0 0 -1 connected`, says: 'bad config epoch "-1"'},
  {name: 'a bad port', line: `${A} 10.0.0.1:70000@2 master - 0 0 1 connected`, says: 'bad address'},
  {name: 'no port', line: `${A} 10.0.0.1 master - 0 0 1 connected`, says: 'bad address'},
  {name: 'a slot too high', line: `${A} :1@2 master - 0 0 1 connected 0-16384`, says: 'bad slots: "0-16384"'},
  {name: 'a range that descends', line: `${A} :1@2 master - 0 0 1 connected 9-3`, says: 'bad slots: "9-3"'},
  {name: 'a bad mark', line: `${A} :1@2 master - 0 0 1 connected [1->-xyz]`, says: 'bad slot mark "[1->-xyz]"'},
  {name: 'a mark too high', line: `${A} :1@2 master - 0 0 1 connected [16384->-${B}]`, says: 'bad slot mark'},
  {name: 'control characters after a host', line: `${A} 10.0.0.1:1@2 mas\u0007ter - 0 0 1 connected`, says: 'control'},
  {name: 'control characters', line: `${A} :1@2,\x1b[2Jevil master - 0 0 1 connected`, says: ',?[2Jevil'},
])('$name is refused with the line', ({line, says}) => {
  expect(() => parseNodes(`${B} :1@2 master - 0 0 1 connected\n${line}`)).toThrow(says)
})

test('any text gives entries or an Error that is one clean, short line', () => {
  const word = fc.oneof(
    fc.constantFrom(
      A,
      B,
      '-',
      ':0@0',
      '::1:7@8,h',
      'myself,master',
      'slave',
      '0',
      '1',
      'connected',
      '0-9',
      `[1->-${A}]`,
    ),
    fc.string({unit: 'binary', maxLength: 12}),
  )
  const line = fc.array(word, {maxLength: 12}).map((words) => words.join(' '))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(line, {maxLength: 4}).map((lines) => lines.join('\n')),
        fc.string(),
      ),
      (text) => {
        try {
          for (const entry of parseNodes(text)) expect(entry.id).toMatch(/^[0-9a-f]{40}$/)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
          expect((error as Error).message).toMatch(/^this line of CLUSTER NODES [^\x00-\x1f\x7f-\x9f]*$/)
          expect((error as Error).message.length).toBeLessThan(600)
        }
      },
    ),
    {numRuns: 500},
  )
})
