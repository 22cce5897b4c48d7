import {describe, expect, it} from 'vitest'
import {UsageError} from '../../src/lib/errors.ts'
import {slotsGivenUp} from '../../src/lib/plan/consent.ts'
import {formatSlots} from '../../src/lib/slots/slot-ranges.ts'
import {buildTopology, nodeId} from '../support/topology-builder.ts'

const topology = buildTopology({
  primaries: {A: '0-5460', B: '5461-10922', C: '10923-16383'},
  replicas: {R: 'C'},
  unreachable: ['C', 'R'],
})

describe('consent to a loss', () => {
  it.each([
    {name: 'nothing', text: undefined, slots: ''},
    {name: 'slots', text: '0-99,4000', slots: '0-99,4000'},
    {name: 'all', text: 'all', slots: '0-16383'},
    {name: 'a whole ID', text: nodeId('C'), slots: '10923-16383'},
    {name: 'the beginning of an ID', text: nodeId('C').slice(0, 6), slots: '10923-16383'},
    {name: 'an address', text: '10.0.0.1:7002', slots: '10923-16383'},
    {name: 'a replica of the shard', text: '10.0.0.1:7003', slots: '10923-16383'},
    {name: 'a node and slots', text: '7, 10.0.0.1:7002', slots: '7,10923-16383'},
  ])('names $name', ({text, slots}) => {
    expect(formatSlots(slotsGivenUp(text, topology))).toBe(slots)
  })

  it.each(['10.0.0.9:7000', 'nonsense', '16384', '5-1'])('is not given by %s', (text) => {
    expect(() => slotsGivenUp(text, topology)).toThrow(UsageError)
  })
})
