import {PassThrough} from 'node:stream'
import {describe, expect, test} from 'vitest'
import {Answers} from '../../../src/lib/cli/drop-in/answers.ts'

const never = new AbortController().signal

function inputOf(...chunks: string[]): {input: PassThrough; answers: Answers} {
  const input = new PassThrough()
  for (const chunk of chunks) input.write(chunk)
  return {input, answers: new Answers(input)}
}

describe('a yes', () => {
  test.each([
    {name: 'with a newline', chunks: ['yes\n'], isYes: true},
    {name: 'with a carriage return', chunks: ['yes\r\n'], isYes: true},
    {name: 'in pieces', chunks: ['y', 'es'], isYes: true},
    {name: 'not from a no', chunks: ['no\n'], isYes: false},
    {name: 'not from y', chunks: ['y\n'], isYes: false},
    {name: 'not from an empty line', chunks: ['\n'], isYes: false},
    {name: 'not from more than yes', chunks: ['yes please\n'], isYes: false},
  ])('$name', async ({chunks, isYes}) => {
    expect(await inputOf(...chunks).answers.isYes(never)).toBe(isYes)
  })

  test('needs neither a newline nor the end of the input', async () => {
    expect(await inputOf('yes').answers.isYes(never)).toBe(true)
  })

  test('comes when it comes', async () => {
    const {input, answers} = inputOf()
    const verdict = answers.isYes(never)
    setTimeout(() => input.write('yes'), 10)
    expect(await verdict).toBe(true)
  })

  test('is not what the end of the input means', async () => {
    const {input, answers} = inputOf()
    input.end()
    expect(await answers.isYes(never)).toBe(false)
    expect(await answers.isYes(never)).toBe(false)
  })

  test('is as many as questions are asked', async () => {
    const {input, answers} = inputOf('yes\nyes\nno\n')
    input.end()
    expect([await answers.isYes(never), await answers.isYes(never), await answers.isYes(never)]).toEqual([
      true,
      true,
      false,
    ])
    expect(await answers.isYes(never)).toBe(false)
  })

  test('whose newline comes late leaves no empty answer behind', async () => {
    const {input, answers} = inputOf('yes')
    expect(await answers.isYes(never)).toBe(true)
    input.write('\nyes\n')
    expect(await answers.isYes(never)).toBe(true)
  })
})

describe('lines', () => {
  test('come one by one, the last without its newline', async () => {
    const {input, answers} = inputOf('10\nabc\nall')
    input.end()
    expect([await answers.line(never), await answers.line(never), await answers.line(never)]).toEqual([
      '10',
      'abc',
      'all',
    ])
    expect(await answers.line(never)).toBeUndefined()
  })

  test('are not waited for after a signal', async () => {
    const stop = new AbortController()
    const line = inputOf().answers.line(stop.signal)
    stop.abort(new Error('stopped'))
    await expect(line).rejects.toThrow('stopped')
  })
})
