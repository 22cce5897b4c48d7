/** A plan that was saved does what its command would have done: at once, later, in two goes, and never on other ground. */
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, expect, test} from 'vitest'
import type {PlanFile} from '../../src/lib/plan/plan-file.ts'
import {readPlanFile} from '../../src/lib/state/plan-file.ts'
import {compareDigests, digestDataSet, loadDataSet, startWriter} from '../support/live-load.ts'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {anyKind, eventually, forEachKind, rawCommand, type ServerName, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-plans-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

const KINDS: readonly ServerName[] = ['valkey-9.1']
const UNTOUCHED = {missing: [], changed: [], added: [], duplicates: []}
const SEED = Number(process.env['RCLUSTER_TEST_SEED'] ?? 4711)

let filesWritten = 0

/** Runs the command with --out, which must change nothing by itself. */
async function save(...args: readonly string[]): Promise<{file: string; plan: PlanFile}> {
  const file = path.join(folder, `plan-${++filesWritten}.json`)
  const {stdout} = await rcluster.ok(...args, '--out', file)
  expect(stdout).toContain(`To carry it out: rcluster apply ${file}`)
  // What is written is what may be read.
  return {file, plan: await readPlanFile(file)}
}

async function apply(file: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const {stdout} = await rcluster.ok('apply', file, '--yes', '--json', ...args)
  return JSON.parse(stdout).result
}

/** As `apply`, for the second time. */
async function expectNothingToDo(file: string, ...args: readonly string[]): Promise<void> {
  const {stdout} = await rcluster.ok('apply', file, '--yes', ...args)
  expect(stdout).toContain('Nothing to do')
}

async function expectStale(file: string, says: RegExp): Promise<RunResult> {
  const refused = await rcluster.run(['apply', file, '--yes', '--json'])
  expect(refused.code).toBe(3)
  const {error} = JSON.parse(refused.stdout)
  expect(error.details).toMatchObject({reason: 'stale-plan'})
  expect(error.message).toMatch(says)
  expect(error.suggestions.join('\n')).toContain(`--out ${file}`)
  return refused
}

/** "address role slots" of every node, sorted: what a command leaves behind. */
async function stateOf(address: string): Promise<string[]> {
  const {stdout} = await rcluster.run(['info', address, '--json'])
  const {nodes} = JSON.parse(stdout).result.topology ?? JSON.parse(stdout).result
  return (nodes as {address: string; role: string; slots: string}[])
    .map(({address: at, role, slots}) => `${at} ${role} ${slots ?? ''}`)
    .sort()
}

/** Park and Miller's generator: the same moments in every run. */
function moments(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

/** Kills rcluster some time after it has said `word` on stderr; tells whether it was still at work. */
async function killAfter(args: readonly string[], word: string, afterMs: number): Promise<boolean> {
  const {child, ended} = rcluster.start([...args, '--yes', '--progress', 'ndjson'])
  let [told, isKilled] = ['', false]
  child.stderr?.on('data', (chunk: Buffer) => {
    told += chunk.toString()
    if (!told.includes(word) || isKilled) return
    isKilled = true
    setTimeout(() => child.kill('SIGKILL'), afterMs)
  })
  return (await ended).code === undefined
}

forEachKind(
  'saved plans',
  (kind) => {
    test('create, add-node, reshard, rebalance, del-node and the small ones: as the command itself, and once', {
      timeout: 240_000,
    }, async () => {
      const servers = await startServers(kind, 8, {
        config: {'cluster-node-timeout': '2000', 'cluster-allow-replica-migration': 'no'},
        hasConfigFile: true,
      })
      const [a = '', b = '', c = '', d = '', e = '', f = '', g = '', h = ''] = servers.addresses
      try {
        const created = await save('create', a, b, c, d, e, f, '--replicas', '1')
        expect(String(await rawCommand(a, ['CLUSTER', 'INFO']))).toContain('cluster_known_nodes:1\r')
        expect(await apply(created.file)).toMatchObject({outcome: 'created'})
        await rcluster.ok('wait', a, '--for', 'healthy')
        await expectNothingToDo(created.file)
        const afterCreate = await stateOf(a)

        // The plan in the file is the plan of the dry run, and its end is what it said.
        const dry = JSON.parse((await rcluster.ok('reshard', a, b, '300', '--dry-run', '--json')).stdout).result.plan
        const moved = await save('reshard', a, b, '300')
        expect(moved.plan.plan).toEqual(dry)
        expect(await stateOf(a)).toEqual(afterCreate)
        expect((await rcluster.run(['apply', moved.file])).code, 'without a terminal and --yes').toBe(2)
        await rcluster.ok('apply', moved.file, '--dry-run')
        expect(await stateOf(a)).toEqual(afterCreate)
        expect(await apply(moved.file)).toMatchObject({outcome: 'done', slotsMoved: 300})
        await expectNothingToDo(moved.file)
        const evened = await save('rebalance', a, '--threshold', '0')

        // Other ground: what went where is named, and nothing is done.
        await rcluster.ok('reshard', c, a, '5', '--yes')
        const before = await stateOf(a)
        await expectStale(evened.file, new RegExp(`slots \\d+-\\d+ went from ${c} \\(\\w+\\) to ${a} \\(\\w+\\)`))
        expect(await stateOf(a)).toEqual(before)
        await rcluster.ok('rebalance', a, '--threshold', '0', '--out', evened.file, '--yes')
        expect(await apply(evened.file)).toMatchObject({outcome: 'done'})
        const even = await stateOf(a)

        // Two nodes join, and one gets slots with it.
        const follower = await save('add-node', h, a, '--replica', '--primary', b)
        const grown = await save('add-node', g, a, '--rebalance')
        expect(grown.plan.plan).toMatchObject({kind: 'add-node', moves: {kind: 'rebalance'}})
        expect(await apply(follower.file)).toMatchObject({outcome: 'joined'})
        await expectJoinedBefore(follower.file)
        const joined = await apply(grown.file)
        expect(joined).toMatchObject({outcome: 'joined', moves: {outcome: 'done', slotsMoved: 4096}})
        await expectNothingToDo(grown.file)
        await rcluster.ok('wait', a, '--for', 'healthy')

        // A failover of a shard that the plan is about is followed.
        const id = async (address: string): Promise<string> => String(await rawCommand(address, ['CLUSTER', 'MYID']))
        const shrunk = await save('del-node', '--seed', a, g, '--drain')
        expect(shrunk.plan.plan).toMatchObject({kind: 'del-node', moves: {kind: 'evacuate'}})
        const ofC = await id(c)
        const heir = String(await rawCommand(a, ['CLUSTER', 'NODES']))
          .split('\n')
          .find((line) => line.includes(` ${ofC} `) && line.includes('slave'))
        const over = await save('failover', '--seed', a, heir?.split(' ')[0] ?? '')
        expect(await apply(over.file)).toMatchObject({outcome: 'failed-over'})
        await expectNothingToDo(over.file)
        const gone = await apply(shrunk.file)
        expect(gone).toMatchObject({outcome: 'removed', moves: {outcome: 'done', slotsMoved: 4096}})
        await expectNothingToDo(shrunk.file)
        await rcluster.ok('failover', c, '--yes')
        await rcluster.ok('wait', a, '--for', 'healthy')
        expect((await stateOf(a)).filter((line) => !line.startsWith(h)).length).toBe(even.length)

        // Whom a node follows, when it is given up, and what is forgotten.
        const followed = await save('replicate', h, c)
        expect(await apply(followed.file)).toMatchObject({outcome: 'replicating'})
        await expectNothingToDo(followed.file)
        await rcluster.ok('replicate', h, a, '--yes')
        const back = await save('replicate', h, b)
        await rcluster.ok('replicate', h, c, '--yes')
        await expectStale(back.file, /is a replica of .* and was a replica of .* then/)
        const timed = await save('set-timeout', a, '3000')
        expect(await apply(timed.file)).toMatchObject({outcome: 'set'})
        await expectNothingToDo(timed.file)
        await rawCommand(c, ['CONFIG', 'SET', 'cluster-node-timeout', '2500'])
        await rawCommand(b, ['CONFIG', 'SET', 'cluster-node-timeout', '2400'])
        await expectStale(timed.file, /has 2400 ms, and had 2000 ms then/)
        await rcluster.ok('set-timeout', a, '2000', '--yes')
        const lost = await id(h)
        await servers.kill(7)
        await eventually('the others give it up', async () => {
          const nodes = String(await rawCommand(a, ['CLUSTER', 'NODES']))
          return nodes.split('\n').some((line) => line.startsWith(lost) && line.includes('fail'))
        })
        const forgotten = await save('forget', a, lost)
        expect(await apply(forgotten.file)).toMatchObject({outcome: 'forgotten'})
        await expectNothingToDo(forgotten.file)

        // Slots out of order: those of the plan, and others.
        const [idA, idB] = [await id(a), await id(b)]
        const owned = Number(
          String((await stateOf(a)).find((line) => line.startsWith(`${a} `))?.split(' ')[2]).split(/[-,]/)[0],
        )
        await rawCommand(b, ['CLUSTER', 'SETSLOT', owned, 'IMPORTING', idA])
        await rawCommand(a, ['CLUSTER', 'SETSLOT', owned, 'MIGRATING', idB])
        const fixed = await save('fix', a)
        await rawCommand(b, ['CLUSTER', 'SETSLOT', owned + 1, 'IMPORTING', idA])
        await rawCommand(a, ['CLUSTER', 'SETSLOT', owned + 1, 'MIGRATING', idB])
        await expectStale(fixed.file, new RegExp(`slots ${owned + 1} are out of order now`))
        await rawCommand(b, ['CLUSTER', 'SETSLOT', owned + 1, 'STABLE'])
        await rawCommand(a, ['CLUSTER', 'SETSLOT', owned + 1, 'STABLE'])
        expect(await apply(fixed.file)).toMatchObject({outcome: 'done'})
        expect((await rcluster.ok('apply', fixed.file, '--yes')).stdout).toContain('Nothing to repair')
        expect((await rcluster.run(['check', a])).code).toBe(0)
      } finally {
        await servers.stop()
      }
    })
  },
  KINDS,
)

forEachKind(
  'plans',
  (kind) => {
    test('that are killed are finished by the same command', {timeout: 400_000}, async () => {
      const servers = await startServers(kind, 4, {config: {'cluster-node-timeout': '2000'}})
      const [a = '', b = '', c = '', d = ''] = servers.addresses
      try {
        const random = moments(SEED)
        const created = await save('create', a, b, c, '--primaries', '3')
        let cutOff = 0
        for (const phase of ['Assigning', 'Introducing', 'Waiting until']) {
          if (await killAfter(['apply', created.file], phase, Math.round(random() * 30))) cutOff++
        }
        await rcluster.ok('apply', created.file, '--yes')
        await expectNothingToDo(created.file)
        expect(cutOff, 'creations that were cut off').toBeGreaterThan(0)

        await loadDataSet([a, b, c], {keys: 10_000})
        const before = await digestDataSet([a, b, c])
        const writer = await startWriter([a, b, c])
        cutOff = 0
        const movers = kind.name === 'redis-7.0' ? ['migrate'] : ['migrate', 'auto']
        for (const mover of movers) {
          const moved = await save('reshard', '--from', 'all', '--to', b, '--slots', '500', a, '--mover', mover)
          for (let round = 0; round < 3; round++) {
            const command = ['apply', moved.file, '--max-pause', '1ms']
            if (await killAfter(command, 'moves-started', Math.round(random() * 250))) cutOff++
          }
          // From the nodes alone: another machine knows no journal.
          const elsewhere = mkdtempSync(path.join(folder, 'state-'))
          const last = await rcluster.run(['apply', moved.file, '--yes'], {env: {XDG_STATE_HOME: elsewhere}})
          expect(last, last.stderr).toMatchObject({code: 0})
          await expectNothingToDo(moved.file)
          await rcluster.ok('check', a)
        }
        expect(cutOff, 'reshards that were cut off').toBeGreaterThan(0)

        cutOff = 0
        const grown = await save('add-node', d, a, '--rebalance', '--mover', 'migrate')
        for (const [word, ms] of [
          ['Introducing', 20],
          ['Waiting until', 10],
          ['moves-started', 150],
        ] as const) {
          if (await killAfter(['apply', grown.file], word, ms)) cutOff++
        }
        await rcluster.ok('apply', grown.file, '--yes')
        await expectNothingToDo(grown.file)
        const shrunk = await save('del-node', a, d, '--drain', '--mover', 'migrate')
        for (const [word, ms] of [
          ['moves-started', 100],
          ['Removing', 0],
        ] as const) {
          if (await killAfter(['apply', shrunk.file], word, ms)) cutOff++
        }
        await rcluster.ok('apply', shrunk.file, '--yes')
        await expectNothingToDo(shrunk.file)
        expect(cutOff, 'joins and removals that were cut off').toBeGreaterThan(0)
        await rcluster.ok('check', a)
        expect(await writer.stop()).toMatchObject({errors: [], errorCount: 0, lost: []})
        expect(compareDigests(before, await digestDataSet([a, b, c]))).toEqual(UNTOUCHED)
      } finally {
        await servers.stop()
      }
    })
  },
  // kill.test.ts has what differs from server to server.
  ['valkey-9.1'],
)

async function expectJoinedBefore(file: string): Promise<void> {
  expect((await rcluster.ok('apply', file, '--yes')).stdout).toContain('Nothing to join')
}

test('imports and restores: what would be copied, without a secret', {timeout: 120_000}, async () => {
  const SECRET = 's3cr/et@pa:ss'
  const config = {requirepass: SECRET, masterauth: SECRET, 'cluster-node-timeout': '2000'}
  const servers = await startServers(anyKind('valkey'), 3, {config})
  const source = await startServers(anyKind('redis'), 1, {config: {'cluster-enabled': 'no', requirepass: SECRET}})
  const [a = '', b = '', c = ''] = servers.addresses
  const [from = ''] = source.addresses
  const login = `:${encodeURIComponent(SECRET)}@`
  const run = (...args: readonly string[]) =>
    rcluster.run(args, {env: {RCLUSTER_PASSWORD: SECRET, RCLUSTER_FROM_PASSWORD: SECRET}})
  const texts: string[] = []
  const expectClean = (): void => {
    for (const text of texts) {
      expect(text).not.toContain(SECRET)
      expect(text).not.toContain(encodeURIComponent(SECRET))
      expect(text).not.toContain('s3cr')
    }
  }
  try {
    for (let n = 0; n < 50; n++) await rawCommand(from, ['SET', `key:${n}`, `value ${n}`], {password: SECRET})
    const file = (name: string): string => path.join(folder, name)
    const saves: [string, string[]][] = [
      ['create', ['create', `redis://${login}${a}`, b, c, '--yes']],
      ['import', ['import', `redis://${login}${a}`, '--from', `redis://${login}${from}`, '--yes']],
      ['timeout', ['set-timeout', '3000', '-qa', SECRET, '--seed', `redis://${login}${a}`]],
      ['reshard', ['reshard', a, b, '3', '--password', SECRET, '--user=default']],
      ['import-2', ['import', a, '--from', from, `--from-password=${SECRET}`, '--from-user', 'default']],
    ]
    for (const [name, args] of saves) {
      const {code, stdout, stderr} = await run(...args, '--out', file(`${name}.json`))
      expect(code, stderr).toBe(0)
      texts.push(stdout, stderr, readFileSync(file(`${name}.json`), 'utf8'))
      if (name === 'create') expect((await run('apply', file('create.json'), '--yes')).code).toBe(0)
    }
    expectClean()
    const first = await run('apply', file('import.json'), '--yes', '--json')
    expect(JSON.parse(first.stdout)).toMatchObject({ok: true, result: {counts: {copied: 50, identical: 0}}})
    const second = await run('apply', file('import.json'), '--yes', '--json')
    expect(JSON.parse(second.stdout)).toMatchObject({ok: true, result: {counts: {copied: 0, identical: 50}}})
    texts.push(first.stdout, first.stderr, second.stdout, second.stderr)
    // Another database has keys since then.
    await rawCommand(from, ['SET', 'other', '1'], {password: SECRET, database: 3})
    const third = await run('apply', file('import.json'), '--yes')
    expect(third.code).toBe(3)
    expect(third.stderr).toContain('database 3 of the source has keys now')
    // What a plan of import does not know is refused, what it does is taken.
    expect((await run('apply', file('import.json'), '--mover', 'atomic')).stderr).toContain(
      'means nothing to a plan of',
    )
    expect((await run('apply', file('import.json'), '--on-conflict', 'source')).code).toBe(2)

    expect((await run('backup', a, file('backup'))).code).toBe(0)
    const restored = await startServers(anyKind('valkey'), 1, {config})
    try {
      const [target = ''] = restored.addresses
      expect((await run('create', target, '--yes')).code).toBe(0)
      const saved = await run('restore', file('backup'), target, '--out', file('restore.json'))
      expect(saved.code, saved.stderr).toBe(0)
      expect(await rawCommand(target, ['DBSIZE'], {password: SECRET})).toBe(0)
      texts.push(readFileSync(file('restore.json'), 'utf8'))
      for (const round of [1, 2]) {
        const {code, stderr} = await run('apply', file('restore.json'), '--yes')
        expect(code, `${round}: ${stderr}`).toBe(0)
        expect(await rawCommand(target, ['DBSIZE'], {password: SECRET})).toBe(50)
      }
      writeFileSync(
        file('restore.json'),
        readFileSync(file('restore.json'), 'utf8').replace(/"bytes": \d+/, '"bytes": 7'),
      )
      const changed = await run('apply', file('restore.json'), '--yes')
      expect(changed.code).toBe(3)
      expect(changed.stderr).toContain('had 7 bytes then')
    } finally {
      await restored.stop()
    }
    expectClean()

    // To stdout, and nothing but the plan.
    const piped = await run('reshard', a, b, '3', '--out', '-')
    expect(JSON.parse(piped.stdout)).toMatchObject({format: 'rcluster-plan', command: {name: 'reshard'}})
    expect((await run('reshard', a, b, '3', '--out', '-', '--json')).code).toBe(2)
    // Another cluster than that of the plan, and a file that is none.
    const foreign = await run('apply', file('reshard.json'), from, '--yes')
    expect(foreign.code).toBeGreaterThan(1)
    expect((await run('apply', path.join(folder, 'nowhere.json'))).code).toBe(2)
    expect(existsSync(file('nowhere.json'))).toBe(false)
  } finally {
    await Promise.all([servers.stop(), source.stop()])
  }
})
