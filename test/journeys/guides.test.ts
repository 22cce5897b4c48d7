/** The walks of docs/guides on a real cluster, in order, with their very commands. */
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {commandsIn} from '../support/examples.ts'
import {startWriter} from '../support/live-load.ts'
import {openRcluster} from '../support/rcluster.ts'
import {openRestartService} from '../support/restart-service.ts'
import {eventually, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-guides-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

/** Of a guide, or of one section of it. */
function walk(guide: string, section = ''): string[][] {
  const text = readFileSync(new URL(`../../docs/guides/${guide}.md`, import.meta.url), 'utf8')
  const part = text.split(/^## /m).find((one) => one.startsWith(`${section}\n`))
  const commands = commandsIn(section === '' ? text : (part ?? ''))
  expect(commands.length, `${guide} ${section}`).toBeGreaterThan(0)
  return commands
}

forEachKind(
  'guides',
  (kind) => {
    let servers: TestServers

    /** 127.0.0.1:7003 is the fourth server, wherever it listens. */
    const here = (word: string): string =>
      word.replace(/^127\.0\.0\.1:700(\d)$/, (_, index) => servers.addresses[Number(index)]!)

    async function follow(commands: readonly string[][]): Promise<void> {
      for (const words of commands) {
        const {code, stdout, stderr} = await rcluster.run(words.map(here), {cwd: folder})
        expect(code, `${words.join(' ')}:\n${stdout}\n${stderr}`).toBe(0)
      }
    }

    beforeAll(async () => {
      servers = await startServers(kind, 8, {config: {'cluster-node-timeout': '3000'}})
      await rcluster.ok('create', ...servers.addresses.slice(0, 6), '--replicas', '1', '--yes')
    })
    afterAll(() => servers?.stop())

    test('scale out, scale in, replace a node that is alive, upgrade: while a client writes', async () => {
      const writer = await startWriter(servers.addresses.slice(0, 3), {opsPerSecond: 100, keys: 400})
      await follow(walk('scale-out'))
      await follow(walk('scale-in'))
      await follow(walk('replace-node', 'One that is alive'))
      await follow(walk('upgrade', 'Before'))
      const service = await openRestartService(folder, (port) =>
        servers.restart(servers.addresses.findIndex((address) => address.endsWith(`:${port}`))),
      )
      writeFileSync(path.join(folder, 'restart.sh'), `#!/bin/sh\nexec ${service.command}\n`, {mode: 0o755})
      await follow(walk('upgrade', 'How a node is restarted'))
      await follow(walk('upgrade', 'All nodes'))
      service.close()
      await follow(walk('upgrade', 'Afterwards'))
      expect(await writer.stop()).toMatchObject({errors: [], lost: []})
    })

    test('replace a node that is dead', async () => {
      await servers.kill(2)
      await rcluster.ok('wait', servers.addresses[5]!, '--for', 'agreed')
      await eventually('the replica leads', isCovered, 30_000)
      // The first look names the dead node, and fails for it.
      const [look = [], ...others] = walk('replace-node', 'One that is dead')
      expect((await rcluster.run(look.map(here))).code).toBe(1)
      await follow(others)
    })

    test('recover shards whose replicas cannot take over by themselves: most primaries are gone', async () => {
      await Promise.all([servers.kill(5), servers.kill(6)])
      const dead = [5, 6].map((index) => servers.addresses[index])
      await eventually('the third sees that they are gone', async () => {
        const lines = String(await rawCommand(servers.addresses[0]!, ['CLUSTER', 'NODES'])).split('\n')
        return dead.every((address) => lines.some((line) => line.includes(`${address}@`) && /fail/.test(line)))
      })
      const [look = [], plan = []] = walk('recover-shard', '1. See what is so')
      expect((await rcluster.run(look.map(here))).code).toBe(1)
      await follow([plan])
      await follow(walk('recover-shard', '3. Let a replica take over'))
      expect(await isCovered()).toBe(true)
    })

    async function isCovered(): Promise<boolean> {
      return (await rcluster.run(['check', servers.addresses[0]!, '--rule', 'uncovered-slots'])).code === 0
    }
  },
  ['redis-7.0'],
)
