import {describe, expect, it} from 'vitest'
import {EncodedCommand} from '../../src/lib/redis/encoded-command.ts'

const encoded = (...words: (string | number | Buffer)[]): string =>
  Buffer.from(new EncodedCommand(words).toWritable()).toString('latin1')

describe('a command on the wire', () => {
  const table = [
    {
      name: 'words and numbers',
      words: ['CLUSTER', 'SETSLOT', 7],
      bytes: '*3\r\n$7\r\nCLUSTER\r\n$7\r\nSETSLOT\r\n$1\r\n7\r\n',
    },
    {name: 'an empty word', words: ['MIGRATE', ''], bytes: '*2\r\n$7\r\nMIGRATE\r\n$0\r\n\r\n'},
    {
      name: 'text beyond ASCII, by its bytes',
      words: ['AUTH', 'pä'],
      bytes: '*2\r\n$4\r\nAUTH\r\n$3\r\np\u00c3\u00a4\r\n',
    },
    {
      name: 'text beyond ASCII beside bytes',
      words: ['AUTH', 'pä', Buffer.from('x')],
      bytes: '*3\r\n$4\r\nAUTH\r\n$3\r\np\u00c3\u00a4\r\n$1\r\nx\r\n',
    },
    {
      name: 'bytes as they are',
      words: ['KEYS', Buffer.from([0, 255, 13, 10, 0xc3]), Buffer.alloc(0)],
      bytes: '*3\r\n$4\r\nKEYS\r\n$5\r\n\u0000\u00ff\r\n\u00c3\r\n$0\r\n\r\n',
    },
  ]
  it.each(table)('has $name', ({words, bytes}) => {
    expect(encoded(...words)).toBe(bytes)
  })

  it('has all of a thousand keys', () => {
    const keys = Array.from({length: 1000}, (_, n) => Buffer.from(`key:${n}`))
    const expected = keys.map((key) => `$${key.length}\r\n${key}\r\n`).join('')
    expect(encoded('MIGRATE', ...keys)).toBe(`*1001\r\n$7\r\nMIGRATE\r\n${expected}`)
  })
})
