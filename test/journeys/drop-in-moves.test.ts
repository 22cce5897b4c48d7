/** reshard and rebalance in the form of redis-cli, on real servers: their lines, their questions, and what they move. */
import {afterAll, beforeAll, expect, test} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {pictureOf} from '../support/cluster-picture.ts'
import {openRcluster, type RunOptions} from '../support/rcluster.ts'
import {eventually, forEachFamily, forEachKind, rawCommand, type TestServers} from '../support/servers.ts'
import {startWithShares} from '../support/uneven-cluster.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

interface Expected {
  readonly code?: number
  readonly stderr?: string
}

/** Ends with `code`, and with nothing on stderr unless `stderr` is given. */
async function run(
  args: readonly string[],
  {code = 0, stderr = '', ...options}: RunOptions & Expected = {},
): Promise<string> {
  const result = await rcluster.run(['--cluster', ...args], options)
  expect(`${result.code}\n${result.stderr}${result.code === code ? '' : result.stdout}`).toBe(`${code}\n${stderr}`)
  return result.stdout
}

const PLAN_QUESTION = 'Do you want to proceed with the proposed reshard plan (yes/no)? '

const EQUAL = ['0-4095', '4096-8191', '8192-12287', '12288-16383']
const UNEVEN = ['0-4095', '4096-8191', '8192-16379', '16380-16383']

const keyIn = (slot: number, name = 'key'): string => `{${tagForSlot(slot)}}${name}`

async function slotsIn(servers: TestServers, address: string): Promise<string> {
  return (await pictureOf(servers.addresses))[servers.addresses.indexOf(address)]!.slots
}

