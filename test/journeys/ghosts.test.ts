/** Nodes that were forgotten and come back: by a member that had not heard, and by themselves. */
import {afterAll, afterEach, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachEngine, forEachKind, rawCommand, startServers, type TestServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

let servers: TestServers | undefined
afterEach(async () => {
  await servers?.stop()
})

async function linesOf(address: string): Promise<string[]> {
  return String(await rawCommand(address, ['CLUSTER', 'NODES']))
    .trim()
    .split('\n')
}

// The others ban an ID for a minute, whatever one does.
forEachKind(
  'a forgotten node',
  (kind) => {
    test('is forgotten again when it is brought back, and named when it is alive', {timeout: 60_000}, async () => {
      servers = await startServers(kind, 5, {config: {'cluster-node-timeout': '2500', 'cluster-blacklist-ttl': '2'}})
      const [a = '', b = '', c = '', dead = '', laggard = ''] = servers.addresses
      await rcluster.ok('create', a, b, c, '--yes')
      await rcluster.ok('add-node', dead, laggard, a)
      const id = String(await rawCommand(dead, ['CLUSTER', 'MYID']))
      await servers.kill(3)
      await eventually('it is given up', async () =>
        (await linesOf(laggard)).some((line) => /^\S+ \S+ master,fail /.test(line)),
      )
      await servers.kill(4)
      const {child, ended} = rcluster.start(['forget', a, dead, '--yes', '--watch', '--command-timeout', '500ms'])
      let told = ''
      child.stderr?.on('data', (chunk: Buffer) => {
        told += chunk.toString()
      })
      await eventually('it is watched', async () => told.includes('Watching'))
      expect(await linesOf(a)).not.toContainEqual(expect.stringContaining(id))
      // While the ban lasts the others tell it what they were told.
      await new Promise((resolve) => setTimeout(resolve, 3200))
      await servers.restart(4)
      const watched = await ended
      expect(watched.code, `${watched.stdout}\n${watched.stderr}`).toBe(0)
      expect(watched.stderr).toMatch(/still knows? them: forgetting again/)
      expect(watched.stdout).toContain('they stay forgotten, after being forgotten again')
      for (const member of [a, b, c, laggard]) expect((await linesOf(member)).join('\n')).not.toContain(id)

      for (const member of [a, b, c, laggard]) await rawCommand(member, ['CONFIG', 'SET', 'cluster-blacklist-ttl', 1])
      // It comes back with its old file, and wants to be a member.
      await servers.restart(3)
      await eventually('it is a member again', async () => (await linesOf(b)).some((line) => line.startsWith(id)))
      await servers.kill(3)
      await eventually('it is given up once more', async () =>
        (await Promise.all([a, b, c, laggard].map(linesOf))).every((lines) =>
          lines.some((line) => line.startsWith(id) && line.includes(',fail ')),
        ),
      )
      const revived = rcluster.start(['forget', a, id, '--yes', '--watch'])
      told = ''
      revived.child.stderr?.on('data', (chunk: Buffer) => {
        told += chunk.toString()
      })
      await eventually('it is watched again', async () => told.includes('Watching'))
      await servers.restart(3)
      const seen = await revived.ended
      expect(seen.code, `${seen.stdout}\n${seen.stderr}`).toBe(5)
      expect(seen.stderr).toContain('alive')
      expect(seen.stderr).toContain(`rcluster del-node ${a} ${id}`)
      await rcluster.ok('del-node', a, id, '--yes', '--watch')
      for (const member of [a, b, c, laggard]) expect(await linesOf(member)).toHaveLength(4)
    })
  },
  ['valkey-9.1'],
)

forEachEngine('ghosts', (kind) => {
  test('are named by check with the command that makes them go', {timeout: 60_000}, async () => {
    servers = await startServers(kind, 4, {config: {'cluster-node-timeout': '1500'}})
    const [a = '', b = '', c = '', dead = ''] = servers.addresses
    await rcluster.ok('create', a, b, c, '--yes')
    await rcluster.ok('add-node', dead, a)
    const id = String(await rawCommand(dead, ['CLUSTER', 'MYID']))
    await servers.kill(3)
    await eventually('it is given up', async () =>
      (await linesOf(a)).some((line) => line.startsWith(id) && line.includes('fail')),
    )
    // As half of a removal by hand leaves it: one of them knows it still.
    for (const member of [b, c]) await rawCommand(member, ['CLUSTER', 'FORGET', id])
    // Later servers pass on what they were told to forget.
    if (kind.name !== 'redis-7.0') await eventually('it forgets, too', async () => (await linesOf(a)).length === 3)
    const half = await rcluster.run(['check', a])
    if (kind.name === 'redis-7.0') {
      expect(half.stdout).toContain(`${dead} (${id.slice(0, 8)})`)
      const command = new RegExp(`rcluster (del-node ${a} ${id})`).exec(half.stdout)?.[1] ?? ''
      await rcluster.ok(...command.split(' '), '--yes')
    }
    for (const member of [a, b, c]) expect(await linesOf(member)).toHaveLength(3)

    // Nobody is at home: the ID of the handshake is another one with every try, and on every node.
    for (const member of [a, b]) await rawCommand(member, ['CONFIG', 'SET', 'cluster-node-timeout', 15_000])
    for (const member of [a, b]) {
      for (let tries = 0; tries < 3; tries++) await rawCommand(member, ['CLUSTER', 'MEET', '127.0.0.1', 1])
    }
    const met = await rcluster.run(['check', a])
    expect(met.stdout).toContain(`rcluster forget ${a} 127.0.0.1:1`)
    await rcluster.ok('forget', a, '127.0.0.1:1', '--yes')
    for (const member of [a, b, c]) expect((await linesOf(member)).join('\n')).not.toContain('127.0.0.1:1@')
    expect((await rcluster.run(['check', a])).code).toBe(0)
  })
})
