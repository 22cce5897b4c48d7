/** Passwords go to the servers and nowhere else: not to the screen, --json, events, debug traces, or any file. */
import {mkdtempSync, readdirSync, readFileSync, rmSync, statSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, startServers, type TestServers} from '../support/servers.ts'

const SECRET = 'pa55-that-nobody-may-see'
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-secrets-'))
const state = path.join(folder, 'state')
const rcluster = openRcluster()
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

/** All that libraries would tell about themselves, too. */
const ENV = {...process.env, DEBUG: '*', NODE_DEBUG: 'net,tls', XDG_STATE_HOME: state, RCLUSTER_PASSWORD: SECRET}

/** As they are typed in turn: five empty nodes, a source of keys outside. `kind` tells the files of each apart. */
function commandLines(
  kind: string,
  [a = '', b = '', c = '', d = '', e = '', source = '']: readonly string[],
): string[][] {
  const file = (name: string): string => path.join(folder, `${name} of ${kind}`)
  const plan = file('plan.json')
  const from = ['--from', `redis://:${SECRET}@${source}`]
  return [
    ['create', a, b, c, '--yes', '--json'],
    ['import', a, ...from, '--yes', '--verbose'],
    ['info', a, '--verbose'],
    ['check', `redis://default:${SECRET}@${a}`, '--verbose'],
    ['add-node', d, a, '--yes', '--progress', 'ndjson'],
    ['add-node', e, a, '--replica', '--primary', a, '--yes', '--verbose'],
    ['reshard', a, '--from', a, '--to', d, '--slots', '20', '--dry-run', '--out', plan],
    ['apply', plan, '--seed', `redis://:${SECRET}@${a}`, '--yes', '--verbose', '--progress', 'ndjson'],
    ['rebalance', a, '--yes', '--verbose'],
    ['call', a, '--', 'PING'],
    ['set-timeout', a, '6000', '--yes'],
    ['config', 'diff', a, '--verbose', '--json'],
    ['config', 'set', a, '--secret-env', 'masterauth=RCLUSTER_PASSWORD', '--yes', '--verbose'],
    ['acl', 'set', a, 'app', 'on', '+get', '--new-password-env', 'RCLUSTER_PASSWORD', '--yes', '--verbose'],
    ['acl', 'list', a, '--verbose', '--json'],
    ['backup', a, file('backup'), '--verbose'],
    ['wait', a, '--for', 'healthy', '--timeout', '20s', '--verbose'],
    ['failover', e, '--yes', '--verbose'],
    ['fix', b, '--yes', '--verbose'],
    ['addresses'],
    ['clients', `redis://default:${SECRET}@${a}`],
    ['del-node', b, d, '--drain', '--yes', '--verbose'],
    // What fails tells most.
    ['check', `redis://${SECRET}@${a}`],
    ['check', `redis://nobody:${SECRET}@${b}`, '--json', '--verbose'],
    ['reshard', a, '--from', a, '--to', `redis://:${SECRET}@127.0.0.1:1`, '--slots', '1', '--yes', '--verbose'],
    ['import', a, '--from', `redis://nobody:${SECRET}@${source}`, '--yes', '--verbose', '--json'],
    ['create', a, b, c, '--yes', '--verbose'],
    ['-a', SECRET, '--cluster', 'check', b],
    ['-u', `redis://:${SECRET}@${b}`, '--cluster', 'info', b],
  ]
}

const ENDS = [
  ...['create', 'import', 'info', 'check', 'add-node', 'add-node', 'reshard', 'apply', 'rebalance', 'call'],
  ...[
    'set-timeout',
    'config',
    'config',
    'acl',
    'acl',
    'backup',
    'wait',
    'failover',
    'fix',
    'addresses',
    'clients',
    'del-node',
    'check',
  ],
].map((name) => `${name} 0`)
ENDS.push('check 4', 'reshard 2', 'import 4', 'create 3', 'check 0', 'info 0')

function filesBelow(where: string): string[] {
  return readdirSync(where, {recursive: true, encoding: 'utf8'})
    .map((name) => path.join(where, name))
    .filter((name) => statSync(name).isFile())
}

forEachKind(
  'a cluster with a password',
  (kind) => {
    let servers: TestServers
    let source: TestServers
    beforeAll(async () => {
      const config = {requirepass: SECRET, masterauth: SECRET}
      servers = await startServers(kind, 5, {config})
      source = await startServers(kind, 1, {config: {requirepass: SECRET, 'cluster-enabled': 'no'}})
    })
    afterAll(async () => {
      await Promise.all([servers?.stop(), source?.stop()])
    })

    test('keeps it to itself', async () => {
      const codes: string[] = []
      for (const line of commandLines(kind.name, [...servers.addresses, ...source.addresses])) {
        const {code, stdout, stderr} = await rcluster.run(line, {env: ENV})
        codes.push(`${line.find((word) => /^[a-z]+(-[a-z]+)?$/.test(word) && word !== SECRET)} ${code}`)
        expect(`${stdout}${stderr}`, line.join(' ')).not.toContain(SECRET)
      }
      expect(codes).toEqual(ENDS)
      const written = filesBelow(folder)
      expect(written.length).toBeGreaterThan(4)
      for (const name of written) expect(readFileSync(name).includes(SECRET), name).toBe(false)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
