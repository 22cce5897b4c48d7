/** What becomes of a primary that gives up its last slot? Held against the fake and every server. */
import {expect, it} from 'vitest'
import type {NodePort} from '../../src/lib/engine/cluster-port.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {eventually} from '../support/servers.ts'
import {agreed, form, self} from './forming.ts'
import {forEachTerrain} from './terrains.ts'

async function give(slot: number, source: NodePort, target: NodePort): Promise<void> {
  await target.setImporting(slot, source.id)
  await source.setMigrating(slot, target.id)
  await target.assignSlot(slot, target.id)
  // It may follow the target already, or be changing its role while it answers: either way it has given the slot up.
  await source.assignSlot(slot, target.id).catch((error: unknown) => {
    const isDone = error instanceof NodeError && ['not-primary', 'unblocked', 'closed'].includes(error.failure)
    if (!isDone) throw error
  })
}

forEachTerrain('a primary without slots', ({open}) => {
  it('stays one where the setting says so, and follows who took the last one where it does not', async () => {
    const ground = await open(3)
    try {
      await form(ground, ['0', '1-100', '101-16383'])
      const [source, target] = ground.nodes as [NodePort, NodePort]
      await source.writeConfig('cluster-allow-replica-migration', 'no')
      await give(0, source, target)
      await agreed(ground.nodes)
      expect(await self(source)).toMatchObject({role: 'primary', ranges: []})

      await give(0, target, source)
      await agreed(ground.nodes)
      await source.writeConfig('cluster-allow-replica-migration', 'yes')
      await give(0, source, target)
      await eventually('it follows', async () => (await self(source)).primaryId === target.id)
      expect((await self(target)).role).toBe('primary')
    } finally {
      await ground.stop()
    }
  })
})
