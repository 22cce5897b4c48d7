import {setTimeout as sleep} from 'node:timers/promises'
import {expect, test} from 'vitest'
import {NotYet, Patience} from '../../src/lib/engine/patience.ts'

const ADDRESS = {host: '127.0.0.1', port: 1}

test('an answer in time is what there is', async () => {
  const patience = new Patience(1000)
  await expect(patience.within('a', ADDRESS, async () => 5)).resolves.toBe(5)
  await expect(patience.within('a', ADDRESS, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(patience.within('a', ADDRESS, async () => 6)).resolves.toBe(6)
})

test('who is silent is asked once, waited for once, and its late answer serves the next look', async () => {
  const patience = new Patience(150)
  let asked = 0
  let answer: ((value: string) => void) | undefined
  const ask = (): Promise<string> => {
    asked++
    return new Promise((resolve) => {
      answer = resolve
    })
  }
  await expect(patience.within('a', ADDRESS, ask)).rejects.toThrow(NotYet)
  const startedAt = performance.now()
  await expect(patience.within('a', ADDRESS, ask)).rejects.toMatchObject({failure: 'timeout'})
  expect(performance.now() - startedAt).toBeLessThan(145)
  expect(asked).toBe(1)
  answer?.('late')
  await sleep(5)
  await expect(patience.within('a', ADDRESS, ask)).resolves.toBe('late')
  expect(asked).toBe(1)
})

test('who was silent before is hardly waited for', async () => {
  const patience = new Patience(300)
  const never = (): Promise<never> => new Promise(() => {})
  await expect(patience.within('a', ADDRESS, never)).rejects.toThrow(NotYet)
  const startedAt = performance.now()
  await expect(patience.within('a', ADDRESS, never)).rejects.toThrow(NotYet)
  expect(performance.now() - startedAt).toBeLessThan(250)
})