forEachFamily('slots move in the form of redis-cli', (kind) => {
  let servers: TestServers
  let [a, b, c, d] = ['', '', '', '']
  let [idA, idB, idC, idD] = ['', '', '', '']
  beforeAll(async () => {
    const started = await startWithShares(kind, UNEVEN)
    servers = started.servers
    ;[a = '', b = '', c = '', d = ''] = servers.addresses
    ;[idA = '', idB = '', idC = '', idD = ''] = started.ids
    return () => servers.stop()
  })

  const slotsAt = (address: string): Promise<string> => slotsIn(servers, address)

  test('one slot is the lowest, a yes on an open pipe is enough, and a blocked client is told where its key is', async () => {
    for (let n = 0; n < 3; n++) await rawCommand(a, ['SET', keyIn(0, String(n)), 'value'])
    const blocked = rawCommand(a, ['BLPOP', keyIn(0, 'list'), '20'], {timeoutMs: 20_000}).then(
      () => 'served',
      (error: Error) => error.message,
    )
    await eventually('the client waits', async () =>
      String(await rawCommand(a, ['INFO', 'clients'])).includes('blocked_clients:1'),
    )
    const words = ['reshard', a, '--cluster-from', idA, '--cluster-to', idB, '--cluster-slots', '1']
    const stdout = await run(words, {input: 'yes', isInputOpen: true})
    expect(stdout).toContain('[OK] All 16384 slots covered.\n\nReady to move 1 slots.\n  Source nodes:\n')
    expect(stdout).toContain(`    M: ${idA} ${a}\n       slots:[0-4095] (4096 slots) master\n  Destination node:\n`)
    expect(stdout).toContain(PLAN_QUESTION)
    expect(stdout).toContain(`Moving slot 0 from ${a} to ${b}: ...\n`)
    expect(await blocked).toBe(`MOVED 0 ${b}`)
    expect(await slotsAt(b)).toBe('0,4096-8191')
  })

  test('time-out and number of keys of a MIGRATE are those asked for', async () => {
    const slot = Number((await slotsAt(c)).split('-')[0])
    for (let n = 0; n < 10; n++) await rawCommand(c, ['SET', keyIn(slot, String(n)), 'value'])
    await rawCommand(c, ['CONFIG', 'SET', 'slowlog-log-slower-than', '0'])
    const ends = ['--cluster-from', idC, '--cluster-to', idB, '--cluster-slots', '1', '--cluster-yes']
    await run(['reshard', a, ...ends, '--cluster-timeout', '2345', '--cluster-pipeline', '4'])
    await rawCommand(c, ['CONFIG', 'SET', 'slowlog-log-slower-than', '10000'])
    const log = (await rawCommand(c, ['SLOWLOG', 'GET', '1000'])) as [number, number, number, string[]][]
    const migrates = log.map(([, , , words]) => words).filter((w) => w[0] === 'MIGRATE' && !w.includes('COPY'))
    expect(migrates.map((words) => words[5])).toEqual(['2345', '2345', '2345'])
    expect(migrates.map((words) => words.slice(words.indexOf('KEYS') + 1).length).sort()).toEqual([2, 4, 4])
  })

  test('a key that differs at the target stops it, unless the copy of the source is to win', async () => {
    const [slot] = (await slotsAt(b)).split(/[-,]/).map(Number) as [number]
    const key = keyIn(slot, 'twin')
    await rawCommand(b, ['SET', key, 'old'])
    const [, port = ''] = a.split(':')
    await rawCommand(a, ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', idB])
    await rawCommand(b, ['MIGRATE', '127.0.0.1', port, key, '0', '5000', 'COPY'])
    await rawCommand(a, ['CLUSTER', 'SETSLOT', slot, 'STABLE'])
    await rawCommand(b, ['SET', key, 'new'])
    const words = ['reshard', a, '--cluster-from', idB, '--cluster-to', idA, '--cluster-slots', '1', '--cluster-yes']
    expect(await run(words, {code: 1})).toMatch(/\[ERR\] 0 of 1 slots moved, then: .*has different values/)
    for (const at of [a, b]) await rawCommand(at, ['CLUSTER', 'SETSLOT', slot, 'STABLE'])
    await run([...words, '--cluster-replace', '--cluster-timeout', '3000'])
    expect(await rawCommand(a, ['GET', key])).toBe('new')
  })

  test('atomic slot migration moves them where the servers have it', async () => {
    const [slot] = (await slotsAt(c)).split('-').map(Number) as [number]
    for (let n = 0; n < 20; n++) await rawCommand(c, ['SET', keyIn(slot, String(n)), 'value'])
    const words = ['reshard', a, '--cluster-from', idC, '--cluster-to', idA, '--cluster-slots', '2', '--cluster-yes']
    const hasIt = kind.name === 'redis-8.6' || kind.name === 'valkey-9.1'
    const stdout = await run([...words, '--cluster-use-atomic-slot-migration'], {code: hasIt ? 0 : 1})
    if (!hasIt) {
      expect(stdout).toContain('[ERR] these servers have no atomic slot migration')
      expect((await slotsAt(c)).startsWith(`${slot}-`)).toBe(true)
      return
    }
    expect(stdout).toContain(`Moving slot range ${slot}-${slot + 1} from ${c} to ${a} via atomic slot migration: ##\n`)
    expect(await rawCommand(a, ['CLUSTER', 'COUNTKEYSINSLOT', slot])).toBe(20)
  })

  test('a primary that gives its last slot away follows who took it, and a weight for it is no error', async () => {
    const ends = ['--cluster-from', idD, '--cluster-to', idC]
    await run(['reshard', b, ...ends, '--cluster-slots', '3', '--cluster-yes'])
    await rawCommand(d, ['SET', keyIn(16_383), 'value'])
    const last = await run(['reshard', b, ...ends, '--cluster-slots', '9', '--cluster-yes'])
    expect(last).toContain('*** 9 slots were asked for, but the sources have only 1.\nReady to move 1 slots.\n')
    expect(last).toContain(`Moving slot 16383 from ${d} to ${c}: .\n`)
    await eventually('it follows', async () => (await pictureOf(servers.addresses))[3]?.follows === 2)
    expect(await rawCommand(c, ['GET', keyIn(16_383)])).toBe('value')
    // As redis-cli does at once; its link to the new primary takes some seconds.
    await run(['check', a])
    const again = await run(['rebalance', a, '--cluster-weight', `${idD}=5`])
    expect(again).toContain('>>> Rebalancing across 3 nodes. Total weight = 3.00\n')
    expect((await pictureOf(servers.addresses)).map(({open}) => open)).toEqual([0, 0, 0, 0])
  })
})

forEachKind(
  'questions and answers in the form of redis-cli',
  (kind) => {
    let servers: TestServers
    let a = ''
    let [idA, idB] = ['', '']
    beforeAll(async () => {
      const started = await startWithShares(kind, EQUAL)
      servers = started.servers
      ;[a = ''] = servers.addresses
      ;[idA = '', idB = ''] = started.ids
      return () => servers.stop()
    })
    const slotsAt = (address: string): Promise<string> => slotsIn(servers, address)

    test('what is missing is asked for', async () => {
      const input = `0\nabc\n3\n${idA.toUpperCase()}\n${idA}\n${idB}\ndone\nyes\n`
      const stdout = await run(['reshard', ...a.split(':')], {input})
      expect(stdout.match(/How many slots do you want to move \(from 1 to 16384\)\? /g)).toHaveLength(3)
      expect(stdout).toContain('What is the receiving node ID? ')
      expect(stdout).toContain(
        'Source node #1: \n*** It is not possible to use the target node as source node.\nSource node #1: ',
      )
      expect(stdout).toContain("Type 'done' once you entered all the source nodes IDs.")
      expect(await slotsAt(a)).toBe('0-4098')
      await run(['reshard', a], {input: `2\n${idB}\nall\nno`, code: 1})
    })

    test('no answer, a no and what is unknown end it at once, with nothing moved', async () => {
      const before = await pictureOf(servers.addresses)
      const ends = ['--cluster-from', idA, '--cluster-to', idB]
      expect(await run(['reshard', a], {code: 1})).toContain('no answer on stdin')
      expect(await run(['reshard', a, ...ends, '--cluster-slots', '9'], {code: 1})).toContain(PLAN_QUESTION)
      await run(['reshard', a, ...ends, '--cluster-slots', '9'], {code: 1, input: 'y\n'})
      await run(['reshard', a, ...ends, '--cluster-slots', '9', '--cluster-yes', '--cluster-simulate'])
      const bad = await run(['reshard', a, '--cluster-from', idA, '--cluster-to', 'f00', '--cluster-slots', '1'], {
        code: 1,
      })
      expect(bad).toContain('*** The specified node (f00) is not known or not a master, please retry.')
      const itself = ['--cluster-from', idA, '--cluster-to', idA, '--cluster-slots', '1', '--cluster-yes']
      await run(['reshard', a, ...itself], {code: 1, stderr: '*** No source nodes given, operation aborted.\n'})
      await rawCommand(a, ['CLUSTER', 'SETSLOT', '7', 'MIGRATING', idB])
      const open = await run(['reshard', a, ...ends, '--cluster-slots', '1', '--cluster-yes'], {
        code: 1,
        stderr: '*** Please fix your cluster problems before resharding\n',
      })
      expect(open).toContain(`[WARNING] Node ${a} has slots in migrating state 7.`)
      expect(await run(['rebalance', a], {code: 1})).toContain(
        '*** Please fix your cluster problems before rebalancing',
      )
      await rawCommand(a, ['CLUSTER', 'SETSLOT', '7', 'STABLE'])
      expect(await pictureOf(servers.addresses)).toEqual(before)
    })

    test('rebalance asks nothing, and says so when there is nothing to do', async () => {
      expect(await run(['rebalance', a])).toContain(
        '*** No rebalancing needed! All nodes are within the 2.00% threshold.\n',
      )
      const words = ['--cluster-weight', `${idA.slice(0, 16)}=1.1`, `${idB}=0.9`, '--cluster-pipeline', '50']
      const simulated = await run(['rebalance', a, ...words, '--cluster-simulate'])
      expect(simulated).toContain('>>> Rebalancing across 4 nodes. Total weight = 4.00\n')
      expect(simulated).toMatch(/Moving \d+ slots from .*\n#+\n/)
      expect(await slotsAt(a)).toBe('0-4098')
      expect(await run(['rebalance', a, ...words])).toBe(simulated)
      expect(await run(['rebalance', a, ...words])).toContain('No rebalancing needed!')
      expect(await run(['rebalance', a, '--cluster-weight', 'f00=1'], {code: 1})).toContain(
        '*** No such master node f00',
      )
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
