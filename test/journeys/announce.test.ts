/**
 * Clients outside of the containers' network: do they reach every slot with what `rcluster clients` prints, and with
 * startup nodes alone where the nodes announce what `create --announce` has set?
 */
import {rmSync, writeFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {expect} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {SLOT_COUNT} from '../../src/lib/slots/slot.ts'
import {type DockerHost, openDockerHost, type PublishOptions, type Way} from '../support/docker-host.ts'
import {networkTest} from '../support/network.ts'
import {openRcluster, type Rcluster, runProgram} from '../support/rcluster.ts'
import {forEachKind, rawCommand, type ServerKind, startServers, type TestServers} from '../support/servers.ts'

interface Scene {
  readonly host: DockerHost
  readonly servers: TestServers
  readonly rcluster: Rcluster
}

async function onHost(
  kind: ServerKind,
  count: number,
  {way = 'no-route', ...options}: PublishOptions & {readonly way?: Way},
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  const host = await openDockerHost(way, count, options)
  const rcluster = openRcluster({prefix: host.prefix})
  try {
    const servers = await startServers(kind, count, {hosts: host.containers, hasConfigFile: true})
    try {
      await play({host, servers, rcluster})
    } finally {
      await servers.stop()
    }
  } finally {
    await host.close()
    rcluster.close()
  }
}

const TAGS = Array.from({length: SLOT_COUNT}, (_, slot) => tagForSlot(slot))

/** Runs the printed settings of ioredis on the host, and writes and reads a key of every slot through them. */
async function useEverySlot({host}: Scene, settings: string): Promise<void> {
  const file = fileURLToPath(new URL(`client-${process.pid}.mjs`, import.meta.url))
  const [program = '', ...words] = [...host.prefix, process.execPath, file]
  writeFileSync(
    file,
    `${settings}
    const keys = ${JSON.stringify(TAGS)}.map((tag) => '{' + tag + '}')
    for (let at = 0; at < keys.length; at += 2048) {
      const some = keys.slice(at, at + 2048)
      await Promise.all(some.map((key) => cluster.set(key, 'of ' + key)))
      const values = await Promise.all(some.map((key) => cluster.get(key)))
      if (values.some((value, index) => value !== 'of ' + some[index])) throw new Error('a value is another')
    }
    cluster.disconnect()
    console.log('all')`,
  )
  try {
    const {code, stdout, stderr} = await runProgram(program, words, {timeoutMs: 30_000})
    expect(`${code} ${stdout} ${stderr}`).toMatch(/^0 all/)
  } finally {
    rmSync(file, {force: true})
  }
}

const settingOf = async (address: string, name: string): Promise<unknown> =>
  ((await rawCommand(address, ['CONFIG', 'GET', name])) as unknown[])[1]

forEachKind(
  'clients behind published ports',
  (kind) => {
    networkTest('reach every slot with the printed map, or with announced addresses alone', async () => {
      await onHost(kind, 4, {}, async (scene) => {
        const {host, servers, rcluster} = scene
        const nodes = [...host.published]
        const create = ['create', ...nodes, '--primaries', '3', '--yes']
        if (kind.name !== 'valkey-9.1') {
          const refused = await rcluster.run([...create, '--announce'])
          expect(refused).toMatchObject({
            code: 3,
            stderr: expect.stringContaining('listens on port 6379 and cannot announce 127.0.0.1:7000'),
          })
          expect(refused.stderr).toContain('rcluster clients prints the settings')
        }
        await rcluster.ok(...create)
        const [a = ''] = nodes
        const shown = (await rcluster.ok('info', a)).stdout
        expect(shown).toMatch(/^Node .*Announced/m)
        const {result: info} = JSON.parse((await rcluster.ok('info', a, '--json')).stdout)
        expect(info.nodes.map(({internal}: {internal: string}) => internal).sort()).toEqual(
          [...servers.addresses].sort(),
        )

        const {result} = JSON.parse((await rcluster.ok('clients', a, '--json')).stdout)
        expect(result).toMatchObject({isDirect: false, tls: false, login: null, unreachable: []})
        expect(Object.keys(result.settings)).toHaveLength(6)
        await useEverySlot(scene, (await rcluster.ok('clients', a, '--for', 'ioredis')).stdout)

        if (kind.name !== 'valkey-9.1') return
        // The cluster is there: it is announced now, and the same again finds nothing to do.
        const again = ['create', ...nodes, '--if-missing', '--announce', '--yes']
        const planned = await rcluster.ok(...again, '--dry-run')
        expect(planned.stdout).toContain('cluster-announce-client-port 7003')
        expect(await settingOf(servers.addresses[0] ?? '', 'cluster-announce-client-port')).toBe('0')
        expect((await rcluster.ok(...again)).stderr).not.toContain('Warning: The announced')
        expect((await rcluster.ok(...again)).stdout).toContain('Nothing to do')
        const direct = await rcluster.ok('clients', a, '--for', 'ioredis')
        expect(direct.stderr).toContain('startup nodes are all')
        expect(direct.stdout).not.toContain('natMap')
        await useEverySlot(scene, direct.stdout)
        // The nodes' own ways are what they were, and the settings outlive a restart.
        await rcluster.ok(
          'reshard',
          a,
          '--from',
          a,
          '--to',
          nodes[1] ?? '',
          '--slots',
          '200',
          '--yes',
          '--mover',
          'migrate',
        )
        await servers.restart(3)
        expect(await settingOf(servers.addresses[3] ?? '', 'cluster-announce-client-port')).toBe('7003')
        await rcluster.ok('wait', a, '--for', 'healthy', '--timeout', '30')
      })
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)

forEachKind(
  'clients behind published ports',
  (kind) => {
    networkTest('are sent to published ports that the servers listen on, too', async () => {
      await onHost(kind, 4, {at: (index) => `127.0.1.${index + 1}:6379`}, async (scene) => {
        const {host, servers, rcluster} = scene
        const create = ['create', ...host.published, '--primaries', '3', '--announce']
        const planned = JSON.parse((await rcluster.ok(...create, '--dry-run', '--json')).stdout)
        expect(planned.result.plan.announcement).toMatchObject({way: kind.family === 'valkey' ? 'clients' : 'name'})
        const plan = `${servers.folder(0)}/plan.json`
        await rcluster.ok(...create, '--out', plan)
        const applied = JSON.parse((await rcluster.ok('apply', plan, '--yes', '--json')).stdout)
        expect(applied.result).toMatchObject({outcome: 'created', announcement: {lost: []}})
        const direct = await rcluster.ok('clients', host.published[0] ?? '', '--for', 'ioredis')
        expect(direct.stdout).not.toContain('natMap')
        await useEverySlot(scene, direct.stdout)
        await rcluster.ok('check', host.published[1] ?? '')
        expect(JSON.parse((await rcluster.ok('apply', plan, '--yes', '--json')).stdout).result.outcome).toBe(
          'already-there',
        )
      })
    })
  },
  ['redis-7.0', 'valkey-8.1'],
)

forEachKind(
  'an address of the host',
  (kind) => {
    networkTest('is announced to the nodes as well where they reach one another there', async () => {
      const at: PublishOptions['at'] = (index, own) => `${own}:${7000 + index}`
      await onHost(kind, 4, {way: 'proxy', at}, async ({host, servers, rcluster}) => {
        const tried = await rcluster.run(['create', ...host.published, '--primaries', '3', '--announce', '--yes'])
        expect(tried).toMatchObject({
          code: 5,
          stderr: expect.stringMatching(/bus port 1700.*all nodes were reset and are empty again/s),
        })
        for (const address of servers.addresses) {
          expect(await settingOf(address, 'cluster-announce-ip')).toBe('')
          expect(await settingOf(address, 'cluster-announce-bus-port')).toBe('0')
        }
      })
      await onHost(kind, 4, {way: 'proxy', at, hasBusPorts: true}, async (scene) => {
        const {host, rcluster} = scene
        await rcluster.ok('create', ...host.published, '--primaries', '3', '--announce', '--yes')
        const [a = '', b = ''] = host.published
        const {stdout} = await rcluster.ok('clients', a, '--for', 'ioredis')
        expect(stdout).not.toContain('natMap')
        await useEverySlot(scene, stdout)
        await rcluster.ok('reshard', a, '--from', a, '--to', b, '--slots', '50', '--yes')
        await rcluster.ok('check', b)
      })
    })
  },
  ['redis-8.6'],
)
