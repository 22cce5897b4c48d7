/**
 * Is each rule that `rcluster acl` prints enough, and not more than that? Commands run as a user with just the rule, and
 * what the servers counted meanwhile, refused calls too, must be in the table: a command that is new in the engine fails
 * here until it is.
 */
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {isKnownTo, RIGHTS, SERVER_MOVE, type ServerFamily} from '../../src/lib/engine/rights.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {
  eventually,
  forEachEngine,
  rawCommand,
  type ServerKind,
  startServers,
  type TestServers,
} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-acl-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

const admin = {username: 'admin', password: 'of the admin'}
const RULE_PASSWORD = 'of-the-operator'

/** Sent by the test, by the servers among themselves, or by the drill of logging in. */
const NOT_OURS = new Set(['config|resetstat', 'acl|setuser', 'auth', 'psync', 'replconf', 'cluster|syncslots', 'set'])

function familyOf({name}: ServerKind): ServerFamily {
  if (name === 'valkey-9.1') return 'valkey-9.0'
  if (name === 'valkey-8.1') return 'valkey-7.2'
  return name === 'redis-8.6' ? 'redis-8.4' : 'redis-7.0'
}

forEachEngine('the rule of', (kind) => {
  let servers: TestServers
  let alone: TestServers
  let [a, b, c, d, e, f] = ['', '', '', '', '', '']
  let gone = ''
  const family = familyOf(kind)
  const seen = new Set<string>()
  const everywhere = async (...words: string[]): Promise<void> => {
    await Promise.all(living().map((address) => rawCommand(address, words, admin)))
  }
  const living = (): string[] => servers.addresses.filter((address) => address !== gone)

  beforeAll(async () => {
    servers = await startServers(kind, 6, {
      hasConfigFile: true,
      // A primary's PING to its replicas would be counted like one of ours.
      config: {'cluster-node-timeout': '1500', 'repl-ping-replica-period': '3600', 'repl-timeout': '7200'},
    })
    alone = await startServers(kind, 1, {config: {'cluster-enabled': 'no'}})
    ;[a = '', b = '', c = '', d = '', e = '', f = ''] = servers.addresses
    for (const address of servers.addresses) {
      await rawCommand(address, ['ACL', 'SETUSER', 'admin', 'on', `>${admin.password}`, '~*', '&*', '+@all'])
    }
    await everywhere('CONFIG', 'SET', 'masteruser', 'admin')
    await everywhere('CONFIG', 'SET', 'masterauth', admin.password)
    await everywhere('ACL', 'SETUSER', 'default', 'off')
  })
  afterAll(async () => {
    await servers?.stop()
    await alone?.stop()
  })

  /** The line as it is printed, with a password. */
  const ruleOf = async (command: string, options: readonly string[]): Promise<string[]> => {
    const {stdout} = await rcluster.ok('acl', command, '--server', family, '--user', 'op', '--json', ...options)
    const {rules} = (JSON.parse(stdout) as {result: {rules: {rule: string}[]}}).result
    return (rules[0]?.rule ?? '').replace('PASSWORD', RULE_PASSWORD).split(' ')
  }
  const becomeOp = async (rule: readonly string[]): Promise<void> => {
    const [acl = '', setuser = '', user = '', ...words] = rule
    await everywhere(acl, setuser, user, 'reset', ...words)
  }
  const runAsOp = (args: readonly string[]): Promise<RunResult> =>
    rcluster.run(['--user', 'op', ...args], {env: {RCLUSTER_PASSWORD: RULE_PASSWORD}})

  /** What the servers were asked, as words of a rule. */
  const asked = async (): Promise<string[]> => {
    const stats = await Promise.all(living().map((at) => rawCommand(at, ['INFO', 'commandstats'], admin)))
    const names = stats.flatMap((text) => [...String(text).matchAll(/^cmdstat_(\S+?):/gm)].map(([, name = '']) => name))
    return [...new Set(names)].filter((name) => !NOT_OURS.has(name)).map((name) => `+${name}`)
  }

  const wordsIn = (command: string): string[] =>
    (RIGHTS[command] ?? []).filter((right) => isKnownTo(right, family)).map(({word}) => word)

  /** Runs as a user who may do just that, and holds what was asked against the table. */
  const run = async (command: string, args: readonly string[], options: readonly string[] = []): Promise<RunResult> => {
    await becomeOp(await ruleOf(command, options))
    await everywhere('CONFIG', 'RESETSTAT')
    const result = await runAsOp([...command.split(' '), ...args])
    const words = await asked()
    expect(`${result.code} ${result.stderr}`).toMatch(/^0/)
    const known = new Set(wordsIn(command))
    // Reading stands for the commands that read values.
    if (!known.has('+@read')) expect(words.filter((word) => !known.has(word))).toEqual([])
    for (const word of words) seen.add(`${command} ${word}`)
    return result
  }

  /** Without any one of its words the command fails, and names the rule. */
  const expectMinimal = async (
    command: string,
    args: readonly string[],
    spared: readonly string[] = [],
  ): Promise<void> => {
    // All need the same words.
    if (kind.name !== 'redis-7.0') return
    const whole = await ruleOf(command, [])
    const rare = (RIGHTS[command] ?? []).filter(({when}) => when !== undefined).map(({word}) => word)
    for (const word of whole.filter((one) => /^[+~]/.test(one) && !rare.includes(one) && !spared.includes(one))) {
      await becomeOp(whole.filter((one) => one !== word))
      const {code, stdout, stderr} = await runAsOp([...command.split(' '), ...args])
      expect(`${word}: ${code} ${stdout} ${stderr}`).toMatch(/: [345] [\s\S]*(NOPERM|may not|permission)/)
      expect(stderr).toMatch(new RegExp(`rcluster acl (${command}|reshard)`))
    }
  }

  test('create', async () => {
    await run('create', [a, b, c, '--yes'])
  })

  test('check, info, watch and wait', async () => {
    await run('check', [a])
    await run('watch', [a, '--count', '2', '--interval', '200ms'])
    await run('info', [a])
    await run('clients', [a])
    await run('wait', [a, '--for', 'healthy', '--timeout', '20'])
    await run('call', [a, '--', 'CLUSTER', 'MYID'])
    await expectMinimal('check', [a], ['+info'])
  })

  test('add-node', async () => {
    await run('add-node', [d, a])
    await run('add-node', [e, a, '--replica', '--primary', a], ['--optional'])
  })

  test('reshard, key by key and by the servers', async () => {
    for (let n = 0; n < 30; n++) await rawCommand(a, ['SET', `{06S}${n}`, 'value'], admin)
    await run('info', [a, '--heat', 'memory'], ['--optional'])
    await run('explain slot', ['0', '--seed', a], ['--optional'])
    const there = [a, '--from', a, '--to', d, '--slots-list', '0-9', '--yes']
    await expectMinimal('reshard', there, ['+info'])
    expect(await rawCommand(a, ['CLUSTER', 'COUNTKEYSINSLOT', '0'], admin)).toBe(30)
    const {stdout} = await run('reshard', there)
    // Not that they have none, which would be a lie.
    if (kind.name !== 'redis-7.0') expect(stdout).toMatch(/key by key: .* not tell .*\+command\|info/)
    expect(await rawCommand(d, ['CLUSTER', 'COUNTKEYSINSLOT', '0'], admin)).toBe(30)
    const back = [a, '--from', d, '--to', a, '--slots-list', '0-9', '--yes']
    await run('reshard', back, ['--optional'])
    expect(await rawCommand(a, ['CLUSTER', 'COUNTKEYSINSLOT', '0'], admin)).toBe(30)
    await run('rebalance', [a, '--use-empty', '--mover', 'migrate', '--yes'], ['--optional'])
    await run('rebalance', [a, '--by', 'memory', '--dry-run'], ['--optional'])
  })

  test.runIf(kind.name === 'valkey-9.1')("the servers' own user, for slots that they move", async () => {
    const words = SERVER_MOVE.map(({word}) => word)
    const become = (more: readonly string[]) =>
      everywhere('ACL', 'SETUSER', 'repl', 'reset', 'on', '>of repl', '+psync', '+replconf', '+ping', ...more)
    const move = ['reshard', a, '--from', a, '--to', d, '--slots-list', '0-9', '--mover', 'atomic', '--yes']
    await becomeOp(await ruleOf('reshard', ['--optional']))
    await become([])
    await everywhere('CONFIG', 'SET', 'masteruser', 'repl')
    await everywhere('CONFIG', 'SET', 'masterauth', 'of repl')
    try {
      for (const word of words.filter((one) => one !== '~*')) {
        await become(words.filter((one) => one !== word))
        const {code, stderr} = await runAsOp(move)
        expect(`${word} ${code} ${stderr}`).toMatch(/ 3 [\s\S]*user repl may not/)
      }
      await become(words)
      const {code, stderr} = await runAsOp(move)
      expect(`${code} ${stderr}`).toMatch(/^0/)
      expect(await rawCommand(d, ['CLUSTER', 'COUNTKEYSINSLOT', '0'], admin)).toBe(30)
    } finally {
      await everywhere('CONFIG', 'SET', 'masteruser', 'admin')
      await everywhere('CONFIG', 'SET', 'masterauth', admin.password)
    }
  })

  test('set-timeout, failover and replicate', async () => {
    await expectMinimal('set-timeout', [a, '2000', '--yes'], ['+info'])
    await run('set-timeout', [a, '2000', '--yes'])
    await eventually('the replica is there', async () =>
      /master_link_status:up/.test(String(await rawCommand(e, ['INFO', 'replication'], admin))),
    )
    await expectMinimal('failover', [e, '--yes'], ['+info'])
    await run('failover', [e, '--yes'])
    await run('replicate', [a, b, '--yes'])
    await eventually('the new replica is there', async () =>
      /master_link_status:up/.test(String(await rawCommand(a, ['INFO', 'replication'], admin))),
    )
  })

  test('settings, users, functions and snapshots', async () => {
    await expectMinimal('config set', [a, 'maxmemory', '1gb', '--yes'], ['+info'])
    await run('config diff', [a])
    await run('config set', [a, 'maxmemory', '2gb', '--rewrite', '--yes'], ['--optional'])
    await run('acl list', [a])
    await run('acl set', [a, 'app', 'on', '+get', '--save', '--yes'], ['--optional'])
    await run('acl delete', [a, 'app', '--yes'])
    // On the primary of the only replica, which would count what it is sent.
    await rawCommand(b, ['FUNCTION', 'LOAD', '#!lua name=one\nredis.register_function("one", function() end)'], admin)
    await run('functions sync', [a, '--yes'])
    await eventually('all have the library', async () => {
      const all = await Promise.all([a, b, c, d, e].map((at) => rawCommand(at, ['FUNCTION', 'LIST'], admin)))
      return all.every((list) => String(list).includes('one'))
    })
    await run('functions list', [a])
    for (const at of [b, c, d, e]) await rawCommand(at, ['FUNCTION', 'FLUSH'], admin)
    await run('snapshot', [a, '--out', path.join(folder, `${kind.name}.json`)])
    await run('diff', [a, c])
  })

  test('backup, restore and import', async () => {
    const backup = path.join(folder, kind.name)
    await run('backup', [e, backup, '--no-acl'])
    await run('restore', [backup, e, '--on-conflict', 'replace', '--yes'], ['--optional'])
    const least = path.join(folder, 'none')
    await expectMinimal('backup', [e, least, '--no-acl'], ['+info'])
    const from = alone.addresses[0] ?? ''
    await rawCommand(from, ['SET', 'imported', 'value'])
    await run('import', [e, '--from', from, '--yes'])
  })

  test('fix', async () => {
    const id = String(await rawCommand(b, ['CLUSTER', 'MYID'], admin))
    const open = String(await rawCommand(c, ['CLUSTER', 'NODES'], admin))
    const slot = /myself.* (\d+)-\d+/.exec(open)?.[1] ?? ''
    await rawCommand(c, ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', id], admin)
    await run('fix', [b, '--yes'])
  })

  test('del-node, replace-node and forget', async () => {
    await run('del-node', [b, d, '--drain', '--yes', '--mover', 'migrate'], ['--optional'])
    await run('del-node', [b, a, '--yes'])
    await run('replace-node', [b, e, a, '--yes'])
    await run('add-node', [f, b])
    await servers.kill(5)
    gone = f
    await eventually(
      'all see that it is gone',
      async () => {
        const views = await Promise.all([a, b, c].map((at) => rawCommand(at, ['CLUSTER', 'NODES'], admin)))
        return views.every((nodes) => String(nodes).includes(`${f}@`) && /fail(?!\?)/.test(String(nodes)))
      },
      40_000,
    )
    await run('forget', [b, f, '--yes'])
  })

  describe('is not more than that:', () => {
    test('each word was asked for, but for those that are seldom needed', () => {
      const commands = [...new Set([...seen].map((entry) => entry.slice(0, entry.lastIndexOf(' '))))]
      expect(commands.length).toBeGreaterThan(10)
      const idle = commands.flatMap((command) =>
        (RIGHTS[command] ?? [])
          .filter((right) => isKnownTo(right, family) && right.when === undefined && right.isOnlyFor === undefined)
          .filter(({word}) => word.startsWith('+') && !NOT_OURS.has(word.slice(1)))
          .filter(({word}) => !seen.has(`${command} ${word}`))
          .map(({word}) => `${command} ${word}`),
      )
      expect(idle).toEqual([])
    })
  })
})
