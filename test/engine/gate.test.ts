import {describe, expect, it} from 'vitest'
import {PairGate} from '../../src/lib/engine/gate.ts'
import {mapBounded, pollUntil} from '../../src/lib/engine/waiting.ts'

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))

describe('the pair gate', () => {
  it('keeps every node within its limit and lets all through', async () => {
    const gate = new PairGate(2)
    const busy = new Map<string, number>()
    let most = 0
    let passed = 0
    const pairs = ['ab', 'bc', 'ca', 'ad', 'dc', 'ab', 'ab', 'cd', 'bd', 'ac']
    await Promise.all(
      pairs.map(([source = '', target = '']) =>
        gate.pass(source, target, async () => {
          for (const node of [source, target]) busy.set(node, (busy.get(node) ?? 0) + 1)
          most = Math.max(most, ...busy.values())
          await tick()
          for (const node of [source, target]) busy.set(node, (busy.get(node) ?? 0) - 1)
          passed++
        }),
      ),
    )
    expect(passed).toBe(pairs.length)
    expect(most).toBe(2)
  })

  it('lets disjoint pairs work side by side', async () => {
    const gate = new PairGate(1)
    let both = 0
    let now = 0
    const work = async (): Promise<void> => {
      now++
      both = Math.max(both, now)
      await tick()
      now--
    }
    await Promise.all([gate.pass('a', 'b', work), gate.pass('c', 'd', work)])
    expect(both).toBe(2)
  })

  it('frees its nodes when the work fails', async () => {
    const gate = new PairGate(1)
    await expect(gate.pass('a', 'b', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(gate.pass('b', 'a', async () => 'yes')).resolves.toBe('yes')
  })
})

describe('waiting', () => {
  it('asks at least once and gives up at the deadline', async () => {
    let asked = 0
    const nothing = await pollUntil(
      async () => {
        asked++
        return undefined
      },
      {deadlineMs: 0},
    )
    expect([nothing, asked]).toEqual([undefined, 1])
  })

  it('returns what the attempt found', async () => {
    let asked = 0
    await expect(
      pollUntil(async () => (++asked === 3 ? 'there' : undefined), {deadlineMs: 5000, firstIntervalMs: 1}),
    ).resolves.toBe('there')
  })

  it('runs no more at once than it may, and keeps the order', async () => {
    let now = 0
    let most = 0
    const doubled = await mapBounded([1, 2, 3, 4, 5, 6, 7], 3, async (n) => {
      most = Math.max(most, ++now)
      await tick()
      now--
      return n * 2
    })
    expect(doubled).toEqual([2, 4, 6, 8, 10, 12, 14])
    expect(most).toBe(3)
  })
})
