import {describe, expect, test} from 'vitest'
import {GrowingLines} from '../../../src/lib/cli/drop-in/growing-lines.ts'
import type {EngineEvent} from '../../../src/lib/engine/events.ts'

const STARTED: EngineEvent = {kind: 'moves-started', slots: 3, keys: 9}
const keys = (slot: number, count: number): EngineEvent => ({
  ...{kind: 'keys-moved', slot, keys: count, bytes: 0, pauseMs: 0, from: 'a', to: 'b'},
})
const moved = (...slots: readonly number[]): EngineEvent => ({kind: 'slots-moved', slots, from: 'a', to: 'b'})

const ONE_A_SLOT = [1, 2, 3].map((slot) => ({head: `slot ${slot}: `, slots: [slot], marks: 'keys'}) as const)

function drawn(
  lines: ConstructorParameters<typeof GrowingLines>[0],
  ...steps: readonly (EngineEvent | 'end')[]
): string {
  let text = ''
  const growing = new GrowingLines(lines, (more) => {
    text += more
  })
  for (const step of steps) {
    if (step === 'end') growing.end()
    else growing.hear(step)
  }
  return text
}

describe('lines that grow', () => {
  test('show the first as soon as moves begin, and each key as it arrives', () => {
    expect(drawn(ONE_A_SLOT)).toBe('')
    expect(drawn(ONE_A_SLOT, STARTED)).toBe('slot 1: ')
    expect(drawn(ONE_A_SLOT, STARTED, keys(1, 2), keys(1, 1))).toBe('slot 1: ...')
  })

  test('keep their order, whatever order the work takes', () => {
    const text = drawn(ONE_A_SLOT, STARTED, keys(2, 2), keys(3, 1), moved(3), keys(1, 1), moved(1, 2), 'end')
    expect(text).toBe('slot 1: .\nslot 2: ..\nslot 3: .\n')
  })

  test('tell at a failure what has moved behind one that has not', () => {
    expect(drawn(ONE_A_SLOT, STARTED, keys(1, 1), keys(3, 2), moved(3), 'end')).toBe('slot 1: .\nslot 3: ..\n')
    expect(drawn(ONE_A_SLOT, 'end')).toBe('')
  })

  test('have a mark a slot where several share a line', () => {
    const lines = [
      {head: 'first\n', slots: [1, 2], marks: 'slots'},
      {head: 'second\n', slots: [3], marks: 'slots'},
    ] as const
    expect(drawn(lines, STARTED, moved(1), keys(2, 5))).toBe('first\n#')
    expect(drawn(lines, STARTED, moved(3), moved(1, 2))).toBe('first\n##\nsecond\n#\n')
    let text = ''
    new GrowingLines(lines, (more) => {
      text += more
    }).complete()
    expect(text).toBe('first\n##\nsecond\n#\n')
  })
})
