import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {captureOutput} from '@oclif/test'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import ContextAdd from '../../src/commands/context/add.ts'
import ContextList from '../../src/commands/context/list.ts'
import ContextRemove from '../../src/commands/context/remove.ts'
import ContextShow from '../../src/commands/context/show.ts'
import ContextUse from '../../src/commands/context/use.ts'
import {word} from '../../src/lib/cli/args.ts'
import {ClusterCommand} from '../../src/lib/cli/cluster-command.ts'
import {fillIn, readContextPassword} from '../../src/lib/cli/context-connection.ts'
import {parseAddressReference} from '../../src/lib/cli/node-argument.ts'
import {type Context, contextsFile} from '../../src/lib/state/contexts.ts'
import {formatAddress} from '../../src/lib/topology/model.ts'

const root = new URL('../..', import.meta.url).pathname

/** Tells which seeds would be asked, and how; asks nobody. */
class Probe extends ClusterCommand<typeof Probe> {
  static override id = 'probe'
  static override args = {seeds: word({multiple: true})}

  async run(): Promise<object> {
    const seeds = this.seedAddresses(this.args.seeds).map(formatAddress)
    const {logins, tls} = await this.connectionOptions()
    const login = logins
      ?.at([{host: 'h', port: 1}])
      .login?.authWords()
      .join(':')
    this.print([...seeds, ...(login ? [`login ${login}`] : []), ...(tls ? ['tls'] : [])].join(' '))
    return {}
  }
}

let env: NodeJS.ProcessEnv
let home: string

beforeEach(() => {
  env = {...process.env}
  home = mkdtempSync(path.join(tmpdir(), 'rcluster-contexts-'))
  for (const name of Object.keys(process.env)) if (/^RCLUSTER_|CLI_AUTH$/.test(name)) delete process.env[name]
  Object.assign(process.env, {XDG_CONFIG_HOME: home, PROD_PASSWORD: 'p-prod'})
})

afterEach(() => {
  process.env = env
  process.exitCode = undefined
  rmSync(home, {recursive: true})
})

type Runnable = {run(argv: string[], options: {root: string}): Promise<unknown>}

async function run(command: Runnable, line = '') {
  const argv = line === '' ? [] : line.split(' ')
  const {stdout, stderr} = await captureOutput(() => command.run(argv, {root}))
  const exitCode = Number(process.exitCode ?? 0)
  process.exitCode = undefined
  return {stdout, stderr, exitCode}
}

