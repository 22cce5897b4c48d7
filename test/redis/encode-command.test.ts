import {describe, expect, it} from 'vitest'
import {encodeCommand, encodeCommands} from '../../src/lib/redis/encode-command.ts'
import {ReplyReader} from '../../src/lib/redis/replies.ts'

const encoded = (...words: (string | number | Buffer)[]): string => Buffer.from(encodeCommand(words)).toString('latin1')

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

  it('is the same among many', () => {
    const commands = table.flatMap(({words}) => [words, ['PING'], words])
    const one = commands.map((words) => encoded(...words)).join('')
    expect(encodeCommands(commands).toString('latin1')).toBe(one)
    expect(encodeCommands([])).toHaveLength(0)
  })

  it('has all of a thousand keys', () => {
    const keys = Array.from({length: 1000}, (_, n) => Buffer.from(`key:${n}`))
    const expected = keys.map((key) => `$${key.length}\r\n${key}\r\n`).join('')
    expect(encoded('MIGRATE', ...keys)).toBe(`*1001\r\n$7\r\nMIGRATE\r\n${expected}`)
  })

  const listed = (keys: readonly Buffer[]): Buffer[] => {
    const reply = Buffer.concat([
      Buffer.from(`*${keys.length}\r\n`),
      ...keys.flatMap((key) => [Buffer.from(`$${key.length}\r\n`), key, Buffer.from('\r\n')]),
    ])
    return new ReplyReader().read(reply)[0] as Buffer[]
  }
  const odd = ['', 'a', '$1\r\nx', '\r\n', 'k'.repeat(9), 'k'.repeat(10), 'k'.repeat(100), 'é'].map((text) =>
    Buffer.from(text),
  )

  it('is the same for keys as a server listed them and for copies of them', () => {
    const keys = listed([...odd, ...odd.toReversed()])
    const copies = keys.map((key) => Buffer.from(key.toString('latin1'), 'latin1'))
    expect(encoded('MIGRATE', '', 0, ...keys)).toBe(encoded('MIGRATE', '', 0, ...copies))
  })

  it('holds when some of a list are left out, turned round or come from elsewhere', () => {
    const [a, b] = [listed(odd), listed(odd)]
    const mixed = [...a.slice(3), Buffer.from('other'), ...b.toReversed(), a[1], ...b.filter((_, n) => n % 2 === 0)]
    const words = mixed.filter((key) => key !== undefined)
    const copies = words.map((key) => Buffer.from(key.toString('latin1'), 'latin1'))
    expect(encoded('MIGRATE', ...words)).toBe(encoded('MIGRATE', ...copies))
  })
})
