import {expect, it} from 'vitest'
import {type Reply, renderAnswers, replyDocument} from '../../src/lib/render/answers.ts'
import {styleFor} from '../../src/lib/render/colour.ts'

const style = styleFor({isTTY: false} as never, {}, true)
const shown = (reply: Reply): string => renderAnswers([{address: 'a:1', answer: {reply}}], style)

it.each<{name: string; reply: Reply; text: string}>([
  {name: 'a status', reply: 'PONG', text: 'a:1  PONG'},
  {name: 'a number', reply: -3, text: 'a:1  -3'},
  {name: 'nothing', reply: null, text: 'a:1  (nil)'},
  {name: 'an empty string', reply: Buffer.alloc(0), text: 'a:1  ""'},
  {name: 'an empty list', reply: [], text: 'a:1  (empty list)'},
  {name: 'lines', reply: Buffer.from('one\r\ntwo\r\n'), text: 'a:1\n  one\n  two'},
  {name: 'what could steer a terminal', reply: Buffer.from('\u001b[2Jx\u009b1m'), text: 'a:1  [2Jx1m'},
  {name: 'bytes that are no text', reply: Buffer.from([65, 0, 255, 34]), text: 'a:1  "A\\x00\\xff""'},
  {
    name: 'a list in a list',
    reply: [Buffer.from('k'), [1, null], 'x'],
    text: 'a:1\n  1) k\n  2) 1) 1\n     2) (nil)\n  3) x',
  },
])('shows $name', ({reply, text}) => {
  expect(shown(reply)).toBe(text)
})

it('puts errors and silence beside the address, all in one column', () => {
  const answers = [
    {address: 'a:1', answer: {error: 'ERR no\nsuch'}},
    {address: 'long:22', answer: {unanswered: 'did not answer'}},
  ]
  expect(renderAnswers(answers, style)).toBe('a:1      (error) ERR no such\nlong:22  did not answer')
})

it('keeps bytes in a document', () => {
  expect(replyDocument([Buffer.from('é'), Buffer.from([200]), 4, null, 'OK'])).toEqual([
    'é',
    {base64: 'yA=='},
    4,
    null,
    'OK',
  ])
})
