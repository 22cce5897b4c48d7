import {describe, expect, test} from 'vitest'
import type {Reply} from '../../src/lib/redis/replies.ts'
import {parseSlotStats} from '../../src/lib/redis/slot-stats.ts'

const b = (text: string): Buffer => Buffer.from(text)
const slot = (number: Reply, ...words: (string | number)[]): Reply => [
  number,
  words.map((word) => (typeof word === 'string' ? b(word) : word)),
]

describe('CLUSTER SLOT-STATS', () => {
  test.each<{name: string; reply: Reply; expected: object}>([
    {
      name: 'Redis 8.6 and Valkey 9.1 without cluster-slot-stats-enabled',
      reply: [slot(12182, 'key-count', 1)],
      expected: [{slot: 12182, keys: 1, memoryBytes: undefined, cpuMicroseconds: undefined, networkBytes: undefined}],
    },
    {
      name: 'Valkey 9.1 with it',
      reply: [slot(12182, 'key-count', 3, 'cpu-usec', 109, 'network-bytes-in', 96, 'network-bytes-out', 15)],
      expected: [{slot: 12182, keys: 3, memoryBytes: undefined, cpuMicroseconds: 109, networkBytes: 111}],
    },
    {
      name: 'Redis 8.6 with it',
      reply: [
        slot(
          12182,
          ...['key-count', 1, 'memory-bytes', 32, 'cpu-usec', 78, 'network-bytes-in', 31, 'network-bytes-out', 5],
        ),
      ],
      expected: [{slot: 12182, keys: 1, memoryBytes: 32, cpuMicroseconds: 78, networkBytes: 36}],
    },
    {
      name: 'a later server that tells more',
      reply: [slot(0, 'key-count', 1, 'colour', 'blue')],
      expected: [{slot: 0, keys: 1}],
    },
    {name: 'a node without slots', reply: [], expected: []},
  ])('$name', ({reply, expected}) => expect(parseSlotStats(reply)).toMatchObject(expected))

  test.each<{name: string; reply: Reply}>([
    {name: 'no list', reply: b('abc')},
    {name: 'a number', reply: 5},
    {name: 'a slot that is none', reply: [slot(16384, 'key-count', 1)]},
    {name: 'a negative count', reply: [slot(1, 'key-count', -1)]},
    {name: 'no count', reply: [slot(1, 'cpu-usec', 1)]},
    {name: 'half an entry', reply: [[1]]},
    {name: 'names that are none', reply: [[1, [5, 6]]]},
  ])('is refused: $name', ({reply}) => expect(() => parseSlotStats(reply)).toThrow())
})
