import {describe, expect, it} from 'vitest'
import {Budget} from '../../src/lib/engine/read-source.ts'
import {forEachBounded} from '../../src/lib/engine/waiting.ts'

async function* numbers(count: number): AsyncGenerator<number> {
  for (let n = 0; n < count; n++) yield n
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('items that come one after another', () => {
  it('are all worked on, so many at once', async () => {
    let [running, most, done] = [0, 0, 0]
    await forEachBounded(numbers(20), 3, async () => {
      most = Math.max(most, ++running)
      await turn()
      running--
      done++
    })
    expect([done, most, running]).toEqual([20, 3, 0])
  })

  it('are not asked for after a failure, which is told when all that was under way has ended', async () => {
    let [running, begun] = [0, 0]
    const working = forEachBounded(numbers(20), 3, async (n) => {
      running++
      begun++
      await turn()
      running--
      if (n === 4) throw new Error('of the fifth')
      await turn()
    })
    await expect(working).rejects.toThrow('of the fifth')
    expect(running).toBe(0)
    expect(begun).toBeLessThan(10)
  })
})

describe('a budget', () => {
  it('lets in who fits, in the order of asking', async () => {
    const budget = new Budget(10)
    const order: string[] = []
    const take = (name: string, bytes: number): Promise<void> => budget.take(bytes).then(() => void order.push(name))
    await Promise.all([take('a', 6), take('b', 4)])
    const rest = [take('c', 4), take('d', 1), take('e', 1)]
    await turn()
    expect(order).toEqual(['a', 'b'])
    budget.give(6)
    await Promise.all(rest)
    expect(order).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('lets in who wants more than all of it, alone', async () => {
    const budget = new Budget(10)
    await budget.take(1)
    let isIn = false
    const big = budget.take(100).then(() => {
      isIn = true
    })
    await turn()
    expect(isIn).toBe(false)
    budget.give(1)
    await big
    const next = budget.take(1)
    await turn()
    budget.give(100)
    await next
  })
})
