/** Nodes that are dead, frozen or unknown: named within a deadline, worked around where that is safe, removed for good. */
import {afterAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

/** Connecting, asking and a margin for a busy machine: well under twice the command deadline of 5 s. */
const DEADLINE_MS = 9000

async function timed<T>(work: Promise<T>): Promise<{result: T; elapsedMs: number}> {
  const startedAt = performance.now()
  return {result: await work, elapsedMs: performance.now() - startedAt}
}

async function linesOf(address: string): Promise<string[]> {
  return String(await rawCommand(address, ['CLUSTER', 'NODES']))
    .trim()
    .split('\n')
}

forEachEngine('a frozen node', (kind) => {
  test('is named by check and info within the deadline, and forbids moves', async () => {
    const servers = await startServers(kind, 6, {config: {'cluster-node-timeout': '60000'}})
    try {
      const [a = '', b = '', c = ''] = servers.addresses
      await rcluster.ok('create', ...servers.addresses, '--replicas', '1', '--yes')
      servers.signal(2, 'SIGSTOP')

      const check = await timed(rcluster.run(['check', a]))
      expect(check.result.code).toBe(1)
      expect(check.result.stdout).toContain(`node ${c}`)
      expect(check.elapsedMs).toBeLessThan(DEADLINE_MS)

      const info = await timed(rcluster.run(['info', a, '--json', '--command-timeout', '1s']))
      expect(info.result.code).toBe(1)
      expect(info.result.stdout).toContain(b)
      expect(info.elapsedMs).toBeLessThan(DEADLINE_MS)

      const reshard = await timed(rcluster.run(['reshard', a, b, '10', '--yes', '--command-timeout', '1s']))
      expect(reshard.result.code).toBe(3)
      expect(reshard.result.stderr).toContain(c)
      expect(reshard.elapsedMs).toBeLessThan(DEADLINE_MS)

      // As the only seed it is what does not answer; as one of two it costs its deadline and no more.
      const alone = await timed(rcluster.run(['check', c, '--command-timeout', '1s']))
      expect(alone.result.code).toBe(4)
      const second = await timed(rcluster.run(['check', '--seed', `${c},${a}`, '--command-timeout', '1s']))
      expect(second.result.code).toBe(1)
      expect(second.elapsedMs).toBeLessThan(DEADLINE_MS)

      servers.signal(2, 'SIGCONT')
      await eventually('all is well again', async () => (await rcluster.run(['check', a])).code === 0)
    } finally {
      await servers.stop()
    }
  })
})

forEachEngine('a node that leaves', (kind) => {
  test('is forgotten by all, whether it is dead, frozen or alive, and its replicas find a new primary', async () => {
    const servers = await startServers(kind, 9, {config: {'cluster-node-timeout': '2000'}})
    try {
      const [a = '', , , dead = '', frozen = '', alive = '', empty = '', follower = '', spare = ''] = servers.addresses
      await rcluster.ok('create', ...servers.addresses.slice(0, 6), '--replicas', '1', '--yes')
      await rcluster.ok('add-node', empty, a)
      await rcluster.ok('add-node', follower, a, '--replica', '--primary', empty)
      await rcluster.ok('add-node', spare, '--seed', a, '--replica')
      const ids = new Map<string, string>()
      for (const address of servers.addresses) ids.set(address, String(await rawCommand(address, ['CLUSTER', 'MYID'])))

      // Its replica stays and must not follow a node that is gone.
      await rcluster.ok('del-node', a, empty, '--yes')
      const line = (await linesOf(a)).find((text) => text.startsWith(ids.get(follower) ?? '-')) ?? ''
      expect(line).toContain('slave')
      expect(line).not.toContain(ids.get(empty))

      await servers.kill(3)
      servers.signal(4, 'SIGSTOP')
      const removal = await rcluster.run([
        'del-node',
        a,
        dead,
        ids.get(frozen) ?? '',
        alive,
        '--yes',
        '--command-timeout',
        '1s',
      ])
      expect(`${removal.code} ${removal.stderr}`).toMatch(/^0/)
      expect(removal.stderr).toContain(frozen)
      const members = [a, servers.addresses[1] ?? '', servers.addresses[2] ?? '', follower, spare]
      for (const member of members) {
        const known = await linesOf(member)
        expect(known).toHaveLength(5)
        for (const gone of [dead, frozen, alive, empty]) {
          expect(known.some((text) => text.startsWith(ids.get(gone) ?? '-'))).toBe(false)
        }
      }
      // A living node that left is empty and alone, and may come back.
      expect(await linesOf(alive)).toHaveLength(1)
      await rcluster.ok('add-node', alive, a, '--replica')
      expect((await rcluster.run(['check', a])).code).toBe(0)
    } finally {
      await servers.stop()
    }
  })

  test('comes back at once and stays, however it was removed', async () => {
    const servers = await startServers(kind, 5)
    try {
      const [a = '', b = '', c = '', guest = '', late = ''] = servers.addresses
      await rcluster.ok('create', a, b, c, '--yes')
      await rcluster.ok('add-node', guest, late, a)
      // As redis-cli removes a node: it keeps the ID that the others ban for a minute.
      await rcluster.ok('del-node', a, late, '--yes')
      const id = String(await rawCommand(guest, ['CLUSTER', 'MYID']))
      for (const member of [a, b, c]) await rawCommand(member, ['CLUSTER', 'FORGET', id])
      await rawCommand(guest, ['CLUSTER', 'RESET', 'SOFT'])

      const {stdout} = await rcluster.ok('add-node', guest, late, a, '--json')
      const {result} = JSON.parse(stdout) as {result: {plan: {newcomers: {id: string}[]}}}
      const joined = result.plan.newcomers.map((node) => node.id)
      expect(joined).toEqual([
        String(await rawCommand(guest, ['CLUSTER', 'MYID'])),
        String(await rawCommand(late, ['CLUSTER', 'MYID'])),
      ])
      // Long enough for everybody to have heard everybody, and what the others were told to forget.
      await new Promise((resolve) => setTimeout(resolve, 3000))
      for (const member of servers.addresses) expect(await linesOf(member)).toHaveLength(5)
      expect((await rcluster.run(['check', a])).code).toBe(0)
    } finally {
      await servers.stop()
    }
  })
})
