import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {ErrorReply, type Reply, ReplyReader} from '../../src/lib/redis/replies.ts'

const read = (...chunks: readonly (string | Buffer)[]): (Reply | ErrorReply)[] => {
  const reader = new ReplyReader()
  return chunks.flatMap((chunk) => reader.read(Buffer.from(chunk as string)))
}

describe('replies', () => {
  it.each([
    {name: 'a status', text: '+OK\r\n', replies: ['OK']},
    {name: 'an error', text: '-MOVED 1 a:1\r\n', replies: [new ErrorReply('MOVED 1 a:1')]},
    {name: 'numbers', text: ':0\r\n:-2\r\n:12345678901\r\n', replies: [0, -2, 12_345_678_901]},
    {name: 'bytes', text: '$4\r\n\r\n\r\n\r\n', replies: [Buffer.from('\r\n\r\n')]},
    {name: 'nothing', text: '$-1\r\n*-1\r\n$0\r\n\r\n*0\r\n', replies: [null, null, Buffer.alloc(0), []]},
    {
      name: 'lists of lists, with an error among them',
      text: '*3\r\n*1\r\n:1\r\n$-1\r\n-ERR no\r\n',
      replies: [[[1], null, 'ERR no']],
    },
  ])('$name', ({text, replies}) => {
    expect(read(text)).toEqual(replies)
  })

  it.each(['HTTP/1.1 400 Bad Request\r\n', ':1x\r\n', '$x\r\n', '*1\r\n'.repeat(40)])('%j is no reply', (text) => {
    expect(() => read(text)).toThrow('Protocol error')
  })

  type Tree = Buffer | string | number | null | Tree[]
  const tree: fc.Arbitrary<Tree> = fc.letrec<{node: Tree; list: Tree[]}>((tie) => ({
    node: fc.oneof(
      {depthSize: 'small', maxDepth: 5},
      fc.uint8Array({maxLength: 40}).map((bytes) => Buffer.from(bytes)),
      fc.string({unit: fc.constantFrom('a', 'Z', '0', ' ', ':'), maxLength: 9}),
      fc.integer(),
      fc.constant(null),
      tie('list'),
    ),
    list: fc.array(tie('node'), {maxLength: 5}),
  })).node
  const encode = (value: Tree): Buffer => {
    if (value === null) return Buffer.from('$-1\r\n')
    if (typeof value === 'number') return Buffer.from(`:${value}\r\n`)
    if (typeof value === 'string') return Buffer.from(`+${value}\r\n`)
    if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')])
    return Buffer.concat([Buffer.from(`*${value.length}\r\n`), ...value.map(encode)])
  }

  it('are the same wherever the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(tree, {maxLength: 5}), fc.array(fc.nat(60), {maxLength: 30}), (values, sizes) => {
        const bytes = Buffer.concat(values.map(encode))
        const reader = new ReplyReader()
        const replies: (Reply | ErrorReply)[] = []
        let at = 0
        for (const size of [...sizes, bytes.length]) {
          replies.push(...reader.read(bytes.subarray(at, at + size)))
          at += size
        }
        expect(replies).toEqual(values)
      }),
      {numRuns: 300},
    )
  })
})
