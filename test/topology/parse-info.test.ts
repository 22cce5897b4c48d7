import {describe, expect, test} from 'vitest'
import {parseClusterInfo, parseServerInfo} from '../../src/lib/topology/parse-info.ts'
import {captured, VERSIONS} from './captured.ts'

const VERSION_NUMBERS = {
  'redis-7.0': ['redis', '7.0.15'],
  'redis-8.0': ['redis', '8.0.2'],
  'redis-8.6': ['redis', '8.6.3'],
  'valkey-8.1': ['valkey', '8.1.1'],
  'valkey-9.1': ['valkey', '9.1.2'],
} as const

describe.each(VERSIONS)('text of %s', (version) => {
  const text = captured(version)

  test('cluster info', () => {
    expect(parseClusterInfo(text('fresh cluster-info'))).toEqual({
      state: 'fail',
      knownNodes: 1,
      currentEpoch: 0,
      myEpoch: 0,
    })
    expect(parseClusterInfo(text('3+3 cluster-info 21001'))).toMatchObject({state: 'ok', knownNodes: 6, myEpoch: 2})
  })

  test('a primary', () => {
    const info = parseServerInfo(text('3+3 info 21000'))
    const [flavour, number] = VERSION_NUMBERS[version]
    expect(info).toMatchObject({
      flavour,
      version: number,
      isClusterEnabled: true,
      isLoading: false,
      maxMemoryBytes: 0,
      maxMemoryPolicy: 'noeviction',
      keysByDatabase: new Map([[0, 20]]),
      isPrimaryLinkUp: undefined,
      primaryLastIoSeconds: undefined,
      availabilityZone: undefined,
    })
    expect(info.usedMemoryBytes).toBeGreaterThan(500_000)
    expect(info.attachedReplicas).toMatchObject([{isOnline: true, address: {host: '127.0.0.1'}}])
    expect(info.attachedReplicas?.[0]?.lagSeconds).toBeLessThan(3)
    expect(info.goodReplicas).toBeUndefined()
    expect(info.replicationOffset).toBeGreaterThan(0)
  })

  test('replicas with and without a link', () => {
    expect(parseServerInfo(text('3+3 info 21003'))).toMatchObject({isPrimaryLinkUp: true})
    expect(parseServerInfo(text('3+3 info 21003')).primaryLastIoSeconds).toBeGreaterThanOrEqual(0)
    expect(parseServerInfo(text('failed-primary info 21004'))).toMatchObject({
      isPrimaryLinkUp: false,
      primaryLastIoSeconds: undefined,
    })
  })

  test('an empty server holds no keys', () => {
    expect(parseServerInfo(text('fresh info')).keysByDatabase.size).toBe(0)
  })
})

test.each([
  {name: 'nothing', text: '', says: 'cluster_state'},
  {name: 'an error', text: 'ERR unknown command', says: 'cluster_state'},
  {name: 'no epoch', text: 'cluster_state:ok\r\ncluster_known_nodes:3', says: 'cluster_current_epoch'},
  {name: 'no number', text: 'cluster_state:ok\r\ncluster_known_nodes:many', says: 'cluster_known_nodes'},
])('cluster info with $name is refused', ({text, says}) => {
  expect(() => parseClusterInfo(text)).toThrow(says)
})

test('without the right to INFO a server is still a cluster node, of unknown version', () => {
  expect(parseServerInfo('')).toMatchObject({
    flavour: 'redis',
    version: '',
    isClusterEnabled: true,
    isLoading: false,
    usedMemoryBytes: undefined,
    opsPerSecond: undefined,
  })
})

test('several databases, a zone, loading, and a server without cluster mode', () => {
  const text =
    'cluster_enabled:0\r\nloading:1\r\navailability_zone:eu-1a\r\ndb0:keys=5,expires=1\r\ndb3:keys=7,expires=0\r\n'
  expect(parseServerInfo(text)).toMatchObject({
    isClusterEnabled: false,
    isLoading: true,
    availabilityZone: 'eu-1a',
    keysByDatabase: new Map([
      [0, 5],
      [3, 7],
    ]),
  })
})

test('replicas as their primary tells them', () => {
  const text = [
    'role:master',
    'used_memory:9000000',
    'used_memory_startup:1600112',
    'mem_not_counted_for_evict:20480',
    'min_slaves_good_slaves:1',
    'slave0:ip=fd00::7,port=7003,state=online,offset=14,lag=0,type=main-thread',
    'slave1:ip=10.0.0.8,port=7004,state=wait_bgsave,offset=0,lag=31',
    'module:name=bf,ver=20,api=1,filters=0',
    'module:name=ReJSON,ver=20,api=1,filters=0',
  ].join('\r\n')
  expect(parseServerInfo(text)).toMatchObject({
    startupMemoryBytes: 1_600_112,
    uncountedMemoryBytes: 20_480,
    goodReplicas: 1,
    modules: ['ReJSON', 'bf'],
    attachedReplicas: [
      {address: {host: 'fd00::7', port: 7003}, isOnline: true, lagSeconds: 0},
      {address: {host: '10.0.0.8', port: 7004}, isOnline: false, lagSeconds: 31},
    ],
  })
})
