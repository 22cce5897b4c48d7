/** `check` as a rule book: much that is amiss at once, what a baseline knows, what a user without rights sees, what mends. */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openRcluster, type RunResult} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-check-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

const SECRET = 'sesame-of-the-app'
const LIBRARY = "#!lua name=tools\nredis.register_function('nothing', function() return 1 end)"
/** Two primaries and a replica share the first. */
const HOSTS = ['127.0.1.1', '127.0.1.1', '127.0.2.1', '127.0.1.1', '127.0.3.1']

interface Told {
  readonly id: string
  readonly severity: string
  readonly slots: string
  readonly suggestions: readonly string[]
  readonly details: {readonly dispute?: {readonly winner: string | null; readonly isSettling: boolean}}
}

interface Report {
  readonly findings: readonly Told[]
  readonly notes: readonly Told[]
  readonly notJudged: readonly {readonly rules: readonly string[]; readonly reason: string}[]
}

function reportOf({stdout}: RunResult): Report {
  return (JSON.parse(stdout) as {result: Report}).result
}

forEachKind(
  'check',
  (kind) => {
    let servers: TestServers
    let [a, b, c] = ['', '', '']
    const baseline = path.join(folder, `${kind.name}.json`)
    const check = (...words: string[]): Promise<RunResult> => rcluster.run(['check', a, ...words])
    const idsOf = async (...words: string[]): Promise<string[]> =>
      reportOf(await check('--json', ...words)).findings.map(({id}) => id)

    const spoil = async (): Promise<void> => {
      await rawCommand(a, ['SET', '{06S}key', 'value'])
      const payload = (await rawCommand(a, ['DUMP', '{06S}key'], {asBuffers: true})) as Buffer
      const idOfA = String(await rawCommand(a, ['CLUSTER', 'MYID']))
      // A key of slot 0 stays on b, a denies slot 2, which the others hold for its, and slot 3 is open on c.
      await rawCommand(b, ['CLUSTER', 'SETSLOT', 0, 'IMPORTING', idOfA])
      await rawCommand(b, ['RESTORE-ASKING', '{06S}key', 0, payload])
      await rawCommand(b, ['CLUSTER', 'SETSLOT', 0, 'STABLE'])
      await rawCommand(a, ['CLUSTER', 'DELSLOTS', 2])
      await rawCommand(c, ['CLUSTER', 'SETSLOT', 3, 'IMPORTING', idOfA])
      await rawCommand(b, ['CONFIG', 'SET', 'cluster-node-timeout', '20000'])
      await rawCommand(b, ['FUNCTION', 'LOAD', LIBRARY])
      await rawCommand(a, ['ACL', 'SETUSER', 'app', 'on', `>${SECRET}`, '~*', '+get'])
      await rawCommand(c, ['CONFIG', 'SET', 'appendonly', 'yes'])
      const memory = /used_memory:(\d+)/.exec(String(await rawCommand(c, ['INFO', 'memory'])))?.[1]
      await rawCommand(c, ['CONFIG', 'SET', 'maxmemory', Math.round(Number(memory) * 1.05)])
    }

    beforeAll(async () => {
      servers = await startServers(kind, 5, {
        hostOf: (index) => HOSTS[index] ?? '',
        hasConfigFile: true,
        // Replicas come from another address than 127.0.0.1, and one node's doubt must not stop it.
        config: {'protected-mode': 'no', 'cluster-require-full-coverage': 'no', 'cluster-node-timeout': '15000'},
      })
      ;[a = '', b = '', c = ''] = servers.addresses
      await rcluster.ok('create', a, b, c, '--yes')
      for (const [replica, primary] of [
        [servers.addresses[3] ?? '', a],
        [servers.addresses[4] ?? '', b],
      ] as const) {
        await rcluster.ok('add-node', replica, a, '--replica', '--primary', primary, '--yes')
      }
      await spoil()
      await eventually('nodes that have just met are linked', async () => !(await idsOf()).includes('bus-link-down'))
      return () => servers.stop()
    })

    test('names all that is amiss, each with what mends it, and no secret', async () => {
      const result = await check('--deep', '--json')
      expect(result.code).toBe(1)
      const {findings, notes, notJudged} = reportOf(result)
      expect([...new Set(findings.map(({severity, id}) => `${severity} ${id}`))]).toEqual([
        'error disagreement',
        'error open-slot',
        'error uncovered-slots',
        'warning acl-drift',
        'warning config-drift',
        'warning function-drift',
        'warning memory-near-limit',
        'warning node-timeout-drift',
        'warning orphan-keys',
        'warning orphaned-primary',
        'warning persistence-off',
        'warning quorum-on-one-host',
        'warning replica-on-primary-host',
      ])
      expect(notes).toEqual([])
      expect(notJudged).toEqual([])
      const find = (id: string): Told | undefined => findings.find((one) => one.id === id)
      expect(find('disagreement')).toMatchObject({slots: '2', details: {dispute: {winner: null, isSettling: false}}})
      expect(find('orphan-keys')).toMatchObject({slots: '0'})
      const hashes = String(await rawCommand(a, ['ACL', 'LIST'])).match(/#[0-9a-f]{64}/g) ?? []
      expect(hashes).toHaveLength(1)
      expect(result.stdout).not.toContain(hashes[0]?.slice(1, 9))
      expect(result.stdout).not.toContain(SECRET)
      const text = (await check()).stdout
      expect(text).toMatch(/Owner +Epoch +Own word +Said by/)
      expect(text).toMatch(/waiting does not help: nodes only believe what a primary claims for itself/)
      expect(text).toMatch(/Not healthy: 3 errors, \d+ warnings\.$/m)
    })

    test('what somebody may not ask is told as not judged', async () => {
      const rights = ['+cluster|myid', '+cluster|nodes', '+cluster|info', '+info', '+client|info', '+client|list']
      for (const address of servers.addresses) {
        await rawCommand(address, ['ACL', 'SETUSER', 'viewer', 'on', '>of-the-viewer', ...rights])
      }
      const result = await rcluster.run(
        ['check', a, '--user', 'viewer', '--ignore', 'disagreement,open-slot,uncovered-slots'],
        {
          env: {RCLUSTER_PASSWORD: 'of-the-viewer'},
        },
      )
      expect(result.code).toBe(0)
      for (const [rules, command] of [
        ['node-timeout-drift, config-drift, persistence-off', 'CONFIG GET'],
        ['function-drift', 'FUNCTION LIST'],
        ['acl-drift', 'ACL LIST'],
      ]) {
        expect(result.stdout).toContain(`? not judged on any node: ${rules}: our user may not ${command}`)
      }
      expect(result.stdout).toContain('[memory-near-limit]')
    })

    test('a baseline is not counted, what is new is', async () => {
      expect((await check('--write-baseline', baseline)).code).toBe(1)
      const known = await check('--baseline', baseline, '--fail-on', 'warning')
      expect(`${known.code} ${known.stdout}`).toMatch(/^0 [\s\S]*Nothing new, with \d+ known findings of the baseline/)
      await rawCommand(a, ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru'])
      const more = await check('--baseline', baseline, '--fail-on', 'warning')
      expect(more.code).toBe(1)
      expect(more.stdout).toMatch(/^warning {2}maxmemory-policy differs/)
      expect((await check('--baseline', baseline)).code).toBe(0)
      expect(JSON.parse(readFileSync(baseline, 'utf8'))).toMatchObject({format: 'rcluster-baseline', version: 1})
    })

    test('measures for Prometheus', async () => {
      const {code, stdout} = await check('--openmetrics')
      expect(code).toBe(1)
      expect(stdout).toMatch(/^rcluster_findings\{rule="config-drift",severity="warning"\} 2$/m)
      expect(stdout).toMatch(/^rcluster_slots_disputed 1$/m)
      expect(stdout).toMatch(/^rcluster_node_memory_limit_bytes\{.*\} \d+$/m)
      expect(stdout).toMatch(/\n# EOF\n$/)
    })

    test('what it names mends it', async () => {
      await rawCommand(c, ['CONFIG', 'SET', 'maxmemory', 0])
      const drift = reportOf(await check('--rule', 'node-timeout-drift,config-drift', '--json')).findings
      expect(drift.map(({id}) => id)).toEqual(['config-drift', 'node-timeout-drift'])
      for (const command of drift.flatMap(({suggestions}) => suggestions)) {
        const words = command.split(' ').slice(1)
        await rcluster.ok(...words, '--yes')
      }
      await rcluster.ok('fix', a, '--search-multiple-owners', '--yes')
      await eventually('the nodes agree', async () => (await check()).code === 0)
      expect(await idsOf('--deep', '--rule', 'config-drift,node-timeout-drift,orphan-keys,disagreement')).toEqual([])
      const gone = await check('--baseline', baseline)
      expect(gone.stderr).toMatch(/\d+ of \d+ findings of the baseline are gone: .*disagreement/)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
