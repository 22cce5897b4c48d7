/** Load of slots as tests need it. */
import type {SlotHeat} from '../../src/lib/topology/slot-heat.ts'
import {idOf} from '../topology/cluster-views.ts'

/** Ten keys in each slot of A and C, one hot slot in A, a warm one in C, nothing in the last thousand; B is not known. */
export const HEAT: SlotHeat = {
  kind: 'keys',
  values: Array.from({length: 16384}, (_, slot) => {
    if (slot >= 5461 && slot <= 10922) return undefined
    if (slot === 866) return 5000
    if (slot === 12182) return 40
    return slot > 15383 ? 0 : 10
  }),
  sources: new Set(['measured', 'counted']),
  gaps: [
    {
      node: idOf('b'),
      slots: [{start: 5461, end: 10922}],
      reason: 'unreachable',
      message: 'nothing listens at 127.0.0.1:7001',
    },
  ],
  overMs: undefined,
}
