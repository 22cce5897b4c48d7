/** Is what programs can import what docs/library.md promises them? */
import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import * as library from '../../src/index.ts'

const page = readFileSync(new URL('../../docs/library.md', import.meta.url), 'utf8')

test('every name is on the page, and no name is taken away or added unnoticed', () => {
  const names = Object.keys(library).sort()
  expect(names.filter((name) => !new RegExp(`\`${name}\\b`).test(page))).toEqual([])
  expect(names.join(' ')).toMatchInlineSnapshot(
    `"CancelledError ClusterError InternalError InterruptedError NodeError RefusedError SLOT_COUNT UsageError connect countSlots findNode formatAddress formatRanges inspect keySlot meetEmptyNodes ownerOf parseRanges planCreate planEvacuate planFailover planJoin planRebalance planRemoval planReplicate planReshard primaries replicasOf requireNode slotsInRanges slotsOf"`,
  )
})
