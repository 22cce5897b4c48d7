import {describe, expect, test} from 'vitest'
import {insideAddress, isMapped, isSameAddress} from '../../src/lib/topology/inside-address.ts'
import type {NodeAddress} from '../../src/lib/topology/model.ts'

const at = (host: string, port = 6379): NodeAddress => ({host, port})

describe('a port mapping', () => {
  test.each([
    {name: "Docker's, to another port", dialled: at('127.0.0.1', 7000), internal: at('172.17.0.2'), expected: true},
    {name: 'to the same port of another address', dialled: at('10.0.0.1'), internal: at('172.17.0.2'), expected: true},
    {name: 'a name and another port', dialled: at('db.example', 7000), internal: at('172.17.0.2'), expected: true},
    {name: 'none: a name', dialled: at('db.example'), internal: at('10.0.0.1'), expected: false},
    {name: 'none: the address itself', dialled: at('10.0.0.1'), internal: at('10.0.0.1'), expected: false},
    {name: 'none: this machine by another name', dialled: at('::1'), internal: at('127.0.0.1'), expected: false},
    {
      name: 'another loopback address is another host',
      dialled: at('127.0.0.1'),
      internal: at('127.0.2.1'),
      expected: true,
    },
  ])('$name', ({dialled, internal, expected}) => {
    expect(isMapped(dialled, internal)).toBe(expected)
  })
})

test('a tunnel that ends on the host of the server tells nothing of it', () => {
  expect(insideAddress(at('10.0.0.1', 7000), at('127.0.0.1'))).toEqual(at('10.0.0.1', 7000))
  expect(insideAddress(at('10.0.0.1', 7000), at('172.17.0.2'))).toEqual(at('172.17.0.2'))
  expect(insideAddress(at('10.0.0.1', 7000), undefined)).toEqual(at('10.0.0.1', 7000))
})

test('localhost is the same in all its spellings, at the same port', () => {
  expect(isSameAddress(at('localhost'), at('127.0.0.1'))).toBe(true)
  expect(isSameAddress(at('localhost'), at('127.0.0.1', 7000))).toBe(false)
})
