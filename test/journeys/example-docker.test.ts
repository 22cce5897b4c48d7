/** The walk through examples/docker, with its configuration and its very commands, on a host with published ports. */
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {expect} from 'vitest'
import {parse} from 'yaml'
import {openDockerHost} from '../support/docker-host.ts'
import {commandsIn, readExample, settingsIn} from '../support/examples.ts'
import {startWriter} from '../support/live-load.ts'
import {networkTest} from '../support/network.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, startServers} from '../support/servers.ts'

forEachKind(
  'examples/docker',
  (kind) => {
    networkTest('every command of the README works, in order, while a client on the host writes', async () => {
      const {services} = parse(readExample('docker/compose.yaml'), {merge: true}) as {
        services: Record<string, {ports: string[]}>
      }
      const ports = Object.values(services).flatMap((service) => service.ports)
      const host = await openDockerHost('dnat', ports.length)
      const servers = await startServers(kind, ports.length, {
        hosts: host.containers,
        config: settingsIn(readExample('docker/redis.conf')),
      })
      const rcluster = openRcluster({prefix: host.prefix})
      const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-example-'))
      try {
        expect(ports).toEqual(host.published.map((address) => `${address}:6379`))
        const [create = [], ...others] = commandsIn(readExample('docker/README.md'))
        expect([create[0], others.length]).toEqual(['create', 10])
        await rcluster.ok(...create)
        const {prefix, natMap} = host
        const writer = await startWriter(host.published.slice(0, 3), {prefix, natMap})
        for (const words of others) {
          const {code, stdout, stderr} = await rcluster.run(words, {cwd: folder})
          expect(code, `${words.join(' ')}:\n${stdout}\n${stderr}`).toBe(0)
        }
        expect(await writer.stop()).toMatchObject({errors: [], lost: []})
      } finally {
        await servers.stop()
        await host.close()
        rcluster.close()
        rmSync(folder, {recursive: true, force: true})
      }
    })
  },
  ['redis-7.0'],
)
