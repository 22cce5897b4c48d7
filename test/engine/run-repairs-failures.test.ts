import {describe, expect, it} from 'vitest'
import {breakSlot, brokenSlots} from '../support/broken-slots.ts'
import {mend} from '../support/mending.ts'
import {expectWhole} from '../support/moving.ts'

describe.each(brokenSlots)('$name', (one) => {
  it.each(['before', 'after'] as const)(
    'is mended in spite of a passing failure, told %s the command took effect',
    async (when) => {
      const {cluster: model} = breakSlot(one)
      await mend(model, one.options)
      const calls = model.script.changes.filter(({isCopying}) => !isCopying)
      await Promise.all(
        calls.map(async ({number}) => {
          const {cluster, contents} = breakSlot(one)
          const failure = (['timeout', 'try-again', 'closed'] as const)[number % 3] as 'timeout'
          cluster.script.failAt(number, when, failure)
          const {outcome} = await mend(cluster, one.options)
          expect(outcome.isInOrder, `${failure} at command ${number}`).toBe(true)
          expectWhole(cluster, [], contents)
        }),
      )
    },
  )

  it('loses nothing to a failure that cannot be helped, and is mended afterwards', async () => {
    const {cluster: model} = breakSlot(one)
    await mend(model, one.options)
    await Promise.all(
      model.script.changes.map(async ({number}) => {
        const {cluster, contents} = breakSlot(one)
        cluster.script.failAt(number, 'before', 'permission')
        await mend(cluster, one.options)
        await mend(cluster, one.options)
        expectWhole(cluster, [], contents)
      }),
    )
  })
})
