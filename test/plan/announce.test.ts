import {describe, expect, test} from 'vitest'
import {parseAddress} from '../../src/lib/cli/node-argument.ts'
import {RefusedError} from '../../src/lib/errors.ts'
import {type AnnounceFacts, isAnnounced, planAnnouncement} from '../../src/lib/plan/announce.ts'

const OLD = {'cluster-announce-ip': '', 'cluster-announce-port': '0', 'cluster-announce-bus-port': '0'}
const REDIS = {...OLD, 'cluster-announce-hostname': '', 'cluster-preferred-endpoint-type': 'ip'}
const VALKEY_8 = {...REDIS, 'cluster-announce-client-ipv4': '', 'cluster-announce-client-ipv6': ''}
const VALKEY_9 = {...VALKEY_8, 'cluster-announce-client-port': '0', 'cluster-announce-client-tls-port': '0'}

function node(
  named: string,
  internal: string | undefined,
  settings: Record<string, string>,
  ip?: string,
): AnnounceFacts {
  const address = parseAddress(named)
  return {
    address,
    ip: ip ?? address.host,
    internal: internal === undefined ? undefined : parseAddress(internal),
    server: 'redis 7.0.15',
    settings: new Map(Object.entries(settings)),
  }
}

interface Row {
  readonly name: string
  readonly nodes: readonly AnnounceFacts[]
  readonly isTls?: boolean
  readonly way?: string
  /** Of the last node. */
  readonly settings?: readonly string[]
}

const rows: readonly Row[] = [
  {
    name: 'nodes that are where they were named announce nothing',
    nodes: [node('10.0.0.1:7000', '10.0.0.1:7000', VALKEY_9)],
  },
  {name: 'this machine has several names', nodes: [node('[::1]:7000', '127.0.0.1:7000', VALKEY_9, '::1')]},
  {
    name: 'a client port of its own where ports are mapped',
    nodes: [node('127.0.0.1:7000', '172.17.0.2:6379', VALKEY_9), node('127.0.0.1:7001', '172.17.0.3:6379', VALKEY_9)],
    way: 'clients',
    settings: ['cluster-announce-client-ipv4 127.0.0.1', 'cluster-announce-client-port 7001'],
  },
  {
    name: 'the port for TLS',
    nodes: [node('127.0.0.1:7000', '172.17.0.2:6380', VALKEY_9)],
    isTls: true,
    way: 'clients',
    settings: ['cluster-announce-client-ipv4 127.0.0.1', 'cluster-announce-client-tls-port 7000'],
  },
  {
    name: 'an address alone where the port is the same',
    nodes: [node('192.168.1.5:7000', '172.17.0.2:7000', VALKEY_8)],
    way: 'clients',
    settings: ['cluster-announce-client-ipv4 192.168.1.5'],
  },
  {
    name: 'IPv6',
    nodes: [node('[2001:db8::5]:7000', '[fd00::2]:6379', VALKEY_9)],
    way: 'clients',
    settings: ['cluster-announce-client-ipv6 2001:db8::5', 'cluster-announce-client-port 7000'],
  },
  {
    name: 'an address passes for a hostname where there is nothing else',
    nodes: [node('192.168.1.5:7000', '172.17.0.2:7000', REDIS)],
    way: 'name',
    settings: ['cluster-announce-hostname 192.168.1.5', 'cluster-preferred-endpoint-type hostname'],
  },
  {
    name: 'a name of a node that is where the name leads',
    nodes: [node('cache-1:6379', '10.0.0.7:6379', VALKEY_9, '10.0.0.7')],
    way: 'name',
    settings: ['cluster-announce-hostname cache-1', 'cluster-preferred-endpoint-type hostname'],
  },
  {
    name: 'a name, and for CLUSTER NODES what it stands for',
    nodes: [node('localhost:7000', '172.17.0.2:6379', VALKEY_9, '127.0.0.1')],
    way: 'name',
    settings: [
      'cluster-announce-client-ipv4 127.0.0.1',
      'cluster-announce-client-port 7000',
      'cluster-announce-hostname localhost',
      'cluster-preferred-endpoint-type hostname',
    ],
  },
  {
    name: 'servers of two kinds go the way that both know',
    nodes: [node('192.168.1.5:7000', '172.17.0.2:7000', VALKEY_9), node('192.168.1.5:7001', '172.17.0.3:7001', REDIS)],
    way: 'name',
    settings: ['cluster-announce-hostname 192.168.1.5', 'cluster-preferred-endpoint-type hostname'],
  },
  {
    name: 'an address for all where the ports differ',
    nodes: [node('192.168.1.5:7000', '172.17.0.2:6379', REDIS), node('192.168.1.5:7001', '172.17.0.3:6379', VALKEY_9)],
    way: 'address',
    settings: ['cluster-announce-ip 192.168.1.5', 'cluster-announce-port 7001', 'cluster-announce-bus-port 17001'],
  },
  {
    name: 'before hostnames',
    nodes: [node('192.168.1.5:7000', '172.17.0.2:7000', OLD)],
    way: 'address',
    settings: ['cluster-announce-ip 192.168.1.5', 'cluster-announce-port 7000', 'cluster-announce-bus-port 17000'],
  },
]

