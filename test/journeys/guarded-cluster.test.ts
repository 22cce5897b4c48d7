/**
 * The main job on a cluster that is guarded as well as servers can be: TLS everywhere with certificates on both sides,
 * signed by an authority in between; the default user off; an operator with the least rights and another password on
 * every node; and a user of its own for the keys that the nodes send each other.
 */
import {writeFileSync} from 'node:fs'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openCertificates} from '../support/certificates.ts'
import {type Access, compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, splitAddress, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
const certificates = openCertificates()
const {file, read} = certificates
afterAll(() => {
  rcluster.close()
  certificates.close()
})

beforeAll(() => {
  certificates.issue('root', {isAuthority: true})
  certificates.issue('between', {signer: 'root', isAuthority: true})
  certificates.issue('server', {signer: 'between', names: 'IP:127.0.0.1'})
  certificates.issue('client', {signer: 'between'})
  certificates.bundle('server-chain', ['server', 'between'])
  certificates.bundle('client-chain', ['client', 'between'])
})

const JOBS = ['create', 'add-node', 'reshard', 'rebalance', 'del-node', 'check', 'info', 'backup']

forEachKind('a cluster with TLS, client certificates, users of least rights and a password for every node', (kind) => {
  test('is created, grown, evened out, backed up and shrunk under writes', {timeout: 120_000}, async () => {
    const servers = await startServers(kind, 7, {
      hasConfigFile: true,
      config: {
        port: '0',
        'tls-port': 'PORT',
        'tls-cluster': 'yes',
        'tls-replication': 'yes',
        'tls-auth-clients': 'yes',
        'tls-ca-cert-file': file('root.pem'),
        'tls-cert-file': file('server-chain.pem'),
        'tls-key-file': file('server.key'),
      },
    })
    const tls = {
      ca: read('root.pem').toString(),
      cert: read('client-chain.pem').toString(),
      key: read('client.key').toString(),
    }
    const app: Access = {username: 'app', password: 'of-the-app', tls}
    const passwordAt = (address: string): string => `only ${splitAddress(address).port}`
    try {
      const {stdout} = await rcluster.ok('acl', ...JOBS, '--optional', '--user', 'ops', '--json')
      const {rules} = (JSON.parse(stdout) as {result: {rules: {servers: string; rule: string}[]}}).result
      for (const address of servers.addresses) {
        const say = (...words: string[]): Promise<unknown> => rawCommand(address, words, {tls})
        await say('ACL', 'SETUSER', 'app', 'on', `>${app.password}`, '~*', '+@all')
        await say('ACL', 'SETUSER', 'replica', 'on', '>of-the-replicas', '~*', '&*', '+@all')
        await say('ACL', 'SETUSER', 'mover', 'on', '>of-the-mover', '~*', '+restore-asking', '+select')
        // The newest rule that this server understands.
        const told: unknown[] = []
        for (const {rule} of rules.filter(({rule}) => rule.includes(' ops ')).reverse()) {
          const words = rule.split(' ').map((word) => (word === '>PASSWORD' ? `>${passwordAt(address)}` : word))
          const answer = await say(...words).catch((error: unknown) => error)
          told.push(answer)
          if (answer === 'OK') break
        }
        expect(told.at(-1)).toBe('OK')
        await say('CONFIG', 'SET', 'masteruser', 'replica', 'masterauth', 'of-the-replicas')
        await say('ACL', 'SETUSER', 'default', 'off')
      }
      const credentials = [
        ...servers.addresses.map((address) => `${address} ops ${passwordAt(address)}`),
        'migrate-to * mover of-the-mover',
      ]
      writeFileSync(file('credentials'), credentials.join('\n'), {mode: 0o600})
      const login = [
        ...['--tls', '--cacert', file('root.pem'), '--cert', file('client-chain.pem'), '--key', file('client.key')],
        ...['--credentials', file('credentials')],
      ]
      const ok = (...words: string[]) => rcluster.ok(...words, ...login)

      const [a = '', b = '', , , , , newcomer = ''] = servers.addresses
      const members = servers.addresses.slice(0, 6)
      await ok('create', ...members, '--replicas', '1', '--yes')
      await loadDataSet(members, {keys: 5000, access: app})
      const before = await digestDataSet(members, 0, app)
      const writer = await startWriter(members.slice(0, 3), {opsPerSecond: 300, access: app})

      await ok('add-node', newcomer, a)
      const resharded = await ok('reshard', a, newcomer, '500', '--mover', 'migrate', '--yes')
      expect(resharded.stdout).toContain('Moved 500 slots')
      await ok('rebalance', b, '--use-empty', '--yes')
      await ok('backup', a, file(`backup of ${kind.name}`))
      await ok('del-node', a, newcomer, '--drain', '--yes')

      expect(await writer.stop()).toMatchObject({errors: [], lost: []})
      expect(compareDigests(before, await digestDataSet(members, 0, app))).toEqual({
        missing: [],
        changed: [],
        added: [],
        duplicates: [],
      })
      await eventually('all is well', async () => (await rcluster.run(['check', a, ...login])).code === 0)
      // The keys came as another user than we are.
      const [, ...users] = String(await rawCommand(a, ['ACL', 'LIST'], {...app})).split(',')
      expect(users.join()).toContain('mover')

      writeFileSync(file('credentials'), `${b} ops ${passwordAt(b)}\n* ops wrong`)
      const refused = await rcluster.run(['check', b, ...login])
      expect(`${refused.code} ${refused.stdout}${refused.stderr}`).toMatch(/^[14] [\s\S]*(WRONGPASS|password)/)
      expect(refused.stdout + refused.stderr).not.toContain(passwordAt(b))
    } finally {
      await servers.stop()
    }
  })
})