describe('which cluster, and with what login', () => {
  beforeEach(async () => {
    await run(
      ContextAdd,
      'prod --seed 10.0.0.1:7000 --seed 10.0.0.2:7000 --user ops --password-env PROD_PASSWORD --tls',
    )
    await run(ContextAdd, 'dev --seed 127.0.0.1:7000')
    await run(ContextUse, 'prod')
  })

  const all = '10.0.0.1:7000 10.0.0.2:7000 login ops:p-prod tls'
  const using = 'Using context prod (10.0.0.1:7000 and 1 more)\n'
  const notUsing = 'Not using the default context prod: 10.0.0.9:7000 is none of its seeds\n'
  test.each([
    {name: 'the default context', line: '', says: all, notes: using},
    {name: 'a context that is said, without a note', line: '--context prod', says: all, notes: ''},
    {name: 'another one', line: '--context dev', says: '127.0.0.1:7000', notes: ''},
    {
      name: 'that of the variable',
      line: '',
      env: {RCLUSTER_CONTEXT: 'dev'},
      says: '127.0.0.1:7000',
      notes: 'Using context dev (127.0.0.1:7000)\n',
    },
    {name: 'an address that the default does not have', line: '10.0.0.9:7000', says: '10.0.0.9:7000', notes: notUsing},
    {name: 'the same by --seed', line: '--seed 10.0.0.9:7000', says: '10.0.0.9:7000', notes: notUsing},
    {
      name: 'the same by RCLUSTER_SEED',
      line: '',
      env: {RCLUSTER_SEED: '10.0.0.9:7000'},
      says: '10.0.0.9:7000',
      notes: notUsing,
    },
    {
      name: 'one that it has, and one that it has not',
      line: '10.0.0.1:7000 10.0.0.9:7000',
      says: '10.0.0.1:7000 10.0.0.9:7000',
      notes: notUsing,
    },
    {name: 'a seed of the default', line: '10.0.0.2:7000', says: '10.0.0.2:7000 login ops:p-prod tls', notes: using},
    {
      name: 'any address with --context',
      line: '10.0.0.9:7000 --context prod',
      says: '10.0.0.9:7000 login ops:p-prod tls',
      notes: '',
    },
    {
      name: '--context before RCLUSTER_SEED',
      line: '--context prod',
      env: {RCLUSTER_SEED: '10.0.0.9:7000'},
      says: all,
      notes: '',
    },
    {
      name: 'no context',
      line: '--context none',
      says: '127.0.0.1:6379',
      notes: 'No seed was named: looking at 127.0.0.1:6379\n',
    },
    {
      name: "the context's password before the general one",
      line: '',
      env: {RCLUSTER_PASSWORD: 'p-any'},
      says: all,
      notes: using,
    },
    {
      name: 'the general one where it says none',
      line: '--context dev',
      env: {RCLUSTER_PASSWORD: 'p-any'},
      says: '127.0.0.1:7000 login p-any',
      notes: '',
    },
    {
      name: 'the general one at a stranger',
      line: '10.0.0.9:7000',
      env: {RCLUSTER_PASSWORD: 'p-any'},
      says: '10.0.0.9:7000 login p-any',
      notes: notUsing,
    },
  ])('$name', async ({line, env: variables, says, notes}) => {
    Object.assign(process.env, variables)
    expect(await run(Probe, line)).toEqual({stdout: `${says}\n`, stderr: notes, exitCode: 0})
  })

  test.each([
    {
      name: 'two variables that contradict each other',
      line: '',
      env: {RCLUSTER_CONTEXT: 'dev', RCLUSTER_SEED: '10.0.0.9:7000'},
      says: 'RCLUSTER_CONTEXT says dev, and RCLUSTER_SEED 10.0.0.9:7000',
    },
    {name: 'a context that is none', line: '--context prdo', says: 'there is no context "prdo"'},
    {
      name: 'a variable that is not set',
      line: '',
      env: {PROD_PASSWORD: ''},
      says: 'the context prod takes its password from PROD_PASSWORD, which is not set',
    },
  ])('$name: exit code 2', async ({line, env: variables, says}) => {
    Object.assign(process.env, variables)
    const {stdout, stderr, exitCode} = await run(Probe, line)
    expect(stderr).toContain(`Error: ${says}`)
    expect({stdout, exitCode}).toEqual({stdout: '', exitCode: 2})
  })

  /** As add-node does with an ID of the cluster and the address of a newcomer. */
  class Joining extends Probe {
    override async run(): Promise<object> {
      const [late, ...early] = this.args.seeds ?? []
      for (const address of early) this.parseAddress(address)
      this.seedAddresses()
      await this.connectionOptions()
      this.parseAddress(late as string)
      return {}
    }
  }

  test.each(['10.0.0.9:7000', '10.0.0.1:7000 10.0.0.9:7000'])(
    'a stranger among the words of a default context is refused before anything is dialled: %s',
    async (line) => {
      const {stderr, exitCode} = await run(Joining, line)
      expect(stderr).toContain(
        'which cluster is meant is not clear: 10.0.0.9:7000 is none of the seeds of the default context prod',
      )
      expect(stderr).toContain('--context prod')
      expect(exitCode).toBe(2)
      expect((await run(Joining, `${line} --context prod`)).exitCode).toBe(0)
    },
  )
})

