/** What the engine may rely on when servers move slots by themselves: held against the fake and every server. */
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import type {NodePort, SlotMigration} from '../../src/lib/engine/cluster-port.ts'
import {NodeError} from '../../src/lib/errors.ts'
import {tagForSlot} from '../../src/lib/slots/key-slot.ts'
import {formatRanges, parseRanges} from '../../src/lib/slots/slot-ranges.ts'
import {eventually} from '../support/servers.ts'
import {form, self} from './forming.ts'
import {forEachTerrain, type Ground} from './terrains.ts'

async function failureOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => 'no failure',
    (reason: unknown) => reason,
  )
  return error instanceof NodeError ? error.failure : String(error)
}

forEachTerrain('slots that move by themselves', ({open, atomicFamily}) => {
  let ground: Ground
  let source: NodePort
  let target: NodePort
  let other: NodePort
  beforeAll(async () => {
    ground = await open(3)
    ;[source, target, other] = ground.nodes as [NodePort, NodePort, NodePort]
    await form(ground)
  })
  afterAll(() => ground.stop())

  it('are told by command, not by version', async () => {
    expect(await Promise.all(ground.nodes.map((node) => node.readAtomicFamily()))).toEqual(Array(3).fill(atomicFamily))
    if (atomicFamily === undefined) expect(await source.listSlotMigrations()).toEqual([])
  })

  describe.skipIf(atomicFamily === undefined)('where the server has it', () => {
    const starter = (): NodePort => (atomicFamily === 'push' ? source : target)
    const untilEnded = async (id: string): Promise<SlotMigration | undefined> => {
      let ended: SlotMigration | undefined
      await eventually('the migration has ended', async () => {
        ended = await starter().readSlotMigration(id)
        return ended !== undefined && !['running', 'retrying'].includes(ended.status)
      })
      return ended
    }
    const ownSlots = async (node: NodePort): Promise<string> => formatRanges((await self(node)).ranges)

    it('travel with their keys, and the target has them afterwards', async () => {
      for (let n = 0; n < 50; n++) await ground.set(0, Buffer.from(`{${tagForSlot(7)}}${n}`), `value ${n}`)
      const before = await ownSlots(source)
      const id = await starter().startSlotMigration(parseRanges('5-9,20'), target.id)
      expect(await untilEnded(id)).toMatchObject({
        id,
        status: 'done',
        source: source.id,
        target: target.id,
        ranges: parseRanges('5-9,20'),
      })
      await eventually('both ends agree', async () => (await ownSlots(target)).startsWith('5-9,20,'))
      expect(await target.countKeys(7, 0)).toBe(50)
      expect(await ownSlots(source)).not.toBe(before)
      const [own, sources] = await Promise.all([target.readClusterInfo(), source.readClusterInfo()])
      expect(own.myEpoch).toBeGreaterThan(sources.myEpoch)
    })

    it('are refused where the source has not all of them', async () => {
      const [first] = parseRanges(await ownSlots(other))
      const foreign = [{start: first?.start ?? 0, end: first?.start ?? 0}]
      const mixed = parseRanges(`100,${formatRanges(foreign)}`)
      expect(await failureOf(starter().startSlotMigration(mixed, target.id))).toBe('rejected')
    })

    it('are not known by an ID that never was, and cancelling it is fine', async () => {
      expect(await starter().readSlotMigration('f'.repeat(40))).toBeUndefined()
      await starter().cancelSlotMigration('f'.repeat(40))
    })

    it('are with their source or with their target when cancelled, never in between', async () => {
      for (let n = 0; n < 50; n++) await ground.set(0, Buffer.from(`{${tagForSlot(107)}}${n}`), `value ${n}`)
      const id = await starter().startSlotMigration(parseRanges('100-110'), target.id)
      await starter().cancelSlotMigration(id)
      const status = (await untilEnded(id))?.status ?? 'unknown'
      expect(['cancelled', 'done', 'failed']).toContain(status)
      const [holder, loser] = status === 'done' ? [target, source] : [source, target]
      await eventually('its keys are in one place', async () => (await loser.countKeys(107, 0)) === 0)
      expect(await holder.countKeys(107, 0)).toBe(50)
    })
  })
})
