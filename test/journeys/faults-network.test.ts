/** The network between source and target is gone, while both answer us. */
import {afterAll, describe, expect} from 'vitest'
import {FaultScene} from '../support/fault-scene.ts'
import {networkTest, openNetwork, type TestNetwork} from '../support/network.ts'
import {openRcluster} from '../support/rcluster.ts'
import {eventually, forEachEngine, rawCommand} from '../support/servers.ts'

const rcluster = openRcluster()
afterAll(() => rcluster.close())

forEachEngine('a network that is cut between source and target', (kind) => {
  let network: TestNetwork
  let scene: FaultScene
  const open = async (): Promise<void> => {
    // Of a first try.
    await scene?.abandon()
    await network?.close()
    network = await openNetwork(3)
    scene = await FaultScene.open(kind, rcluster, {hosts: network.hosts})
  }
  describe('and not to us', () => {
    afterAll(async () => {
      await scene?.close()
      await network?.close()
    })

    networkTest('is waited for; its source still serves its clients; the run goes on when it is back', async () => {
      await open()
      const [a, b] = [scene.at(0), scene.at(1)]
      const [hostA, hostB] = [network.hosts[0]!, network.hosts[1]!]
      const run = scene.move(a, b)
      await run.until('keys-moved', 5)
      await network.cut(hostA, hostB)
      await run.until('retry')
      // A MIGRATE that waits for the target holds the source: seldom and briefly, so that most answers come at once.
      let slow = 0
      for (let n = 0; n < 40; n++) {
        const startedAt = performance.now()
        await rawCommand(a, ['PING'])
        if (performance.now() - startedAt > 500) slow++
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      expect(slow).toBeLessThan(10)
      await network.heal(hostA, hostB)
      const result = await run.ended
      expect(result.code, result.stderr).toBe(0)
      expect(result.stdout).toMatch(/Moved 250 slots .* all nodes agree/)
      await scene.expectWhole()
    })

    networkTest('ends the run when it stays away; the command that was printed goes on', async () => {
      const [a, b] = [scene.at(1), scene.at(0)]
      const [hostA, hostB] = [network.hosts[1]!, network.hosts[0]!]
      const run = scene.move(a, b, '--patience', '4s')
      await run.until('keys-moved', 5)
      await network.cut(hostA, hostB)
      const stopped = await run.ended
      expect(stopped.code, stopped.stderr).toBe(5)
      expect(stopped.stderr).toMatch(/\d+ of 250 slots moved, then: keys on their way to .* IOERR/)
      expect(stopped.stderr).toContain('Make the target reachable from its source')
      // What is open has keys on both sides, or may have.
      const told = /; open: /.test(stopped.stderr)
      expect(told).toBe((await scene.openSlots()).length > 0)

      await network.heal(hostA, hostB)
      await eventually(
        'the two see each other',
        async () => !String(await rawCommand(a, ['CLUSTER', 'NODES'])).includes('disconnected'),
      )
      const result = await scene.goOn(stopped)
      expect(result.code, result.stderr).toBe(0)
      await scene.expectWhole()
    })
  })
})