describe('what a context adds to the flags', () => {
  const context: Context = {
    seeds: ['h:1'],
    user: 'ops',
    password: {env: 'X'},
    tls: true,
    cacert: '/ca.pem',
    cert: '/c.pem',
    key: '/k.pem',
    tlsVerify: 'full',
    tlsCiphers: 'ECDHE-RSA-AES256-GCM-SHA384',
    addressMap: ['*=h'],
  }
  test.each([
    {
      name: 'all',
      flags: {},
      urls: [],
      adds: {user: 'ops', tls: true, cacert: '/ca.pem', cert: '/c.pem', key: '/k.pem', 'address-map': ['*=h']},
      needsPassword: true,
    },
    {
      name: 'no password beside one of the line',
      flags: {password: 'x'},
      urls: [],
      adds: {user: 'ops'},
      needsPassword: false,
    },
    {
      name: 'no password beside a file of the line',
      flags: {'password-file': 'x'},
      urls: [],
      adds: {user: 'ops'},
      needsPassword: false,
    },
    {name: 'no password beside --askpass', flags: {askpass: true}, urls: [], adds: {user: 'ops'}, needsPassword: false},
    {name: 'no password of another user', flags: {user: 'me'}, urls: [], adds: {user: 'me'}, needsPassword: false},
    {name: 'its password to its user', flags: {user: 'ops'}, urls: [], adds: {user: 'ops'}, needsPassword: true},
    {
      name: "no password of a URL's user",
      flags: {},
      urls: ['redis://me:x@h:1'],
      adds: {user: undefined, tls: true},
      needsPassword: false,
    },
    {
      name: 'no CA beside a folder of the line',
      flags: {cacertdir: '/d'},
      urls: [],
      adds: {cacert: undefined, cacertdir: '/d'},
      needsPassword: true,
    },
    {
      name: 'how TLS is verified, and its ciphers',
      flags: {},
      urls: [],
      adds: {'tls-verify': 'full', 'tls-ciphers': 'ECDHE-RSA-AES256-GCM-SHA384'},
      needsPassword: true,
    },
    {
      name: 'no verification beside --insecure of the line',
      flags: {insecure: true, 'tls-ciphers': 'AES128-SHA'},
      urls: [],
      adds: {'tls-verify': undefined, 'tls-ciphers': 'AES128-SHA'},
      needsPassword: true,
    },
    {
      name: 'no half of a pair',
      flags: {cert: '/x', key: '/y'},
      urls: [],
      adds: {cert: '/x', key: '/y'},
      needsPassword: true,
    },
    {
      name: 'rules after those of the line',
      flags: {'address-map': ['a=b']},
      urls: [],
      adds: {'address-map': ['a=b', '*=h']},
      needsPassword: true,
    },
  ])('$name', ({flags, urls, adds, needsPassword}) => {
    const filled = fillIn(flags, context, urls.map(parseAddressReference))
    expect({...filled.flags, ...adds}).toEqual(filled.flags)
    expect(filled.needsPassword).toBe(needsPassword)
  })
})

describe('the password of a context', () => {
  const never = new AbortController().signal

  test('comes from a variable, a file or a command, whose first line it is', async () => {
    const file = path.join(home, 'secret')
    writeFileSync(file, 'from file\nmore\n')
    expect(await readContextPassword('p', {env: 'X'}, {X: 'from variable'}, never)).toBe('from variable')
    expect(await readContextPassword('p', {file}, {}, never)).toBe('from file')
    expect(await readContextPassword('p', {command: 'printf "from command\\r\\nmore"'}, {}, never)).toBe('from command')
  })

  test('does not wait for what its command leaves running', async () => {
    const startedAt = performance.now()
    expect(await readContextPassword('p', {command: 'echo here; sleep 3 2>/dev/null &'}, {}, never)).toBe('here')
    expect(performance.now() - startedAt).toBeLessThan(2_500)
  })

  test.each([
    {source: {env: 'X'}, says: 'from X, which is not set'},
    {source: {file: '/nowhere/secret'}, says: '/nowhere/secret does not exist'},
    {source: {command: 'echo hunter2; exit 3'}, says: 'failed with exit code 3'},
    {source: {command: 'kill -9 $$'}, says: 'was ended by SIGKILL'},
    {source: {command: 'echo; echo hunter2'}, says: 'printed an empty first line'},
    {source: {command: 'yes hunter2 2>/dev/null'}, says: 'printed more than a password'},
  ])('$says', async ({source, says}) => {
    const failure = readContextPassword('prod', source, {}, never)
    await expect(failure).rejects.toMatchObject({exitCode: 2, suggestions: ['rcluster context show prod']})
    await expect(failure).rejects.toThrow(says)
    await expect(failure).rejects.toThrow(/context prod/)
    await expect(failure).rejects.not.toThrow('hunter2')
  })

  test('is not waited for after a signal', async () => {
    const stop = new AbortController()
    const waiting = readContextPassword('prod', {command: 'sleep 30'}, {}, stop.signal)
    stop.abort(new Error('stopped'))
    await expect(waiting).rejects.toThrow('stopped')
  })
})

