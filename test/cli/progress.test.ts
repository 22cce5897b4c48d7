import {expect, test} from 'vitest'
import {createProgress} from '../../src/lib/cli/progress.ts'
import {PLAIN_STYLE} from '../../src/lib/render/colour.ts'

test('the same trouble of many groups is one line, another trouble is another', () => {
  const lines: string[] = []
  const {listener, end} = createProgress(
    'plain',
    () => PLAIN_STYLE,
    (line) => lines.push(line.slice(9)),
  )
  for (let slot = 0; slot < 50; slot++) listener({kind: 'retry', slots: [slot], attempt: 1, reason: 'b is frozen'})
  listener({kind: 'retry', slots: [7], attempt: 2, reason: 'b fails over'})
  end()
  expect(lines).toEqual(['Trying again: b is frozen', 'Trying again: b fails over'])
})
