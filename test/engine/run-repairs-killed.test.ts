import {describe, expect, it} from 'vitest'
import {breakSlot, brokenSlots} from '../support/broken-slots.ts'
import {mend} from '../support/mending.ts'
import {expectWhole} from '../support/moving.ts'

describe.each(brokenSlots)('$name', (one) => {
  it('is mended by a second run, wherever the first was killed', async () => {
    const {cluster: model} = breakSlot(one)
    await mend(model, one.options)
    const numbers = model.script.changes.map(({number}) => number)
    await Promise.all(
      numbers.map(async (number) => {
        const {cluster, contents} = breakSlot(one)
        const crashed = cluster.script.crashAt(number)
        const first = mend(cluster, one.options)
        first.catch(() => undefined)
        expect(await Promise.race([first, crashed]), `killed at command ${number}`).toBe('crashed')
        cluster.revive()
        await mend(cluster, one.options)
        expectWhole(cluster, [], contents)
      }),
    )
  })
})
