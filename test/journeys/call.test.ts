/** The same thing asked of every node: `call` and `set-timeout`, with nodes that say no, and nodes that say nothing. */
import {afterAll, expect, test} from 'vitest'
import {openRcluster} from '../support/rcluster.ts'
import {forEachFamily, rawCommand, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

forEachFamily('one command for all nodes', (kind) => {
  test('reaches every node byte for byte, is kept in files, and fails when a node does', async () => {
    const servers = await startServers(kind, 4, {hasConfigFile: true})
    try {
      const [a = '', b = '', c = '', d = ''] = servers.addresses
      await rcluster.ok('create', a, b, c, d, '--primaries', '3', '--yes')

      const text = `two\nlines, 'single' and "double" quotes, \\n and ü`
      const echo = JSON.parse((await rcluster.ok('call', a, '--json', '--', 'ECHO', text)).stdout)
      expect(echo.result.answers.map((one: {reply: string}) => one.reply)).toEqual([text, text, text, text])
      expect(echo.result.answers.map((one: {address: string}) => one.address).sort()).toEqual([a, b, c, d].sort())
      const bytes = Buffer.from([0, 255, 10, 13])
      const raw = await rcluster.run(['call', a, '-x', '--json', '--', 'ECHO'], {input: bytes})
      expect(JSON.parse(raw.stdout).result.answers[0].reply).toEqual({base64: bytes.toString('base64')})
      expect((await rcluster.ok('call', a, 'ECHO', '\u001b[31mred')).stdout).not.toContain('\u001b')

      const replicas = await rcluster.ok('call', '--seed', a, '--replicas', '--', 'CLUSTER', 'MYID')
      expect(replicas.stdout.trim().split('\n')).toEqual([`${d}  ${await rawCommand(d, ['CLUSTER', 'MYID'])}`])
      const primaries = await rcluster.ok('call', a, '--primaries', '--', 'CONFIG', 'GET', 'maxmemory')
      expect(primaries.stdout).toContain(`${a}\n  1) maxmemory\n  2) 0`)
      expect(primaries.stdout).not.toContain(d)

      const wrong = await rcluster.run(['call', a, '--', 'GET', 'one', 'two'])
      expect(wrong.code).toBe(4)
      expect(wrong.stdout).toContain('(error) ERR wrong number of arguments')
      expect(wrong.stderr).toContain('4 of 4 nodes failed')

      await rcluster.ok('set-timeout', a, '3210', '--yes')
      for (const address of servers.addresses) {
        expect(await rawCommand(address, ['CONFIG', 'GET', 'cluster-node-timeout'])).toContain('3210')
      }
      await servers.restart(1)
      expect(await rawCommand(b, ['CONFIG', 'GET', 'cluster-node-timeout'])).toContain('3210')
      expect((await rcluster.run(['set-timeout', a, '99', '--yes'])).code).toBe(2)

      servers.signal(3, 'SIGSTOP')
      const part = await rcluster.run(['set-timeout', a, '4321', '--yes', '--command-timeout', '1s'])
      expect(part.code).toBe(5)
      expect(part.stderr).toContain(d)
      const silent = await rcluster.run(['call', a, '--command-timeout', '1s', '--', 'PING'])
      expect(silent.code).toBe(4)
      expect(silent.stderr).toContain(`1 of 4 nodes failed: ${d}`)
      expect(silent.stdout).toContain(`${a}  PONG`)
      servers.signal(3, 'SIGCONT')
    } finally {
      await servers.stop()
    }
  })
})