describe('what is announced', () => {
  test.each(rows)('$name', ({nodes, isTls = false, way, settings}) => {
    const plan = planAnnouncement(nodes, isTls)
    expect(plan?.way).toBe(way)
    expect(plan?.nodes.at(-1)?.settings.map((one) => `${one.name} ${one.value}`)).toEqual(settings)
    expect(plan?.nodes.map(({address}) => address) ?? []).toEqual(
      plan
        ? nodes.map(({address: {host, port}}) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`))
        : [],
    )
  })

  test.each([
    {
      name: 'this machine, with other ports',
      facts: node('127.0.0.1:7000', '172.17.0.2:6379', REDIS),
      says: 'redis 7.0.15 listens on port 6379 and cannot announce 127.0.0.1:7000 to clients alone: the other nodes would go there, too, and to each of them that is itself',
    },
    {
      name: 'no port for clients',
      facts: node('127.0.0.1:7000', '172.17.0.2:6379', VALKEY_8),
      says: 'cannot announce 127.0.0.1:7000',
    },
    {
      name: 'a name, with other ports',
      facts: node('docker.example:7000', '172.17.0.2:6379', REDIS, '192.168.1.5'),
      says: 'too, and that takes an IP address',
    },
    {
      name: 'no bus port above the client port',
      facts: node('192.168.1.5:60000', '172.17.0.2:6379', REDIS),
      says: 'its bus port, 60000 + 10000, is none',
    },
    {
      name: 'a node that does not tell where it listens',
      facts: node('127.0.0.1:7000', undefined, REDIS),
      says: '127.0.0.1:7000 did not tell at which address it listens',
    },
  ])('refused: $name', ({facts, says}) => {
    const attempt = (): unknown => planAnnouncement([facts], false)
    expect(attempt).toThrow(RefusedError)
    expect(attempt).toThrow(says)
  })

  test('is there when all nodes have it', () => {
    const before = [node('127.0.0.1:7000', '172.17.0.2:6379', VALKEY_9)]
    const plan = planAnnouncement(before, false)!
    expect(isAnnounced(plan, before)).toBe(false)
    const set = Object.fromEntries(plan.nodes[0]!.settings.map(({name, value}) => [name, value]))
    expect(isAnnounced(plan, [node('127.0.0.1:7000', '172.17.0.2:6379', {...VALKEY_9, ...set})])).toBe(true)
  })

  test('clients inside are sent there, too, and that is said', () => {
    const warningsOf = (facts: AnnounceFacts): readonly string[] => planAnnouncement([facts], false)!.warnings
    expect(warningsOf(node('127.0.0.1:7000', '172.17.0.2:6379', VALKEY_9))).toEqual([
      expect.stringContaining('Clients in the network of the nodes are sent to these addresses, too'),
      expect.stringContaining('127.0.0.1 is this machine for clients on it only'),
    ])
    expect(warningsOf(node('192.168.1.5:7000', '172.17.0.2:6379', VALKEY_9))).toHaveLength(1)
    expect(warningsOf(node('cache-1:6379', '10.0.0.7:6379', REDIS, '10.0.0.7'))).toEqual([])
  })
})
