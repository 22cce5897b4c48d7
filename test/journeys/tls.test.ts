/** Clusters that are only reached with TLS: the whole way, and what is said when the certificates do not fit. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {Redis} from 'ioredis'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, splitAddress, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-tls-'))
const file = (name: string): string => path.join(folder, name)

afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

function openssl(...args: string[]): void {
  execFileSync('openssl', args, {cwd: folder, stdio: 'pipe'})
}

beforeAll(() => {
  for (const authority of ['ca', 'other-ca']) {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${authority}`,
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.pem`,
    )
  }
  writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost')
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=server', '-keyout', 'server.key', '-out', 'server.csr')
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'names',
    '-out',
    'server.pem',
  )
})

const KEYS = 500

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
      ca: [readFileSync(file('ca.pem'))],
      cert: readFileSync(file('server.pem')),
      key: readFileSync(file('server.key')),
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
    {name: 'an authority that did not sign', args: [a, '--tls', '--cacert', file('other-ca.pem'), ...login.slice(3)]},
    {name: 'no certificate of our own', args: [a, '--tls', '--cacert', file('ca.pem')]},
    {name: 'no TLS at all', args: [a]},
  ]
  for (const {name, args} of refused) {
    const {code, stderr} = await rcluster.run(['check', ...args, '--command-timeout', '1s', '--connect-timeout', '1s'])
    expect(`${code} ${stderr}`, name).toMatch(/^4 Error: /)
    expect(stderr, name).toContain(a)
  }
  // In the form of redis-cli, as there: the chain is verified, the name is not.
  const misnamed = ['--sni', 'somebody.else.example']
  expect((await rcluster.run(['check', a, ...login, ...misnamed])).stderr).toContain('TLS to')
  const likeRedisCli = await rcluster.run([...login, ...misnamed, '--cluster', 'check', a])
  expect(likeRedisCli).toMatchObject({code: 0, stderr: ''})
  const unsigned = await rcluster.run(['--tls', '--cacert', file('other-ca.pem'), '--cluster', 'check', a])
  expect(`${unsigned.code} ${unsigned.stderr}`).toMatch(/^1 Could not connect to Redis at /)

  const unread = await rcluster.run(['check', a, '--tls', '--cacert', file('nothing.pem')])
  expect(`${unread.code} ${unread.stderr}`).toMatch(/^2 Error: .*nothing\.pem/)
}
