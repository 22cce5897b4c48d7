import {describe, expect, it} from 'vitest'
import {ShardsAtStart} from '../../src/lib/engine/shards-at-start.ts'
import {buildTopology, nodeName} from '../support/topology-builder.ts'

describe('a shard that a failover takes apart', () => {
  const replicas = {R: 'A', S: 'B'}
  const shards = new ShardsAtStart(buildTopology({primaries: {A: '0-8000', B: '8001-16383'}, replicas}))
  const rows = [
    {name: 'is none while nothing changes', primaries: {A: '0-8000', B: '8001-16383'}, replicas, apart: []},
    {
      name: 'is none when the replica leads all of it',
      primaries: {R: '0-8000', B: '8001-16383'},
      replicas: {A: 'R', S: 'B'},
      apart: [],
    },
    {
      name: 'is named, who owns most first, when both own slots',
      primaries: {A: '17', R: '0-16,18-8000', B: '8001-16383'},
      replicas: {S: 'B'},
      apart: ['R', 'A'],
    },
    {
      name: 'is none when the old primary leads no slot any more',
      primaries: {A: '', R: '0-8000', B: '8001-16383'},
      replicas: {S: 'B'},
      apart: [],
    },
  ]
  it.each(rows)('$name', ({primaries, replicas: followers, apart}) => {
    const topology = buildTopology({primaries, replicas: followers} as Parameters<typeof buildTopology>[0])
    expect(shards.apart(topology).map(({id}) => nodeName(id))).toEqual(apart)
  })
})
