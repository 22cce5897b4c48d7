/** Clusters that are only reached with TLS: the whole way, and what is said when the certificates do not fit. */
import {once} from 'node:events'
import type {AddressInfo} from 'node:net'
import {createServer} from 'node:tls'
import {Redis} from 'ioredis'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {openCertificates} from '../support/certificates.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, splitAddress, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const certificates = openCertificates()
const {file, read} = certificates

afterAll(() => {
  rcluster.close()
  certificates.close()
})

beforeAll(() => {
  for (const authority of ['ca', 'other-ca']) certificates.issue(authority, {isAuthority: true})
  certificates.issue('server', {signer: 'ca', names: 'IP:127.0.0.1,DNS:localhost'})
})

const KEYS = 500

describe('a server whose certificate', () => {
  const authority = ['--cacert', file('ca.pem')]
  const names = 'DNS:localhost'
  const cases = [
    {is: 'has expired', issue: {names, signer: 'ca', days: -1}, says: /has expired[\s\S]*Renew it/},
    {is: 'is signed by itself', issue: {names}, says: /signed by nobody but itself[\s\S]*--cacert/},
    {
      is: 'is for another name',
      issue: {names: 'DNS:other.example', signer: 'ca'},
      says: /is for other\.example, not for localhost/,
    },
    {is: 'has no name', issue: {signer: 'ca'}, says: /is for another name, not for localhost|is not for/},
    {
      is: 'is only trusted by an authority of others',
      issue: {names, signer: 'ca'},
      args: ['--cacert', file('other-ca.pem')],
      says: /no authority known here/,
    },
    {
      is: 'is signed by an authority in between, which the server does not send',
      issue: {names, signer: 'between'},
      says: /no authority known here/,
    },
  ]
  test.each(cases)('$is', async ({issue, args = authority, says, is}) => {
    const name = `case-${cases.findIndex((one) => one.is === is)}`
    certificates.issue('between', {signer: 'ca', isAuthority: true})
    certificates.issue(name, issue)
    const server = createServer({key: read(`${name}.key`), cert: read(`${name}.pem`)})
    server.on('tlsClientError', () => {})
    server.listen(0, 'localhost')
    await once(server, 'listening')
    const {port} = server.address() as AddressInfo
    try {
      const {code, stderr} = await rcluster.run(['check', `localhost:${port}`, '--tls', ...args])
      expect(`${code} ${stderr}`).toMatch(/^4 Error: TLS to localhost:\d+ failed: /)
      expect(stderr).toMatch(says)
    } finally {
      server.close()
    }
  })
})

forEachKind('a cluster behind TLS', (kind) => {
  test('is created, grown, resharded and shrunk, and keeps its keys', async () => {
    const servers = await startServers(kind, 4, {
      config: {
        port: '0',
        'tls-port': 'PORT',
        'tls-cluster': 'yes',
        'tls-replication': 'yes',
        'tls-ca-cert-file': file('ca.pem'),
        'tls-cert-file': file('server.pem'),
        'tls-key-file': file('server.key'),
      },
    })
    try {
      await journey(servers)
    } finally {
      await servers.stop()
    }
  })
})

async function journey(servers: TestServers): Promise<void> {
  const [a = '', b = '', c = '', d = ''] = servers.addresses
  const login = ['--tls', '--cacert', file('ca.pem'), '--cert', file('server.pem'), '--key', file('server.key')]
  await rcluster.ok('create', a, b, c, '--yes', ...login)

  const client = new Redis({
    ...splitAddress(a),
    protocol: 2,
    tls: {
      ca: [read('ca.pem')],
      cert: read('server.pem'),
      key: read('server.key'),
    },
  })
  const pipeline = client.pipeline()
  for (let n = 0; n < KEYS; n++) pipeline.set(`{${tagForSlot(n % 50)}}${n}`, 'value')
  await pipeline.exec()
  client.disconnect()

  await rcluster.ok('add-node', d, a, ...login)
  const moved = await rcluster.ok('reshard', a, '--from', a, '--to', d, '--slots-list', '0-49', '--yes', ...login)
  expect(moved.stdout).toContain(`Moved 50 slots with ${KEYS} keys`)
  await rcluster.ok('del-node', a, d, '--drain', '--yes', ...login)
  const backup = await rcluster.ok('backup', a, file(`backup of ${servers.kind.name}`), '--json', ...login)
  expect(JSON.parse(backup.stdout).result.keys).toBe(KEYS)
  const {result} = JSON.parse((await rcluster.ok('info', `rediss://${a}`, '--json', ...login.slice(1))).stdout)
  expect(JSON.stringify(result)).toContain(b)
  expect((await rcluster.run(['check', a.replace('127.0.0.1', 'localhost'), ...login])).code).toBe(0)

  const refused = [
    {
      name: 'an authority that did not sign',
      args: [a, '--tls', '--cacert', file('other-ca.pem'), ...login.slice(3)],
      says: /no authority known here has signed the server's certificate[\s\S]*--cacert/,
    },
    {
      name: 'no certificate of our own',
      args: [a, '--tls', '--cacert', file('ca.pem')],
      says: /the server wants a certificate of ours[\s\S]*--cert/,
    },
    {
      name: 'a certificate of somebody else',
      args: [a, '--tls', '--cacert', file('ca.pem'), '--cert', file('other-ca.pem'), '--key', file('other-ca.key')],
      says: /the server does not accept our certificate[\s\S]*--cert/,
    },
    {
      name: 'another name',
      args: [a, ...login, '--sni', 'somebody.else.example'],
      says: /the server's certificate is for 127\.0\.0\.1, localhost, not for somebody\.else\.example[\s\S]*--sni/,
    },
    {name: 'no TLS at all', args: [a], says: /closed the connection[\s\S]*add --tls/},
  ]
  for (const {name, args, says} of refused) {
    const {code, stderr} = await rcluster.run(['check', ...args, '--command-timeout', '1s', '--connect-timeout', '1s'])
    expect(`${code} ${stderr}`, name).toMatch(/^4 Error: /)
    expect(stderr, name).toContain(a)
    expect.soft(stderr, name).toMatch(says)
  }
  // In the form of redis-cli, as there: the chain is verified, the name is not.
  const misnamed = ['--sni', 'somebody.else.example']
  const likeRedisCli = await rcluster.run([...login, ...misnamed, '--cluster', 'check', a])
  expect(likeRedisCli).toMatchObject({code: 0, stderr: ''})
  const unsigned = await rcluster.run(['--tls', '--cacert', file('other-ca.pem'), '--cluster', 'check', a])
  expect(`${unsigned.code} ${unsigned.stderr}`).toMatch(/^1 Could not connect to Redis at /)

  const unread = await rcluster.run(['check', a, '--tls', '--cacert', file('nothing.pem')])
  expect(`${unread.code} ${unread.stderr}`).toMatch(/^2 Error: .*nothing\.pem/)
}
