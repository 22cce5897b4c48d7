import {expect, test} from 'vitest'
import {findTakeovers} from './takeovers.ts'

const [A, B] = ['127.0.0.1:7000', '127.0.0.1:7003']
const line = (time: string, text: string): string => `19:S 23 Nov 2026 15:31:${time} * ${text}\n`
const at = (time: string): number => Date.parse(`23 Nov 2026 15:31:${time}`)
const follows = line('00.000', `Connecting to MASTER ${A}`)
const wins = line('05.000', "Failover election won: I'm the new master.")

test.each([
  {name: 'an election', text: follows + wins, count: 1},
  {name: 'Valkey’s words', text: line('00.000', `Connecting to PRIMARY ${A}`) + wins, count: 1},
  {
    name: 'a coordinated failover, which loses nothing',
    text: follows + line('04.000', 'All master replication stream processed, manual failover can start.') + wins,
    count: 0,
  },
  {name: 'a takeover by hand', text: follows + line('05.000', 'Taking over the master (user request).'), count: 1},
  {name: 'nothing', text: follows, count: 0},
])('$name gives $count', ({text, count}) => {
  const logs = [
    {address: A, text: line('09.000', `Connecting to MASTER ${B}`)},
    {address: B, text},
  ]
  const expected = {node: A, by: B, fromMs: at('03.000'), toMs: at('09.000')}
  expect(findTakeovers(logs, [], 2000)).toEqual(count === 1 ? [expected] : [])
})

test('a blow dates it, and a node that never comes back never knows', () => {
  const logs = [
    {address: A, text: ''},
    {address: B, text: follows + wins},
  ]
  const [takeover] = findTakeovers(logs, [{node: A, atMs: at('04.200')}], 2000)
  expect(takeover).toMatchObject({fromMs: at('04.200'), toMs: Number.POSITIVE_INFINITY})
})
