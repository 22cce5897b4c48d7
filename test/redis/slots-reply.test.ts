import {describe, expect, test} from 'vitest'
import {parseSlotsReply} from '../../src/lib/redis/slots-reply.ts'

const text = (words: string): Buffer => Buffer.from(words)
const [A, B] = ['a'.repeat(40), 'b'.repeat(40)]

describe('CLUSTER SLOTS', () => {
  test('tells a place of each node, once however many ranges it has', () => {
    const reply = [
      [0, 99, [text('10.0.0.1'), 7000, text(A), [text('hostname'), text('one')]], [text('fd00::2'), 7001, text(B), []]],
      [200, 299, [text('10.0.0.1'), 7000, text(A)]],
    ]
    expect([...parseSlotsReply(reply)]).toEqual([
      [A, {host: '10.0.0.1', port: 7000}],
      [B, {host: 'fd00::2', port: 7001}],
    ])
    expect(parseSlotsReply([]).size).toBe(0)
  })

  test.each([null, text(''), text('?')])('tells no host with %s', (endpoint) => {
    expect(parseSlotsReply([[0, 1, [endpoint, 7000, text(A)]]]).get(A)).toEqual({host: undefined, port: 7000})
  })

  test.each([
    {name: 'no list', reply: text('OK')},
    {name: 'a range without nodes that are lists', reply: [[0, 1, text('10.0.0.1')]]},
    {name: 'a port that is none', reply: [[0, 1, [text('10.0.0.1'), text('x'), text(A)]]]},
    {name: 'a host that would move the cursor', reply: [[0, 1, [text('\u001b[2J'), 7000, text(A)]]]},
  ])('is not $name', ({reply}) => {
    expect(() => parseSlotsReply(reply)).toThrow()
  })
})
