/**
 * Hosts with several addresses: we reach the nodes at others than they reach each other, or sit on one of the hosts and
 * use its loopback address. What nodes are told of one another must be what they can use.
 */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect} from 'vitest'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {networkTest, openNetwork, type TestNetwork} from '../support/network.ts'
import {openRcluster, type Rcluster} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const KEYS = 30

forEachKind(
  'hosts with several addresses',
  (kind) => {
    let network: TestNetwork
    let servers: TestServers
    const programs: Rcluster[] = []

    beforeAll(async () => {
      network = await openNetwork(4, {areMultiHomed: true})
      servers = await startServers(kind, 4, {hosts: network.hosts, config: {bind: '0.0.0.0'}})
    })
    afterAll(async () => {
      await servers?.stop()
      await network?.close()
      for (const program of programs) program.close()
    })

    /** On a host, or where we are. */
    function programOn(host?: {readonly prefix: readonly string[]}): Rcluster {
      const program = openRcluster({prefix: host?.prefix ?? []})
      programs.push(program)
      return program
    }

    networkTest('are reached at one and told of by the other', async () => {
      const [a = '', b = '', c = '', d = ''] = servers.addresses
      const outer = network.hosts.map(({outerAddress}) => `${outerAddress}:6379`)
      const map = servers.addresses.flatMap((inner, index) => ['--address-map', `${inner}=${outer[index]}`])
      const fromOutside = programOn()
      await fromOutside.ok('create', a, b, c, '--yes', ...map)
      // One address of any node is enough from now on.
      await fromOutside.ok('add-node', d, outer[1] ?? '', '--address-map', `${d}=${outer[3]}`)
      const nodes = String(await rawCommand(outer[0] ?? '', ['CLUSTER', 'NODES']))
      for (const inner of servers.addresses) expect(nodes).toContain(`${inner}@`)

      for (let n = 0; n < KEYS; n++) await rawCommand(outer[0] ?? '', ['SET', `{${tagForSlot(0)}}${n}`, 'value'])
      const move = ['--slots-list', '0-9', '--yes', '--mover', 'migrate']
      const there = await fromOutside.ok('reshard', outer[2] ?? '', '--from', a, '--to', d, ...move)
      expect(there.stdout).toContain(`with ${KEYS} keys`)

      const onHost = programOn(network.hosts[0])
      const local = '127.0.0.1:6379'
      const back = await onHost.ok('reshard', local, '--from', d, '--to', local, ...move)
      expect(back.stdout).toContain(`with ${KEYS} keys`)
      await onHost.ok('del-node', local, d, '--drain', '--yes')
      await onHost.ok('add-node', d, local, '--replica', '--primary', local)
      expect((await onHost.run(['check', local])).code).toBe(0)
      const {result} = JSON.parse((await fromOutside.ok('info', outer[1] ?? '', '--json', ...map)).stdout)
      const places = result.nodes.map(({announced, address}: Record<string, string>) => `${announced} ${address}`)
      expect(places.sort()).toEqual(servers.addresses.map((inner, index) => `${inner} ${outer[index]}`).sort())
    })

    networkTest('are found by the names that they announce', async () => {
      const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-names-'))
      try {
        const names = path.join(folder, 'hosts')
        const lines = network.hosts.map(({outerAddress}, index) => `${outerAddress} host-${index}.lab\n`)
        writeFileSync(names, `127.0.0.1 localhost\n${lines.join('')}`)
        for (const [index, {outerAddress}] of network.hosts.entries()) {
          await rawCommand(`${outerAddress}:6379`, ['CONFIG', 'SET', 'cluster-announce-hostname', `host-${index}.lab`])
        }
        await eventually('the names are known', async () => {
          const told = String(await rawCommand(`${network.hosts[1]?.outerAddress}:6379`, ['CLUSTER', 'NODES']))
          return network.hosts.every((_, index) => told.includes(`host-${index}.lab`))
        })
        const inItsView = ['unshare', '--mount', 'sh', '-c', `mount --bind ${names} /etc/hosts && exec "$@"`, 'sh']
        const named = programOn({prefix: inItsView})
        const {stdout} = await named.ok('info', 'host-1.lab:6379', '--json', '--connect-timeout', '500ms')
        const places = JSON.parse(stdout).result.nodes.map(({address}: {address: string}) => address)
        expect(places.sort()).toEqual([0, 1, 2, 3].map((index) => `host-${index}.lab:6379`))
      } finally {
        rmSync(folder, {recursive: true, force: true})
      }
    })

    networkTest('that lead nowhere from here are told so, and nothing is given up', async () => {
      const outer = `${network.hosts[1]?.outerAddress}:6379`
      const unaware = programOn()
      const checked = await unaware.run(['check', outer, '--connect-timeout', '500ms'])
      expect(checked.code).toBe(1)
      expect(checked.stdout).toMatch(/It runs: .*--address-map \S+=HOST:PORT/)
      const fixed = await unaware.run([
        'fix',
        outer,
        '--dry-run',
        '--accept-data-loss',
        'all',
        '--connect-timeout',
        '500ms',
      ])
      expect(fixed.stdout).toMatch(/^blocked/m)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