describe('the commands', () => {
  test('add, list, show, use and remove', async () => {
    expect(await run(ContextList)).toMatchObject({
      stdout: expect.stringContaining('No cluster has a name yet'),
      exitCode: 0,
    })
    expect(await run(ContextAdd, 'prod --seed rediss://10.0.0.1 --user ops --password-file /nowhere/pw')).toMatchObject(
      {
        stdout: 'Added context prod. Try it: rcluster info --context prod\n',
        stderr: 'Warning: /nowhere/pw does not exist.\n',
      },
    )
    expect((await run(ContextUse, 'prod')).exitCode).toBe(0)
    expect((await run(ContextList)).stdout).toMatch(/^\* +prod +10\.0\.0\.1:6379 +ops +file \/nowhere\/pw +yes$/m)
    expect(JSON.parse((await run(ContextShow, '--json')).stdout).result.context).toEqual({
      name: 'prod',
      isDefault: true,
      seeds: ['10.0.0.1:6379'],
      user: 'ops',
      password: {file: '/nowhere/pw'},
      tls: true,
    })
    expect(await run(ContextAdd, 'prod --seed h')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('--replace'),
    })
    expect((await run(ContextAdd, 'prod --seed h --replace')).stdout).toContain('Replaced context prod')
    expect((await run(ContextRemove, 'prod')).stdout).toBe(
      'Removed context prod. It was the default: there is none now.\n',
    )
    expect(JSON.parse(readFileSync(contextsFile(process.env), 'utf8'))).toEqual({version: 1, contexts: {}})
  })

  test.each([
    {command: ContextAdd, line: 'p --seed h --password hunter2', says: 'does not store a password'},
    {command: ContextAdd, line: 'p --seed h -a hunter2', says: 'does not store a password'},
    {command: ContextAdd, line: 'p --seed redis://:hunter2@h', says: 'does not store a password'},
    {command: ContextAdd, line: 'p --seed h --password-env hunter-2', says: 'wants the name of a variable'},
    {command: ContextAdd, line: 'p --seed h --password-env A --password-file b', says: 'in one place only'},
    {command: ContextAdd, line: 'p --seed h --password-file -', says: 'cannot read --password-file from stdin'},
    {command: ContextAdd, line: 'p', says: 'needs a seed'},
    {command: ContextAdd, line: 'none --seed h', says: 'cannot be the name of a context'},
    {command: ContextAdd, line: 'p --seed h:1 --seed h:1', says: 'named twice'},
    {command: ContextAdd, line: 'p --seed h --address-map x', says: 'is not ANNOUNCED=DIALLED'},
    {command: ContextShow, line: '', says: 'there is no default one'},
    {command: ContextShow, line: 'p', says: 'there is no context "p"'},
    {command: ContextUse, line: '', says: 'no context was named'},
    {command: ContextUse, line: 'p --none', says: 'contradict each other'},
    {command: ContextUse, line: 'p', says: 'there is no context "p"'},
    {command: ContextRemove, line: 'p', says: 'there is no context "p"'},
  ])('$line: $says', async ({command, line, says}) => {
    const {stderr, exitCode} = await run(command, line)
    expect(stderr).toContain(says)
    expect(stderr).not.toContain('hunter')
    expect(exitCode).toBe(2)
  })

  test('a file that cannot be used is never written over', async () => {
    const file = contextsFile(process.env)
    mkdirSync(path.dirname(file))
    const text = '{"version": 2, "contexts": {}}'
    writeFileSync(file, text, {mode: 0o600})
    for (const [command, line] of [
      [ContextAdd, 'p --seed h'],
      [ContextUse, '--none'],
      [ContextRemove, 'p'],
      [Probe, ''],
    ] as const) {
      const {stderr, exitCode} = await run(command, line)
      expect(stderr).toContain(`${file} is of version 2`)
      expect(exitCode).toBe(2)
    }
    expect(readFileSync(file, 'utf8')).toBe(text)
  })
})
