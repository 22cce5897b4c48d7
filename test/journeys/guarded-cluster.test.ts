/**
 * The main job on a cluster that is guarded as well as servers can be: TLS everywhere with certificates on both sides,
 * signed by an authority in between; the default user off; an operator with the least rights and another password on
 * every node; and a user of its own for the keys that the nodes send each other.
 */
import {writeFileSync} from 'node:fs'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openCertificates} from '../support/certificates.ts'
import {type Access, compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {
  eventually,
  forEachKind,
  rawCommand,
  type ServerKind,
  splitAddress,
  startServers,
  type TestServers,
} from '../support/servers.ts'

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

const MAIN_JOB = ['create', 'add-node', 'reshard', 'check', 'del-node']
const ALL_ELSE = ['info', 'call', 'wait', 'failover', 'apply', 'fix', 'backup', 'restore', 'import']

const GUARDED = {
  port: '0',
  'tls-port': 'PORT',
  'tls-cluster': 'yes',
  'tls-replication': 'yes',
  'tls-auth-clients': 'yes',
  'tls-ca-cert-file': file('root.pem'),
  'tls-cert-file': file('server-chain.pem'),
  'tls-key-file': file('server.key'),
}
const OVER_TLS = [
  '--tls',
  '--cacert',
  file('root.pem'),
  '--cert',
  file('client-chain.pem'),
  '--key',
  file('client.key'),
]

const passwordAt = (address: string): string => `only for ${splitAddress(address).port}`

/** Of whom no word may be repeated: a file of them, for this machine's user alone. */
function writeCredentials(name: string, lines: readonly string[], mode = 0o600): string[] {
  writeFileSync(file(name), lines.join('\n'), {mode})
  return [...OVER_TLS, '--credentials', file(name)]
}

const MOVER = 'migrate-to * mover of-the-mover'
const linesFor = (addresses: readonly string[]): string[] => addresses.map((one) => `${one} ops ${passwordAt(one)}`)

/** As whom the operator logs in, and who brings keys. */
async function readRules(commands: readonly string[]): Promise<{ops: string[][]; mover: string[][]}> {
  const users = ['--user', 'ops', '--migrate-user', 'mover']
  const {stdout} = await rcluster.ok('acl', ...commands, '--optional', ...users, '--json')
  const {rules} = (JSON.parse(stdout) as {result: {rules: {rule: string}[]}}).result
  const of = (user: string): string[][] =>
    rules.filter(({rule}) => rule.includes(` ${user} `)).map(({rule}) => rule.split(' '))
  expect(of('ops').flat()).not.toContain('+restore-asking')
  return {ops: of('ops'), mover: of('mover')}
}

async function makeUsers(
  servers: TestServers,
  {ops, mover}: {readonly ops: readonly string[][]; readonly mover: readonly string[][]},
): Promise<Access> {
  const [ca, cert, key] = ['root.pem', 'client-chain.pem', 'client.key'].map((name) => read(name).toString())
  const tls = {ca: ca ?? '', cert: cert ?? '', key: key ?? ''}
  for (const address of servers.addresses) {
    const say = (...words: string[]): Promise<unknown> => rawCommand(address, words, {tls})
    await say('ACL', 'SETUSER', 'app', 'on', '>of-the-app', '~*', '+@all')
    await say('ACL', 'SETUSER', 'replica', 'on', '>of-the-replicas', '~*', '&*', '+@all')
    for (const [rules, password] of [
      [mover, 'of-the-mover'],
      [ops, passwordAt(address)],
    ] as const) {
      // The newest rule that this server understands.
      let answer: unknown
      for (const rule of [...rules].reverse()) {
        const words = rule.map((word) => (word === '>PASSWORD' ? `>${password}` : word))
        answer = await say(...words).catch((error: unknown) => error)
        if (answer === 'OK') break
      }
      expect(answer).toBe('OK')
    }
    await say('CONFIG', 'SET', 'masteruser', 'replica', 'masterauth', 'of-the-replicas')
    await say('ACL', 'SETUSER', 'default', 'off')
  }
  return {username: 'app', password: 'of-the-app', tls}
}

/** Nothing of it is lost by what `work` does meanwhile. */
async function underWrites(members: readonly string[], access: Access, work: () => Promise<void>): Promise<void> {
  await loadDataSet(members, {keys: 2000, access})
  const before = await digestDataSet(members, 0, access)
  const writer = await startWriter(members, {opsPerSecond: 300, access})
  await work()
  const told = await writer.stop()
  expect(told).toMatchObject({errors: [], lost: []})
  expect(told.ops).toBeGreaterThan(100)
  expect(compareDigests(before, await digestDataSet(members, 0, access))).toEqual({
    missing: [],
    changed: [],
    added: [],
    duplicates: [],
  })
}

forEachKind('a cluster with TLS, client certificates, users of least rights and a password for every node', (kind) => {
  test('is created, grown, resharded and shrunk under writes', async () => {
    const servers = await startServers(kind, 5, {hasConfigFile: true, config: GUARDED})
    try {
      const isThorough = ['redis-7.0', 'valkey-9.1'].includes(kind.name)
      const access = await makeUsers(servers, await readRules(isThorough ? [...MAIN_JOB, ...ALL_ELSE] : MAIN_JOB))
      const login = writeCredentials('credentials', [...linesFor(servers.addresses), MOVER])
      const ok = (...words: string[]): Promise<RunResult> => rcluster.ok(...words, ...login)
      const [a = '', b = '', c = '', replica = '', newcomer = ''] = servers.addresses

      await ok('create', a, b, c, replica, '--primaries', '3', '--yes')
      await underWrites([a, b, c], access, async () => {
        await ok('add-node', newcomer, a)
        const resharded = await ok('reshard', a, newcomer, '50', '--mover', 'migrate', '--yes')
        expect(resharded.stdout).toContain('Moved 50 slots')
        // By themselves, where servers can.
        await ok('reshard', b, newcomer, '50', '--yes')
        await ok('del-node', a, newcomer, '--drain', '--yes')
      })
      await eventually('all is well', async () => (await rcluster.run(['check', a, ...login])).code === 0)
      if (isThorough) {
        await everythingElse(kind, servers, access, ok)
        await refusals(servers, access)
      }
    } finally {
      await servers.stop()
    }
  })
})

async function everythingElse(
  kind: ServerKind,
  servers: TestServers,
  access: Access,
  ok: (...words: string[]) => Promise<RunResult>,
): Promise<void> {
  const [a = '', b = '', , replica = ''] = servers.addresses
  const plan = file(`plan of ${kind.name}`)
  await ok('reshard', b, a, '5', '--mover', 'migrate', '--out', plan, '--yes')
  expect((await ok('apply', plan, '--yes')).stdout).toContain('Moved 5 slots')
  const called = await ok('call', a, 'PING')
  expect(called.stdout.match(/PONG/g)).toHaveLength(4)

  const id = String(await rawCommand(b, ['CLUSTER', 'MYID'], access))
  await rawCommand(a, ['CLUSTER', 'SETSLOT', await firstSlotOf(a, access), 'MIGRATING', id], access)
  expect((await ok('fix', b, '--yes')).stdout).toContain('1 repair done')
  await ok('failover', replica, '--yes')
  await ok('wait', a, '--for', 'healthy', '--nodes', '4')

  const folder = file(`backup of ${kind.name}`)
  await ok('backup', a, folder)
  await ok('restore', folder, a, '--on-conflict', 'skip', '--yes')
  const source = await startServers(kind, 1, {config: {'cluster-enabled': 'no'}})
  try {
    const [from = ''] = source.addresses
    for (let n = 0; n < 30; n++) await rawCommand(from, ['SET', `imported:${n}`, 'value'])
    expect((await ok('import', a, '--from', from, '--yes')).stdout).toContain('Copied 30 keys')
  } finally {
    await source.stop()
  }
}

async function firstSlotOf(address: string, access: Access): Promise<string> {
  const nodes = String(await rawCommand(address, ['CLUSTER', 'NODES'], access))
  return /myself.* connected (\d+)/.exec(nodes)?.[1] ?? ''
}

/** Each names who lacks what, and tells no password. */
async function refusals(servers: TestServers, access: Access): Promise<void> {
  const members = servers.addresses.slice(0, 4)
  const [, b = '', c = ''] = members
  const move = ['reshard', b, c, '3', '--mover', 'migrate', '--dry-run']
  const refused = async (words: string[], code: number, says: RegExp): Promise<void> => {
    const told = await rcluster.run(words)
    expect(`${told.code} ${told.stderr}`).toMatch(new RegExp(`^${code} [\\s\\S]*${says.source}`))
    expect(told.stdout + told.stderr).not.toMatch(/of-the-mover|only for|s3cret/)
  }
  const misspelt = writeCredentials('misspelt', [...linesFor(members), 'migrate-to * mover s3cret'])
  await refused([...move, ...misspelt], 3, /WRONGPASS[\s\S]*--credentials: migrate-to/)
  const unknown = writeCredentials('unknown', [`${c} ops ${passwordAt(c)}`, `${b} ops s3cret`], 0o644)
  await refused(['info', b, ...unknown], 4, /can read --credentials [\s\S]*WRONGPASS[\s\S]*Correct its line in/)
  await rawCommand(c, ['ACL', 'SETUSER', 'mover', '-restore-asking'], access)
  const login = writeCredentials('credentials', [...linesFor(members), MOVER])
  await refused([...move, ...login], 3, /user mover may not RESTORE-ASKING on /)
}
