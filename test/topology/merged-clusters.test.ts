import {describe, expect, it} from 'vitest'
import {inspect} from '../../src/lib/findings/inspect.ts'
import {formatRanges} from '../../src/lib/slots/slot-ranges.ts'
import {mergedClusters} from '../../src/lib/topology/merged-clusters.ts'
import {type ClusterSpec, HEALTHY, topologyOf} from './cluster-views.ts'

const STRANGER = {isAbsent: true} as const

/** a, b, c and d, e, f; a has met d, and nobody has heard of it. */
const JOINED: ClusterSpec = {
  a: {slots: '0-5460', epoch: 1, sees: {d: {slots: ''}, e: STRANGER, f: STRANGER}},
  b: {slots: '5461-10922', epoch: 2, sees: {d: STRANGER, e: STRANGER, f: STRANGER}},
  c: {slots: '10923-16383', epoch: 3, sees: {d: STRANGER, e: STRANGER, f: STRANGER}},
  d: {slots: '0-8191', epoch: 4, sees: {a: STRANGER, b: STRANGER, c: STRANGER}},
  e: {slots: '8192-12000', epoch: 5, sees: {a: STRANGER, b: STRANGER, c: STRANGER}},
  f: {slots: '12001-16383', epoch: 6, sees: {a: STRANGER, b: STRANGER, c: STRANGER}},
}

describe('two clusters', () => {
  it('are told apart by who claims what, the one that wins first', () => {
    const merged = mergedClusters(topologyOf(JOINED))
    expect(formatRanges(merged?.slots ?? [])).toBe('0-16383')
    expect(merged?.groups.map((group) => group.map(({id}) => id.charAt(0)).sort())).toEqual([
      ['d', 'e', 'f'],
      ['a', 'b', 'c'],
    ])
    expect(inspect(topologyOf(JOINED)).map(({id}) => id)).toContain('merged-clusters')
  })

  it('are not seen in a healthy one, nor in one with a claim too many that all know of', () => {
    expect(mergedClusters(topologyOf(HEALTHY))).toBeUndefined()
    const twice = topologyOf({...HEALTHY, b: {slots: '0-10922', epoch: 9}})
    expect(mergedClusters(twice)).toBeUndefined()
  })
})
