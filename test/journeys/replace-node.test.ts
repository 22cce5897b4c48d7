/** An empty node takes the place of another while clients write, cut off at every step, and loses nothing. */
import {mkdtempSync, rmSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {FaultScene} from '../support/fault-scene.ts'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-replace-'))
afterAll(() => {
  rcluster.close()
  rmSync(folder, {recursive: true, force: true})
})

/** false: it had ended before it said so. */
async function killedAt(pattern: RegExp, ...args: string[]): Promise<boolean> {
  const {child, ended} = rcluster.start([...args, '--progress', 'ndjson'])
  let told = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    told += chunk.toString()
    if (pattern.test(told)) child.kill('SIGKILL')
  })
  const {code} = await ended
  return code === undefined
}

async function membersAt(address: string): Promise<Map<string, string>> {
  const lines = String(await rawCommand(address, ['CLUSTER', 'NODES']))
    .trim()
    .split('\n')
  return new Map(
    lines.map((line) => [line.split(' ')[1]!.replace(/@.*/, ''), line.split(' ')[2]!.replace('myself,', '')]),
  )
}

forEachKind(
  'replace-node',
  (kind) => {
    let scene: FaultScene
    let spares: TestServers
    beforeAll(async () => {
      scene = await FaultScene.open(kind, rcluster, {
        replicas: 1,
        keys: 3000,
        config: {'repl-diskless-sync-delay': '0'},
      })
      spares = await startServers(kind, 4, {config: {'cluster-node-timeout': '2000', 'repl-diskless-sync-delay': '0'}})
    })
    afterAll(async () => {
      await Promise.all([spares?.stop(), scene?.servers.stop()])
    })

    test('takes the place of a primary that is alive, whatever cuts it off', async () => {
      const [old, by] = [scene.at(1), spares.addresses[0]!]
      const command = ['replace-node', old, by, '--yes']
      // A step may be over when the kill comes: test/engine/replace-node.test.ts hits each of them.
      const steps = [/Introducing/, /"Making/, /"Asking/, /"Removing/]
      let cuts = 0
      for (const step of steps) if (await killedAt(step, ...command)) cuts++
      expect(cuts).toBeGreaterThan(0)
      const {stdout} = await rcluster.ok(...command)
      expect(stdout).toMatch(/is a primary with 5462 slots/)
      expect((await rcluster.ok(...command)).stdout).toContain('Nothing to do')
      const members = await membersAt(by)
      expect(members.get(by)).toBe('master')
      expect(members.has(old)).toBe(false)
      expect(members.size).toBe(6)
      expect(await membersAt(old)).toHaveProperty('size', 1)
      await scene.expectWhole()
    })

    test('takes the place of a replica, by a plan that was saved, and leaves an old primary as a replica', async () => {
      const [replica, by, third] = [await scene.replicaOf(scene.at(0)), spares.addresses[1]!, spares.addresses[2]!]
      const file = path.join(folder, `${kind.name}.json`)
      await rcluster.ok('replace-node', replica, by, '--out', file)
      expect(await killedAt(/"Making/, 'apply', file, '--yes')).toBe(true)
      const applied = JSON.parse((await rcluster.ok('apply', file, '--yes', '--json')).stdout)
      expect(applied.result.done.at(-1)).toMatchObject({kind: 'remove'})
      expect(applied.result.done.length).toBeLessThan(3)
      expect((await rcluster.ok('apply', file, '--yes')).stdout).toContain('Nothing to do')
      expect(await scene.replicaOf(scene.at(0))).toBe(by)

      const kept = await rcluster.ok('replace-node', scene.at(2), third, '--keep-old', '--yes', '--json')
      expect(JSON.parse(kept.stdout).result).toMatchObject({outcome: 'replaced', plan: {slots: '10923-16383'}})
      const members = await membersAt(third)
      expect([members.get(third), members.get(scene.at(2))]).toEqual(['master', 'slave'])
    })

    test('of a dead primary: its replica leads, and the new node is the replica that is lacking', async () => {
      const [third, by, living] = [spares.addresses[2]!, spares.addresses[3]!, scene.at(0)]
      // The replica that stayed is one too many for who is short of one to be clear.
      await rcluster.ok('del-node', living, scene.at(2), '--yes')
      const heir = await scene.replicaOf(third)
      scene.writer.freeze()
      await eventually('the replica has all', async () => {
        const text = String(await rawCommand(third, ['INFO', 'replication']))
        return text.includes(`offset=${/master_repl_offset:(\d+)/.exec(text)?.[1]},lag`)
      })
      await spares.kill(2)
      scene.writer.thaw()
      expect((await rcluster.run(['replace-node', third, by, '--yes'])).stderr).toContain(
        `replace-node LIVING ${third}`,
      )
      const command = ['replace-node', living, third, by, '--yes']
      expect(await killedAt(/"Making|"Waiting for the first/, ...command)).toBe(true)
      const {stdout} = await rcluster.ok(...command)
      expect(stdout).toMatch(new RegExp(`is a replica of ${heir}`))
      expect((await membersAt(living)).has(third)).toBe(false)
      expect((await rcluster.ok(...command)).stdout).toContain('Nothing to do')
      await scene.expectWhole()

      // And one that nobody has a copy of is not for this command.
      await rcluster.ok('del-node', living, by, '--yes')
      await scene.endWriter()
      await scene.servers.kill(scene.indexOf(heir))
      const refused = await rcluster.run(['replace-node', living, heir, by, '--yes'])
      expect(refused.code).toBe(3)
      expect(refused.stderr).toMatch(/has no replica: a new node would have none of its keys[\s\S]*rcluster fix/)
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
