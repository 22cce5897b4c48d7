/** A host that swallows every packet: no refusal, no end of the connection, nothing. */
import {afterAll, expect} from 'vitest'
import {networkTest, openNetwork} from '../support/network.ts'
import {openRcluster} from '../support/rcluster.ts'
import {forEachKind, startServers} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

forEachKind(
  'a node behind a network that swallows everything',
  (kind) => {
    networkTest('costs one deadline, and is named', async () => {
      const network = await openNetwork(3)
      const servers = await startServers(kind, 3, {hosts: network.hosts})
      try {
        const [a = '', , c = ''] = servers.addresses
        await rcluster.ok('create', ...servers.addresses, '--yes')
        await network.cutFromUs(network.hosts[2]!)
        const startedAt = performance.now()
        const {code, stdout} = await rcluster.run(['check', a, '--connect-timeout', '700ms'])
        expect(performance.now() - startedAt).toBeLessThan(5000)
        expect(code).toBe(1)
        expect(stdout).toMatch(new RegExp(`${c}.* did not answer|cannot be reached.*${c}|${c}.*cannot be reached`))
        const asSeed = await rcluster.run(['check', c, '--connect-timeout', '700ms'])
        expect(asSeed).toMatchObject({code: 4, stderr: expect.stringContaining(c)})
      } finally {
        await servers.stop()
        await network.close()
      }
    })
  },
  ['redis-7.0', 'valkey-9.1'],
)
