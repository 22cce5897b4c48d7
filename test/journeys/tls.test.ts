/** Real servers with TLS: what they say of our certificate, and clusters whose nodes have a port with TLS and one without. */
import {afterAll, beforeAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {openCertificates} from '../support/certificates.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, rawCommand, splitAddress, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
const certificates = openCertificates()
const {file} = certificates
const BOTH_ENDS = ['--tls', '--cacert', file('ca.pem'), '--cert', file('server.pem'), '--key', file('server.key')]

afterAll(() => {
  rcluster.close()
  certificates.close()
})

beforeAll(() => {
  for (const authority of ['ca', 'other-ca']) certificates.issue(authority, {isAuthority: true})
  certificates.issue('server', {signer: 'ca', names: 'IP:127.0.0.1,DNS:localhost'})
  certificates.issue('stranger', {signer: 'other-ca'})
  certificates.issue('old', {signer: 'ca', days: -1})
})

const OF_SERVERS = {
  'tls-ca-cert-file': file('ca.pem'),
  'tls-cert-file': file('server.pem'),
  'tls-key-file': file('server.key'),
}

forEachKind(
  'a server that wants TLS and a certificate of ours',
  (kind) => {
    test('says what is wrong with it, and the way out is told', async () => {
      const servers = await startServers(kind, 1, {
        config: {...OF_SERVERS, port: '0', 'tls-port': 'PORT', 'tls-cluster': 'yes'},
      })
      try {
        const [a = ''] = servers.addresses
        const trusting = ['--tls', '--cacert', file('ca.pem')]
        const as = (name: string): string[] => ['--cert', file(`${name}.pem`), '--key', file(`${name}.key`)]
        const refused = [
          {name: 'none', args: trusting, says: /the server wants a certificate of ours[\s\S]*--cert and --key/},
          {name: 'of others', args: [...trusting, ...as('stranger')], says: /knows no authority that signed our cert/},
          {name: 'old', args: [...trusting, ...as('old')], says: /our certificate has expired[\s\S]*--cert/},
          {
            name: 'no cipher in common',
            args: [...BOTH_ENDS, '--tls-ciphersuites', 'TLS_AES_128_CCM_SHA256', '--tls-ciphers', 'AES128-SHA'],
            says: /no cipher in common[\s\S]*--tls-ciphers/,
          },
          {name: 'no TLS at all', args: [], says: /closed the connection[\s\S]*add --tls|speaks TLS[\s\S]*--tls/},
        ]
        for (const {name, args, says} of refused) {
          const {code, stderr} = await rcluster.run(['info', a, ...args, '--connect-timeout', '2s'])
          expect.soft(`${code} ${stderr}`, name).toMatch(/^4 Error: /)
          expect.soft(stderr, name).toMatch(says)
        }
        expect((await rcluster.run(['info', a, ...BOTH_ENDS, '--tls-verify', 'full'])).code).toBe(0)
        // As redis-cli has it: the chain is verified, the name is not.
        const ping = [...BOTH_ENDS, '--sni', 'somebody.else.example', '--cluster', 'call', a, 'PING']
        expect(await rcluster.run(ping)).toMatchObject({code: 0, stderr: ''})
        const unsigned = await rcluster.run(['--tls', '--cacert', file('other-ca.pem'), '--cluster', 'check', a])
        expect(`${unsigned.code} ${unsigned.stderr}`).toMatch(
          /^1 Could not connect to Redis at .*no authority known here/,
        )
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

/** The nodes speak to each other with TLS or without, and we come in by the other door. */
forEachKind(
  'a cluster whose nodes have a port with TLS and one without',
  (kind) => {
    test.each([
      {within: 'with TLS', isTlsUsed: 'yes', dialPort: 0, flags: []},
      {within: 'without TLS', isTlsUsed: 'no', dialPort: 10_000, flags: ['--tls', '--cacert', file('ca.pem')]},
    ])('$within moves slots for who comes by the other', async ({isTlsUsed, dialPort, flags}) => {
      const servers = await startServers(kind, 3, {
        config: {
          ...OF_SERVERS,
          ...{'tls-port': 'PORT+10000', 'cluster-port': 'PORT+5000', 'tls-auth-clients': 'no'},
          ...{'tls-cluster': isTlsUsed, 'tls-replication': isTlsUsed},
        },
      })
      try {
        const [a = '', b = '', c = ''] = servers.addresses.map((address) => {
          const {host, port} = splitAddress(address)
          return `${host}:${port + dialPort}`
        })
        await rcluster.ok('create', a, b, c, '--yes', ...flags)
        const [plain = ''] = servers.addresses
        for (let n = 0; n < 20; n++) await rawCommand(plain, ['SET', `{${tagForSlot(7)}}${n}`, 'value'])
        // Redis 7.0 announces nothing but the plain ports then: all nodes are named once, and remembered.
        const seeds = dialPort > 0 ? ['--seed', b, '--seed', c] : []
        const way = ['--from', a, '--to', b, '--slots-list', '7', '--mover', 'migrate', '--yes']
        const {stdout} = await rcluster.ok('reshard', a, ...seeds, ...way, ...flags)
        expect(stdout).toContain('Moved 1 slot with 20 keys')
        expect((await rcluster.run(['check', c, ...flags])).code).toBe(0)
      } finally {
        await servers.stop()
      }
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
