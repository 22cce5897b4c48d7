import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {afterAll, describe, expect, test} from 'vitest'
import {parseAddressMap} from '../../src/lib/cli/address-rules.ts'
import {parseAddress} from '../../src/lib/cli/node-argument.ts'
import {UsageError} from '../../src/lib/errors.ts'
import {AddressMap} from '../../src/lib/redis/address-map.ts'
import {formatAddress} from '../../src/lib/topology/model.ts'

const ID = 'a57c'.padEnd(40, '0')
const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-map-'))
afterAll(() => rmSync(folder, {recursive: true}))

function dialled(entries: readonly string[], announced: string, id: string | null = ID): string {
  const address = parseAddress(announced)
  return formatAddress(new AddressMap(parseAddressMap(entries)).dialledFor(address, id ?? undefined) ?? address)
}

describe('the address map', () => {
  const rows: readonly {
    readonly name: string
    readonly map: readonly string[]
    readonly announced: string
    readonly expected: string
  }[] = [
    {name: 'a pair', map: ['172.17.0.2:6379=h:7000'], announced: '172.17.0.2:6379', expected: 'h:7000'},
    {
      name: 'another port is another node',
      map: ['10.0.0.2:1=h:2'],
      announced: '10.0.0.2:6379',
      expected: '10.0.0.2:6379',
    },
    {name: 'IPv6', map: ['[fd00::2]:6379=[::1]:7000'], announced: '[fd00::2]:6379', expected: '[::1]:7000'},
    {name: 'a host, with any port', map: ['10.0.0.2=h'], announced: '10.0.0.2:7005', expected: 'h:7005'},
    {name: 'a host, to one port', map: ['10.0.0.2=h:9'], announced: '10.0.0.2:7005', expected: 'h:9'},
    {name: 'an IPv6 host', map: ['fd00::2=::1'], announced: '[fd00::2]:7005', expected: '[::1]:7005'},
    {name: 'any host, the ports kept', map: ['*=127.0.0.1'], announced: '10.0.0.2:7005', expected: '127.0.0.1:7005'},
    {name: 'the same with wildcards spelt out', map: ['*:*=127.0.0.1:*'], announced: 'h:1', expected: '127.0.0.1:1'},
    {name: 'a port of any host', map: ['*:6379=*:16379'], announced: 'h:6379', expected: 'h:16379'},
    {name: 'a node by its ID', map: [`${ID}=h:7`], announced: '10.0.0.2:1', expected: 'h:7'},
    {name: 'a node by the beginning of it', map: ['a57c0000=h:7'], announced: '10.0.0.2:1', expected: 'h:7'},
    {
      name: 'the most telling rule wins, wherever it stands',
      map: ['*=x', '*:1=y', '10.0.0.2=z', '10.0.0.2:1=w'],
      announced: '10.0.0.2:1',
      expected: 'w:1',
    },
    {name: 'and an ID over all', map: ['10.0.0.2:1=w', `${ID}=h:7`], announced: '10.0.0.2:1', expected: 'h:7'},
  ]
  test.each(rows)('$name', ({map, announced, expected}) => {
    expect(dialled(map, announced)).toBe(expected)
  })

  test('an address that the operator named is only mapped by a rule for its host', () => {
    expect(dialled(['*=x', '*:7000=y', `${ID}=z`], '127.0.0.1:7000', null)).toBe('127.0.0.1:7000')
    expect(dialled(['127.0.0.1=x'], '127.0.0.1:7000', null)).toBe('x:7000')
  })

  test('is read from a file, a rule a line, with comments', () => {
    const file = path.join(folder, 'map')
    writeFileSync(file, '# our lab\n172.17.0.2:6379 = 127.0.0.1:7000 # the first\n\n172.17.0.3:6379 127.0.0.1:7001\r\n')
    expect(dialled([`@${file}`], '172.17.0.2:6379')).toBe('127.0.0.1:7000')
    expect(dialled([`@${file}`], '172.17.0.3:6379')).toBe('127.0.0.1:7001')
  })

  test('names the file and the line of what is wrong', () => {
    const file = path.join(folder, 'broken')
    writeFileSync(file, '172.17.0.2:6379=127.0.0.1:7000\n172.17.0.3:70000=127.0.0.1\n')
    expect(() => parseAddressMap([`@${file}`])).toThrow(/broken, line 2: .*a port is a number from 1 to 65535/)
    expect(() => parseAddressMap([`@${file}.not`])).toThrow(/broken\.not cannot be read \(ENOENT\)/)
  })

  test.each(['h:1', '=h:1', 'h:1=', 'a:1=b:2=c:3'])('%s is no rule', (entry) => {
    expect(() => parseAddressMap([entry])).toThrow(`--address-map "${entry}" is not ANNOUNCED=DIALLED`)
  })

  test.each(['a b=c', 'h:x=h:1', '[::1=h', '$(id)=h'])('%s names no address', (entry) => {
    expect(() => parseAddressMap([entry])).toThrow(UsageError)
  })
})
